"""Judge pictures whose classes are known as the worker does, and changed versions of them as well."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from trainer.evaluation.judging import Judged, Limits, Outcome, Unjudged

from tests.bench.accuracy_changes import Change
from trainer.cli.messages import say, show_bar
from trainer.data.class_folders import ClassFile, Split
from trainer.data.near_duplicates import group_near_duplicates, hash_differences
from trainer.evaluation.metrics import LabeledPredictions
from trainer.pipelines.evaluate import check_classes, choose_files, collect_predictions
from worker.errors import BadPhoto, ConfigError, Reason
from worker.fileio import silence_stderr
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.decode import decode_photo
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor
from worker.paths import format_path

_LIMITS = Limits()

_FULL_SIZE = 1 << 31
"""A working side that reduces no picture."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a bundle said of the pictures of one folder that could be judged.

    `run_all` are to the pictures as they are, then to each changed version, all in one order; `verdicts` are
    those on the pictures as they are. `part` is the split that was taken of a divided folder; `files` is how
    many there are, of which only a draw may have been judged.
    """

    data: Path
    split: Split | None
    files: int
    answers: tuple[LabeledPredictions, ...]
    verdicts: tuple[Prediction, ...]
    unjudged: tuple[Unjudged, ...]


def see(bundle: Bundle, data: Path, changes: tuple[Change, ...], limit: int | None, processes: int) -> Seen:
    """Judge the pictures that `moodsort evaluate` would, or a draw of `limit` of them, the same each time.

    Raises ConfigError where the classes are not the bundle's or nothing can be judged.
    """
    files, part = choose_files(data)
    check_classes(bundle, {file.label for file in files}, data)
    chosen = drawn(files, limit)
    say(
        f"judging {len(chosen)} pictures of {format_path(data)}"
        + (", each as it is and changed" if changes else "")
    )
    outcomes = []
    with show_bar(data.name, len(chosen)) as advance:
        judging = partial(judge_versions, bundle.folder, changes)
        for outcome in _spread(judging, [file.path for file in chosen], processes):
            outcomes.append(outcome)
            if isinstance(outcome, Unjudged):
                say(f"left out {format_path(outcome.path)}: {outcome.detail} ({outcome.reason})")
            advance()
    labels = [file.label for file in chosen]
    return _seen(bundle, data, part, len(files), tuple(zip(labels, outcomes, strict=True)))


def drawn(files: Sequence[ClassFile], limit: int | None) -> list[ClassFile]:
    """Return all files, or a draw of `limit` of them in their order, the same each time."""
    if limit is None or limit >= len(files):
        return list(files)
    return [files[place] for place in sorted(random.Random(0).sample(range(len(files)), limit))]


def judge_versions(folder: Path, changes: tuple[Change, ...], path: Path) -> Outcome:
    """Judge a file as it is and changed in each way: the verdicts on all versions, or why there are none."""
    try:
        data = _content(path)
        judge, max_side = _loaded(folder)
        clean = decode_photo(data, max_pixels=_LIMITS.max_pixels, max_side=max_side)
        verdicts = [judge.predict(clean)]
        if changes:
            full = decode_photo(data, max_pixels=_LIMITS.max_pixels, max_side=_FULL_SIZE)
        for change in changes:
            version = change.encoded(full.pixels)
            seen = decode_photo(version, max_pixels=_LIMITS.max_pixels, max_side=max_side)
            verdicts.append(judge.predict(seen))
    except BadPhoto as bad:
        return Unjudged(path, bad.reason.value, bad.detail)
    except OSError as error:
        return Unjudged(path, Reason.UNREADABLE.value, f"it cannot be read: {error.strerror}")
    bits, mirrored_bits = hash_differences(clean.pixels)
    return Judged(path, hashlib.sha256(data).hexdigest(), bits, mirrored_bits, tuple(verdicts))


@cache
def _loaded(folder: Path) -> tuple[Predictor, int]:
    """Load a bundle once in each process."""
    bundle = load_bundle(folder)
    with silence_stderr():
        judge = Predictor(bundle)
        judge.self_test()
    return judge, bundle.manifest.max_side


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise BadPhoto(Reason.UNREADABLE, "it is no regular file")
    size = path.stat().st_size
    if size > _LIMITS.max_file_bytes:
        raise BadPhoto(Reason.TOO_MANY_BYTES, f"{size} bytes, more than {_LIMITS.max_file_bytes}")
    return path.read_bytes()


def _spread(judging: Callable[[Path], Outcome], paths: Sequence[Path], processes: int) -> Iterator[Outcome]:
    if processes == 1:
        yield from map(judging, paths)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(judging, paths)


def _seen(
    bundle: Bundle, data: Path, part: Split | None, files: int, found: Sequence[tuple[str, Outcome]]
) -> Seen:
    classes = bundle.manifest.classes
    judged = [(label, each) for label, each in found if isinstance(each, Judged)]
    if not judged:
        raise ConfigError(
            f"{format_path(data)}: none of {len(found)} files could be judged; name other pictures"
        )
    groups = group_near_duplicates(
        np.stack([each.bits for _, each in judged]),
        np.stack([each.mirrored_bits for _, each in judged]),
        [each.sha256 for _, each in judged],
    )
    labels = np.array([classes.index(label) for label, _ in judged])
    versions = list(zip(*(each.verdicts for _, each in judged), strict=True))
    return Seen(
        data=data,
        split=part,
        files=files,
        answers=tuple(
            collect_predictions(bundle, verdicts, classes, labels, groups) for verdicts in versions
        ),
        verdicts=versions[0],
        unjudged=tuple(each for _, each in found if isinstance(each, Unjudged)),
    )
