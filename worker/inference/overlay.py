"""Draw what a bundle says of a photo onto a copy of it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from worker.errors import ConfigError, MoodsortError
from worker.inference.decode import Pixels, decode_photo
from worker.inference.prediction import FacePrediction, Prediction
from worker.paths import format_path

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}

_LONGEST = 1280
_SHORTEST = 480
"""The longest side in pixels of what is drawn on: larger photos are reduced, smaller ones enlarged."""

_NARROWEST = 360
"""The least width in pixels, so that the verdict can be read under a photo that is but a strip."""

_COLOURS = ("#ffc24d", "#6db3ff", "#8fdc9f", "#f49ac8", "#bda4f7", "#f7a072", "#62d0c3", "#c9d1dc")
"""Of the labels, in the order of the classes; all light, so that the dark ink is read on each."""

_INK = "#14171d"
_QUIET = "#a4adbb"

_LEAST_TAG = 13
_LARGEST_TAG = 26
"""Heights of letters in pixels; a face that has no room for the least has its square alone."""


def check_output(out: Path) -> None:
    """Raise ConfigError where a drawing cannot be written."""
    if out.suffix.lower() not in _KINDS:
        raise ConfigError(f"{format_path(out)}: is not named as a picture; end it in {', '.join(_KINDS)}")
    if not out.parent.is_dir():
        raise ConfigError(f"{format_path(out.parent)}: is not a folder; make it, or draw elsewhere")
    if out.exists() or out.is_symlink():
        raise _refuse_taken(out)


def write_overlay(photo: Path, verdict: Prediction, out: Path, max_pixels: int) -> None:
    """Draw the verdict onto a copy of a photo that has been judged, and write it to a new file.

    Raises ConfigError where the file is there already, MoodsortError where it cannot be written or the
    photo is no longer what was judged.
    """
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise MoodsortError(f"{format_path(photo)}: cannot be read ({error.strerror}); try again") from error
    # It was judged a moment ago, by a process of its own: it does not end this one.
    picture = decode_photo(data, max_pixels=max_pixels, max_side=_LONGEST)
    image = draw_prediction(picture.pixels, picture.width, verdict)
    encoded = io.BytesIO()
    image.save(encoded, _KINDS[out.suffix.lower()], quality=92, subsampling=0)
    _write_new(out, encoded.getvalue())


def draw_prediction(pixels: Pixels, full_width: int, verdict: Prediction) -> Image.Image:
    """Draw a verdict on a photo that is uint8 (H, W, 3), RGB, and `full_width` pixels wide in its file."""
    photo = _enlarge(Image.fromarray(pixels))
    colours = {label: _COLOURS[place % len(_COLOURS)] for place, label in enumerate(verdict.probabilities)}
    faces = [_scale_face(face, photo.width / full_width) for face in verdict.faces or ()]
    _draw_squares(photo, faces, colours)
    _draw_tags(photo, faces, colours)
    band = _draw_band(max(photo.width, _NARROWEST), verdict, colours)
    whole = Image.new("RGB", (band.width, photo.height + band.height), _INK)
    whole.paste(photo, ((band.width - photo.width) // 2, 0))
    whole.paste(band, (0, photo.height))
    return whole


def _write_new(out: Path, data: bytes) -> None:
    try:
        with out.open("xb") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:
                out.unlink()
                raise
    except FileExistsError:
        raise _refuse_taken(out) from None
    except OSError as error:
        raise MoodsortError(
            f"{format_path(out)}: cannot be written ({error.strerror}); draw elsewhere"
        ) from error


def _refuse_taken(out: Path) -> ConfigError:
    return ConfigError(f"{format_path(out)}: is there already; remove it, or give another name")


def _enlarge(photo: Image.Image) -> Image.Image:
    scale = _SHORTEST / max(photo.size)
    if scale <= 1:
        return photo
    width, height = (max(1, round(side * scale)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.BICUBIC)


def _scale_face(face: FacePrediction, scale: float) -> FacePrediction:
    left, top, width, height = (side * scale for side in (face.left, face.top, face.width, face.height))
    return replace(face, left=left, top=top, width=width, height=height)


def _draw_squares(photo: Image.Image, faces: Sequence[FacePrediction], colours: Mapping[str, str]) -> None:
    """Draw each face's square in its label's colour, between dark lines that set it off from light skin."""
    draw = ImageDraw.Draw(photo)
    for face in faces:
        line = max(2, round(min(max(photo.size) / 320, face.width / 16)))
        left, top = face.left, face.top
        right, bottom = left + face.width - 1, top + face.height - 1
        for inset, width, colour in ((-1, line + 2, _INK), (0, line, colours[face.label])):
            edges = (left + inset, top + inset, right - inset, bottom - inset)
            draw.rounded_rectangle(edges, radius=2 * line, outline=colour, width=width)


def _draw_tags(photo: Image.Image, faces: Sequence[FacePrediction], colours: Mapping[str, str]) -> None:
    """Write each face's label above its square, the smallest faces' last, for they have the least room."""
    draw = ImageDraw.Draw(photo)
    for face in faces:
        height = round(min(max(face.width * 0.15, _LEAST_TAG), _LARGEST_TAG))
        font = ImageFont.load_default(height)
        percent = f"{face.probabilities[face.label]:.0%}"
        room = 1.4 * max(face.width, face.height)
        texts = (f"{face.label} {percent}", percent)
        text = next((each for each in texts if font.getlength(each) + height <= room), None)
        if text is not None:
            _draw_tag(draw, face, text, font, height, colours[face.label])


def _draw_tag(
    draw: ImageDraw.ImageDraw, face: FacePrediction, text: str, font: Font, height: int, colour: str
) -> None:
    width, tall = font.getlength(text) + height, round(1.5 * height)
    photo_width, photo_height = draw.im.size
    left = max(0.0, min(face.left, photo_width - width))
    places = (face.top - tall - 2, face.top + face.height + 2, face.top)  # above, below, inside
    top = next((each for each in places if 0 <= each <= photo_height - tall), 0)
    edges = (left, top, left + width, top + tall)
    draw.rounded_rectangle(edges, radius=round(height / 3), fill=colour, outline=_INK)
    draw.text((left + width / 2, top + tall / 2), text, fill=_INK, font=font, anchor="mm")


def _draw_band(width: int, verdict: Prediction, colours: Mapping[str, str]) -> Image.Image:
    """Draw the verdict: a bar of all scores, the label with its confidence, and how many faces there are."""
    height = round(min(max(width / 26, 18), 40))
    band = Image.new("RGB", (width, round(2.4 * height)), _INK)
    draw = ImageDraw.Draw(band)
    left = 0.0
    for label, score in verdict.probabilities.items():
        draw.rectangle((left, 0, left + score * width, round(height / 4)), fill=colours[label])
        left += score * width
    middle, edge = round(1.35 * height), round(0.7 * height)
    quiet = ImageFont.load_default(round(0.7 * height))
    found = _count_faces(verdict)
    draw.text((width - edge, middle), found, fill=_QUIET, font=quiet, anchor="rm")
    font = ImageFont.load_default(height)
    room = width - 3 * edge - quiet.getlength(found)
    said = _shorten(verdict.label, f" {verdict.confidence:.0%}", font, room)
    draw.text((edge, middle), said, fill=colours[verdict.label], font=font, anchor="lm")
    return band


def _count_faces(verdict: Prediction) -> str:
    if verdict.faces is None:
        return "read as a whole"
    count = len(verdict.faces)
    return "no face found" if not count else "1 face" if count == 1 else f"{count} faces"


def _shorten(text: str, end: str, font: Font, room: float) -> str:
    if font.getlength(text + end) <= room:
        return text + end
    while text and font.getlength(f"{text}…{end}") > room:
        text = text[:-1]
    return f"{text}…{end}"
