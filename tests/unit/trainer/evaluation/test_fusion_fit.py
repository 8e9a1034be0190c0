"""What the parts of a composed bundle count, fitted to made-up evidence."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.pipelines.train_bundle import LabeledOutputs, fit_decision_threshold, fit_fusion, format_ablation
from worker.inference.bundle import Calibration, Faces, Manifest, TrainingData
from worker.inference.detector import Detection
from worker.inference.predictor import RawOutputs, fuse_logits, softmax

MANIFEST = Manifest(
    format_version=2,
    name="made up",
    version="",
    classes=("happy", "sad"),
    max_side=640,
    stages=(),
    faces=Faces(least_score=0.5, most=16, face=1.0, whole=0.0, alone=1.0),
    calibration=Calibration("temperature", 1.0),
    decision_threshold=None,
    training_data=TrainingData("", 0),
    metrics=(),
    libraries={},
    command="",
    created_at="",
)

LABELS = np.random.default_rng(0).integers(0, 2, 400)
TOWARDS = np.eye(2)[LABELS] - 0.5


def logits(telling: float, seed: int) -> NDArray[np.float32]:
    """Make up what a reader says of each picture: `telling` is 0 for chance, and below where it errs."""
    noise = np.random.default_rng(seed).normal(0, 1, (len(LABELS), 2))
    return (telling * TOWARDS + noise).astype(np.float32)


def looked(
    face: NDArray[np.float32], whole: NDArray[np.float32], faceless: int = 100, small: float = -1
) -> LabeledOutputs:
    """Make up pictures of two faces, the first ones of none; the small one says so many times the same."""
    boxes = (Detection(0, 0, 40, 40, 1.0), Detection(50, 0, 60, 10, 1.0))
    evidence = []
    for number in range(len(LABELS)):
        if number < faceless:
            evidence.append(RawOutputs((), np.empty((0, 2), np.float32), whole[number]))
        else:
            both = np.stack([face[number], np.float32(small) * face[number]])
            evidence.append(RawOutputs(boxes, both, whole[number]))
    return LabeledOutputs(tuple(evidence), LABELS, np.arange(len(LABELS)))


def log_loss(seen: LabeledOutputs, weights: Faces, temperature: float) -> float:
    answers = np.stack([fuse_logits(each, weights) for each in seen.run_networks])
    chances = softmax(answers / np.float32(temperature))
    return float(-np.log(chances[np.arange(len(LABELS)), seen.labels]).mean())


def test_the_reader_that_is_right_counts_more():
    telling, guessing = logits(2, 1), logits(0, 2)
    by_faces, _ = fit_fusion(looked(telling, guessing), MANIFEST)
    by_wholes, _ = fit_fusion(looked(guessing, telling), MANIFEST)
    assert by_faces.face > 0.8
    assert by_faces.alone < 0.2
    assert by_wholes.whole > 0.8


def test_two_readers_that_are_right_count_both():
    weights, _ = fit_fusion(looked(logits(2, 1), logits(2, 2)), MANIFEST)
    assert 0.3 < weights.face < 0.7


@pytest.mark.parametrize(("face", "whole"), [(-2, 2), (2, -2), (-2, -2), (0, 0), (1, 3)])
def test_no_weight_is_negative_and_those_of_face_and_whole_add_up_to_1(face, whole):
    weights, temperature = fit_fusion(looked(logits(face, 1), logits(whole, 2)), MANIFEST)
    assert min(weights.face, weights.whole, weights.alone) >= 0
    if max(face, whole) > 0:
        assert weights.face + weights.whole == pytest.approx(1)
    assert 0 < temperature <= 20


def test_readers_that_are_always_wrong_count_nothing():
    weights, _ = fit_fusion(looked(logits(-3, 1), logits(-3, 2)), MANIFEST)
    assert (weights.face, weights.whole, weights.alone) == pytest.approx((0, 0, 0), abs=1e-6)


def test_no_other_weights_have_a_lower_log_loss():
    seen = looked(logits(2, 1), logits(1, 2))
    weights, temperature = fit_fusion(seen, MANIFEST)
    least = log_loss(seen, weights, temperature)
    fitted = np.array([weights.face, weights.whole, weights.alone])
    draw = np.random.default_rng(0)
    for scale in (0.3, 0.05):
        for _ in range(50):
            near = fitted + draw.normal(0, scale, 3)
            face, whole, alone = np.maximum(near, 0).tolist()
            other = replace(weights, face=face, whole=whole, alone=alone)
            assert log_loss(seen, other, temperature * np.exp(draw.normal(0, scale))) > least - 1e-6


def test_readers_that_are_too_sure_of_themselves_are_calibrated():
    seen, boastful = (looked(times * logits(2, 1), times * logits(1, 2)) for times in (1, 4))
    weights, temperature = fit_fusion(seen, MANIFEST)
    same, higher = fit_fusion(boastful, MANIFEST)
    assert (same.face, same.whole, same.alone) == pytest.approx(
        (weights.face, weights.whole, weights.alone), abs=1e-3
    )
    assert higher == pytest.approx(4 * temperature, rel=1e-3)


@pytest.mark.parametrize("faceless", [0, len(LABELS)])
def test_weights_are_fitted_where_every_picture_has_a_face_and_where_none_has(faceless):
    weights, temperature = fit_fusion(looked(logits(2, 1), logits(2, 2), faceless), MANIFEST)
    assert weights.face + weights.whole == pytest.approx(1)
    assert weights.alone > 0
    assert temperature > 0


@pytest.mark.parametrize(
    ("faceless", "untold"), [(0, {"alone"}), (len(LABELS), {"face", "whole"}), (100, set())]
)
def test_what_no_picture_tells_of_stays_as_the_readers_are_by_themselves(faceless, untold):
    own = {"face": 0.35, "whole": 0.2, "alone": 0.4}
    manifest = replace(MANIFEST, faces=replace(MANIFEST.faces, **own))
    weights, temperature = fit_fusion(looked(logits(2, 1), logits(2, 2), faceless), manifest)
    fitted = {name: getattr(weights, name) / temperature for name in own}
    assert {name for name in own if fitted[name] == pytest.approx(own[name], rel=1e-9)} == untold


def test_a_reader_too_modest_by_itself_counts_the_most_there_is():
    manifest = replace(MANIFEST, faces=replace(MANIFEST.faces, alone=1000.0))
    weights, temperature = fit_fusion(looked(logits(2, 1), logits(2, 2), faceless=0), manifest)
    assert weights.alone / temperature == pytest.approx(20)


def test_what_a_bundle_finds_and_reads_at_most_is_left_as_it_was():
    blank = Faces(least_score=0.35, most=7, face=1.0, whole=0.0, alone=1.0)
    weights, _ = fit_fusion(looked(logits(2, 1), logits(1, 2)), replace(MANIFEST, faces=blank))
    assert (weights.least_score, weights.most) == (0.35, 7)


def shares(table: str) -> dict[str, list[float | None]]:
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {
        name: [float(found[0]) if (found := re.findall(r"^[\d.]+(?=%)", cell)) else None for cell in cells]
        for name, *cells in rows
    }


def test_what_each_part_brings_is_told_in_four_rows():
    always = (8 * TOWARDS).astype(np.float32)
    seen = looked(always, -always, small=-40)  # all but the largest face say the opposite of what is so
    weights = Faces(least_score=0.5, most=16, face=1.0, whole=0.5, alone=0.0)
    guessed = 100 * float((LABELS[:100] == 0).mean())  # nothing counts: the first class it is

    assert shares(format_ablation(seen, replace(MANIFEST, faces=weights))) == {
        "the whole picture alone": [0, 0, 0],
        "the largest face, else the whole picture": [75, 100, 0],
        "all faces by area and score, else the whole picture": [0, 0, 0],
        "faces and the whole picture together": pytest.approx([guessed / 4, 0, guessed]),
    }


def test_where_no_picture_has_a_face_the_table_says_so():
    seen = looked(logits(2, 1), logits(2, 2), faceless=len(LABELS))
    for cells in shares(format_ablation(seen, MANIFEST)).values():
        assert cells[1] is None
        assert cells[0] == cells[2]


def test_every_share_of_the_table_has_its_interval_and_its_number():
    first = format_ablation(looked(logits(2, 1), logits(2, 2)), MANIFEST).splitlines()[2]
    assert re.search(r"\| \d+\.\d% \(\d+\.\d% to \d+\.\d%\) of 300 \|", first)


def threshold_of(seen: LabeledOutputs, weights: Faces) -> float | None:
    return fit_decision_threshold(seen, replace(MANIFEST, faces=weights))


def test_the_threshold_makes_up_for_a_class_that_readers_lean_to():
    even = logits(3, 1)
    leaning = even + np.array([1.0, 0.0], np.float32)
    weights = Faces(least_score=0.5, most=16, face=1.0, whole=0.0, alone=1.0)
    at_ease, leant = (threshold_of(looked(said, said, len(LABELS)), weights) for said in (even, leaning))
    assert at_ease == pytest.approx(0.5, abs=0.1)
    assert leant == pytest.approx(1 / (1 + np.exp(-1) * (1 / at_ease - 1)), abs=1e-3)


def test_the_threshold_does_not_follow_the_larger_class():
    said = logits(3, 1)
    weights = Faces(least_score=0.5, most=16, face=1.0, whole=0.0, alone=1.0)
    seen = looked(said, said)
    kept = [*np.flatnonzero(LABELS == 0), *np.flatnonzero(LABELS == 1)[::4]]
    fewer = LabeledOutputs(
        tuple(seen.run_networks[number] for number in kept), LABELS[kept], np.arange(len(kept))
    )
    assert threshold_of(fewer, weights) == pytest.approx(threshold_of(seen, weights), abs=0.07)


def test_more_than_two_classes_have_no_threshold():
    manifest = replace(MANIFEST, classes=("happy", "neutral", "sad"))
    assert fit_decision_threshold(looked(logits(2, 1), logits(2, 2)), manifest) is None


def test_the_table_says_what_the_threshold_brings():
    leaning = logits(3, 1) + np.array([4.0, 0.0], np.float32)
    seen = looked(leaning, leaning)
    manifest = replace(MANIFEST, faces=replace(MANIFEST.faces, face=1.0, alone=1.0))
    fitted = replace(manifest, decision_threshold=fit_decision_threshold(seen, manifest))
    together, with_threshold = list(shares(format_ablation(seen, fitted)).values())[-2:]
    assert with_threshold[0] > together[0] + 10
