"""Train a network: batches, augmentation, losses, schedule, EMA, early stopping and checkpoints."""
