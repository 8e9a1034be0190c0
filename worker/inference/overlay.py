"""Draw the prediction for a photo onto a copy of it."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from worker.errors import ConfigError, MoodsortError
from worker.inference.decode import Pixels, decode_photo
from worker.inference.prediction import FacePrediction, Prediction
from worker.paths import format_path

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
"""Pillow's names of the formats, by what a file's name ends in."""

_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 92, "subsampling": 0},
    "WEBP": {"quality": 92},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}

_MIN_SIDE = 480
"""Pixels of a photo's longer side: smaller photos are enlarged to it."""

_COMMON_PIXELS = 1280 * 853
"""The size of photo, in pixels, for which lines and letters are given; on larger ones they grow with it."""

_MIN_WIDTH = 360
"""Of the overlay in pixels, so that the prediction fits under a photo that is only a narrow strip."""

_COLOURS = ("#ffc24d", "#6db3ff", "#8fdc9f", "#f49ac8", "#bda4f7", "#f7a072", "#62d0c3", "#c9d1dc")
"""Of the labels, in the order of the classes; all light, so that dark text is legible on each."""

_DARK = "#14171d"
_MUTED = "#a4adbb"

_MIN_TAG_HEIGHT = 13
_MAX_TAG_HEIGHT = 26
"""Of letters in pixels; a face without room for the smallest has its bounding box alone."""

_LINE_WIDTH = 4
_DASH_LENGTH = 4
"""Of bounding boxes: pixels, and multiples of the width."""

_WEAK_SCORE = 0.5
"""A detection of a lower score has a dashed box: it is more likely none than a face."""

_Edges = tuple[float, float, float, float]
"""Left, top, right and bottom; the last two are included."""


def check_output(out: Path) -> None:
    """Raise ConfigError where an overlay cannot be written."""
    if out.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{format_path(out)}: is not named as a picture; end it in {', '.join(_FORMATS)}")
    if not out.parent.is_dir():
        raise ConfigError(f"{format_path(out.parent)}: is not a folder; make it, or draw elsewhere")
    if out.exists() or out.is_symlink():
        raise _refuse_existing(out)


def write_overlay(photo: Path, prediction: Prediction, out: Path, max_pixels: int) -> None:
    """Draw the prediction for a photo onto a copy of it, and write that to a new file.

    Raises ConfigError where the file is there already, MoodsortError where it cannot be written or the
    photo cannot be read any more.
    """
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise MoodsortError(f"{format_path(photo)}: cannot be read ({error.strerror}); try again") from error
    # A child process decoded it a moment ago and survived: it is safe to do so in this one.
    picture = decode_photo(data, max_pixels=max_pixels, max_side=max_pixels)
    _write_new(out, _encode(draw_prediction(picture.pixels, prediction), out))


