"""Draw photos of people by code, for the pictures of the documents: the same seed draws the same photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

_SKINS: tuple[Colour, ...] = (
    (240, 200, 170),
    (224, 172, 138),
    (198, 140, 104),
    (150, 100, 72),
    (110, 72, 52),
)
_HAIRS: tuple[Colour, ...] = ((40, 28, 22), (86, 54, 32), (150, 104, 56), (196, 160, 104), (120, 112, 108))
_SHIRTS: tuple[Colour, ...] = ((58, 92, 140), (140, 70, 70), (70, 120, 92), (128, 110, 160), (180, 150, 90))
_WALLS: tuple[Colour, ...] = (
    (176, 196, 204),
    (206, 194, 172),
    (168, 186, 160),
    (196, 180, 190),
    (150, 162, 178),
)

_MOUTH: Colour = (116, 36, 42)
_TEETH: Colour = (246, 244, 238)

_SCALE = 3
"""Everything is drawn larger by this factor and reduced, so that edges are smooth."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face to draw: where its centre is, half its width, its mood from -1 (sad) to 1 (happy), its looks."""

    x: float
    y: float
    radius: float
    mood: float
    skin: Colour
    hair: Colour
    shirt: Colour
    has_long_hair: bool


def make_face(random: np.random.Generator, x: float, y: float, radius: float, mood: float) -> Face:
    """Choose the looks of a face at random."""
    skin, hair, shirt = (_pick(random, colours) for colours in (_SKINS, _HAIRS, _SHIRTS))
    return Face(x, y, radius, mood, skin, hair, shirt, bool(random.random() < 0.5))


def draw_photo(faces: Sequence[Face], size: tuple[int, int], seed: int) -> Image.Image:
    """Draw people before a wall; the photo is RGB, slightly soft and noisy, as photos are."""
    random = np.random.default_rng(seed)
    canvas = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), _pick(random, _WALLS))
    _furnish_wall(canvas, random)
    for face in faces:
        _Painter(canvas, face).paint()
    photo = canvas.filter(ImageFilter.GaussianBlur(_SCALE * 0.6)).resize(size, Image.Resampling.LANCZOS)
    noise = random.normal(0, 3, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8))


