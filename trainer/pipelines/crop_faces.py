"""Crop the faces out of folders of photos: load the detector and the filter, read, detect, filter, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainer.data.atomic_directory import check_unused, prepare_directory
from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.destinations import check_outside
from trainer.data.face_crops import (
    CropOptions,
    CropResult,
    CropTools,
    FaceClassifier,
    FaceDetector,
    write_face_crops,
)
from trainer.data.images import UnreadableFile, check_readable
from trainer.detection.detector_folder import MANIFEST_NAME, load_detector
from trainer.pipelines.reporter import Reporter
from worker.errors import ConfigError
from worker.fileio import silence_stderr
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.predictor import Predictor
from worker.paths import format_path

_FILTERED_SPLITS: frozenset[Split | None] = frozenset((None, Split.TRAIN))
"""Where likely wrong labels are left out: a test without its difficult faces would flatter."""

_REMEDY = (
    "name photos of people, or give a smaller --min-size, or --whole-pictures for pictures that are faces"
)


@dataclass(frozen=True, slots=True)
class CropConfig:
    """What to crop, and what by: `detector` is a detector's folder, or its teacher's ONNX file.

    `min_size`, `max_faces`, `whole_pictures` and `min_probability` are as in `CropOptions`. `filter_bundle`
    gives the probabilities, None filters nothing; `filter_all_splits` filters valid and test as well.
    """

    data: tuple[Path, ...]
    detector: Path
    out: Path
    min_size: int
    max_faces: int
    whole_pictures: bool
    filter_bundle: Path | None
    min_probability: float
    filter_all_splits: bool
    max_pixels: int


@dataclass(frozen=True, slots=True)
class CropSummary:
    """What came of each photo that could be read, and how many could not."""

    photos: tuple[CropResult, ...]
    unreadable: int


def crop_faces(config: CropConfig, reporter: Reporter) -> CropSummary:
    """Make class folders of pictures of faces out of class folders of photos.

    Raises ConfigError where `out` is taken or in the data, where the detector or the bundle does not fit, and
    where most photos cannot be read or no face is cropped; BundleError where one of them cannot be loaded or
    the disk refuses.
    """
    check_unused(config.out)
    check_outside(config.out, config.data)
    files_by_class = find_classes(config.data)
    tools = _load_tools(config, tuple(files_by_class))
    files = [file for class_files in files_by_class.values() for file in class_files]
    _warn_of_unsplit(files, reporter.say)
    with prepare_directory(config.out) as draft:
        summary = _write_crops(draft, config, files, tools, reporter)
        # In the context, so that an empty folder is discarded rather than put in its place.
        if not any(photo.written for photo in summary.photos):
            names = ", ".join(map(format_path, config.data))
            raise ConfigError(f"{names}: no face to crop in {len(summary.photos)} pictures; {_REMEDY}")
    return summary


def _load_tools(config: CropConfig, classes: tuple[str, ...]) -> CropTools:
    """Load detector and bundle once, so that what is wrong with them is said before anything is read."""
    load_classifier: Callable[[], FaceClassifier] | None = None
    if config.filter_bundle is not None:
        bundle = load_bundle(config.filter_bundle)
        _check_filter(bundle, classes)
        load_classifier = partial(Predictor, bundle)
    load_face_detector, max_side = _choose_detector(config.detector)
    return CropTools(load_face_detector, max_side, load_classifier)


def _choose_detector(path: Path) -> tuple[Callable[[], FaceDetector], int]:
    """Return what loads the detector, and the longest side of the pictures that it looks at."""
    if path.suffix == ".onnx":
        # Needs OpenCV, which only a teacher does.
        from trainer.detection.teacher import Teacher

        return partial(Teacher, path), Teacher(path).max_side
    if not (path / MANIFEST_NAME).is_file():
        raise ConfigError(f"{format_path(path)}: is not a detector; make one by `moodsort detector train`")
    with silence_stderr():  # LiteRT announces its delegate when it loads the first network
        return partial(load_detector, path), load_detector(path).max_side


def _check_filter(bundle: Bundle, classes: tuple[str, ...]) -> None:
    manifest = bundle.manifest
    if manifest.detection is not None:
        raise ConfigError(
            f"{format_path(bundle.folder)}: detects faces itself; --filter-with takes a bundle of one face "
            "classifier"
        )
    if missing := sorted(set(classes).difference(manifest.classes)):
        raise ConfigError(
            f"{format_path(bundle.folder)}: knows {', '.join(manifest.classes)}, not DATA's class "
            f"{', '.join(missing)}; give --filter-with a bundle that knows it"
        )


def _warn_of_unsplit(files: Sequence[ClassFile], say: Callable[[str], None]) -> None:
    folders = dict.fromkeys(format_path(file.data) for file in files if file.split is None)
    if folders:
        say(
            f"warning: {', '.join(folders)}: not split; training may learn from one face of a photo and be "
            "tested with another, so split it first, by `moodsort dataset split`"
        )


def _write_crops(
    draft: Path, config: CropConfig, files: Sequence[ClassFile], tools: CropTools, reporter: Reporter
) -> CropSummary:
    options = CropOptions(
        min_size=config.min_size,
        max_faces=config.max_faces,
        whole_pictures=config.whole_pictures,
        min_probability=config.min_probability,
        filtered_splits=frozenset((None, *Split)) if config.filter_all_splits else _FILTERED_SPLITS,
    )
    photos: list[CropResult] = []
    unreadable: list[UnreadableFile] = []
    with reporter.show_bar("cropping", len(files)) as on_file:
        for result in write_face_crops(files, config.data, draft, tools, options, config.max_pixels):
            on_file()
            if isinstance(result, UnreadableFile):
                unreadable.append(result)
                reporter.say(f"left out {result}")
            else:
                photos.append(result)
    check_readable(unreadable, len(files))
    return CropSummary(tuple(photos), len(unreadable))
