"""Compare two bundles on pictures whose labels are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.config import Config
from worker.errors import ConfigError
from worker.inbox.scanner import make_ignore_test, scan_folder
from worker.inference.bundle import Bundle
from worker.paths import format_path
from worker.pool.batch import run_batch
from worker.pool.prediction_task import PredictionTask
from worker.pool.protocol import Completed
from worker.stats import mcnemar_exact, wilson_interval


@dataclass(frozen=True, slots=True)
class TestSet:
    """Files below class folders, each with the label of its class folder.

    `other_folders` are the names of those beside them that are no class of the bundles.
    """

    __test__ = False  # pytest would take a class of this name for a test

    folder: Path
    files: tuple[Path, ...]
    labels: tuple[str, ...]
    other_folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of how many pictures a bundle classified correctly."""

    right: int
    pictures: int

    def __str__(self) -> str:
        low, high = wilson_interval(self.right, self.pictures)
        share = self.right / self.pictures
        return f"{self.right} of {self.pictures} right ({share:.1%}, 95 % interval {low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """Two bundles on the same pictures.

    `only_new` and `only_old` count the pictures that one bundle alone has right, `left_out` the files that
    neither could read, `other_folders` are those of the test set.
    """

    new: Accuracy
    old: Accuracy
    only_new: int
    only_old: int
    left_out: int
    other_folders: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """Whether the new bundle has fewer right."""
        return self.new.right < self.old.right

    @property
    def p_value(self) -> float:
        """How likely equally good bundles would differ this much: McNemar's test, exact and two-sided."""
        return mcnemar_exact(self.only_new, self.only_old)


def read_test_set(folder: Path, config: Config, bundles: Sequence[Bundle]) -> TestSet:
    """Find the files of a folder of class folders, by the rules that apply to the inbox.

    Folders that are no class of the bundles are left out. Raises ConfigError where the bundles have different
    classes, or the folder of one is missing or empty.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{format_path(folder)}: is not a folder; name one that holds a folder for each class"
        )
    is_ignored = make_ignore_test(config.inbox.ignore)
    classes = {name for bundle in bundles for name in bundle.manifest.classes}
    folders = [child for child in _list_children(folder) if child.is_dir() and not is_ignored(child.name)]
    files_by_label = {
        child.name: _list_files(child, is_ignored) for child in folders if child.name in classes
    }
    if not files_by_label:
        raise ConfigError(
            f"{format_path(folder)}: has no class folders; put each class's pictures in a folder of its name"
        )
    for bundle in bundles:
        _check_classes(folder, files_by_label, bundle)
    files = tuple(path for paths in files_by_label.values() for path in paths)
    labels = tuple(label for label, paths in files_by_label.items() for _ in paths)
    other_folders = tuple(child.name for child in folders if child.name not in classes)
    return TestSet(folder, files, labels, other_folders)


def predict_labels(config: Config, bundle: Bundle, test_set: TestSet) -> list[str | None]:
    """Predict the labels of a test set's files; None for a file that cannot be read. Raises BundleError."""
    task = PredictionTask(bundle.folder)
    results = run_batch(task, test_set.files, config.limits, config.processes, config.model.batch_size)
    return [result.result.prediction.label if isinstance(result, Completed) else None for result in results]


def compare_labels(
    test_set: TestSet, new: Sequence[str | None], old: Sequence[str | None]
) -> BundleComparison:
    """Count what each bundle has right; a picture that only one could read counts as wrong for the other.

    Raises ConfigError where there is no picture that can be read.
    """
    pairs = [
        (new_label == label, old_label == label)
        for label, new_label, old_label in zip(test_set.labels, new, old, strict=True)
        if new_label is not None or old_label is not None
    ]
    if not pairs:
        raise ConfigError(f"{format_path(test_set.folder)}: has no picture that can be read; put some there")
    return BundleComparison(
        new=Accuracy(sum(is_new_right for is_new_right, _ in pairs), len(pairs)),
        old=Accuracy(sum(is_old_right for _, is_old_right in pairs), len(pairs)),
        only_new=sum(is_new_right and not is_old_right for is_new_right, is_old_right in pairs),
        only_old=sum(is_old_right and not is_new_right for is_new_right, is_old_right in pairs),
        left_out=len(test_set.labels) - len(pairs),
        other_folders=test_set.other_folders,
    )


def _list_children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{format_path(folder)}: cannot be read ({error.strerror}); check its permissions"
        ) from error


def _list_files(folder: Path, is_ignored: Callable[[str], bool]) -> list[Path]:
    entries = scan_folder(folder, recursive=True, is_ignored=is_ignored)
    return sorted(path for path, kind in entries if kind is None)


def _check_classes(folder: Path, files_by_label: dict[str, list[Path]], bundle: Bundle) -> None:
    classes = bundle.manifest.classes
    if foreign := [name for name in files_by_label if name not in classes]:
        raise ConfigError(
            f"{format_path(folder / foreign[0])}: is no class of {format_path(bundle.folder)} "
            f"({', '.join(classes)}); name a folder whose class folders are those"
        )
    if missing := [name for name in classes if not files_by_label.get(name)]:
        raise ConfigError(
            f"{format_path(folder / missing[0])}: has no pictures, but {format_path(bundle.folder)} has that "
            "class; put some there: on some of the classes a worse model may look better"
        )
