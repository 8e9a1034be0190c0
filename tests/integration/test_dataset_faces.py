"""`moodsort dataset faces` on drawn photos, with a finder that finds what was drawn."""

import json
import os
import threading
from pathlib import Path

import click
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tests.drawing import encoded
from tests.scene_bundle import make_scene_bundle
from trainer.cli.dataset import dataset
from trainer.data.class_folders import Split, find_classes
from trainer.data.face_crops import CropOptions, CropResult, CropTools, crop_faces
from worker.errors import ConfigError
from worker.inference.decode import Picture
from worker.inference.detector import Detection
from worker.inference.prediction import Prediction

ALL = CropOptions(smallest=2, most=8, wholes=False, least=0.2, doubted_parts=frozenset((None, Split.TRAIN)))

Square = tuple[int, int, int]
"""Left, top and side of a face."""


class DrawnFinder:
    """Finds the squares in which red is full, and works only in the thread that made it."""

    max_side = 320

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        assert threading.get_ident() == self._thread
        numbers, _ = ndimage.label(pixels[..., 0] > 250)
        places = ndimage.find_objects(numbers)
        return tuple(Detection(x.start, y.start, x.stop, y.stop, 0.9) for y, x in places)


class GreenReader:
    """Takes a face for happy as far as it is green."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def predict(self, picture: Picture) -> Prediction:
        assert threading.get_ident() == self._thread
        happy = float(picture.pixels[..., 1].mean()) / 255
        scores = {"happy": happy, "sad": 1 - happy}
        label = max(scores, key=scores.__getitem__)
        return Prediction(label, scores[label], scores, None)


def photo(
    *squares: Square, size: tuple[int, int] = (120, 90), seed: int = 0, green: int | None = None
) -> Image.Image:
    """Draw a dim photo in which the squares are faces, of noise or of one green."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 120, (size[1], size[0], 3), np.uint8)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side, 0] = 255
        if green is not None:
            pixels[top : top + side, left : left + side, 1] = green
    return Image.fromarray(pixels)


def put(path: Path, picture: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture, "PNG"))
    return path


def cuts(
    data: Path, out: Path, choice: CropOptions = ALL, tools: CropTools | None = None
) -> dict[str, CropResult]:
    files = [file for each in find_classes([data]).values() for file in each]
    found = crop_faces(files, [data], out, tools or CropTools(DrawnFinder), choice, 10**8)
    return {each.file.path.name: each for each in found if isinstance(each, CropResult)}


