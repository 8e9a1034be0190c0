"""The bundles on this machine: list them, compare two, put one into use, measure what one costs."""
