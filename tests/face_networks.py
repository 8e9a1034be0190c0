"""Networks that find and read faces drawn by code: the bundle that the tests of faces judge with.

A face is a square of 40 input pixels of the finder, brighter than all around it; red ones are happy, blue
ones sad. Of the whole picture, green is happy.
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

from trainer.detection.detector_folder import FinderManifest, write_finder
from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import (
    Calibration,
    Faces,
    Golden,
    InputSpec,
    Manifest,
    Metric,
    Stage,
    TrainingData,
    file_sha256,
    load_bundle,
    weights_version,
    write_manifest,
)
from worker.inference.network import Network

SIZE = (512, 384)
"""Of a photo, twice the finder's input."""

FACE_SIDE = 80
"""Of a face in such a photo."""

HAPPY, SAD, DARK, GREEN = (255, 0, 0), (0, 0, 255), (40, 0, 40), (0, 110, 0)

FACES = Faces(least_score=0.5, most=16, face=1.0, whole=0.5, alone=1.0)

_STAGES = {
    ("finder", "whole"): InputSpec(256, 192, "rgb", "letterbox"),
    ("reader", "face"): InputSpec(16, 16, "rgb", "stretch"),
    ("reader", "whole"): InputSpec(24, 24, "rgb", "stretch"),
}


def draw_people(
    *faces: tuple[int, int, tuple[int, int, int]], ground: tuple[int, int, int] = DARK, size=SIZE
) -> Image.Image:
    """Draw faces, each the left and top of its square, best multiples of 16, and its colour."""
    image = Image.new("RGB", size, ground)
    for left, top, colour in faces:
        image.paste(colour, (left, top, left + FACE_SIDE, top + FACE_SIDE))
    return image


def make_face_bundle(folder: Path) -> Path:
    """Make the bundle, in a process of its own: TensorFlow's threads would outlive a test."""
    command = [sys.executable, "-m", "tests.face_networks", str(folder)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass(frozen=True, slots=True)
class Parts:
    """The folders of what a bundle is composed of."""

    finder: Path
    face: Path
    whole: Path


def take_apart(bundle: Path, folder: Path) -> Parts:
    """Write the bundle's networks into folders of their own, as the trainings that made them leave them."""
    parts = Parts(folder / "finder", folder / "face", folder / "whole")
    manifest = load_bundle(bundle).manifest
    finder, *readers = manifest.stages
    _copy_stage(bundle, finder, parts.finder)
    write_finder(
        parts.finder,
        FinderManifest(
            stage=finder,
            working_side=manifest.working_side,
            least_score=FACES.least_score,
            training_data=TrainingData("photos", 3),
            metrics=(Metric("faces_found", None, 0.9, 0.8, 1.0, "drawn photos", 10),),
            libraries={"drawing": "1"},
            command="moodsort finder train photos",
            created_at="2026-01-01T00:00:00+00:00",
        ),
    )
    for stage, out in zip(readers, (parts.face, parts.whole), strict=True):
        _copy_stage(bundle, stage, out)
        own = (replace(stage, view="whole"),)
        write_manifest(
            out, replace(manifest, name=out.name, version=weights_version(own), stages=own, faces=None)
        )
    return parts


def _copy_stage(bundle: Path, stage: Stage, out: Path) -> None:
    out.mkdir(parents=True)
    for name in (stage.file, stage.golden.file):
        shutil.copyfile(bundle / name, out / name)


def _write(folder: Path) -> None:
    from trainer.export.golden import write_golden

    stages = []
    for (role, view), spec in _STAGES.items():
        path = folder / f"{view}-{role}.tflite"
        path.write_bytes(_converted(role, view, spec))
        golden = Golden(f"{view}-{role}.npz", "", 0.0)
        stage = Stage(role, view, path.name, file_sha256(path), spec, golden)  # type: ignore[arg-type]
        golden = write_golden(folder / golden.file, Network(folder, stage, classes=2), seed=0)
        stages.append(replace(stage, golden=golden))
    write_manifest(folder, _manifest(stages))


def _manifest(stages: Sequence[Stage]) -> Manifest:
    return replace(
        load_bundle(BUILT_IN_BUNDLE).manifest,
        name="drawn-faces",
        version=weights_version(tuple(stages)),
        working_side=640,
        stages=tuple(stages),
        faces=FACES,
        calibration=Calibration("temperature", 1.0),
        metrics=(),
    )


def _converted(role: str, view: str, spec: InputSpec) -> bytes:
    import tensorflow as tf

    def find(pixels: Any) -> Any:
        bright = tf.reduce_max(tf.cast(pixels, tf.float32) / 255, axis=-1, keepdims=True)
        cells = tf.nn.avg_pool2d(bright, 8, 8, "VALID")
        logits = 30 * (tf.nn.avg_pool2d(cells, 5, 1, "SAME") - 0.75)
        return tf.concat([logits, 0 * logits, 0 * logits, 0 * logits + np.log(5.0)], axis=-1)

    def read_face(pixels: Any) -> Any:
        red, _, blue = tf.split(tf.reduce_mean(tf.cast(pixels, tf.float32) / 255, axis=[1, 2]), 3, axis=-1)
        return 4 * tf.concat([red - blue, blue - red], axis=-1)

    def read_whole(pixels: Any) -> Any:
        green = tf.reduce_mean(tf.cast(pixels, tf.float32) / 255, axis=[1, 2])[:, 1:2]
        return 8 * tf.concat([green - 0.2, 0.2 - green], axis=-1)

    from trainer.export.litert import quiet

    answer = find if role == "finder" else read_face if view == "face" else read_whole
    shape = (1, spec.height, spec.width, 3)
    with quiet():
        traced = tf.function(answer).get_concrete_function(tf.TensorSpec(shape, tf.uint8))
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert()
    return content


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    _write(Path(sys.argv[1]))
