"""What augmentation does to pictures, in a process of its own: TensorFlow's threads outlive a test."""

import subprocess
import sys

import pytest

CHECK = """
import numpy as np
import tensorflow as tf
from tests.drawing import draw_pixels
from trainer.augmentation import samples, vary
from trainer.jpeg import compressed

photos = np.stack([draw_pixels(seed, (52, 44)) for seed in range(16)])
for pixels in (photos, photos[..., :1]):
    one, same, other = (vary(tf.constant(pixels), tf.constant([7, n], tf.int32)).numpy() for n in (1, 1, 2))
    assert one.shape == pixels.shape and one.dtype == np.uint8
    assert (one == same).all() and (one != other).any(axis=(1, 2, 3)).all()
    sheet = samples(pixels, 24, 3)
    assert sheet.shape == (24, *pixels.shape[1:]) and (sheet == samples(pixels, 24, 3)).all()
    assert samples(pixels[:1], 3, 0).shape[0] == 3
    assert vary(tf.constant(pixels[:1]), tf.constant([0, 0], tf.int32)).shape[0] == 1

def lost(quality):
    found = compressed(tf.cast(photos, tf.float32), tf.fill([len(photos)], quality)).numpy()
    return float(np.abs(found - photos).mean())

assert lost(100.0) < 1 < lost(20.0) < lost(5.0) < 40, [lost(q) for q in (100.0, 20.0, 5.0)]
print("done")
"""


@pytest.mark.timeout(90)
def test_variation_follows_from_its_seed_and_jpeg_loses_more_the_lower_its_quality():
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=80, check=False
    )

    assert done.stdout == "done\n", done.stderr