def draw_prediction(pixels: Pixels, prediction: Prediction) -> Image.Image:
    """Draw the prediction for a photo onto its pixels, uint8 (H, W, 3), RGB, in full size."""
    photo = _enlarge(Image.fromarray(pixels))
    scale = photo.width / pixels.shape[1]
    unit = max(1.0, math.sqrt(photo.width * photo.height / _COMMON_PIXELS))
    labels = enumerate(prediction.probabilities)
    colours = {label: _COLOURS[index % len(_COLOURS)] for index, label in labels}
    faces = [_scale_face(face, scale) for face in prediction.faces or ()]
    _draw_boxes(photo, faces, colours, unit)
    _draw_tags(photo, faces, colours, unit)
    band = _draw_band(max(photo.width, _MIN_WIDTH), prediction, colours, unit)
    overlay = Image.new("RGB", (band.width, photo.height + band.height), _DARK)
    overlay.paste(photo, ((band.width - photo.width) // 2, 0))
    overlay.paste(band, (0, photo.height))
    return overlay


def _encode(image: Image.Image, out: Path) -> bytes:
    kind = _FORMATS[out.suffix.lower()]
    file = io.BytesIO()
    try:
        image.save(file, kind, **_OPTIONS.get(kind, {}))
    except (OSError, ValueError) as error:  # as over 16383 pixels in WebP
        raise MoodsortError(
            f"{format_path(out)}: {kind} does not hold {image.width} × {image.height} pixels; name a .png"
        ) from error
    return file.getvalue()


def _write_new(out: Path, data: bytes) -> None:
    try:
        with out.open("xb") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:  # as on a full disk: half a picture is of no use
                out.unlink()
                raise
    except FileExistsError:
        raise _refuse_existing(out) from None
    except OSError as error:
        raise MoodsortError(
            f"{format_path(out)}: cannot be written ({error.strerror}); draw elsewhere"
        ) from error


def _refuse_existing(out: Path) -> ConfigError:
    return ConfigError(f"{format_path(out)}: is there already; remove it, or give another name")


def _enlarge(photo: Image.Image) -> Image.Image:
    scale = _MIN_SIDE / max(photo.size)
    if scale <= 1:
        return photo
    width, height = (max(1, round(side * scale)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.BICUBIC)


def _scale_face(face: FacePrediction, scale: float) -> FacePrediction:
    left, top, width, height = (side * scale for side in (face.left, face.top, face.width, face.height))
    return replace(face, left=left, top=top, width=width, height=height)


def _draw_boxes(
    photo: Image.Image, faces: Sequence[FacePrediction], colours: Mapping[str, str], unit: float
) -> None:
    """Draw each face's bounding box in its label's colour, between dark lines that show it on light skin."""
    draw = ImageDraw.Draw(photo)
    dark_line = max(1, round(unit))
    for face in faces:
        line = max(2, round(min(_LINE_WIDTH * unit, face.width / 16)))
        edges = (face.left, face.top, face.left + face.width - 1, face.top + face.height - 1)
        for margin, colour in ((dark_line, _DARK), (0, colours[face.label])):
            if face.score < _WEAK_SCORE:
                for left, top, right, bottom in _split_into_dashes(edges, line):
                    draw.rectangle((left - margin, top - margin, right + margin, bottom + margin), colour)
            else:
                left, top, right, bottom = edges
                outer = (left - margin, top - margin, right + margin, bottom + margin)
                draw.rounded_rectangle(outer, radius=2 * line, outline=colour, width=line + 2 * margin)


def _split_into_dashes(edges: _Edges, line: int) -> Iterator[_Edges]:
    """Yield dashes of a line's width along the inside of the edges, so that each corner has one."""
    left, top, right, bottom = edges
    for start, end in _split_length(left, right, line):
        yield start, top, end, top + line - 1
        yield start, bottom - line + 1, end, bottom
    for start, end in _split_length(top, bottom, line):
        yield left, start, left + line - 1, end
        yield right - line + 1, start, right, end


def _split_length(start: float, end: float, line: int) -> list[tuple[float, float]]:
    count = max(3, round((end - start) / (2 * _DASH_LENGTH * line)))
    step = (end - start) / (2 * count - 1)
    return [(start + 2 * index * step, start + (2 * index + 1) * step) for index in range(count)]


def _draw_tags(
    photo: Image.Image, faces: Sequence[FacePrediction], colours: Mapping[str, str], unit: float
) -> None:
    """Write each face's label at its bounding box."""
    draw = ImageDraw.Draw(photo)
    for face in faces:
        height = round(min(max(face.width * 0.15, _MIN_TAG_HEIGHT * unit), _MAX_TAG_HEIGHT * unit))
        font = ImageFont.load_default(height)
        percent = f"{face.probabilities[face.label]:.0%}"
        max_width = 1.4 * max(face.width, face.height)
        candidates = (f"{face.label} {percent}", percent)
        text = next((text for text in candidates if font.getlength(text) + height <= max_width), None)
        if text is not None:
            _draw_tag(draw, face, text, font, height, colours[face.label])


def _draw_tag(
    draw: ImageDraw.ImageDraw, face: FacePrediction, text: str, font: Font, height: int, colour: str
) -> None:
    tag_width, tag_height = font.getlength(text) + height, round(1.5 * height)
    photo_width, photo_height = draw.im.size
    left = max(0.0, min(face.left, photo_width - tag_width))
    tops = (face.top - tag_height - 2, face.top + face.height + 2, face.top)  # above, below, inside
    top = next((top for top in tops if 0 <= top <= photo_height - tag_height), 0)
    edges = (left, top, left + tag_width, top + tag_height)
    draw.rounded_rectangle(edges, radius=round(height / 3), fill=colour, outline=_DARK)
    draw.text((left + tag_width / 2, top + tag_height / 2), text, fill=_DARK, font=font, anchor="mm")


def _draw_band(width: int, prediction: Prediction, colours: Mapping[str, str], unit: float) -> Image.Image:
    """Draw a bar of all probabilities, the label with its confidence, and the number of faces."""
    height = round(min(max(width / 26, 18), 40 * unit))
    band = Image.new("RGB", (width, round(2.4 * height)), _DARK)
    draw = ImageDraw.Draw(band)
    left = 0.0
    for label, probability in prediction.probabilities.items():
        draw.rectangle((left, 0, left + probability * width, round(height / 4)), fill=colours[label])
        left += probability * width
    middle, margin = round(1.35 * height), round(0.7 * height)
    faces_text, faces_font = _format_face_count(prediction), ImageFont.load_default(round(0.7 * height))
    draw.text((width - margin, middle), faces_text, fill=_MUTED, font=faces_font, anchor="rm")
    font = ImageFont.load_default(height)
    max_width = width - 3 * margin - faces_font.getlength(faces_text)
    text = _shorten(prediction.label, f" {prediction.confidence:.0%}", font, max_width)
    draw.text((margin, middle), text, fill=colours[prediction.label], font=font, anchor="lm")
    return band


def _format_face_count(prediction: Prediction) -> str:
    if prediction.faces is None:
        return "scene only"
    count = len(prediction.faces)
    return "no face detected" if not count else "1 face" if count == 1 else f"{count} faces"


def _shorten(text: str, suffix: str, font: Font, max_width: float) -> str:
    """Join text and suffix, with as much of the text as fits into the width in pixels."""
    if font.getlength(text + suffix) <= max_width:
        return text + suffix
    while text and font.getlength(f"{text}…{suffix}") > max_width:
        text = text[:-1]
    return f"{text}…{suffix}"
