from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from tests.drawn_predictions import draw_predictions
from trainer.evaluation.metrics import LabeledPredictions, compute_metrics, format_interval, make_predictions
from worker.inference.manifest import Metric, make_temperature_calibration

NAMES = {
    "accuracy",
    "balanced_accuracy",
    "f1",
    "auc",
    "log_loss",
    "calibration_error",
    "calibration_error_uncalibrated",
    "precision",
    "recall",
}


def index_metrics(metrics: tuple[Metric, ...]) -> dict[tuple[str, str | None], Metric]:
    return {(metric.name, metric.label): metric for metric in metrics}


def predict(predicted: list[int], labels: list[int], classes: int = 2) -> LabeledPredictions:
    logits = 2 * np.eye(classes, dtype=np.float32)[predicted]
    return make_predictions(logits, np.array(labels), make_temperature_calibration(1.0, classes))


def test_every_metric_is_there_for_all_classes_and_for_each_that_it_is_defined_for():
    metrics = index_metrics(compute_metrics(draw_predictions(120, classes=3), ("a", "b", "c"), "a test"))

    assert {name for name, _ in metrics} == NAMES
    assert {name for name, label in metrics if label == "b"} == {"precision", "recall", "f1", "auc"}
    assert {metric.test_set for metric in metrics.values()} == {"a test"}


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_equal_those_of_scikit_learn(classes):
    predictions = draw_predictions(400, classes)
    names = tuple("abcde"[:classes])

    metrics = index_metrics(compute_metrics(predictions, names, "a test", resamples=10))

    labels, predicted = predictions.labels, predictions.predicted
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predicted)
    for label, name in enumerate(names):
        for metric, values in zip(("precision", "recall", "f1"), expected, strict=False):
            assert metrics[metric, name].value == pytest.approx(values[label])
        auc = sklearn_metrics.roc_auc_score(labels == label, predictions.probabilities[:, label])
        assert metrics["auc", name].value == pytest.approx(auc)
    assert metrics["accuracy", None].value == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert metrics["balanced_accuracy", None].value == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted)
    )
    assert metrics["f1", None].value == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, average="macro")
    )
    assert metrics["log_loss", None].value == pytest.approx(
        sklearn_metrics.log_loss(labels, predictions.probabilities)
    )


def test_precision_and_recall_are_of_each_class():
    metrics = index_metrics(
        compute_metrics(predict([0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]), ("happy", "sad"), "a test")
    )

    assert metrics["accuracy", None].value == pytest.approx(4 / 6)
    assert metrics["precision", "happy"].value == pytest.approx(3 / 4)
    assert metrics["recall", "happy"].value == pytest.approx(3 / 4)
    assert metrics["precision", "sad"].value == pytest.approx(1 / 2)
    assert metrics["recall", "sad"].value == pytest.approx(1 / 2)
    assert metrics["recall", "sad"].pictures == 2


def test_the_precision_of_a_class_that_was_never_predicted_may_be_anything():
    metrics = index_metrics(compute_metrics(predict([0, 0, 0, 0], [0, 0, 1, 1]), ("happy", "sad"), "a test"))

    precision = metrics["precision", "sad"]
    assert (precision.pictures, precision.low, precision.high) == (0, 0.0, 1.0)


def test_metrics_that_need_pictures_of_a_class_are_left_out_where_there_are_none():
    metrics = index_metrics(
        compute_metrics(predict([0, 1, 1], [0, 1, 1], classes=3), ("a", "b", "c"), "a test")
    )

    assert ("recall", "c") not in metrics
    assert ("auc", "c") not in metrics
    assert metrics["balanced_accuracy", None].value == 1.0


def test_all_correct_is_not_certain():
    metrics = compute_metrics(predict([0, 1] * 10, [0, 1] * 10), ("happy", "sad"), "a test")

    for metric in metrics:
        if not metric.name.startswith(("log_loss", "calibration")):
            assert metric.value == 1.0
            assert 0.5 < metric.low < 0.95
            assert metric.high == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12),
    seed=st.integers(0, 5),
)
def test_every_interval_is_finite_and_contains_its_value(pairs, seed):
    predicted, labels = map(list, zip(*pairs, strict=True))

    metrics = compute_metrics(predict(predicted, labels, 3), ("a", "b", "c"), "a test", seed, resamples=30)

    for metric in metrics:
        assert 0 <= metric.low <= metric.value + 1e-9, metric
        assert metric.value - 1e-9 <= metric.high < np.inf, metric


def test_near_duplicates_widen_an_interval_because_they_say_no_more_than_one_picture():
    predictions = draw_predictions(60, classes=2)
    sources = np.tile(np.arange(60), 4)
    ungrouped = predict(list(predictions.predicted[sources]), list(predictions.labels[sources]))
    grouped = replace(ungrouped, groups=sources)

    narrow, wide = (
        index_metrics(compute_metrics(copies, ("a", "b"), "t"))["accuracy", None]
        for copies in (ungrouped, grouped)
    )

    assert wide.high - wide.low > 1.7 * (narrow.high - narrow.low)


def test_the_same_seed_gives_the_same_intervals():
    predictions = draw_predictions(80, classes=3)

    first, same, different = (compute_metrics(predictions, ("a", "b", "c"), "t", seed) for seed in (1, 1, 2))

    assert first == same != different


def test_intervals_contain_the_true_value_as_often_as_they_claim():
    truth = index_metrics(
        compute_metrics(draw_predictions(200_000, classes=2, seed=9), ("a", "b"), "t", resamples=2)
    )
    contained = dict.fromkeys(truth, 0)

    for seed in range(100):
        for key, metric in index_metrics(
            compute_metrics(draw_predictions(150, classes=2, seed=seed), ("a", "b"), "t", resamples=200)
        ).items():
            contained[key] += metric.low <= truth[key].value <= metric.high

    # Three standard deviations below 95 of 100 are 88. On 150 pictures, the error of uncalibrated
    # confidences is a little too large: its interval contains the true value about 88 % of the time.
    minimum = {key: 78 if key[0] == "calibration_error_uncalibrated" else 88 for key in contained}
    assert all(contained[key] >= minimum[key] for key in contained), contained


def test_the_interval_of_the_calibration_error_of_calibrated_confidences_begins_at_zero():
    metrics = index_metrics(compute_metrics(draw_predictions(150, classes=2, seed=1), ("a", "b"), "t"))

    assert metrics["calibration_error", None].value > 0.03
    assert metrics["calibration_error", None].low == 0.0


def test_shares_are_written_in_percent_and_other_metrics_as_numbers():
    assert format_interval(Metric("recall", "sad", 0.5, 0.25, 0.75, "t", 4)) == "25.0% to 75.0%"
    assert format_interval(Metric("log_loss", None, 0.5, 0.25, 0.75, "t", 4)) == "0.250 to 0.750"
