"""A finder's folder between its training and the bundle: written, loaded, and refused where it is damaged."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.drawing import photo_bytes
from tests.face_networks import FACE_SIDE, HAPPY, SAD, Parts, draw_people, take_apart
from trainer.data.class_folders import ClassFile
from trainer.detection.detector_folder import KERAS_FILE, load_detector, write_detector_manifest
from trainer.detection.mosaics import annotate_whole_image, read_annotated_images
from worker.errors import BundleError
from worker.inference.bundle import load_bundle

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the bundle

PEOPLE = np.asarray(draw_people((64, 96, HAPPY), (320, 160, HAPPY)))


@pytest.fixture(scope="module")
def made(face_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return take_apart(face_bundle, tmp_path_factory.mktemp("parts"))


@pytest.fixture
def finder(made: Parts, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.finder, tmp_path / "finder"))


def test_what_was_written_is_loaded(finder):
    manifest = replace(load_detector(finder).manifest, least_score=0.35, command="moodsort finder train ‹é›")
    write_detector_manifest(finder, manifest)
    loaded = load_detector(finder)
    assert loaded.manifest == manifest
    assert loaded.max_side == manifest.max_side
    loaded.network.self_test()


def test_it_finds_faces_in_pixels_of_the_picture_from_its_least_score_on(finder):
    boxes = load_detector(finder).find(PEOPLE)
    assert sorted((box.left, box.top, box.side) for box in boxes) == [
        (64, 96, FACE_SIDE),
        (320, 160, FACE_SIDE),
    ]
    write_detector_manifest(finder, replace(load_detector(finder).manifest, least_score=1.0))
    strict = load_detector(finder)
    assert strict.find(PEOPLE) == ()
    assert strict.find(PEOPLE, least_score=0.5) == boxes


def test_what_is_trained_further_from_lies_beside_it_and_is_not_looked_at(finder):
    (finder / KERAS_FILE).write_bytes(b"no network")
    load_detector(finder).network.self_test()


def test_compose_takes_nothing_of_a_finder_but_its_network_and_golden_answers(made, finder, tmp_path):
    (finder / KERAS_FILE).write_bytes(b"no network")
    data, out = tmp_path / "photos", tmp_path / "people"
    for label, colour in (("happy", HAPPY), ("sad", SAD)):
        for part in ("train", "valid"):
            (data / part / label).mkdir(parents=True)
            draw_people((64, 96, colour)).save(data / part / label / "0.png")
    parts = ["--finder", finder, "--face", made.face, "--whole", made.whole]
    code = "from worker.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "compose", *map(str, [data, *parts, "--out", out])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stages = load_bundle(out).manifest.stages
    named = {name for stage in stages for name in (stage.file, stage.golden.file)}
    assert {path.name for path in out.iterdir()} == {"manifest.json", *named}


def change(path: Path, change_table: Callable[[dict[str, object]], object]) -> None:
    table = json.loads(path.read_text())
    change_table(table)
    path.write_text(json.dumps(table))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (
        lambda folder: (folder / "finder.json").unlink(),
        r"finder.json: cannot be read \(No such file or directory\); make it by `moodsort finder train`",
    ),
    "half a manifest": (
        lambda folder: (folder / "finder.json").write_text('{"stage": {'),
        r"finder.json: is not JSON \(.*\); train the finder again",
    ),
    "a manifest without end": (
        lambda folder: (folder / "finder.json").write_text("[" * 200_000),
        r"finder.json: is not JSON \(.*\); train the finder again",
    ),
    "binary": (
        lambda folder: (folder / "finder.json").write_bytes(b"\xff\xfe\x00\xd8"),
        r"finder.json: is not JSON \(.*\); train the finder again",
    ),
    "a list": (
        lambda folder: (folder / "finder.json").write_text("[]"),
        r"finder.json: the file is \[\], but takes a table; train the finder again",
    ),
    "a key that is missing": (
        lambda folder: change(folder / "finder.json", lambda table: table.pop("least_score")),
        "finder.json: least_score is missing; train the finder again",
    ),
    "a score that is none": (
        lambda folder: change(folder / "finder.json", lambda table: table.update(least_score=2)),
        "finder.json: least_score is 2, but takes from 0 to 1; train the finder again",
    ),
    "no network": (
        lambda folder: (folder / "whole-finder.tflite").unlink(),
        r"whole-finder.tflite: cannot be read \(No such file or directory\); train the finder again",
    ),
    "another network": (
        lambda folder: (folder / "whole-finder.tflite").write_bytes(b"another"),
        "whole-finder.tflite: its SHA-256 is not the manifest's; train the finder again",
    ),
    "no golden answers": (
        lambda folder: (folder / "whole-finder.npz").unlink(),
        r"whole-finder.npz: cannot be read \(No such file or directory\); train the finder again",
    ),
    "a file in its place": (
        lambda folder: (shutil.rmtree(folder), folder.write_text("mine")),
        r"finder.json: cannot be read \(Not a directory\); make it by `moodsort finder train`",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_finder_is_refused_by_one_line(finder, damage):
    harm, sentence = DAMAGES[damage]
    harm(finder)
    with pytest.raises(BundleError, match=f"{sentence}$") as refused:
        load_detector(finder)
    assert "\n" not in str(refused.value)


def test_a_network_of_another_shape_than_the_manifest_says_is_refused(finder):
    manifest = load_detector(finder).manifest
    spec = replace(manifest.stage.input, width=manifest.stage.input.width + 8)
    write_detector_manifest(finder, replace(manifest, stage=replace(manifest.stage, input=spec)))
    with pytest.raises(BundleError, match=r"takes uint8 \(1, 192, 256, 3\)"):
        load_detector(finder)


# What it learns from.


def test_pictures_are_read_in_order_and_what_is_none_is_named_and_left_out(tmp_path):
    sizes = [(96, 64), (40, 80), (300, 20)]
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(photo_bytes(size=size))
    (tmp_path / "torn.jpg").write_bytes(photo_bytes()[:300])
    said: list[str] = []

    files = [
        ClassFile(path, tmp_path, "faces", None) for path in (paths[0], tmp_path / "torn.jpg", *paths[1:])
    ]

    shown = read_annotated_images(files, 60, 10**6, annotate_whole_image, said.append)

    assert [each.pixels.shape for each in shown] == [(40, 60, 3), (60, 30, 3), (4, 60, 3)]
    assert [each.marks.faces.tolist() for each in shown] == [[[30, 20, 60]], [[15, 30, 60]], [[30, 2, 60]]]
    (line,) = said
    assert line.startswith("left out")
    assert "torn.jpg: " in line
