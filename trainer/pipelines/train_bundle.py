"""Make one bundle of a face detector, face classifiers and scene classifiers."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from trainer.data.atomic_directory import prepare_directory
from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.dataset import Sample, make_sample
from trainer.data.images import DecodedFile, UnreadableFile, check_readable, read_images
from trainer.data.near_duplicates import group_images
from trainer.detection.detector_folder import DetectorManifest, load_detector
from trainer.evaluation.fusion_fit import (
    LabeledOutputs,
    fit_biases,
    fit_fusion,
    format_ablation,
    predict_labeled,
)
from trainer.evaluation.metrics import compute_metrics
from trainer.export.golden import write_golden
from worker.errors import ConfigError
from worker.inference.bundle import FORMAT_VERSION, Bundle, load_bundle, write_manifest
from worker.inference.decode import Picture
from worker.inference.manifest import (
    DetectionSettings,
    Fusion,
    Manifest,
    NetworkSpec,
    TrainingData,
    derive_version,
    make_temperature_calibration,
)
from worker.inference.network import Network
from worker.inference.predictor import Predictor
from worker.paths import format_path

VALIDATION_SET = "validation split, to which the weights were fitted"
TEST_SET = "held-out test split"


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """What a bundle is made of, and where it goes.

    `data` are folders with splits. The logits of several face classifiers are averaged, and so are those of
    several scene classifiers. Of each picture, the `max_faces` largest faces are classified. `max_pixels` is
    the limit for a picture of the data.
    """

    data: tuple[Path, ...]
    detector: Path
    face_classifiers: tuple[Path, ...]
    scene_classifiers: tuple[Path, ...]
    out: Path
    name: str
    max_faces: int
    max_pixels: int
    command: str


def train_bundle(config: BundleConfig, say: Callable[[str], None]) -> Manifest:
    """Copy the networks, fit the fusion to the validation split, measure on the test split.

    Returns the manifest of the bundle now in place. Raises ConfigError where the classifiers do not go
    together, or the data has no validation split or mostly pictures that cannot be read, BundleError where
    one of them or the detector cannot be loaded, or the disk refuses.
    """
    detector = load_detector(config.detector).manifest
    classifiers = _load_classifiers(config)
    # Before anything is copied or run: folders without the right splits are refused at once.
    files = _find_files(config, classifiers.scene[0].manifest.classes)
    with prepare_directory(config.out) as draft:
        networks = _copy_networks(draft, config, detector, classifiers)
        manifest = _make_manifest(config, detector, classifiers, networks)
        # A manifest for now, because the worker's Predictor, by which the networks run, loads a folder.
        write_manifest(draft, manifest)
        predictor = Predictor(load_bundle(draft))
        validation = _run_networks(predictor, files[Split.VALID], Split.VALID, manifest, config, say)
        manifest = _fit(manifest, validation)
        for line in format_ablation(validation, manifest).splitlines():
            say(line)
        measured, test_set = validation, VALIDATION_SET
        if files[Split.TEST]:
            measured = _run_networks(predictor, files[Split.TEST], Split.TEST, manifest, config, say)
            test_set = TEST_SET
        metrics = compute_metrics(predict_labeled(measured, manifest), manifest.classes, test_set)
        manifest = replace(manifest, metrics=(*detector.metrics, *metrics))
        write_manifest(draft, manifest)
        # By the worker's own code, before any worker can see the bundle.
        Predictor(load_bundle(draft)).self_test()
    return manifest


@dataclass(frozen=True, slots=True)
class _Classifiers:
    """The bundles of one classifier each, by what the classifier reads."""

    face: tuple[Bundle, ...]
    scene: tuple[Bundle, ...]

    @property
    def all(self) -> tuple[Bundle, ...]:
        """Those that read faces, then those that read scenes."""
        return (*self.face, *self.scene)


def _load_classifiers(config: BundleConfig) -> _Classifiers:
    classifiers = _Classifiers(
        tuple(map(_load_classifier, config.face_classifiers)),
        tuple(map(_load_classifier, config.scene_classifiers)),
    )
    first, *rest = classifiers.all
    for bundle in rest:
        if bundle.manifest.classes != first.manifest.classes:
            raise ConfigError(
                f"{format_path(bundle.folder)}: knows {', '.join(bundle.manifest.classes)}, "
                f"{format_path(first.folder)} {', '.join(first.manifest.classes)}; name classifiers of the "
                "same classes"
            )
    return classifiers


def _load_classifier(folder: Path) -> Bundle:
    bundle = load_bundle(folder)
    if bundle.manifest.detection is not None:
        raise ConfigError(f"{format_path(folder)}: has several networks; name a bundle of one classifier")
    return bundle


def _copy_networks(
    draft: Path, config: BundleConfig, detector: DetectorManifest, classifiers: _Classifiers
) -> tuple[NetworkSpec, ...]:
    """Copy each network under a name of its own, and write golden outputs for it."""
    sources = [("detector", config.detector, detector.network)]
    sources += _name_networks("face", classifiers.face)
    sources += _name_networks("scene", classifiers.scene)
    classes = len(classifiers.scene[0].manifest.classes)
    networks = []
    for name, folder, spec in sources:
        # Not the sources' own golden files: their names may be the same, or their outputs of another LiteRT.
        shutil.copyfile(folder / spec.file, draft / f"{name}.tflite")
        network = Network(draft, replace(spec, file=f"{name}.tflite"), classes)
        networks.append(write_golden(draft / f"{name}.golden.npz", network, seed=0))
    return tuple(networks)


def _name_networks(
    reads: Literal["scene", "face"], bundles: Sequence[Bundle]
) -> list[tuple[str, Path, NetworkSpec]]:
    """Return the name, the folder and the description of each network: "face", or "face-1" and so on.

    A classifier that was trained alone says that it reads scenes, whatever it was trained on.
    """
    suffixes = [""] if len(bundles) == 1 else [f"-{number}" for number in range(1, len(bundles) + 1)]
    return [
        (f"{reads}{suffix}", bundle.folder, replace(bundle.manifest.networks[0], reads=reads))
        for suffix, bundle in zip(suffixes, bundles, strict=True)
    ]


def _make_manifest(
    config: BundleConfig,
    detector: DetectorManifest,
    classifiers: _Classifiers,
    networks: tuple[NetworkSpec, ...],
) -> Manifest:
    """Describe the bundle, as yet without metrics; its fusion weighs by the classifiers' own calibrations."""
    manifests = [bundle.manifest for bundle in classifiers.all]
    face, scene = _average_scale(classifiers.face), _average_scale(classifiers.scene)
    training_data = [detector.training_data, *(manifest.training_data for manifest in manifests)]
    fingerprint = hashlib.sha256("".join(data.fingerprint for data in training_data).encode()).hexdigest()
    commands = (detector.command, *(manifest.command for manifest in manifests), config.command)
    libraries = dict(item for manifest in manifests for item in manifest.libraries.items())
    return replace(
        manifests[-1],
        format_version=FORMAT_VERSION,
        name=config.name,
        version=derive_version(networks),
        max_side=detector.max_side,
        networks=networks,
        detection=DetectionSettings(detector.score_threshold, config.max_faces),
        fusion=Fusion(face_weight=face / 2, scene_weight=scene / 2, no_face_weight=scene),
        calibration=make_temperature_calibration(1.0, len(manifests[-1].classes)),
        training_data=TrainingData(fingerprint, sum(data.pictures for data in training_data)),
        metrics=(),
        libraries=libraries | detector.libraries,
        command=" && ".join(commands),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _average_scale(bundles: tuple[Bundle, ...]) -> float:
    """Return the mean factor by which the bundles' own calibrations multiply their logits."""
    return sum(1.0 / bundle.manifest.calibration.temperature for bundle in bundles) / len(bundles)


def _fit(manifest: Manifest, validation: LabeledOutputs) -> Manifest:
    assert manifest.fusion is not None
    fusion, temperature = fit_fusion(validation, manifest.fusion)
    calibration = replace(manifest.calibration, temperature=temperature)
    manifest = replace(manifest, fusion=fusion, calibration=calibration)
    # After the fusion: they are added to what fusion and temperature give.
    return replace(manifest, calibration=replace(calibration, biases=fit_biases(validation, manifest)))


def _find_files(config: BundleConfig, classes: tuple[str, ...]) -> dict[Split, list[ClassFile]]:
    """Return the files of each split of the data, class by class."""
    files_by_class = find_classes(config.data)
    if set(files_by_class) != set(classes):
        raise ConfigError(
            f"DATA has the classes {', '.join(files_by_class)}, the classifiers know {', '.join(classes)}; "
            "name folders with one folder for each of these"
        )
    files = {
        split: [file for name in classes for file in files_by_class[name] if file.split is split]
        for split in Split
    }
    if not files[Split.VALID]:
        raise ConfigError(
            "DATA has no valid/ split to fit the weights to; `moodsort dataset split` makes one"
        )
    return files


def _run_networks(
    predictor: Predictor,
    files: Sequence[ClassFile],
    split: Split,
    manifest: Manifest,
    config: BundleConfig,
    say: Callable[[str], None],
) -> LabeledOutputs:
    """Run the networks on every image of a split."""
    say(f"reading {len(files)} pictures of {split}/")

    def prepare(image: DecodedFile) -> tuple[Sample, Picture]:
        return make_sample(image), image.picture

    outputs, samples = [], []
    unreadable: list[UnreadableFile] = []
    for result in read_images(files, prepare, max_pixels=config.max_pixels, max_side=manifest.max_side):
        if isinstance(result, UnreadableFile):
            unreadable.append(result)
            say(f"left out {result}")
        else:
            sample, picture = result
            samples.append(sample)
            outputs.append(predictor.run_networks(picture))
    check_readable(unreadable, len(files))
    if not outputs:
        raise ConfigError(f"no picture of {split}/ can be read; put pictures into it")
    labels = np.array([manifest.classes.index(sample.file.label) for sample in samples])
    return LabeledOutputs(tuple(outputs), labels, group_images(samples))
