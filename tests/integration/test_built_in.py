"""The built-in bundle on odd pictures: that show little or nothing, or very many faces."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from docs import drawn_photos
from tests.drawing import draw_noise, draw_photo, encode_image
from tests.home import Home

MAX_CONFIDENCE = 0.65
"""For pictures that show no person."""


def draw_crowd(rows: int, columns: int, side: int) -> Image.Image:
    """Draw rows and columns of smiling faces, each in a square of its own."""
    crowd = Image.new("RGB", (columns * side, rows * side), (90, 130, 190))
    draw = ImageDraw.Draw(crowd)
    for row in range(rows):
        for column in range(columns):
            left, top = column * side, row * side
            draw.ellipse((left + 2, top + 1, left + side - 2, top + side - 1), fill=(224, 172, 140))
            for x in (0.32, 0.62):
                draw.ellipse(
                    (left + x * side, top + 0.35 * side, left + (x + 0.08) * side, top + 0.43 * side),
                    fill=(40, 30, 30),
                )
            mouth = (left + 0.3 * side, top + 0.5 * side, left + 0.7 * side, top + 0.8 * side)
            draw.chord(mouth, 10, 170, fill=(150, 30, 40))
    return crowd


def draw_row(width: int) -> Image.Image:
    """Draw a panorama of people side by side, half of them sad, with faces of a tenth of its height."""
    random = np.random.default_rng(3)
    faces = [
        drawn_photos.make_face(random, (index + 0.5) * width / ROW, 67, 9, (-1) ** index * 0.9)
        for index in range(ROW)
    ]
    return drawn_photos.draw_photo(faces, (width, 160), 5)


ROW = 17
"""People in a row."""

PICTURES = {
    "black": Image.new("RGB", (1000, 1000)),
    "white": Image.new("RGB", (1000, 1000), "white"),
    "grey-8x8": Image.new("RGB", (8, 8), (120, 110, 100)),
    "static": Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)),
    "panorama": draw_photo(1, (3000, 100)),
    "noisy-panorama": draw_noise(2, (100, 3000)),
    "crowd": draw_crowd(10, 20, 60),
    "row-8:1": draw_row(1280),
    "row-12:1": draw_row(1920),
    "upside-down": draw_crowd(1, 1, 400).transpose(Image.Transpose.ROTATE_180),
    "face-8x8": draw_crowd(1, 1, 80).resize((8, 8)),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Give the row that `classify` prints for each picture; one over its time limit has no label."""
    home = Home(tmp_path_factory.mktemp("built-in"))
    folder = home.folder / "odd"
    folder.mkdir()
    for name, picture in PICTURES.items():
        (folder / f"{name}.png").write_bytes(encode_image(picture, "PNG"))
    done = home.run_command("classify", folder, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return {Path(row["path"]).stem: row for row in json.loads(done.stdout)}


@pytest.mark.parametrize("name", PICTURES)
def test_every_odd_picture_is_classified_within_the_time_limit(
    rows: dict[str, dict[str, Any]], name: str
) -> None:
    row = rows[name]
    assert row["label"] in ("happy", "sad")
    assert row["reason"] is None
    assert sum(row["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["black", "white", "grey-8x8", "static"])
def test_a_picture_without_a_person_has_a_low_confidence_and_no_face(
    rows: dict[str, dict[str, Any]], name: str
) -> None:
    assert rows[name]["confidence"] <= MAX_CONFIDENCE
    assert rows[name]["faces"] == []


def test_no_more_faces_of_a_crowd_are_classified_than_the_manifest_allows(
    rows: dict[str, dict[str, Any]],
) -> None:
    assert 0 < len(rows["crowd"]["faces"]) <= 32


@pytest.mark.parametrize("width", [1280, 1920])
def test_every_face_of_a_panorama_is_detected_once(rows: dict[str, dict[str, Any]], width: int) -> None:
    faces = rows[f"row-{width // 160}:1"]["faces"]
    middles = sorted(face["box"][0] + face["box"][2] / 2 for face in faces)
    assert middles == pytest.approx([(index + 0.5) * width / ROW for index in range(ROW)], abs=5)
