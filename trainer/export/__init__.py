"""Turn a trained network into the files of a bundle, and into the formats of others."""
