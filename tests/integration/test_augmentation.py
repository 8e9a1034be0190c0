"""What augmentation does to pictures, in a process of its own: TensorFlow's threads outlive a test."""

import subprocess
import sys

import pytest

from tests.patience import scale

CHECK = """
import numpy as np
import tensorflow as tf
from tests.drawing import draw_pixels
from trainer.training.augmentation import augment, draw_negatives, draw_samples
from trainer.training.jpeg import compress_jpeg

photos = np.stack([draw_pixels(seed, (52, 44)) for seed in range(16)])
for pixels in (photos, photos[..., :1]):
    seeds = (tf.constant([7, step], tf.int32) for step in (1, 1, 2))
    first, same, different = (augment(tf.constant(pixels), seed).numpy() for seed in seeds)
    assert first.shape == pixels.shape and first.dtype == np.uint8
    assert (first == same).all() and (first != different).any(axis=(1, 2, 3)).all()
    samples = draw_samples(pixels, 24, 3)
    assert samples.shape == (24, *pixels.shape[1:]) and (samples == draw_samples(pixels, 24, 3)).all()
    assert draw_samples(pixels[:1], 3, 0).shape[0] == 3
    assert augment(tf.constant(pixels[:1]), tf.constant([0, 0], tf.int32)).shape[0] == 1

def measure_roughness(pictures):
    return np.abs(np.diff(pictures.astype(float), axis=2)).mean()

static = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8), 64, axis=0)
augmented = augment(tf.constant(static), tf.constant([0, 0], tf.int32)).numpy()
unchanged = measure_roughness(augmented[48:])
assert measure_roughness(augmented[16:24]) < 0.5 * unchanged
assert measure_roughness(augmented[24:32]) < 0.25 * unchanged

negatives = draw_negatives(400, (48, 48, 1), tf.constant([0, 0], tf.int32)).numpy()
assert (negatives.max(axis=(1, 2, 3)) == 0).sum() > 20
assert (np.ptp(negatives, axis=(1, 2, 3)) > 64).sum() > 50

def measure_loss(quality):
    compressed = compress_jpeg(tf.cast(photos, tf.float32), tf.fill([len(photos)], quality)).numpy()
    return float(np.abs(compressed - photos).mean())

losses = [measure_loss(quality) for quality in (100.0, 20.0, 5.0)]
assert losses[0] < 1 < losses[1] < losses[2] < 40, losses
print("done")
"""


@pytest.mark.timeout(90)
def test_augmentation_follows_from_its_seed_and_loses_detail_in_some_pictures_and_some_negatives_are_black():
    result = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=scale(80), check=False
    )

    assert result.stdout == "done\n", result.stderr
