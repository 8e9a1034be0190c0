"""Read and prepare training data: class folders, images, near-duplicates, splits, face crops, audit."""
