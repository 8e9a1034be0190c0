"""What only the training of a face detector needs: teacher, mosaics, targets, loss and metrics."""
