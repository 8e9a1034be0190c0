"""Compose a bundle of three parts: a finder of faces, a reader of faces, a reader of whole pictures."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from trainer.data.atomic_directory import prepared_folder
from trainer.data.class_folders import Part, find_classes
from trainer.data.dataset import read_file
from trainer.data.near_duplicates import difference_bits, near_duplicate_groups
from trainer.detection.detector_folder import FinderManifest, load_finder
from trainer.evaluation.metrics import Answers, answers_from_logits, measured
from trainer.export.golden import write_golden
from worker.errors import BadPhoto, ConfigError
from worker.inference.bundle import (
    FORMAT_VERSION,
    Bundle,
    Calibration,
    Faces,
    Manifest,
    Stage,
    TrainingData,
    load_bundle,
    weights_version,
    write_manifest,
)
from worker.inference.network import Network
from worker.inference.predictor import Evidence, Judge, fused
from worker.paths import printable, shown
from worker.stats import wilson_interval

VALIDATION_SET = "validation part, to which the weights were fitted"
TEST_SET = "held-out test split"

_LARGEST_WEIGHT = 20.0
_CONSTANTS = (-2.0, 2.0)
"""Of a decision threshold, in log odds: 0.12 to 0.88."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a bundle is composed of, and where it goes. `most` faces of a picture are read, at most.

    What several readers of faces say is averaged, and so is what several of whole pictures say.
    """

    data: tuple[Path, ...]
    finder: Path
    faces: tuple[Path, ...]
    wholes: tuple[Path, ...]
    out: Path
    name: str
    most: int
    max_pixels: int
    command: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What the parts answered to N pictures of a part of the data, their classes and their groups."""

    evidence: tuple[Evidence, ...]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]


def compose(order: Order, say: Callable[[str], None]) -> Manifest:
    """Copy the parts, weigh them by the validation part, measure on the test part; return the manifest.

    Raises ConfigError where the parts do not belong together or the data has no validation part,
    BundleError where a part cannot be loaded or the disk refuses.
    """
    finder, readers = load_finder(order.finder).manifest, _readers(order)
    classes = readers.of_wholes[0].manifest.classes
    with prepared_folder(order.out) as draft:
        stages = _copied(draft, order, finder, readers)
        manifest = _manifest(order, finder, readers, stages)
        write_manifest(draft, manifest)
        judge = Judge(load_bundle(draft))
        validation = _looked(judge, order, Part.VALIDATION, manifest, say)
        if validation is None:
            raise ConfigError(
                "DATA has no valid/ part to weigh the parts by; `moodsort dataset split` makes one"
            )
        weights, temperature = fitted_weights(validation, manifest)
        manifest = replace(manifest, faces=weights, calibration=Calibration("temperature", temperature))
        manifest = replace(manifest, decision_threshold=fitted_threshold(validation, manifest))
        for line in ablation(validation, manifest).splitlines():
            say(line)
        test = _looked(judge, order, Part.TEST, manifest, say)
        metrics = measured(
            _answers(test or validation, manifest), classes, TEST_SET if test else VALIDATION_SET
        )
        manifest = replace(manifest, metrics=(*finder.metrics, *metrics))
        write_manifest(draft, manifest)
        Judge(load_bundle(draft)).self_test()
    return manifest


def fitted_weights(looked: Looked, manifest: Manifest) -> tuple[Faces, float]:
    """Return the weights of least log loss, those of face and whole with a sum of 1, and the temperature.

    Stacking by logistic regression (Wolpert 1992) without a constant; no weight is below 0. Where neither
    face nor whole says anything, both are 0. What no picture tells of, `alone` where all have a face, face
    and whole where none has, is what the manifest says, multiplied by the temperature.
    """
    blank = manifest.faces
    assert blank is not None
    # `fused` is linear in the weights, but takes them as float32, too coarse for a minimum to be sought in.
    parts = [
        _fused(looked, replace(blank, face=face, whole=whole, alone=alone))
        for face, whole, alone in np.eye(3).tolist()
    ]
    by_part = np.stack(parts).astype(np.float64)
    truth = np.eye(by_part.shape[2])[looked.labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs = log_softmax(np.tensordot(weights, by_part, axes=1), axis=1)
        slopes = ((np.exp(logs) - truth) * by_part).sum(axis=2).mean(axis=1)
        return -float((truth * logs).sum(axis=1).mean()), slopes

    # Where the slope is 0, this method stays where it began.
    start = np.minimum([blank.face, blank.whole, blank.alone], _LARGEST_WEIGHT)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, _LARGEST_WEIGHT)] * 3)
    face, whole, alone = (float(weight) for weight in found.x)
    temperature = 1.0 / max(face + whole, 1.0 / _LARGEST_WEIGHT)
    scaled = replace(blank, face=face * temperature, whole=whole * temperature, alone=alone * temperature)
    return scaled, temperature


