"""Set up TensorFlow for a training."""

import keras
import tensorflow as tf


def configure_tensorflow(threads: int) -> None:
    """Limit TensorFlow to that many threads, 0 not at all; has to be called before its first operation.

    With one thread the same seed and data give the same weights, to the bit.
    """
    if not threads:
        return
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if threads == 1:
        keras.utils.set_random_seed(0)  # deterministic operations refuse to run without a global seed
        tf.config.experimental.enable_op_determinism()
