"""Compare two bundles on pictures whose labels are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import Config
from worker.daemon.clock import Clock
from worker.errors import ConfigError
from worker.inbox.scanner import ignored_by, scan
from worker.inference.bundle import Bundle
from worker.paths import shown
from worker.pool.batch import judge_files
from worker.pool.protocol import Judged
from worker.stats import mcnemar_exact, wilson_interval


@dataclass(frozen=True, slots=True)
class TestSet:
    """Files below class folders, each with the label that its folder gives it."""

    __test__ = False  # pytest takes a class of this name for one of its own

    folder: Path
    files: tuple[Path, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """How many pictures of how many a bundle gave their label."""

    right: int
    pictures: int

    def __str__(self) -> str:
        low, high = wilson_interval(self.right, self.pictures)
        share = self.right / self.pictures
        return f"{self.right} of {self.pictures} right ({share:.1%}, 95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two bundles on the same pictures; `left_out` counts the files that neither could judge."""

    new: Score
    old: Score
    only_new: int
    only_old: int
    left_out: int

    @property
    def is_worse(self) -> bool:
        """Whether the new bundle has fewer right."""
        return self.new.right < self.old.right

    @property
    def p_value(self) -> float:
        """How often two equally good bundles would differ as much: McNemar's test, exact and two-sided."""
        return mcnemar_exact(self.only_new, self.only_old)


def read_test_set(folder: Path, config: Config, bundles: Sequence[Bundle]) -> TestSet:
    """Find the files of a folder of class folders, by the rules by which the inbox is read.

    Raises ConfigError where its class folders are not the classes of every bundle, each with a file.
    """
    if not folder.is_dir():
        raise ConfigError(f"{shown(folder)}: is not a folder; name one that holds a folder for each class")
    is_ignored = ignored_by(config.inbox.ignore)
    labelled = {
        child.name: sorted(
            path for path, other in scan(child, recursive=True, is_ignored=is_ignored) if other is None
        )
        for child in _children(folder)
        if child.is_dir() and not is_ignored(child.name)
    }
    if not labelled:
        raise ConfigError(
            f"{shown(folder)}: has no class folders; put each class's pictures in a folder of its name"
        )
    for bundle in bundles:
        _check_classes(folder, labelled, bundle)
    files = tuple(path for found in labelled.values() for path in found)
    labels = tuple(label for label, found in labelled.items() for _ in found)
    return TestSet(folder, files, labels)


def labels_given(config: Config, bundle: Bundle, test_set: TestSet) -> list[str | None]:
    """Judge the files of a test set; None for one that cannot be judged. Raises BundleError."""
    outcomes = judge_files(config, bundle, test_set.files, Clock())
    return [outcome.verdict.label if isinstance(outcome, Judged) else None for outcome in outcomes]


def compare(test_set: TestSet, new: Sequence[str | None], old: Sequence[str | None]) -> Comparison:
    """Count what each bundle had right; what one alone could not judge is wrong for it.

    Raises ConfigError where there is no picture that could be judged.
    """
    judged = [
        (by_new == label, by_old == label)
        for label, by_new, by_old in zip(test_set.labels, new, old, strict=True)
        if by_new is not None or by_old is not None
    ]
    if not judged:
        raise ConfigError(f"{shown(test_set.folder)}: has no picture that can be judged; put some there")
    return Comparison(
        new=Score(sum(by_new for by_new, _ in judged), len(judged)),
        old=Score(sum(by_old for _, by_old in judged), len(judged)),
        only_new=sum(by_new and not by_old for by_new, by_old in judged),
        only_old=sum(by_old and not by_new for by_new, by_old in judged),
        left_out=len(test_set.labels) - len(judged),
    )


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{shown(folder)}: cannot be read ({error.strerror}); check its permissions"
        ) from error


def _check_classes(folder: Path, labelled: dict[str, list[Path]], bundle: Bundle) -> None:
    classes = bundle.manifest.classes
    named = ", ".join(classes)
    if foreign := [name for name in labelled if name not in classes]:
        raise ConfigError(
            f"{shown(folder / foreign[0])}: is no class of {shown(bundle.folder)} ({named}); "
            "name a folder whose class folders are those"
        )
    if missing := [name for name in classes if not labelled.get(name)]:
        raise ConfigError(
            f"{shown(folder / missing[0])}: has no pictures, but {shown(bundle.folder)} has that class; "
            "put some there: on a part of the classes a worse model may look better"
        )
