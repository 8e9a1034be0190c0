"""Draw charts in fixed colours for PNG files, and in those of the page's light or dark style for the page."""

import base64
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as #rrggbb: text, secondary text, grid lines, background, and the lines of classes."""

    ink: str
    muted: str
    grid: str
    paper: str
    series: tuple[str, ...]


LIGHT = Theme(
    ink="#1f2430",
    muted="#667085",
    grid="#e3e6ec",
    paper="#ffffff",
    series=("#2563ab", "#c2571a", "#2f7d4f", "#7246b8", "#b0347e", "#0f766e", "#80690a", "#566071"),
)

DARK = Theme(
    ink="#e7e9ee",
    muted="#9aa3b2",
    grid="#343a46",
    paper="#1b1f27",
    series=("#7db4f0", "#f3a26a", "#7fd1a0", "#b9a0f3", "#ee8fc4", "#62d0c3", "#d8c458", "#a9b4c4"),
)

_NAMES = ("ink", "muted", "grid", "paper", *(f"series-{number}" for number in range(len(LIGHT.series))))

_PLACEHOLDERS = Theme("#fe0101", "#fe0102", "#fe0103", "#fe0104", tuple(f"#fe02{n:02x}" for n in range(8)))
"""Colours that no chart has: matplotlib takes no CSS variables, so that these are replaced in its SVG."""

LegendLocation = Literal["best", "lower left", "lower right"]

Draw = Callable[[Figure, Theme], None]

_SIZE = (4.6, 3.3)
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may have dollars in its name
    # Without it matplotlib draws ids at random, and the same report would differ each time.
    "svg.hashsalt": "moodsort",
    "font.size": 10.5,
    "figure.dpi": 160,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: the name of its file, the title above it, the note below it, and how it is drawn.

    `alt` says in words what it shows, for people who cannot see it.
    """

    name: str
    title: str
    note: str
    alt: str
    draw: Draw
    size: tuple[float, float] = _SIZE

    @property
    def is_wide(self) -> bool:
        """Whether the page gives it a row of its own."""
        return self.size[0] > _SIZE[0]


def list_colours(theme: Theme) -> dict[str, str]:
    """Return a theme's colours by the names of the page's variables."""
    return dict(zip(_NAMES, _list_values(theme), strict=True))


def save_png(chart: Chart, path: Path) -> None:
    """Draw a chart in light colours into a PNG file."""
    with _apply_settings():
        _draw(chart, LIGHT).savefig(path, format="png", facecolor=LIGHT.paper)


def render_svg(chart: Chart) -> str:
    """Draw a chart as an SVG element for the page, in the colours of its variables."""
    text = io.StringIO()
    with _apply_settings():
        _draw(chart, _PLACEHOLDERS).savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Its own size in points would keep it from growing and shrinking with the page.
    svg = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg, count=1)
    # Two charts of a page must not share an id.
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{chart.name}-", svg)
    # Without a font family, text is in the page's own font.
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    svg = svg.replace("xlink:href", "href")
    for name, placeholder in list_colours(_PLACEHOLDERS).items():
        svg = svg.replace(placeholder, f"var(--{name})")
    return svg


def make_data_uri(content: bytes, media_type: str) -> str:
    """Return a data URI that holds content of a media type."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def add_axes(figure: Figure, theme: Theme) -> Axes:
    """Add axes in the theme's colours."""
    axes: Axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, length=3)
    for side in axes.spines.values():
        side.set_color(theme.muted)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.grid(visible=True, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def add_legend(axes: Axes, theme: Theme, location: LegendLocation = "best") -> None:
    """Add a legend in the theme's colours."""
    axes.legend(
        loc=location,
        fontsize=9,
        labelcolor=theme.ink,
        facecolor=theme.paper,
        edgecolor="none",
        framealpha=0.85,
    )


def format_percent_axes(axes: Axes) -> None:
    """Write the values of both axes, 0 to 1, in percent."""
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


@contextmanager
def _apply_settings() -> Iterator[None]:
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # The font may lack the script of a class's name. The page shows it in the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _draw(chart: Chart, theme: Theme) -> Figure:
    figure = Figure(figsize=chart.size, layout="constrained")
    chart.draw(figure, theme)
    return figure


def _list_values(theme: Theme) -> tuple[str, ...]:
    return (theme.ink, theme.muted, theme.grid, theme.paper, *theme.series)
