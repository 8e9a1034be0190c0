"""What the parts of a bundle weigh, fitted to raw outputs that are drawn at random."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.evaluation.fusion_fit import (
    LabeledOutputs,
    fit_biases,
    fit_fusion,
    format_ablation,
    predict_labeled,
)
from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import load_bundle
from worker.inference.detector import Detection
from worker.inference.fusion import RawOutputs, fuse_logits, softmax
from worker.inference.manifest import Calibration, Fusion, Manifest

START = Fusion(face_weight=1.0, scene_weight=0.0, no_face_weight=1.0)

LABELS = np.random.default_rng(0).integers(0, 2, 400)
TRUE_LOGITS = np.eye(2)[LABELS] - 0.5


def make_manifest(fusion: Fusion = START, biases: tuple[float, ...] = (0.0, 0.0)) -> Manifest:
    calibration = Calibration("temperature", 1.0, biases)
    manifest = load_bundle(BUILT_IN_BUNDLE).manifest
    return replace(manifest, classes=("happy", "sad"), fusion=fusion, calibration=calibration)


def draw_logits(signal: float, seed: int) -> NDArray[np.float32]:
    """Draw a classifier's logits for each image: `signal` is 0 for chance, and negative for one that errs."""
    noise = np.random.default_rng(seed).normal(0, 1, (len(LABELS), 2))
    return (signal * TRUE_LOGITS + noise).astype(np.float32)


def make_outputs(
    face: NDArray[np.float32], scene: NDArray[np.float32], faceless: int = 100, small: float = -1
) -> LabeledOutputs:
    """Make outputs for images of two faces, and of none for the first `faceless`.

    The smaller face has `small` times the logits of the larger one.
    """
    detections = (Detection(0, 0, 40, 40, 1.0), Detection(50, 0, 60, 10, 1.0))
    outputs = []
    for index in range(len(LABELS)):
        if index < faceless:
            outputs.append(RawOutputs((), np.empty((0, 2), np.float32), scene[index]))
        else:
            face_logits = np.stack([face[index], np.float32(small) * face[index]])
            outputs.append(RawOutputs(detections, face_logits, scene[index]))
    return LabeledOutputs(tuple(outputs), LABELS, np.arange(len(LABELS)))


def compute_log_loss(labeled: LabeledOutputs, fusion: Fusion, temperature: float) -> float:
    logits = np.stack([fuse_logits(outputs, fusion) for outputs in labeled.outputs])
    probabilities = softmax(logits / np.float32(temperature))
    return float(-np.log(probabilities[np.arange(len(LABELS)), labeled.labels]).mean())


def list_weights(fusion: Fusion) -> tuple[float, float, float]:
    return fusion.face_weight, fusion.scene_weight, fusion.no_face_weight


def test_the_classifier_that_is_right_weighs_more():
    informative, random = draw_logits(2, 1), draw_logits(0, 2)
    by_faces, _ = fit_fusion(make_outputs(informative, random), START)
    by_scenes, _ = fit_fusion(make_outputs(random, informative), START)
    assert by_faces.face_weight > 0.8
    assert by_faces.no_face_weight < 0.2
    assert by_scenes.scene_weight > 0.8


def test_two_classifiers_that_are_right_both_weigh():
    fusion, _ = fit_fusion(make_outputs(draw_logits(2, 1), draw_logits(2, 2)), START)
    assert 0.3 < fusion.face_weight < 0.7


@pytest.mark.parametrize(("face", "scene"), [(-2, 2), (2, -2), (-2, -2), (0, 0), (1, 3)])
def test_no_weight_is_negative_and_those_of_face_and_scene_add_up_to_1(face, scene):
    fusion, temperature = fit_fusion(make_outputs(draw_logits(face, 1), draw_logits(scene, 2)), START)
    assert min(list_weights(fusion)) >= 0
    if max(face, scene) > 0:
        assert fusion.face_weight + fusion.scene_weight == pytest.approx(1)
    assert 0 < temperature <= 20


