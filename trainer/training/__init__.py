"""Train a network on one split and choose its best epoch by another."""
