"""One module for each revision, numbered in the order in which they were made."""