def test_classifiers_that_are_always_wrong_weigh_nothing():
    fusion, _ = fit_fusion(make_outputs(draw_logits(-3, 1), draw_logits(-3, 2)), START)
    assert list_weights(fusion) == pytest.approx((0, 0, 0), abs=1e-6)


def test_no_other_weights_have_a_lower_log_loss():
    labeled = make_outputs(draw_logits(2, 1), draw_logits(1, 2))
    fusion, temperature = fit_fusion(labeled, START)
    lowest = compute_log_loss(labeled, fusion, temperature)
    generator = np.random.default_rng(0)
    for scale in (0.3, 0.05):
        for _ in range(50):
            weights = np.maximum(list_weights(fusion) + generator.normal(0, scale, 3), 0).tolist()
            near_temperature = temperature * np.exp(generator.normal(0, scale))
            assert compute_log_loss(labeled, Fusion(*weights), near_temperature) > lowest - 1e-6


def test_overconfident_classifiers_are_calibrated():
    labeled, overconfident = (
        make_outputs(factor * draw_logits(2, 1), factor * draw_logits(1, 2)) for factor in (1, 4)
    )
    fusion, temperature = fit_fusion(labeled, START)
    same_fusion, higher_temperature = fit_fusion(overconfident, START)
    assert list_weights(same_fusion) == pytest.approx(list_weights(fusion), abs=1e-3)
    assert higher_temperature == pytest.approx(4 * temperature, rel=1e-3)


@pytest.mark.parametrize("faceless", [0, len(LABELS)])
def test_weights_are_fitted_where_every_image_has_a_face_and_where_none_has(faceless):
    fusion, temperature = fit_fusion(make_outputs(draw_logits(2, 1), draw_logits(2, 2), faceless), START)
    assert fusion.face_weight + fusion.scene_weight == pytest.approx(1)
    assert fusion.no_face_weight > 0
    assert temperature > 0


@pytest.mark.parametrize(
    ("faceless", "unchanged"),
    [(0, {"no_face_weight"}), (len(LABELS), {"face_weight", "scene_weight"}), (100, set())],
)
def test_a_weight_that_no_image_depends_on_stays_as_it_was(faceless, unchanged):
    weights = {"face_weight": 0.35, "scene_weight": 0.2, "no_face_weight": 0.4}
    labeled = make_outputs(draw_logits(2, 1), draw_logits(2, 2), faceless)
    fusion, temperature = fit_fusion(labeled, Fusion(**weights))
    fitted = {name: getattr(fusion, name) / temperature for name in weights}
    assert {name for name in weights if fitted[name] == pytest.approx(weights[name], rel=1e-9)} == unchanged


def test_a_very_underconfident_classifier_gets_the_largest_weight():
    labeled = make_outputs(draw_logits(2, 1), draw_logits(2, 2), faceless=0)
    fusion, temperature = fit_fusion(labeled, replace(START, no_face_weight=1000.0))
    assert fusion.no_face_weight / temperature == pytest.approx(20)


def test_predictions_are_those_of_the_fused_logits_and_keep_labels_and_groups():
    labeled = make_outputs(draw_logits(2, 1), draw_logits(1, 2))
    predictions = predict_labeled(labeled, make_manifest())
    fused = np.stack([fuse_logits(outputs, START) for outputs in labeled.outputs])
    assert (predictions.predicted == fused.argmax(axis=1)).all()
    assert predictions.probabilities == pytest.approx(softmax(fused))
    assert predictions.labels is labeled.labels
    assert predictions.groups is labeled.groups


def read_accuracies(table: str) -> dict[str, list[float | None]]:
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {
        name: [float(match[0]) if (match := re.match(r"[\d.]+(?=%)", cell)) else None for cell in cells]
        for name, *cells in rows
    }


