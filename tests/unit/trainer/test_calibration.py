import numpy as np
import pytest

from trainer.calibration import calibration_error, fitted_temperature


def honest_logits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits and labels of which softmax(logits) is the very probability."""
    draw = np.random.default_rng(7)
    logits = draw.normal(0, 2, (count, 3)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (draw.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_spoilt_honest_logits_is_found(temperature):
    logits, labels = honest_logits(20_000)

    assert fitted_temperature(logits * np.float32(temperature), labels) == pytest.approx(
        temperature, rel=0.05
    )


def test_overconfident_logits_are_in_error_until_they_are_calibrated():
    logits, labels = honest_logits(20_000)

    assert calibration_error(logits * 4, labels, temperature=1.0) > 0.1
    assert calibration_error(logits * 4, labels, temperature=4.0) < 0.02


def test_a_temperature_is_finite_where_every_answer_is_right():
    labels = np.arange(30) % 3

    assert np.isfinite(fitted_temperature(10 * np.eye(3, dtype=np.float32)[labels], labels))
