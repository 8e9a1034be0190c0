"""Write the epochs for TensorBoard, which need not be installed where the training runs."""

from pathlib import Path

import tensorflow as tf

from trainer.training.progress import Epoch

_SERIES = {
    "loss/training": "loss",
    "loss/validation": "validation_loss",
    "accuracy/training": "training_accuracy",
    "accuracy/validation": "accuracy",
    "recall/validation": "recall",
    "learning_rate": "learning_rate",
}


class Board:
    """A folder of event files, or nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._writer = tf.summary.create_file_writer(str(folder)) if folder else None

    def write(self, epoch: Epoch) -> None:
        """Write one epoch's figures."""
        if self._writer is None:
            return
        # tf.summary.scalar would ask for the tensorboard package; its plug-in's name is all that it adds.
        kind = tf.compat.v1.SummaryMetadata()
        kind.plugin_data.plugin_name = "scalars"
        with self._writer.as_default():
            for tag, field in _SERIES.items():
                tf.summary.write(tag, tf.constant(getattr(epoch, field), tf.float32), epoch.number, kind)
        self._writer.flush()