def _furnish_wall(canvas: Image.Image, random: np.random.Generator) -> None:
    """Hang blurred pictures on the wall, and let the light come from somewhere."""
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    for _ in range(random.integers(1, 4)):
        left, top = random.uniform(-0.1, 0.9) * width, random.uniform(-0.1, 0.5) * height
        right, bottom = left + random.uniform(0.1, 0.3) * width, top + random.uniform(0.15, 0.4) * height
        draw.rectangle((left, top, right, bottom), fill=_pick(random, _WALLS + _SHIRTS))
    canvas.paste(canvas.filter(ImageFilter.GaussianBlur(width / 60)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.15 - 0.45 * np.hypot(x / width - random.uniform(0, 1), y / height - random.uniform(0, 0.6))
    shaded = np.asarray(canvas) * light[..., np.newaxis]
    canvas.paste(Image.fromarray(shaded.clip(0, 255).astype(np.uint8)))


def _pick(random: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """Mix two of the colours at random."""
    first, second = random.integers(len(colours), size=2)
    return _mix(colours[first], colours[second], float(random.random()))


class _Painter:
    """Paints one face; lengths are in units of half the face's width, y grows downwards."""

    def __init__(self, canvas: Image.Image, face: Face) -> None:
        self._canvas = canvas
        self._face = face
        self._draw = ImageDraw.Draw(canvas)

    def paint(self) -> None:
        face = self._face
        if face.has_long_hair:
            self._paint_oval(0, 0.1, 1.22, 1.55, face.hair)
        self._paint_body()
        self._paint_oval(0, -0.12, 1.1, 1.3, face.hair)
        self._paint_head()
        for side in (-1, 1):
            self._paint_eye(side)
        self._paint_nose()
        self._paint_mouth()
        self._paint_fringe()

    def _paint_body(self) -> None:
        shirt, skin = self._face.shirt, self._face.skin
        self._paint_oval(0, 3.1, 2.1, 1.75, shirt)
        self._paint_oval(0, 1.45, 0.5, 0.6, _scale(skin, 0.78))
        self._paint_oval(0, 1.25, 0.46, 0.5, _scale(skin, 0.7))

    def _paint_head(self) -> None:
        """Paint the head as ever lighter ovals, so that it looks round."""
        for step in range(24):
            inset = step / 23
            colour = _scale(self._face.skin, 0.74 + 0.3 * inset)
            self._paint_oval(-0.12 * inset, 0.05 - 0.1 * inset, 1 - 0.55 * inset, 1.28 - 0.7 * inset, colour)
        for side in (-1, 1):
            self._paint_oval(1.0 * side, 0.05, 0.12, 0.24, _scale(self._face.skin, 0.8))
            blush = _mix(self._face.skin, (214, 110, 100), 0.12)
            self._paint_oval(0.52 * side, 0.35 - 0.06 * self._face.mood, 0.2, 0.14, blush)

    def _paint_eye(self, side: int) -> None:
        mood, skin = self._face.mood, self._face.skin
        x, y = 0.4 * side, -0.12
        self._paint_oval(x, y - 0.02, 0.27, 0.18, _scale(skin, 0.82))
        openness = 0.13 - 0.03 * abs(mood)
        self._paint_oval(x, y, 0.2, openness, (238, 236, 232))
        self._paint_oval(x, y + 0.01 - 0.02 * mood, 0.1, min(0.11, openness), (70, 50, 36))
        self._paint_oval(x, y + 0.01 - 0.02 * mood, 0.05, 0.05, (16, 12, 12))
        self._paint_oval(x - 0.04, y - 0.04, 0.025, 0.025, (255, 255, 255))
        lid = [(x - 0.21, y - 0.01), (x, y - openness - 0.03), (x + 0.21, y - 0.01)]
        self._paint_curve(lid, 0.05, _scale(skin, 0.45))
        # A sad brow rises towards the middle of the face, a happy one is an arch.
        inner, outer = -0.42 - 0.12 * max(0.0, -mood), -0.4 + 0.08 * max(0.0, -mood)
        brow = [(x - 0.24 * side, inner), (x, -0.46 - 0.02 * mood), (x + 0.26 * side, outer)]
        self._paint_curve(brow, 0.075, _scale(self._face.hair, 0.8))

    def _paint_nose(self) -> None:
        skin = self._face.skin
        self._paint_curve([(-0.06, -0.05), (-0.12, 0.25), (0.0, 0.36), (0.13, 0.3)], 0.05, _scale(skin, 0.72))
        self._paint_oval(0.03, 0.22, 0.06, 0.1, _mix(_scale(skin, 1.04), (255, 255, 255), 0.2))

    def _paint_mouth(self) -> None:
        mood, skin = self._face.mood, self._face.skin
        y, bend = 0.68 - 0.03 * mood, 0.2 * mood
        half = 0.4 + 0.08 * mood
        corner_y = y - bend * 0.6
        if mood > 0.45:
            self._paint_open_mouth(y, half, corner_y)
        lips = _mix(skin, (170, 60, 66), 0.6)
        self._paint_curve([(-half, corner_y), (0, y + bend), (half, corner_y)], 0.085, lips)
        for side in (-1, 1):
            fold = [(0.28 * side, 0.36), (0.52 * side, 0.52), (0.56 * side, 0.74 + 0.06 * (mood < 0))]
            if mood > 0.3:
                self._paint_curve(fold, 0.035, _scale(skin, 0.78))
            elif mood < -0.3:
                self._paint_curve(
                    [(half * side, corner_y), (0.46 * side, corner_y + 0.14)], 0.035, _scale(skin, 0.7)
                )

    def _paint_open_mouth(self, y: float, half: float, corner_y: float) -> None:
        mood = self._face.mood
        left, right = (-half, corner_y), (half, corner_y)
        upper, lower = (0.0, y + 0.12), (0.0, y + 0.75 * mood)
        self._paint_polygon([*_bend_line(left, upper, right), *_bend_line(right, lower, left)], _MOUTH)
        left, right = (-half * 0.84, corner_y + 0.05), (half * 0.84, corner_y + 0.05)
        upper, lower = (0.0, y + 0.14), (0.0, y + 0.4 * mood)
        self._paint_polygon([*_bend_line(left, upper, right), *_bend_line(right, lower, left)], _TEETH)

    def _paint_fringe(self) -> None:
        """Paint the hair over the forehead: the crown of the head down to a curved hairline."""
        hair = self._face.hair
        crown = [
            (1.12 * np.cos(turn), -0.1 - 1.32 * np.sin(turn)) for turn in np.linspace(-0.12, np.pi + 0.12, 32)
        ]
        hairline = _bend_line((-0.98, -0.1), (-0.75, -0.95), (-0.1, -0.86)) + _bend_line(
            (-0.1, -0.86), (0.75, -1.0), (0.98, -0.1)
        )
        self._paint_polygon([*crown, *hairline], hair)
        self._paint_curve(
            [(-0.75, -0.95), (-0.2, -1.3), (0.5, -1.15)], 0.06, _mix(hair, (255, 255, 255), 0.16)
        )

    def _locate(self, x: float, y: float) -> Point:
        face = self._face
        return (face.x + x * face.radius) * _SCALE, (face.y + y * face.radius) * _SCALE

    def _paint_oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        self._draw.ellipse(
            [*self._locate(x - across, y - down), *self._locate(x + across, y + down)], fill=colour
        )

    def _paint_polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon([self._locate(*point) for point in points], fill=colour)

    def _paint_curve(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        path = _bend_line(*points) if len(points) == 3 else list(points)
        pixels = round(width * self._face.radius * _SCALE)
        self._draw.line(
            [self._locate(*point) for point in path], fill=colour, width=max(1, pixels), joint="curve"
        )


def _bend_line(start: Point, middle: Point, end: Point) -> list[Point]:
    """Return points of a quadratic Bézier curve."""
    points = np.array([start, middle, end])
    weights = [((1 - t) ** 2, 2 * t * (1 - t), t**2) for t in np.linspace(0, 1, 16)]
    return [(float(x), float(y)) for x, y in weights @ points]


def _scale(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the second."""
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(first, second, strict=True))
    return red, green, blue
