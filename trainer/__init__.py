"""Build bundles: read folders of classes, train a network, measure it and export it for the worker."""