def test_the_ablation_has_a_row_for_each_part():
    always_right = (8 * TRUE_LOGITS).astype(np.float32)
    # All but the largest face say the opposite of what is true.
    labeled = make_outputs(always_right, -always_right, small=-40)
    fusion = Fusion(face_weight=1.0, scene_weight=0.5, no_face_weight=0.0)
    first_class = 100 * float((LABELS[:100] == 0).mean())  # where nothing weighs, it is the first class

    assert read_accuracies(format_ablation(labeled, make_manifest(fusion))) == {
        "the scene alone": [0, 0, 0],
        "the largest face, else the scene": [75, 100, 0],
        "all faces by area and score, else the scene": [0, 0, 0],
        "faces and scene together": pytest.approx([first_class / 4, 0, first_class]),
        "the same, with the biases": pytest.approx([first_class / 4, 0, first_class]),
    }


def test_where_no_image_has_a_face_the_ablation_has_an_empty_column():
    labeled = make_outputs(draw_logits(2, 1), draw_logits(2, 2), faceless=len(LABELS))
    for accuracies in read_accuracies(format_ablation(labeled, make_manifest())).values():
        assert accuracies[1] is None
        assert accuracies[0] == accuracies[2]


def test_every_accuracy_of_the_ablation_has_its_interval_and_its_number_of_images():
    table = format_ablation(make_outputs(draw_logits(2, 1), draw_logits(2, 2)), make_manifest())
    assert re.search(r"\| \d+\.\d% \(\d+\.\d% to \d+\.\d%\) of 300 \|", table.splitlines()[2])


def fit_biases_of(logits: NDArray[np.float32]) -> tuple[float, ...]:
    return fit_biases(make_outputs(logits, logits, len(LABELS)), make_manifest())


def test_biases_make_up_for_a_class_that_classifiers_prefer():
    even = draw_logits(3, 1)
    happy, sad = fit_biases_of(even)
    happier, sadder = fit_biases_of(even + np.array([1.0, 0.0], np.float32))
    assert happy == pytest.approx(0.0, abs=0.2)
    assert (happy - happier, sadder - sad) == pytest.approx((0.5, 0.5), abs=1e-3)


def test_biases_have_a_sum_of_0_and_are_bounded():
    biases = fit_biases_of(draw_logits(3, 1) + np.array([40.0, 0.0], np.float32))
    assert biases == pytest.approx((-1.0, 1.0))


def test_biases_do_not_depend_on_which_class_is_larger():
    logits = draw_logits(3, 1)
    labeled = make_outputs(logits, logits)
    indices = [*np.flatnonzero(LABELS == 0), *np.flatnonzero(LABELS == 1)[::4]]
    fewer = LabeledOutputs(
        tuple(labeled.outputs[index] for index in indices), LABELS[indices], np.arange(len(indices))
    )
    assert fit_biases(fewer, make_manifest()) == pytest.approx(fit_biases(labeled, make_manifest()), abs=0.15)


def test_each_of_three_classes_has_a_bias():
    labels = np.random.default_rng(0).integers(0, 3, 600)
    noise = np.random.default_rng(1).normal(0, 1, (600, 3))
    preferred = np.array([0.8, 0.0, -0.8])
    logits = (3 * np.eye(3)[labels] + noise + preferred).astype(np.float32)
    outputs = tuple(RawOutputs((), np.empty((0, 3), np.float32), row) for row in logits)
    manifest = replace(make_manifest(biases=(0.0,) * 3), classes=("happy", "neutral", "sad"))
    biases = fit_biases(LabeledOutputs(outputs, labels, np.arange(600)), manifest)
    assert biases == pytest.approx(-preferred, abs=0.2)


def test_the_ablation_says_what_the_biases_bring():
    logits = draw_logits(3, 1) + np.array([4.0, 0.0], np.float32)
    labeled = make_outputs(logits, logits)
    manifest = make_manifest(biases=fit_biases(labeled, make_manifest()))
    *_, together, with_biases = read_accuracies(format_ablation(labeled, manifest)).values()
    assert with_biases[0] > together[0] + 10
