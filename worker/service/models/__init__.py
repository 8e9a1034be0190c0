"""The bundles at hand: which there are, which is in use, which is better, what one costs on this machine."""
