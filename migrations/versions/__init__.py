"""One module for each revision, numbered in ascending order."""