def fitted_threshold(looked: Looked, manifest: Manifest) -> float | None:
    """Return from which probability of the first of two classes on it is the label; None for more classes.

    It is where a constant of least log loss, both classes weighing the same, would move the even chance to.
    What is likely a class by the photos' shares is not yet likely by what they show.
    """
    if len(manifest.classes) != 2:
        return None
    assert manifest.faces is not None
    logits = _fused(looked, manifest.faces).astype(np.float64) / manifest.calibration.temperature
    odds = logits[:, 0] - logits[:, 1]
    counts = np.maximum(np.bincount(looked.labels, minlength=2), 1)

    def loss(constant: float) -> float:
        wrong = np.where(looked.labels == 0, -1.0, 1.0) * (odds + constant)
        return float((np.logaddexp(0.0, wrong) / counts[looked.labels]).sum())

    return float(expit(-minimize_scalar(loss, bounds=_CONSTANTS, method="bounded").x))


def ablation(looked: Looked, manifest: Manifest) -> str:
    """Say what each part brings on the pictures that the weights were fitted to, as lines of Markdown."""
    weights = manifest.faces
    assert weights is not None
    largest = replace(looked, evidence=tuple(_with_largest(each) for each in looked.evidence))
    wholes, faces_only = (replace(weights, face=face, whole=1.0 - face, alone=1.0) for face in (0.0, 1.0))
    rows = (
        ("the whole picture alone", looked, wholes),
        ("the largest face, else the whole picture", largest, faces_only),
        ("all faces by area and score, else the whole picture", looked, faces_only),
        ("faces and the whole picture together", looked, weights),
    )
    has_face = np.array([bool(each.boxes) for each in looked.evidence])
    lines = ["| what is read | all pictures | with a face | without |", "|---|---|---|---|"]
    rights = [(name, _fused(seen, faces).argmax(axis=1) == seen.labels) for name, seen, faces in rows]
    if manifest.decision_threshold is not None:
        rights.append(("the same, with the decision threshold", _answers(looked, manifest).right()))
    for name, right in rights:
        cells = (_share(right[chosen]) for chosen in (np.full(len(right), True), has_face, ~has_face))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(right: NDArray[np.bool_]) -> str:
    if not len(right):
        return "–"
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.1%} to {high:.1%}) of {len(right)}"


def _with_largest(evidence: Evidence) -> Evidence:
    return replace(evidence, boxes=evidence.boxes[:1], face_logits=evidence.face_logits[:1])


def _fused(looked: Looked, faces: Faces) -> NDArray[np.float32]:
    return np.stack([fused(each, faces) for each in looked.evidence])


