"""The bundles on this machine: list them, show one, put one into use, measure what one costs."""
