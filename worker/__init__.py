"""Watch a folder of photos, classify each with neural networks, file it and record the decision."""