def _answers(looked: Looked, manifest: Manifest) -> Answers:
    assert manifest.faces is not None
    logits = _fused(looked, manifest.faces)
    answers = answers_from_logits(logits, looked.labels, manifest.calibration.temperature, looked.groups)
    if manifest.decision_threshold is None:
        return answers
    return replace(answers, predicted=(answers.chances[:, 0] < manifest.decision_threshold).astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Readers:
    """The bundles of one reader each, by what they are to read."""

    of_faces: tuple[Bundle, ...]
    of_wholes: tuple[Bundle, ...]

    def all(self) -> tuple[Bundle, ...]:
        return (*self.of_faces, *self.of_wholes)


def _readers(order: Order) -> _Readers:
    readers = _Readers(tuple(map(_reader, order.faces)), tuple(map(_reader, order.wholes)))
    first, *others = readers.all()
    for other in others:
        if other.manifest.classes != first.manifest.classes:
            raise ConfigError(
                f"{shown(other.folder)}: knows {', '.join(other.manifest.classes)}, {shown(first.folder)} "
                f"{', '.join(first.manifest.classes)}; compose readers of the same classes"
            )
    return readers


def _reader(folder: Path) -> Bundle:
    bundle = load_bundle(folder)
    if bundle.manifest.faces is not None:
        raise ConfigError(f"{shown(folder)}: is composed itself; name a bundle of one reader")
    return bundle


def _copied(draft: Path, order: Order, finder: FinderManifest, readers: _Readers) -> tuple[Stage, ...]:
    parts = [("finder", order.finder, finder.stage)]
    for number, bundle in enumerate(readers.of_faces, start=1):
        parts.append((f"face-{number}", bundle.folder, replace(bundle.manifest.stages[0], view="face")))
    for number, bundle in enumerate(readers.of_wholes, start=1):
        parts.append((f"whole-{number}", bundle.folder, bundle.manifest.stages[0]))
    classes = len(readers.of_wholes[0].manifest.classes)
    stages = []
    for name, folder, stage in parts:
        file, golden = f"{name}.tflite", f"{name}.golden.npz"
        shutil.copyfile(folder / stage.file, draft / file)
        network = Network(draft, replace(stage, file=file), classes)
        stages.append(replace(network.stage, golden=write_golden(draft / golden, network, seed=0)))
    return tuple(stages)


def _manifest(order: Order, finder: FinderManifest, readers: _Readers, stages: tuple[Stage, ...]) -> Manifest:
    """Describe the bundle, as yet without metrics, its readers calibrated as they are by themselves."""
    manifests = [bundle.manifest for bundle in readers.all()]
    of_face, of_whole = _own_weight(readers.of_faces), _own_weight(readers.of_wholes)
    learnt = [finder.training_data, *(manifest.training_data for manifest in manifests)]
    fingerprint = hashlib.sha256("".join(data.fingerprint for data in learnt).encode()).hexdigest()
    commands = (finder.command, *(manifest.command for manifest in manifests), order.command)
    return replace(
        manifests[-1],
        format_version=FORMAT_VERSION,
        name=order.name,
        version=weights_version(stages),
        working_side=finder.working_side,
        stages=stages,
        faces=Faces(finder.least_score, order.most, face=of_face / 2, whole=of_whole / 2, alone=of_whole),
        calibration=Calibration("temperature", 1.0),
        decision_threshold=None,
        training_data=TrainingData(fingerprint, sum(data.pictures for data in learnt)),
        metrics=(),
        libraries=dict(item for each in manifests for item in each.libraries.items()) | finder.libraries,
        command=" && ".join(commands),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _own_weight(readers: tuple[Bundle, ...]) -> float:
    """Return what their mean weighs by their own calibration."""
    return sum(1.0 / reader.manifest.calibration.temperature for reader in readers) / len(readers)


def _looked(
    judge: Judge, order: Order, part: Part, manifest: Manifest, say: Callable[[str], None]
) -> Looked | None:
    """Have the parts look at every picture of a part of the data; None where it has none."""
    found = find_classes(order.data)
    classes = manifest.classes
    if set(found) != set(classes):
        raise ConfigError(
            f"DATA has the classes {', '.join(found)}, the readers know {', '.join(classes)}; "
            "name folders with one folder for each of these"
        )
    files = [file for name in classes for file in found[name] if file.part is part]
    if not files:
        return None
    say(f"looking at {len(files)} pictures of {part}/")
    evidence: list[Evidence] = []
    labels: list[int] = []
    bits: list[NDArray[np.uint64]] = []
    mirrored: list[NDArray[np.uint64]] = []
    hashes: list[str] = []
    for file in files:
        try:
            data, picture = read_file(
                file.path, max_pixels=order.max_pixels, working_side=manifest.working_side
            )
        except BadPhoto as error:
            say(f"left out {printable(shown(file.path))}: {error.detail}")
            continue
        evidence.append(judge.evidence(picture))
        labels.append(classes.index(file.label))
        own, others = difference_bits(picture.pixels)
        bits.append(own)
        mirrored.append(others)
        hashes.append(hashlib.sha256(data).hexdigest())
    if not evidence:
        raise ConfigError(f"no picture of {part}/ can be read; put pictures into it")
    groups = near_duplicate_groups(np.stack(bits), np.stack(mirrored), hashes)
    return Looked(tuple(evidence), np.array(labels), groups)
