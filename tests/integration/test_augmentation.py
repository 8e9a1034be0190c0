"""What augmentation does to pictures, in a process of its own: TensorFlow's threads outlive a test."""

import subprocess
import sys

import pytest

CHECK = """
import numpy as np
import tensorflow as tf
from tests.drawing import draw_pixels
from trainer.training.augmentation import nothings, samples, vary
from trainer.training.jpeg import compressed

photos = np.stack([draw_pixels(seed, (52, 44)) for seed in range(16)])
for pixels in (photos, photos[..., :1]):
    one, same, other = (vary(tf.constant(pixels), tf.constant([7, n], tf.int32)).numpy() for n in (1, 1, 2))
    assert one.shape == pixels.shape and one.dtype == np.uint8
    assert (one == same).all() and (one != other).any(axis=(1, 2, 3)).all()
    sheet = samples(pixels, 24, 3)
    assert sheet.shape == (24, *pixels.shape[1:]) and (sheet == samples(pixels, 24, 3)).all()
    assert samples(pixels[:1], 3, 0).shape[0] == 3
    assert vary(tf.constant(pixels[:1]), tf.constant([0, 0], tf.int32)).shape[0] == 1

def roughness(pictures):
    return np.abs(np.diff(pictures.astype(float), axis=2)).mean()

static = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8), 64, axis=0)
varied = vary(tf.constant(static), tf.constant([0, 0], tf.int32)).numpy()
plain = roughness(varied[48:])
assert roughness(varied[16:24]) < 0.5 * plain and roughness(varied[24:32]) < 0.25 * plain

empty = nothings(400, (48, 48, 1), tf.constant([0, 0], tf.int32)).numpy()
assert (empty.max(axis=(1, 2, 3)) == 0).sum() > 20 and (np.ptp(empty, axis=(1, 2, 3)) > 64).sum() > 50

def lost(quality):
    found = compressed(tf.cast(photos, tf.float32), tf.fill([len(photos)], quality)).numpy()
    return float(np.abs(found - photos).mean())

assert lost(100.0) < 1 < lost(20.0) < lost(5.0) < 40, [lost(q) for q in (100.0, 20.0, 5.0)]
print("done")
"""


@pytest.mark.timeout(90)
def test_variation_follows_from_its_seed_loses_detail_in_some_pictures_and_draws_dark_frames():
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=80, check=False
    )

    assert done.stdout == "done\n", done.stderr
