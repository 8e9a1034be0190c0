"""Figures: what was measured, how, and whether a goal was reached; as a table or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import median

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_SAMPLES_SHOWN = 7

_NARROWEST = 120


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure is to keep: information, never a verdict that ends the run."""

    bound: float
    is_least: bool = False

    def is_reached_by(self, value: float) -> bool:
        """Tell whether a value keeps the bound."""
        return value >= self.bound if self.is_least else value < self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: the median of its samples, unless `how` says otherwise."""

    section: str
    name: str
    value: float
    unit: str
    how: str
    samples: tuple[float, ...] = ()
    goal: Goal | None = None

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.goal is None else self.goal.is_reached_by(self.value)


def median_of(
    section: str, name: str, samples: Sequence[float], unit: str, how: str, goal: Goal | None = None
) -> Figure:
    """Make a figure of the median of samples, and keep the samples."""
    return Figure(section, name, median(samples), unit, how, tuple(samples), goal)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]


def as_json(machine: dict[str, object], figures: Sequence[Figure]) -> str:
    """Write the figures, and what they were measured on, as one JSON object."""
    listed = [asdict(figure) | {"reached": figure.is_reached} for figure in figures]
    return json.dumps({"machine": machine, "figures": listed}, indent=2)


def print_table(machine: dict[str, object], figures: Sequence[Figure]) -> None:
    """Print what the figures were measured on, the figures as one table, and how each was got."""
    console = Console(soft_wrap=True, highlight=False)
    console.width = max(
        console.width, _NARROWEST
    )  # a table that runs over is read more easily than a folded one
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    table = Table("", "figure", "value", "goal", "", "samples", box=SIMPLE)
    table.columns[2].justify = "right"
    for section, members in groupby(figures, key=lambda figure: figure.section):
        for index, figure in enumerate(members):
            table.add_row("" if index else section, *_cells(figure))
        table.add_section()
    console.print(table)
    for figure in figures:
        console.print(f"{figure.section}, {figure.name}: {figure.how}")


def _cells(figure: Figure) -> tuple[str, ...]:
    goal = reached = samples = ""
    if figure.goal is not None:
        goal = f"{'at least' if figure.goal.is_least else 'under'} {figure.goal.bound:g} {figure.unit}"
        reached = "reached" if figure.is_reached else "not reached"
    if 1 < len(figure.samples) <= _SAMPLES_SHOWN:
        samples = " ".join(_digits(sample) for sample in figure.samples)
    return figure.name, f"{_digits(figure.value)} {figure.unit}", goal, reached, samples


def _digits(value: float) -> str:
    """Write three significant digits, and no exponent."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
