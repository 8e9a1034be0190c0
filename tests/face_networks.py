"""Networks that detect and classify faces drawn by code: the bundles that the tests of faces predict with.

A face is a square of 40 input pixels of the detector, brighter than all around it; red ones are happy, blue
ones sad. Of the scene, green is happy.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.patience import scale
from trainer.detection.detector_folder import DetectorManifest, write_detector_manifest
from worker.config import BUILT_IN_BUNDLE
from worker.fileio import hash_file
from worker.inference.bundle import load_bundle, write_manifest
from worker.inference.manifest import (
    DetectionSettings,
    Fusion,
    Golden,
    InputSpec,
    Manifest,
    Metric,
    NetworkSpec,
    OutputSpec,
    TrainingData,
    derive_version,
    make_temperature_calibration,
)
from worker.inference.network import Network

SIZE = (512, 384)
"""Of a photo, twice the detector's input."""

FACE_SIDE = 80
"""Of a face in such a photo."""

HAPPY, SAD, DARK, GREEN = (255, 0, 0), (0, 0, 255), (40, 0, 40), (0, 110, 0)

DETECTION = DetectionSettings(score_threshold=0.5, max_faces=16)
FUSION = Fusion(face_weight=1.0, scene_weight=0.5, no_face_weight=1.0)

_DETECTOR_INPUT = InputSpec(256, 192, "rgb", "letterbox")
_FACE_NETWORK = ("face", ("logits",), InputSpec(16, 16, "rgb", "stretch"))

_NETWORKS = {
    "detector": ("scene", ("heatmap",), _DETECTOR_INPUT),
    "face": _FACE_NETWORK,
    "scene": ("scene", ("logits",), InputSpec(24, 24, "rgb", "stretch")),
}
"""What each network reads, what it gives, and its input."""

_JOINT_NETWORKS = {"scene": ("scene", ("heatmap", "logits"), _DETECTOR_INPUT), "face": _FACE_NETWORK}
"""The same with one network that gives both heatmap and logits."""


def draw_people(
    *faces: tuple[int, int, tuple[int, int, int]], ground: tuple[int, int, int] = DARK, size=SIZE
) -> Image.Image:
    """Draw faces, each the left and top of its square, best multiples of 16, and its colour."""
    image = Image.new("RGB", size, ground)
    for left, top, colour in faces:
        image.paste(colour, (left, top, left + FACE_SIDE, top + FACE_SIDE))
    return image


def make_face_bundle(folder: Path) -> Path:
    """Make a bundle of a detector, a face classifier and a scene classifier."""
    return _make_bundle(folder, "separate")


def make_joint_bundle(folder: Path) -> Path:
    """Make a bundle of one network for heatmap and scene logits, and a face classifier."""
    return _make_bundle(folder, "joint")


def _make_bundle(folder: Path, kind: str) -> Path:
    # In a child process: TensorFlow's threads would outlive a test.
    command = [sys.executable, "-m", "tests.face_networks", str(folder), kind]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=scale(110), check=False)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass(frozen=True, slots=True)
class Parts:
    """The folders of what a bundle is made of."""

    detector: Path
    face: Path
    scene: Path


def take_apart(bundle: Path, folder: Path) -> Parts:
    """Write the bundle's networks into folders of their own, as the trainings that made them leave them."""
    parts = Parts(folder / "detector", folder / "face", folder / "scene")
    manifest = load_bundle(bundle).manifest
    detector, *classifiers = manifest.networks
    _copy_network(bundle, detector, parts.detector)
    write_detector_manifest(
        parts.detector,
        DetectorManifest(
            network=detector,
            max_side=manifest.max_side,
            score_threshold=DETECTION.score_threshold,
            training_data=TrainingData("photos", 3),
            metrics=(Metric("detection_recall", None, 0.9, 0.8, 1.0, "drawn photos", 10),),
            libraries={"drawing": "1"},
            command="moodsort detector train photos",
            created_at="2026-01-01T00:00:00+00:00",
        ),
    )
    for network, out in zip(classifiers, (parts.face, parts.scene), strict=True):
        _copy_network(bundle, network, out)
        networks = (replace(network, reads="scene"),)
        write_manifest(
            out,
            replace(
                manifest,
                name=out.name,
                version=derive_version(networks),
                networks=networks,
                detection=None,
                fusion=None,
            ),
        )
    return parts


def _copy_network(bundle: Path, network: NetworkSpec, out: Path) -> None:
    out.mkdir(parents=True)
    for name in (network.file, network.golden.file):
        shutil.copyfile(bundle / name, out / name)


def _write_bundle(folder: Path, kind: str) -> None:
    from trainer.export.golden import write_golden

    networks = []
    for name, (reads, kinds, spec) in (_JOINT_NETWORKS if kind == "joint" else _NETWORKS).items():
        path = folder / f"{name}.tflite"
        path.write_bytes(_convert(reads, kinds, spec))
        outputs = tuple(OutputSpec(kind, 0.0) for kind in kinds)  # type: ignore[arg-type]
        golden = Golden(f"{name}.golden.npz", "")
        network = NetworkSpec(reads, outputs, path.name, hash_file(path), spec, golden)  # type: ignore[arg-type]
        networks.append(write_golden(folder / golden.file, Network(folder, network, classes=2), seed=0))
    write_manifest(folder, _make_manifest(networks))


def _make_manifest(networks: Sequence[NetworkSpec]) -> Manifest:
    return replace(
        load_bundle(BUILT_IN_BUNDLE).manifest,
        name="drawn-faces",
        version=derive_version(tuple(networks)),
        max_side=640,
        networks=tuple(networks),
        detection=DETECTION,
        fusion=FUSION,
        calibration=make_temperature_calibration(1.0, 2),
        metrics=(),
    )


def _convert(reads: str, kinds: Sequence[str], spec: InputSpec) -> bytes:
    import tensorflow as tf  # in the child process alone

    from trainer.export.litert import silence_converter

    def detect(pixels: Any) -> Any:
        bright = tf.reduce_max(tf.cast(pixels, tf.float32) / 255, axis=-1, keepdims=True)
        positions = tf.nn.avg_pool2d(bright, 8, 8, "VALID")
        logits = 30 * (tf.nn.avg_pool2d(positions, 5, 1, "SAME") - 0.75)
        return tf.concat([logits, 0 * logits, 0 * logits, 0 * logits + np.log(5.0)], axis=-1)

    def classify_face(pixels: Any) -> Any:
        red, _, blue = tf.split(tf.reduce_mean(tf.cast(pixels, tf.float32) / 255, axis=[1, 2]), 3, axis=-1)
        return 4 * tf.concat([red - blue, blue - red], axis=-1)

    def classify_scene(pixels: Any) -> Any:
        green = tf.reduce_mean(tf.cast(pixels, tf.float32) / 255, axis=[1, 2])[:, 1:2]
        return 8 * tf.concat([green - 0.2, 0.2 - green], axis=-1)

    functions = {"heatmap": detect, "logits": classify_face if reads == "face" else classify_scene}
    shape = (1, spec.height, spec.width, 3)

    def compute(pixels: Any) -> tuple[Any, ...]:
        return tuple(functions[kind](pixels) for kind in kinds)

    with silence_converter():
        concrete = tf.function(compute).get_concrete_function(tf.TensorSpec(shape, tf.uint8))
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    return content


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    _write_bundle(Path(sys.argv[1]), sys.argv[2])