def tree(out: Path) -> list[str]:
    return sorted(os.fspath(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def crop_of(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give divided photos: two classes, and in each part a photo with two faces and one with none."""
    for number, part in enumerate(Split):
        for label in ("happy", "sad"):
            folder = tmp_path / "photos" / part / label
            put(folder / "two.png", photo((5, 5, 20), (50, 30, 40), seed=number))
            put(folder / "none.png", photo(seed=number))
    return tmp_path / "photos"


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is loaded as the drawn finder."""
    monkeypatch.setattr("trainer.detection.detector_folder.load_finder", lambda folder: DrawnFinder())
    (tmp_path / "finder").mkdir()
    (tmp_path / "finder" / "finder.json").write_text("{}")
    return tmp_path / "finder"


def faces(*arguments: object) -> None:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    dataset.main(["faces", *words], standalone_mode=False)


def test_each_face_is_a_picture_of_just_its_pixels_the_largest_first(data, tmp_path):
    found = cuts(data, tmp_path / "out")

    assert tree(tmp_path / "out") == [
        f"{part}/{label}/two-{number}.png"
        for part in ("test", "train", "valid")
        for label in ("happy", "sad")
        for number in (1, 2)
    ]
    drawn = np.asarray(photo((5, 5, 20), (50, 30, 40), seed=0))
    for name, (left, top, side) in {"two-1": (50, 30, 40), "two-2": (5, 5, 20)}.items():
        crop = np.asarray(crop_of(tmp_path / "out" / "train" / "happy" / f"{name}.png"))
        assert (crop == drawn[top : top + side, left : left + side]).all()
    assert (found["two.png"].found, found["two.png"].written) == (2, 2)
    assert (found["none.png"].found, found["none.png"].written) == (0, 0)


def test_small_faces_and_those_beyond_the_most_are_left_out(tmp_path):
    squares = [(5, 5, 10), (30, 5, 20), (60, 5, 30)]
    for label in ("happy", "sad"):
        put(tmp_path / "photos" / label / "three.png", photo(*squares))

    for smallest, most, sides in ((2, 8, [30, 20, 10]), (11, 8, [30, 20]), (2, 1, [30])):
        out = tmp_path / f"{smallest}-{most}"
        cuts(tmp_path / "photos", out, CropOptions(smallest, most, False, 0.2, frozenset()))
        found = sorted((out / "sad").iterdir())
        assert [crop_of(path).size for path in found] == [(side, side) for side in sides]


def test_a_large_face_is_reduced_to_96_pixels_and_keeps_its_shape(tmp_path):
    drawn = np.asarray(photo(size=(320, 240))).copy()
    drawn[0:120, 0:200, 0] = 255
    for label in ("happy", "sad"):
        put(tmp_path / "photos" / label / "large.png", Image.fromarray(drawn))

    cuts(tmp_path / "photos", tmp_path / "out")

    assert crop_of(tmp_path / "out" / "sad" / "large-1.png").size == (96, 58)


def test_faces_of_grey_photos_are_grey(tmp_path):
    grey = np.asarray(photo((10, 10, 40)))[..., 0]
    put(tmp_path / "photos" / "happy" / "grey.png", Image.fromarray(grey))
    put(tmp_path / "photos" / "sad" / "colour.png", photo((10, 10, 40)))

    cuts(tmp_path / "photos", tmp_path / "out")

    assert crop_of(tmp_path / "out" / "happy" / "grey-1.png").mode == "L"
    assert crop_of(tmp_path / "out" / "sad" / "colour-1.png").mode == "RGB"


def test_a_picture_without_a_face_is_taken_whole_only_if_it_is_as_small_as_a_face(tmp_path):
    for label in ("happy", "sad"):
        put(tmp_path / "photos" / label / "small.png", photo(size=(96, 96)))
        put(tmp_path / "photos" / label / "large.png", photo(size=(97, 40)))
        put(tmp_path / "photos" / label / "face.png", photo((10, 10, 20), size=(60, 60)))

    found = cuts(tmp_path / "photos", tmp_path / "out", CropOptions(2, 8, True, 0.2, frozenset()))

    assert tree(tmp_path / "out" / "sad") == ["face-1.png", "small-1.png"]
    assert crop_of(tmp_path / "out" / "sad" / "small-1.png").size == (96, 96)
    assert found["small.png"] == CropResult(found["small.png"].file, found=0, written=1, doubted=0, wholes=1)


@pytest.mark.parametrize("everywhere", [False, True])
def test_likely_wrong_labels_are_left_out_of_training_and_elsewhere_only_when_told_so(tmp_path, everywhere):
    for part in Split:
        for label, green in (("happy", 250), ("sad", 10)):
            folder = tmp_path / "photos" / part / label
            put(folder / "right.png", photo((10, 10, 40), green=green))
            put(folder / "wrong.png", photo((10, 10, 40), green=260 - green))
    parts = frozenset(Split) if everywhere else frozenset((None, Split.TRAIN))

    found = cuts(
        tmp_path / "photos",
        tmp_path / "out",
        CropOptions(2, 8, False, 0.2, parts),
        CropTools(DrawnFinder, GreenReader),
    )

    for part in Split:
        kept = ["right-1.png"] if part in parts else ["right-1.png", "wrong-1.png"]
        assert [path.name for path in sorted((tmp_path / "out" / part / "sad").iterdir())] == kept
    assert (found["right.png"].doubted, found["wrong.png"].doubted) == (0, int(everywhere))


def test_files_whose_names_differ_in_the_extension_alone_do_not_meet(tmp_path):
    long = "ä" * 125 + "abc"
    for name in ("a.png", "a.jpg", "a-1.png", f"{long}.x", f"{long}.y"):
        put(tmp_path / "photos" / "happy" / name, photo((10, 10, 40)))
    put(tmp_path / "photos" / "sad" / "deep" / "a.png", photo((10, 10, 40)))

    cuts(tmp_path / "photos", tmp_path / "out")

    made = tree(tmp_path / "out")
    assert len(made) == 6
    assert {"happy/a-1.png", "happy/a (2)-1.png", "happy/a-1-1.png", "sad/deep/a-1.png"} < set(made)


def test_the_command_tells_of_photos_faces_and_files_by_class_and_part(data, finder, tmp_path, capsys):
    (data / "train" / "sad" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")

    faces(data, "--finder", finder, "--out", tmp_path / "out", "--format", "json")

    said = capsys.readouterr()
    rows = json.loads(said.out)
    row = {"photos": 2, "with_faces": 1, "whole": 0, "faces": 2, "doubted": 0}
    assert rows == [{"class": label, "part": part} | row for label in ("happy", "sad") for part in Split]
    assert "torn.jpg: it begins as a picture" in said.err
    assert "12 faces of 12 photos, 6 of which show any" in said.err
    assert "1 files as unreadable" in said.err
    assert "warning" not in said.err
    assert len(tree(tmp_path / "out")) == 12


def test_a_bundle_decides_by_the_least_chance(data, finder, tmp_path):
    arguments = (data, "--finder", finder, "--agree", make_scene_bundle(tmp_path / "bundle"))

    faces(*arguments, "--out", tmp_path / "lenient", "--least", "0")
    faces(*arguments, "--out", tmp_path / "strict", "--least", "100%")

    assert len(tree(tmp_path / "lenient")) == 12
    assert {Path(name).parts[0] for name in tree(tmp_path / "strict")} == {"valid", "test"}
    with pytest.raises(ConfigError, match="no face to cut out of 12 pictures"):
        faces(*arguments, "--out", tmp_path / "none", "--least", "100%", "--agree-everywhere")


def test_undivided_photos_are_cut_with_a_warning_in_one_line(data, finder, tmp_path, capsys):
    faces(data / "train", data / "test", "--finder", finder, "--out", tmp_path / "out")

    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning"))
    assert "dataset split" in warning
    assert tree(tmp_path / "out")[:2] == ["happy/test/two-1.png", "happy/test/two-2.png"]


def test_what_cannot_be_done_is_refused_in_one_line_with_status_2_and_leaves_nothing(data, finder, tmp_path):
    strange = tmp_path / "strange"
    faceless = tmp_path / "faceless"
    for number, label in enumerate(("happy", "sad")):
        put(faceless / label / "a.png", photo(seed=number))
        put(strange / f"{label}der" / "a.png", photo((5, 5, 40), seed=number))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    free = ("--out", tmp_path / "new" / "crops")
    agreeing = make_scene_bundle(tmp_path.with_name(f"{tmp_path.name}-one"))
    for arguments, sentence in (
        ((data, "--finder", tmp_path / "nowhere", *free), r"is no finder; make one by"),
        ((data, "--finder", finder, "--out", tmp_path / "out"), r"is there already"),
        ((data, "--finder", finder, "--out", data / "crops"), r"is in .*photos"),
        ((faceless, "--finder", finder, *free), r"faceless: no face to cut out of 2 pictures"),
        (
            (strange, "--finder", finder, *free, "--agree", agreeing),
            r"knows happy, sad, not DATA's class",
        ),
    ):
        with pytest.raises(ConfigError, match=sentence) as refusal:
            faces(*arguments)
        assert "\n" not in str(refusal.value)
        assert refusal.value.exit_status == 2
    with pytest.raises(click.UsageError, match="go with --agree"):
        faces(data, "--finder", finder, *free, "--least", "30%")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "faceless",
        "finder",
        "out",
        "photos",
        "strange",
    ]
    assert tree(tmp_path / "out") == ["notes"]
