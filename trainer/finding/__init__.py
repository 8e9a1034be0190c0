"""Train the network that finds faces, from what a teacher finds and from pictures that are faces."""
