"""Sheets of pictures: each as one PNG file, and as a grid of small pictures on the page."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainer.report.study import Heat, Study, StudyPictures
from trainer.report.theme import LIGHT, make_data_uri
from worker.inference.decode import Pixels

_SAMPLES = 24
_AUGMENTED = 24
_MISTAKES = 18
_EXPLAINED = 4
"""Of the surest correct predictions, and as many of the surest wrong ones."""

_HEIGHT = 112
"""Of a picture, in pixels, as are the next three."""

_SHEET_WIDTH = 960
_MARGIN = 8
_LINE_HEIGHT = 14
_JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class SheetPicture:
    """One picture, uint8 (H, W, 3), RGB, and the lines below it; `is_wrong` marks a wrong prediction."""

    pixels: Pixels
    lines: tuple[str, ...]
    is_wrong: bool = False

    def make_uri(self) -> str:
        """Return a data URI that holds the picture as a JPEG."""
        file = io.BytesIO()
        _fit_height(self.pixels).save(file, "JPEG", quality=_JPEG_QUALITY)
        return make_data_uri(file.getvalue(), "image/jpeg")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures under one title."""

    name: str
    title: str
    note: str
    pictures: tuple[SheetPicture, ...]


def make_sheets(study: Study) -> list[Sheet]:
    """Return the sheets that have pictures: none where the study leaves them out."""
    pictures = study.pictures
    if pictures is None:
        return []
    sheets = (
        _make_samples(study, pictures),
        _make_augmented(pictures),
        _make_mistakes(study, pictures),
        _make_attention(study, pictures),
    )
    return [sheet for sheet in sheets if sheet.pictures]


def save_sheet(sheet: Sheet, path: Path) -> None:
    """Write a sheet as one PNG."""
    font = ImageFont.load_default(11)
    images = [_fit_height(picture.pixels) for picture in sheet.pictures]
    width = max(image.width for image in images)
    caption_height = 4 + _LINE_HEIGHT * max(len(picture.lines) for picture in sheet.pictures)
    column_width, row_height = width + _MARGIN, _HEIGHT + _MARGIN + caption_height
    columns = min(max(1, _SHEET_WIDTH // column_width), len(images))
    rows = math.ceil(len(images) / columns)
    size = columns * column_width + _MARGIN, rows * row_height + _MARGIN
    canvas = Image.new("RGB", size, LIGHT.paper)
    draw = ImageDraw.Draw(canvas)
    for index, (picture, image) in enumerate(zip(sheet.pictures, images, strict=True)):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * column_width, _MARGIN + row * row_height
        canvas.paste(image, (left, top))
        colour = LIGHT.series[1] if picture.is_wrong else LIGHT.ink
        for number, line in enumerate(picture.lines):
            position = left, top + _HEIGHT + 2 + _LINE_HEIGHT * number
            draw.text(position, _fit_text(line, width, font), fill=colour, font=font)
    # A palette keeps the file small; nobody measures colours in it.
    canvas.quantize(256).save(path, optimize=True)


def convert_to_rgb(pixels: Pixels) -> Pixels:
    """Return a picture, uint8 (H, W, 1 or 3), as uint8 (H, W, 3)."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _make_samples(study: Study, pictures: StudyPictures) -> Sheet:
    samples = tuple(
        SheetPicture(convert_to_rgb(pixels), (study.classes[label],))
        for pixels, label in zip(pictures.samples[:_SAMPLES], pictures.sample_labels, strict=False)
    )
    return Sheet("samples", "Samples", pictures.about_samples, samples)


def _make_augmented(pictures: StudyPictures) -> Sheet:
    samples = () if pictures.augmented is None else pictures.augmented[:_AUGMENTED]
    note = "Training pictures after augmentation, which differs in every epoch."
    return Sheet(
        "augmented",
        "Augmented samples",
        note,
        tuple(SheetPicture(convert_to_rgb(pixels), ()) for pixels in samples),
    )


def _make_mistakes(study: Study, pictures: StudyPictures) -> Sheet:
    confidence = study.test.confidence
    wrong = np.flatnonzero(~study.test.correct)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
    mistakes = []
    for index, pixels in zip(worst, pictures.load_test(worst), strict=True):
        label, predicted = _name_classes(study, index)
        lines = f"{predicted} {confidence[index]:.0%}, is {label}", pictures.test_names[index]
        mistakes.append(SheetPicture(convert_to_rgb(pixels), lines, is_wrong=True))
    note = (
        "Wrong predictions for test pictures, by confidence. A wrong label in the data shows up here first."
    )
    return Sheet("mistakes", "Surest wrong predictions", note, tuple(mistakes))


def _make_attention(study: Study, pictures: StudyPictures) -> Sheet:
    note = "Grad-CAM: the brighter a region, the more it speaks for the predicted class."
    title = "What the predictions rest on"
    if pictures.explain is None:
        return Sheet("attention", title, note, ())
    surest = np.argsort(-study.test.confidence, kind="stable")
    is_correct = study.test.correct[surest]
    indices = np.concatenate([_choose_by_class(study, surest[is_correct]), surest[~is_correct][:_EXPLAINED]])
    loaded = pictures.load_test(indices)
    heatmaps = pictures.explain(loaded, study.test.predicted[indices])
    explained = []
    for index, pixels, heatmap in zip(indices, map(convert_to_rgb, loaded), heatmaps, strict=True):
        label, predicted = _name_classes(study, index)
        side_by_side = np.concatenate([pixels, _overlay_heatmap(pixels, heatmap)], axis=1)
        line = predicted if label == predicted else f"{predicted}, is {label}"
        explained.append(SheetPicture(side_by_side, (line,), is_wrong=label != predicted))
    return Sheet("attention", title, note, tuple(explained))


def _name_classes(study: Study, index: int) -> tuple[str, str]:
    """Return the true and the predicted class of a test picture."""
    return study.classes[study.test.labels[index]], study.classes[study.test.predicted[index]]


def _choose_by_class(study: Study, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first index of each class, then the second of each, and so on, up to the number shown."""
    labels = study.test.labels[indices]
    positions_by_class = [np.flatnonzero(labels == label)[:_EXPLAINED] for label in range(len(study.classes))]
    ranked = sorted(
        (rank, int(position)) for positions in positions_by_class for rank, position in enumerate(positions)
    )
    return indices[[position for _, position in ranked[:_EXPLAINED]]]


def _overlay_heatmap(pixels: Pixels, heatmap: Heat) -> Pixels:
    colours = colormaps["inferno"](heatmap)[..., :3] * 255
    opacity = 0.25 + 0.45 * heatmap[..., None]
    return np.asarray(pixels * (1 - opacity) + colours * opacity, np.uint8)


def _fit_height(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels)
    width = max(1, round(image.width * _HEIGHT / image.height))
    return image.resize((width, _HEIGHT), Image.Resampling.LANCZOS)


def _fit_text(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    while font.getlength(text) > width and len(text) > 2:
        text = f"{text[:-2]}…"
    return text
