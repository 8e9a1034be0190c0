"""The commands' work, each module a whole way from its first file read to its last file written."""
