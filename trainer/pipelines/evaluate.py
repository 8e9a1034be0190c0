"""Try bundles on pictures whose classes are known."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.class_folders import ClassFile, Part, find_classes
from trainer.data.near_duplicates import near_duplicate_groups
from trainer.evaluation.judging import Judged, Limits, Outcome, Unjudged, judge_files
from trainer.evaluation.metrics import Answers
from worker.errors import ConfigError
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.prediction import Verdict
from worker.inference.predictor import softmax
from worker.paths import shown


@dataclass(frozen=True, slots=True)
class Trial:
    """What one bundle answered to every picture that could be judged."""

    bundle: Bundle
    answers: Answers


@dataclass(frozen=True, slots=True)
class Trials:
    """The pictures that bundles were tried on, in one order, and what could not be judged.

    `fingerprint` is that of the data, made as a manifest's; `part` is the split that was taken of a divided
    folder, None of an undivided one.
    """

    paths: tuple[Path, ...]
    part: Part | None
    fingerprint: str
    unjudged: tuple[Unjudged, ...]
    trials: tuple[Trial, ...]


def try_bundles(
    folders: Sequence[Path], data: Path, on_outcome: Callable[[Outcome], None], limits: Limits | None = None
) -> Trials:
    """Judge every picture below the data's class folders with every bundle, as the worker does.

    Of a folder that is divided into parts the test part is taken, or else validation. Raises ConfigError
    where the bundles' classes and the data's are not the same or nothing can be judged, BundleError where
    a bundle cannot be loaded.
    """
    bundles = [load_bundle(folder) for folder in folders]
    files, part = tried_files(data)
    classes = bundles[0].manifest.classes
    for bundle in bundles:
        check_classes(bundle, {file.label for file in files}, data)
    judged: list[Judged] = []
    labels: list[int] = []
    unjudged: list[Unjudged] = []
    outcomes = judge_files(folders, [file.path for file in files], limits)
    for file, outcome in zip(files, outcomes, strict=True):
        on_outcome(outcome)
        if isinstance(outcome, Judged):
            judged.append(outcome)
            labels.append(classes.index(file.label))
        else:
            unjudged.append(outcome)
    if not judged:
        raise ConfigError(
            f"{shown(data)}: none of its {len(files)} files could be judged; name other pictures"
        )
    groups = near_duplicate_groups(
        np.stack([each.bits for each in judged]),
        np.stack([each.mirrored_bits for each in judged]),
        [each.sha256 for each in judged],
    )
    trials = []
    for number, bundle in enumerate(bundles):
        verdicts = [each.verdicts[number] for each in judged]
        trials.append(Trial(bundle, answers_of(bundle, verdicts, classes, np.array(labels), groups)))
    return Trials(
        paths=tuple(each.path for each in judged),
        part=part,
        fingerprint=_fingerprint([each.sha256 for each in judged], [classes[label] for label in labels]),
        unjudged=tuple(unjudged),
        trials=tuple(trials),
    )


def tried_files(data: Path) -> tuple[list[ClassFile], Part | None]:
    """Return the files of the test part, of validation where there is none, or of a folder without parts."""
    files = [file for of_class in find_classes((data,)).values() for file in of_class]
    parts = {file.part for file in files}
    part = next((part for part in (Part.TEST, Part.VALIDATION) if part in parts), None)
    return [file for file in files if part is None or file.part is part], part


def check_classes(bundle: Bundle, found: set[str], data: Path) -> None:
    """Raise ConfigError where the data's classes are not the bundle's."""
    known = bundle.manifest.classes
    strange, missing = sorted(found.difference(known)), sorted(set(known).difference(found))
    if strange or missing:
        raise ConfigError(
            f"{shown(data)}: has the classes {', '.join(sorted(found))}, but {shown(bundle.folder)} knows "
            f"{', '.join(sorted(known))}; name a folder with one folder for each of these"
        )


def answers_of(
    bundle: Bundle,
    verdicts: Sequence[Verdict],
    classes: tuple[str, ...],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> Answers:
    """Turn a bundle's verdicts into arrays; `labels` and `groups` are int64 (N,)."""
    chances = np.array([[verdict.scores[name] for name in classes] for verdict in verdicts])
    # The logits again, but for a number added to all of a picture's, which softmax takes away.
    logits = bundle.manifest.calibration.temperature * np.log(np.maximum(chances, np.finfo(float).tiny))
    return Answers(
        chances=chances,
        uncalibrated=softmax(logits),
        predicted=np.array([classes.index(verdict.label) for verdict in verdicts]),
        labels=labels,
        groups=groups,
    )


def _fingerprint(hashes: Sequence[str], labels: Sequence[str]) -> str:
    lines = sorted(f"{sha256} {label}\n" for sha256, label in zip(hashes, labels, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
