"""Build Keras networks: classifiers, the detector, and the blocks that they share."""
