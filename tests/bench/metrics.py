"""Metrics: what was measured, how, and whether a goal was reached; as a table or as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import median

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_MAX_SAMPLES_SHOWN = 7

_MIN_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a metric should keep; the run goes on where it does not."""

    bound: float
    is_least: bool = False

    def is_reached_by(self, value: float) -> bool:
        """Tell whether a value keeps the bound."""
        return value >= self.bound if self.is_least else value < self.bound


@dataclass(frozen=True, slots=True)
class Metric:
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


def make_median(
    section: str, name: str, samples: Sequence[float], unit: str, how: str, goal: Goal | None = None
) -> Metric:
    """Make a metric of the median of some samples, which it keeps."""
    return Metric(section, name, median(samples), unit, how, tuple(samples), goal)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` of all samples do not exceed (nearest rank)."""
    ascending = sorted(samples)
    rank = math.ceil(len(ascending) * share)
    return ascending[max(0, rank - 1)]


def format_json(machine: dict[str, object], metrics: Sequence[Metric]) -> str:
    """Return the metrics, and the machine that they were measured on, as one JSON object."""
    rows = [asdict(metric) | {"reached": metric.is_reached} for metric in metrics]
    return json.dumps({"machine": machine, "metrics": rows}, indent=2)


def print_table(machine: dict[str, object], metrics: Sequence[Metric]) -> None:
    """Print the machine, the metrics as one table, and how each was measured."""
    console = Console(soft_wrap=True, highlight=False)
    # A table that overflows the terminal is easier to read than one whose cells are folded.
    console.width = max(console.width, _MIN_WIDTH)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    table = Table("", "metric", "value", "goal", "", "samples", box=SIMPLE)
    table.columns[2].justify = "right"
    for section, members in groupby(metrics, key=lambda metric: metric.section):
        for index, metric in enumerate(members):
            table.add_row("" if index else section, *_format_cells(metric))
        table.add_section()
    console.print(table)
    for metric in metrics:
        console.print(f"{metric.section}, {metric.name}: {metric.how}")


def _format_cells(metric: Metric) -> tuple[str, ...]:
    goal = reached = samples = ""
    if metric.goal is not None:
        goal = f"{'at least' if metric.goal.is_least else 'under'} {metric.goal.bound:g} {metric.unit}"
        reached = "reached" if metric.is_reached else "not reached"
    if 1 < len(metric.samples) <= _MAX_SAMPLES_SHOWN:
        samples = " ".join(_format_number(sample) for sample in metric.samples)
    return metric.name, f"{_format_number(metric.value)} {metric.unit}", goal, reached, samples


def _format_number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
