"""A detector's folder between training and bundle: written, loaded, and refused where it is damaged."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.drawing import draw_jpeg
from tests.face_networks import FACE_SIDE, HAPPY, SAD, Parts, draw_people, take_apart
from tests.patience import scale
from trainer.data.class_folders import ClassFile
from trainer.detection.annotated_images import annotate_whole_image, read_annotated_images
from trainer.detection.detector_folder import (
    KERAS_FILE,
    MANIFEST_NAME,
    load_detector,
    write_detector_manifest,
)
from worker.errors import BundleError
from worker.inference.bundle import load_bundle
from worker.inference.decode import Picture
from worker.inference.predictor import Predictor

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the bundle

PEOPLE = np.asarray(draw_people((64, 96, HAPPY), (320, 160, HAPPY)))


@pytest.fixture(scope="module")
def parts(face_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return take_apart(face_bundle, tmp_path_factory.mktemp("parts"))


@pytest.fixture
def folder(parts: Parts, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parts.detector, tmp_path / "detector"))


def test_a_written_manifest_is_loaded(folder):
    manifest = replace(
        load_detector(folder).manifest, score_threshold=0.35, command="moodsort detector train ‹é›"
    )
    write_detector_manifest(folder, manifest)
    loaded = load_detector(folder)
    assert loaded.manifest == manifest
    assert loaded.max_side == manifest.max_side
    loaded.network.self_test()


def test_it_detects_faces_in_pixels_of_the_picture_from_its_score_threshold_on(folder):
    detections = load_detector(folder).detect(PEOPLE)
    assert sorted((face.left, face.top, face.side) for face in detections) == [
        (64, 96, FACE_SIDE),
        (320, 160, FACE_SIDE),
    ]
    write_detector_manifest(folder, replace(load_detector(folder).manifest, score_threshold=1.0))
    strict = load_detector(folder)
    assert strict.detect(PEOPLE) == ()
    assert strict.detect(PEOPLE, score_threshold=0.5) == detections


def test_it_detects_the_faces_of_a_long_picture_as_the_worker_does(face_bundle, folder):
    row = draw_people((64, 96, HAPPY), (496, 96, HAPPY), (1488, 96, HAPPY), size=(1640, 205))
    picture = Picture(np.asarray(row), row.width, row.height)
    detections = load_detector(folder).detect(picture.pixels)
    assert len(detections) == 3
    assert detections == Predictor(load_bundle(face_bundle)).run_networks(picture).detections


def test_the_keras_file_beside_the_network_is_not_read(folder):
    (folder / KERAS_FILE).write_bytes(b"no network")
    load_detector(folder).network.self_test()


def test_a_bundle_takes_nothing_of_a_detector_but_its_network_and_golden_outputs(parts, folder, tmp_path):
    (folder / KERAS_FILE).write_bytes(b"no network")
    data, out = tmp_path / "photos", tmp_path / "people"
    for label, colour in (("happy", HAPPY), ("sad", SAD)):
        for split in ("train", "valid"):
            (data / split / label).mkdir(parents=True)
            draw_people((64, 96, colour)).save(data / split / label / "0.png")
    classifiers = ["--face-classifier", parts.face, "--scene-classifier", parts.scene]
    arguments = [data, "--detector", folder, *classifiers, "--out", out]
    code = "from worker.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "bundle", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=scale(60),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    networks = load_bundle(out).manifest.networks
    names = {name for network in networks for name in (network.file, network.golden.file)}
    assert {path.name for path in out.iterdir()} == {"manifest.json", *names}


def change(path: Path, change_table: Callable[[dict[str, object]], object]) -> None:
    table = json.loads(path.read_text())
    change_table(table)
    path.write_text(json.dumps(table))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (
        lambda folder: (folder / MANIFEST_NAME).unlink(),
        r"detector.json: cannot be read \(No such file or directory\); "
        "make it with `moodsort detector train`",
    ),
    "half a manifest": (
        lambda folder: (folder / MANIFEST_NAME).write_text('{"network": {'),
        r"detector.json: is not JSON \(.*\); train the detector again",
    ),
    "a manifest without end": (
        lambda folder: (folder / MANIFEST_NAME).write_text("[" * 200_000),
        r"detector.json: is not JSON \(.*\); train the detector again",
    ),
    "binary": (
        lambda folder: (folder / MANIFEST_NAME).write_bytes(b"\xff\xfe\x00\xd8"),
        r"detector.json: is not JSON \(.*\); train the detector again",
    ),
    "a list": (
        lambda folder: (folder / MANIFEST_NAME).write_text("[]"),
        r"detector.json: the file is \[\], but takes a table; train the detector again",
    ),
    "a key that is missing": (
        lambda folder: change(folder / MANIFEST_NAME, lambda table: table.pop("score_threshold")),
        "detector.json: score_threshold is missing; train the detector again",
    ),
    "a score threshold out of range": (
        lambda folder: change(folder / MANIFEST_NAME, lambda table: table.update(score_threshold=2)),
        "detector.json: score_threshold is 2, but takes from 0 to 1; train the detector again",
    ),
    "no network": (
        lambda folder: (folder / "detector.tflite").unlink(),
        r"detector.tflite: cannot be read \(No such file or directory\); train the detector again",
    ),
    "another network": (
        lambda folder: (folder / "detector.tflite").write_bytes(b"another"),
        "detector.tflite: its SHA-256 is not the manifest's; train the detector again",
    ),
    "no golden outputs": (
        lambda folder: (folder / "detector.golden.npz").unlink(),
        r"detector.golden.npz: cannot be read \(No such file or directory\); train the detector again",
    ),
    "a file in its place": (
        lambda folder: (shutil.rmtree(folder), folder.write_text("mine")),
        r"detector.json: cannot be read \(Not a directory\); make it with `moodsort detector train`",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_detector_is_refused_by_one_line(folder, damage):
    harm, sentence = DAMAGES[damage]
    harm(folder)
    with pytest.raises(BundleError, match=f"{sentence}$") as refusal:
        load_detector(folder)
    assert "\n" not in str(refusal.value)


def test_a_network_of_another_shape_than_the_manifest_says_is_refused(folder):
    manifest = load_detector(folder).manifest
    network = manifest.network
    spec = replace(network.input, width=network.input.width + 8)
    write_detector_manifest(folder, replace(manifest, network=replace(network, input=spec)))
    with pytest.raises(BundleError, match=r"takes uint8 \(1, 192, 256, 3\)"):
        load_detector(folder)


# The pictures that it learns from.


def test_pictures_are_read_in_order_and_unreadable_files_are_named_and_left_out(tmp_path):
    sizes = [(96, 64), (40, 80), (300, 150)]
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(draw_jpeg(size=size))
    (tmp_path / "torn.jpg").write_bytes(draw_jpeg()[:300])
    sentences: list[str] = []
    names = (paths[0], tmp_path / "torn.jpg", *paths[1:])
    files = [ClassFile(path, tmp_path, "faces", None) for path in names]

    images = read_annotated_images(files, 60, 10**6, annotate_whole_image, sentences.append)

    assert [image.pixels.shape for image in images] == [(40, 60, 3), (60, 30, 3), (30, 60, 3)]
    faces = [image.annotations.faces.tolist() for image in images]
    assert faces == [[[30, 20, 60]], [[15, 30, 60]], [[30, 15, 60]]]
    (line,) = sentences
    assert line.startswith("left out")
    assert "torn.jpg: " in line
