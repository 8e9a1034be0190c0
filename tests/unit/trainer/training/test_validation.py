import numpy as np
import pytest

from trainer.training.validation import compute_validation_metrics, make_validation

LOGITS = np.array([[4, 0, 0], [0, 4, 0], [4, 0, 0], [4, 0, 0]], np.float32)
LABELS = np.array([0, 1, 0, 1])


def test_mean_recall_gives_all_classes_the_same_weight_that_there_are_pictures_of():
    metrics = compute_validation_metrics(LOGITS, LABELS)

    assert metrics.accuracy == 0.75
    assert metrics.mean_recall == pytest.approx((1 + 0.5) / 2)
    wrong, right = np.log(np.exp(4) + 2), np.log(np.exp(4) + 2) - 4
    assert metrics.loss == pytest.approx((3 * right + wrong) / 4)


def test_loss_is_finite_for_logits_whose_exponential_is_not():
    assert np.isfinite(compute_validation_metrics(1000 * LOGITS, LABELS).loss)


def test_validation_predicts_every_picture_once_in_batches():
    pixels = np.arange(600, dtype=np.uint16)[:, None, None, None]
    sizes = []

    def predict(batch):
        sizes.append(len(batch))
        return np.eye(3, dtype=np.float32)[batch[:, 0, 0, 0] % 3]

    metrics = make_validation(pixels, np.arange(600) % 3)(predict)

    assert sum(sizes) == 600
    assert max(sizes) < 600
    assert metrics.accuracy == 1.0
