import numpy as np
import pytest

from trainer.evaluation.calibration import (
    compute_calibration_errors,
    compute_log_losses,
    compute_reliability,
    count_bins,
    fit_temperature,
)
from worker.inference.fusion import softmax


def honest_logits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits and labels of which softmax(logits) is the very probability."""
    draw = np.random.default_rng(7)
    logits = draw.normal(0, 2, (count, 3)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (draw.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return logits, labels


def error_of(confidence: list[float], right: list[bool], weights: list[float] | None = None) -> float:
    counted = np.ones(len(right)) if weights is None else np.array(weights)
    return float(
        compute_calibration_errors(np.array(confidence), np.array(right), counted[None].astype(np.float32))[0]
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_spoilt_honest_logits_is_found(temperature):
    logits, labels = honest_logits(20_000)

    assert fit_temperature(logits * np.float32(temperature), labels) == pytest.approx(temperature, rel=0.05)


def test_overconfident_logits_are_in_error_until_they_are_calibrated():
    logits, labels = honest_logits(20_000)

    def error(temperature: float) -> float:
        chances = softmax(logits * 4 / temperature)
        return error_of(list(chances.max(axis=1)), list(chances.argmax(axis=1) == labels))

    assert error(temperature=1.0) > 0.1
    assert error(temperature=4.0) < 0.02


def test_a_temperature_is_finite_where_every_answer_is_right():
    labels = np.arange(30) % 3

    assert np.isfinite(fit_temperature(10 * np.eye(3, dtype=np.float32)[labels], labels))


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equal_mass():
    # Two bins of ten: 0.6 sure and 3 right, 0.9 sure and 8 right.
    confidence = [0.6] * 10 + [0.9] * 10
    right = [True] * 3 + [False] * 7 + [True] * 8 + [False] * 2

    assert error_of(confidence, right) == pytest.approx((0.3 + 0.1) / 2)


def test_equally_sure_pictures_share_a_bin_whatever_their_order():
    # In the order of their classes, all right ones come first; bins that cut them would find an error.
    assert error_of([0.7] * 40, [True] * 28 + [False] * 12) == pytest.approx(0.0, abs=1e-6)


def test_a_weight_counts_as_so_many_pictures():
    draw = np.random.default_rng(0)
    confidence, right = list(draw.random(45)), list(draw.random(45) < 0.5)

    once = error_of(confidence, right)
    doubled = error_of(confidence, right, [2.0] * 45)

    assert doubled == pytest.approx(once)


def test_few_pictures_fill_fewer_bins():
    assert [count_bins(pictures) for pictures in (1, 9, 25, 149, 150, 10**6)] == [1, 1, 2, 14, 15, 15]


def test_log_loss_is_the_mean_logarithm_and_finite_for_a_certain_error():
    chances = np.array([[0.5, 0.5], [1.0, 0.0]])

    fine, certain = compute_log_losses(chances, np.array([0, 1]), np.array([[1, 0], [0, 1]], np.float32))

    assert fine == pytest.approx(np.log(2))
    assert 30 < certain < 40


def test_reliability_compares_the_least_sure_with_the_surest():
    found = compute_reliability(
        np.array([0.9] * 10 + [0.6] * 10), np.array([True] * 8 + [False] * 2 + [True] * 3 + [False] * 7)
    )

    assert list(found.confidence) == pytest.approx([0.6, 0.9])
    assert list(found.accuracy) == pytest.approx([0.3, 0.8])
    assert (found.low < found.accuracy).all()
    assert (found.accuracy < found.high).all()
