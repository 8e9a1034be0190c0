"""Sheets of pictures: as files, one large picture each, and as rows of small ones for the page."""

import io
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
_LOOKED_AT = 4
"""Of the surest right answers, and as many of the surest wrong ones."""

_SHOWN_SIDE = 112
_SHEET_WIDTH = 960
_MARGIN = 8
_CAPTION = 32
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class SheetPicture:
    """One picture, RGB uint8 (H, W, 3), and the lines under it; `is_wrong` where it shows a mistake."""

    pixels: Pixels
    lines: tuple[str, ...]
    is_wrong: bool = False

    def uri(self) -> str:
        """Return the picture as an address that holds it."""
        file = io.BytesIO()
        _fit_height(self.pixels).save(file, "JPEG", quality=_QUALITY)
        return make_data_uri(file.getvalue(), "image/jpeg")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures under one title."""

    name: str
    title: str
    note: str
    shots: tuple[SheetPicture, ...]


def make_sheets(study: Study) -> list[Sheet]:
    """Return the sheets that there are pictures for: none where the study leaves them out."""
    pictures = study.pictures
    if pictures is None:
        return []
    sheets = [_make_samples(study, pictures), _make_augmented(pictures), _make_mistakes(study, pictures)]
    sheets.append(_make_attention(study, pictures))
    return [sheet for sheet in sheets if sheet.shots]


def save_sheet(sheet: Sheet, path: Path) -> None:
    """Write a sheet as one PNG."""
    font = ImageFont.load_default(11)
    images = [_fit_height(shot.pixels) for shot in sheet.shots]
    width = max(image.width for image in images)
    step = width + _MARGIN, _SHOWN_SIDE + _MARGIN + _CAPTION
    columns = min(max(1, _SHEET_WIDTH // step[0]), len(images))
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * step[0] + _MARGIN, rows * step[1] + _MARGIN), LIGHT.paper)
    pen = ImageDraw.Draw(canvas)
    for place, (shot, image) in enumerate(zip(sheet.shots, images, strict=True)):
        left = _MARGIN + place % columns * step[0]
        top = _MARGIN + place // columns * step[1]
        canvas.paste(image, (left, top))
        colour = LIGHT.series[1] if shot.is_wrong else LIGHT.ink
        for line, text in enumerate(shot.lines[:2]):
            pen.text(
                (left, top + _SHOWN_SIDE + 2 + 14 * line),
                _fit_text(text, width, font),
                fill=colour,
                font=font,
            )
    canvas.quantize(256).save(path, optimize=True)


def _make_samples(study: Study, pictures: StudyPictures) -> Sheet:
    shots = [
        SheetPicture(_convert_to_rgb(pixels), (study.classes[label],))
        for pixels, label in zip(pictures.samples[:_SAMPLES], pictures.sample_labels, strict=False)
    ]
    return Sheet("samples", "Labelled samples", "Training pictures, each with its class.", tuple(shots))


def _make_augmented(pictures: StudyPictures) -> Sheet:
    found = () if pictures.augmented is None else pictures.augmented[:_AUGMENTED]
    note = "Training pictures as the network sees them, varied anew in every epoch."
    return Sheet(
        "augmented",
        "Augmented samples",
        note,
        tuple(SheetPicture(_convert_to_rgb(pixels), ()) for pixels in found),
    )


def _make_mistakes(study: Study, pictures: StudyPictures) -> Sheet:
    answers = study.test
    confidence = answers.confidence()
    wrong = np.flatnonzero(~answers.right())
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
    shots = []
    for place, pixels in zip(worst, pictures.test(worst), strict=True):
        is_, taken = study.classes[answers.labels[place]], study.classes[answers.predicted[place]]
        lines = f"{taken} {confidence[place]:.0%}, is {is_}", pictures.test_names[place]
        shots.append(SheetPicture(_convert_to_rgb(pixels), lines, is_wrong=True))
    note = "Test pictures of which the network was surest, wrongly. A wrong label shows here first."
    return Sheet("mistakes", "The worst mistakes", note, tuple(shots))


def _make_attention(study: Study, pictures: StudyPictures) -> Sheet:
    note = "Grad-CAM: the brighter a place, the more it spoke for the answer that the network gave."
    if pictures.explain is None:
        return Sheet("attention", "Where the network looked", note, ())
    answers = study.test
    surest = np.argsort(-answers.confidence(), kind="stable")
    right = answers.right()[surest]
    chosen = np.concatenate([_choose_of_each_class(study, surest[right]), surest[~right][:_LOOKED_AT]])
    shown = pictures.test(chosen)
    heats = pictures.explain(shown, answers.predicted[chosen])
    shots = []
    for place, pixels, heat in zip(chosen, map(_convert_to_rgb, shown), heats, strict=True):
        is_, taken = study.classes[answers.labels[place]], study.classes[answers.predicted[place]]
        beside = np.concatenate([pixels, _overlay_heat(pixels, heat)], axis=1)
        line = taken if is_ == taken else f"{taken}, is {is_}"
        shots.append(SheetPicture(beside, (line,), is_wrong=is_ != taken))
    return Sheet("attention", "Where the network looked", note, tuple(shots))


def _choose_of_each_class(study: Study, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take the first places of each class in turn."""
    labels = study.test.labels[places]
    turns = [np.flatnonzero(labels == label)[:_LOOKED_AT] for label in range(len(study.classes))]
    order = sorted((turn, int(place)) for of_class in turns for turn, place in enumerate(of_class))
    return places[[place for _, place in order[:_LOOKED_AT]]]


def _overlay_heat(pixels: Pixels, heat: Heat) -> Pixels:
    colour = colormaps["inferno"](heat)[..., :3] * 255
    share = 0.25 + 0.45 * heat[..., None]
    return np.asarray(pixels * (1 - share) + colour * share, np.uint8)


def _convert_to_rgb(pixels: Pixels) -> Pixels:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _fit_height(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels)
    height = _SHOWN_SIDE
    width = max(1, round(image.width * height / image.height))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _fit_text(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    while font.getlength(text) > width and len(text) > 2:
        text = f"{text[:-2]}…"
    return text
