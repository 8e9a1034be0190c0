"""Faces cropped out of drawn photos, with a detector that finds what was drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn_faces import (
    MAX_SIDE,
    GreenClassifier,
    SquareDetector,
    draw_photo,
    list_files,
    write_picture,
    write_split_photos,
)
from trainer.data.class_folders import Split, find_classes
from trainer.data.face_crops import CropOptions, CropResult, CropTools, write_face_crops


def make_options(
    *,
    min_size: int = 2,
    max_faces: int = 8,
    whole_pictures: bool = False,
    filtered_splits: frozenset[Split | None] = frozenset((None, Split.TRAIN)),
) -> CropOptions:
    return CropOptions(min_size, max_faces, whole_pictures, 0.2, filtered_splits)


def crop(
    data: Path,
    out: Path,
    options: CropOptions | None = None,
    load_classifier: type[GreenClassifier] | None = None,
) -> dict[str, CropResult]:
    """Write the crops and return what came of each photo, by its name."""
    files = [file for class_files in find_classes([data]).values() for file in class_files]
    tools = CropTools(SquareDetector, MAX_SIDE, load_classifier)
    results = write_face_crops(files, [data], out, tools, options or make_options(), 10**8)
    return {result.file.path.name: result for result in results if isinstance(result, CropResult)}


def load_crop(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def test_each_face_is_a_picture_of_just_its_pixels_the_largest_first(tmp_path):
    results = crop(write_split_photos(tmp_path / "photos"), tmp_path / "out")

    assert list_files(tmp_path / "out") == [
        f"{split}/{label}/two-{number}.png"
        for split in ("test", "train", "valid")
        for label in ("happy", "sad")
        for number in (1, 2)
    ]
    photo = np.asarray(draw_photo((5, 5, 20), (50, 30, 40), seed=0))
    for name, (left, top, side) in {"two-1": (50, 30, 40), "two-2": (5, 5, 20)}.items():
        face = np.asarray(load_crop(tmp_path / "out" / "train" / "happy" / f"{name}.png"))
        assert (face == photo[top : top + side, left : left + side]).all()
    assert (results["two.png"].detected, results["two.png"].written) == (2, 2)
    assert (results["none.png"].detected, results["none.png"].written) == (0, 0)


def test_small_faces_and_those_beyond_the_maximum_are_left_out(tmp_path):
    squares = [(5, 5, 10), (30, 5, 20), (60, 5, 30)]
    for label in ("happy", "sad"):
        write_picture(tmp_path / "photos" / label / "three.png", draw_photo(*squares))

    for min_size, max_faces, sides in ((2, 8, [30, 20, 10]), (11, 8, [30, 20]), (2, 1, [30])):
        out = tmp_path / f"{min_size}-{max_faces}"
        crop(tmp_path / "photos", out, make_options(min_size=min_size, max_faces=max_faces))
        paths = sorted((out / "sad").iterdir())
        assert [load_crop(path).size for path in paths] == [(side, side) for side in sides]


def test_a_large_face_is_reduced_to_96_pixels_and_keeps_its_shape(tmp_path):
    pixels = np.asarray(draw_photo(size=(320, 240))).copy()
    pixels[0:120, 0:200, 0] = 255
    for label in ("happy", "sad"):
        write_picture(tmp_path / "photos" / label / "large.png", Image.fromarray(pixels))

    crop(tmp_path / "photos", tmp_path / "out")

    assert load_crop(tmp_path / "out" / "sad" / "large-1.png").size == (96, 58)


def test_faces_of_grey_photos_are_grey(tmp_path):
    grey = np.asarray(draw_photo((10, 10, 40)))[..., 0]
    write_picture(tmp_path / "photos" / "happy" / "grey.png", Image.fromarray(grey))
    write_picture(tmp_path / "photos" / "sad" / "colour.png", draw_photo((10, 10, 40)))

    crop(tmp_path / "photos", tmp_path / "out")

    assert load_crop(tmp_path / "out" / "happy" / "grey-1.png").mode == "L"
    assert load_crop(tmp_path / "out" / "sad" / "colour-1.png").mode == "RGB"


def test_a_picture_without_a_face_is_taken_whole_only_if_it_is_as_small_as_a_face(tmp_path):
    for label in ("happy", "sad"):
        write_picture(tmp_path / "photos" / label / "small.png", draw_photo(size=(96, 96)))
        write_picture(tmp_path / "photos" / label / "large.png", draw_photo(size=(97, 40)))
        write_picture(tmp_path / "photos" / label / "face.png", draw_photo((10, 10, 20), size=(60, 60)))

    results = crop(tmp_path / "photos", tmp_path / "out", make_options(whole_pictures=True))

    assert list_files(tmp_path / "out" / "sad") == ["face-1.png", "small-1.png"]
    assert load_crop(tmp_path / "out" / "sad" / "small-1.png").size == (96, 96)
    small = results["small.png"]
    assert small == CropResult(small.file, detected=0, written=1, filtered=0, whole=1)


@pytest.mark.parametrize("filters_all", [False, True])
def test_likely_wrong_labels_are_left_out_of_training_and_elsewhere_only_on_request(tmp_path, filters_all):
    for split in Split:
        for label, green in (("happy", 250), ("sad", 10)):
            folder = tmp_path / "photos" / split / label
            write_picture(folder / "right.png", draw_photo((10, 10, 40), green=green))
            write_picture(folder / "wrong.png", draw_photo((10, 10, 40), green=260 - green))
    filtered_splits = frozenset(Split) if filters_all else frozenset((None, Split.TRAIN))

    results = crop(
        tmp_path / "photos",
        tmp_path / "out",
        make_options(filtered_splits=filtered_splits),
        GreenClassifier,
    )

    for split in Split:
        names = ["right-1.png"] if split in filtered_splits else ["right-1.png", "wrong-1.png"]
        assert [path.name for path in sorted((tmp_path / "out" / split / "sad").iterdir())] == names
    assert (results["right.png"].filtered, results["wrong.png"].filtered) == (0, int(filters_all))


def test_files_whose_names_differ_in_the_extension_alone_do_not_meet(tmp_path):
    long = "ä" * 125 + "abc"
    for name in ("a.png", "a.jpg", "a-1.png", f"{long}.x", f"{long}.y"):
        write_picture(tmp_path / "photos" / "happy" / name, draw_photo((10, 10, 40)))
    write_picture(tmp_path / "photos" / "sad" / "deep" / "a.png", draw_photo((10, 10, 40)))

    crop(tmp_path / "photos", tmp_path / "out")

    names = list_files(tmp_path / "out")
    assert len(names) == 6
    assert {"happy/a-1.png", "happy/a (2)-1.png", "happy/a-1-1.png", "sad/deep/a-1.png"} < set(names)
