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


def draw_calibrated_logits(count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels with the probabilities softmax(logits)."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (count, 3)).astype(np.float32)
    probabilities = softmax(logits)
    labels = (generator.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return logits, labels


def fit(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fit the temperature to pictures of which none is a near-duplicate of another."""
    return fit_temperature(logits, labels, np.arange(len(labels)))


def compute_log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    weights = np.ones((1, len(labels)), np.float32)
    return float(compute_log_losses(softmax(logits / temperature), labels, weights)[0])


def compute_error(confidence: list[float], correct: list[bool], weight: float = 1.0) -> float:
    weights = np.full((1, len(correct)), weight, np.float32)
    return float(compute_calibration_errors(np.array(confidence), np.array(correct), weights)[0])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_calibrated_logits_were_multiplied_by_is_fitted(temperature):
    logits, labels = draw_calibrated_logits(20_000)

    assert fit(logits * np.float32(temperature), labels) == pytest.approx(temperature, rel=0.05)


def test_overconfident_logits_have_a_calibration_error_until_they_are_calibrated():
    logits, labels = draw_calibrated_logits(20_000)

    def compute_error_at(temperature: float) -> float:
        probabilities = softmax(logits * 4 / temperature)
        return compute_error(list(probabilities.max(axis=1)), list(probabilities.argmax(axis=1) == labels))

    assert compute_error_at(temperature=1.0) > 0.1
    assert compute_error_at(temperature=4.0) < 0.02


def test_a_temperature_is_near_1_where_the_few_pictures_are_all_classified_correctly():
    labels = np.arange(30) % 3

    assert 0.4 < fit(3 * np.eye(3, dtype=np.float32)[labels], labels) < 1


def test_the_fewer_pictures_the_nearer_is_the_temperature_to_1():
    logits, labels = draw_calibrated_logits(1000)
    temperatures = [fit(3 * logits[:count], labels[:count]) for count in (30, 100, 1000)]

    assert 1 < temperatures[0] < temperatures[1] < temperatures[2] < 3


def test_scaling_by_few_pictures_is_better_on_new_pictures_than_none_in_the_mean_and_never_far_worse():
    new_logits, new_labels = draw_calibrated_logits(5000)
    gains = []
    for seed in range(40):
        overconfidence = np.float32(np.exp(np.random.default_rng(seed).normal(0, 0.5)))
        logits, labels = draw_calibrated_logits(30, seed)
        temperature = fit(logits * overconfidence, labels)
        gains.append(
            compute_log_loss(new_logits * overconfidence, new_labels, 1.0)
            - compute_log_loss(new_logits * overconfidence, new_labels, temperature)
        )

    assert np.mean(gains) > 0.02
    assert min(gains) > -0.1


def test_the_temperature_is_1_where_a_fitted_one_is_no_better_on_held_out_pictures():
    labels = np.arange(40) % 2
    # The surest picture is wrong: held out, it is worse at the temperature that the others ask for.
    logits = 1.5 * np.eye(2, dtype=np.float32)[labels]
    logits[0] = logits[0, ::-1] * 12

    assert fit(logits, labels) == 1.0


def test_near_duplicates_are_not_held_out_from_one_another():
    logits, labels = draw_calibrated_logits(20, seed=8)
    logits *= np.float32(1.4)
    copies = np.repeat(np.arange(20), 5)

    assert fit_temperature(logits[copies], labels[copies], copies) == 1.0
    assert fit_temperature(logits[copies], labels[copies], np.arange(100)) > 1.4


def test_one_picture_says_nothing_of_the_temperature():
    assert fit(np.array([[9.0, 0.0]], np.float32), np.array([1])) == 1.0


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equal_mass():
    # Two bins of ten: confidence 0.6 and 3 correct, confidence 0.9 and 8 correct.
    confidence = [0.6] * 10 + [0.9] * 10
    correct = [True] * 3 + [False] * 7 + [True] * 8 + [False] * 2

    assert compute_error(confidence, correct) == pytest.approx((0.3 + 0.1) / 2)


def test_equally_sure_pictures_share_a_bin_whatever_their_order():
    # In the order of their classes, all correct ones come first; two bins would show an error.
    assert compute_error([0.7] * 40, [True] * 28 + [False] * 12) == pytest.approx(0.0, abs=1e-6)


def test_a_weight_of_two_counts_as_two_pictures():
    generator = np.random.default_rng(0)
    confidence, correct = list(generator.random(45)), list(generator.random(45) < 0.5)

    assert compute_error(confidence, correct, weight=2.0) == pytest.approx(compute_error(confidence, correct))


def test_few_pictures_fill_fewer_bins():
    assert [count_bins(pictures) for pictures in (1, 9, 25, 149, 150, 10**6)] == [1, 1, 2, 14, 15, 15]


def test_log_loss_is_the_mean_logarithm_and_finite_for_a_certain_error():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]])
    weights = np.array([[1, 0], [0, 1]], np.float32)

    even, certain_error = compute_log_losses(probabilities, np.array([0, 1]), weights)

    assert even == pytest.approx(np.log(2))
    assert 30 < certain_error < 40


def test_a_reliability_diagram_goes_from_the_least_sure_to_the_surest():
    reliability = compute_reliability(
        np.array([0.9] * 10 + [0.6] * 10), np.array([True] * 8 + [False] * 2 + [True] * 3 + [False] * 7)
    )

    assert list(reliability.confidence) == pytest.approx([0.6, 0.9])
    assert list(reliability.accuracy) == pytest.approx([0.3, 0.8])
    assert (reliability.low < reliability.accuracy).all()
    assert (reliability.accuracy < reliability.high).all()
