"""Turn the bytes of a photo into a prediction: decode, preprocess, run the networks, fuse their outputs."""
