import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from trainer.data.near_duplicates import group_near_duplicates, hash_differences
from worker.inference.decode import Pixels


def draw_picture(seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (7, 9, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((180, 140), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        left, top = (int(corner) for corner in generator.integers(0, 110, 2))
        colour = tuple(int(level) for level in generator.integers(0, 256, 3))
        pen.ellipse((left, top, left + 45, top + 30), fill=colour)
    return picture


def reencode(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=45)
    return Image.open(file)


def resize(picture: Image.Image) -> Image.Image:
    return picture.resize((97, 61), Image.Resampling.LANCZOS)


def mirror(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def remove_colour(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


def group(pictures: list[Image.Image], hashes: list[str] | None = None) -> list[int]:
    pixels: list[Pixels] = [np.asarray(picture.convert("RGB")) for picture in pictures]
    bits, mirror_bits = (np.stack(rows) for rows in zip(*map(hash_differences, pixels), strict=True))
    names = hashes or [str(number) for number in range(len(pictures))]
    return group_near_duplicates(bits, mirror_bits, names).tolist()


@pytest.mark.parametrize("change", [reencode, resize, mirror, remove_colour])
def test_a_changed_copy_is_in_the_group_of_its_original(change):
    originals = [draw_picture(seed) for seed in range(12)]

    groups = group(originals + [change(picture) for picture in originals])

    assert groups[:12] == groups[12:]


def test_different_pictures_are_in_groups_of_their_own():
    assert len(set(group([draw_picture(seed) for seed in range(40)]))) == 40


def test_files_with_the_same_bytes_are_one_group_whatever_their_position():
    groups = group([draw_picture(seed) for seed in (1, 2, 3, 4)], hashes=["a", "b", "c", "a"])

    assert groups[0] == groups[3]
    assert len(set(groups)) == 3


def test_copies_are_found_far_apart_in_a_long_list():
    pictures = [draw_picture(seed) for seed in range(99, 110)]
    few = np.stack([hash_differences(np.asarray(picture))[0] for picture in pictures])
    # More rows than are compared at a time, with one copy at either end.
    bits = np.concatenate([few[:1], np.repeat(few[1:], 60, axis=0), few[:1]])

    groups = group_near_duplicates(bits, bits, [str(number) for number in range(len(bits))])

    assert groups[0] == groups[-1]
    assert len(set(groups.tolist())) == 11


def test_drawings_on_an_even_background_are_not_one_picture():
    drawings = []
    for column in range(8):
        drawing = Image.new("RGB", (160, 120), "white")
        ImageDraw.Draw(drawing).ellipse((15 * column, 40, 15 * column + 30, 70), outline="black", width=4)
        drawings.append(drawing)

    assert len(set(group(drawings))) >= 7  # one may be another's mirror image
