"""What is wrong with folders of pictures, before anything is trained on them."""
