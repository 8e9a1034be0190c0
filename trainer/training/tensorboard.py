"""Write epochs for TensorBoard, which need not be installed where the training runs."""

from pathlib import Path

import tensorflow as tf

from trainer.training.progress import Epoch


class TensorBoard:
    """A folder of event files; None writes nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._writer = tf.summary.create_file_writer(str(folder)) if folder else None

    def write(self, epoch: Epoch) -> None:
        """Write the metrics of one epoch."""
        if self._writer is None:
            return
        # tf.summary.scalar would ask for the tensorboard package; its plug-in's name is all that it adds.
        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        with self._writer.as_default():
            for tag, value in _list_series(epoch).items():
                tf.summary.write(tag, tf.constant(value, tf.float32), epoch.number, metadata)
        self._writer.flush()


def _list_series(epoch: Epoch) -> dict[str, float]:
    series = {
        "loss/training": epoch.loss,
        f"{epoch.score_name}/training": epoch.score,
        "learning_rate": epoch.learning_rate,
    }
    if epoch.validation is not None:
        series |= {
            "loss/validation": epoch.validation.loss,
            "accuracy/validation": epoch.validation.accuracy,
            "recall/validation": epoch.validation.mean_recall,
        }
    return series
