"""Render the page that compares two bundles from its charts, sheets and metrics."""

from collections.abc import Iterator, Sequence

from trainer.report.comparison_study import ComparisonStudy
from trainer.report.picture_sheets import Sheet
from trainer.report.templates import render_template
from trainer.report.theme import Chart, render_svg
from worker.inference.manifest import Metric

ChartPair = tuple[Chart, Chart]
"""The same chart of the first and of the second bundle."""

_CHANCE = 0.05
"""From this p-value on, the page says that a difference may be chance."""


def render_comparison(
    study: ComparisonStudy, chapters: Sequence[tuple[str, Sequence[ChartPair]]], sheets: Sequence[Sheet]
) -> str:
    """Return the page as HTML that refers to no other file."""
    return render_template(
        "comparison.html.jinja",
        study=study,
        comparison=study.comparison,
        names=study.names,
        verdict=_write_verdict(study),
        about_differences=_describe_differences(study),
        accuracies=list(zip(study.names, _list_accuracies(study), strict=True)),
        chapters=[(title, [_render_pair(pair) for pair in pairs]) for title, pairs in chapters],
        sheets=sheets,
        rows=list(_pair_metrics(study)),
    )


def _write_verdict(study: ComparisonStudy) -> str:
    comparison = study.comparison
    if comparison.only_first == comparison.only_second:
        return "Both classify the same number of pictures correctly."
    better, worse = study.names[::-1] if comparison.gain > 0 else study.names
    points = f"{100 * abs(comparison.gain):.1f} points"
    if comparison.p_value >= _CHANCE:
        return (
            f"{better} is {points} more accurate than {worse} on these pictures, which may well be chance "
            f"(p = {comparison.p_value:.3g})."
        )
    return f"{better} is {points} more accurate than {worse} (p = {comparison.p_value:.3g})."


def _describe_differences(study: ComparisonStudy) -> str:
    first, second = (single.test.predicted for single in study.studies)
    count = int((first != second).sum())
    if not count:
        return "They give every picture the same label."
    return f"They give {count} of {len(first)} pictures different labels."


def _list_accuracies(study: ComparisonStudy) -> list[Metric]:
    return [
        next(metric for metric in single.metrics if metric.name == "accuracy" and metric.label is None)
        for single in study.studies
    ]


def _render_pair(pair: ChartPair) -> list[tuple[Chart, str]]:
    return [(chart, render_svg(chart)) for chart in pair]


def _pair_metrics(study: ComparisonStudy) -> Iterator[tuple[tuple[str, str | None], list[Metric | None]]]:
    """Return each metric's name and class, and its two values; None where one bundle does not have it."""
    tables = [{(metric.name, metric.label): metric for metric in single.metrics} for single in study.studies]
    for key in dict.fromkeys(key for table in tables for key in table):
        yield key, [table.get(key) for table in tables]
