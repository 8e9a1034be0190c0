"""Render the report's page from its charts, sheets and metrics."""

from collections.abc import Sequence

from trainer.evaluation.bootstrap import RESAMPLES
from trainer.evaluation.calibration import MAX_BINS, MIN_BIN_SIZE
from trainer.report.confidence_charts import describe_coverage
from trainer.report.picture_sheets import Sheet
from trainer.report.study import Study
from trainer.report.templates import render_template
from trainer.report.theme import Chart, render_svg
from worker.inference.manifest import Metric


def render_page(
    study: Study, chapters: Sequence[tuple[str, Sequence[Chart]]], sheets: Sequence[Sheet]
) -> str:
    """Return the page as HTML that refers to no other file."""
    overall = [metric for metric in study.metrics if metric.label is None]
    return render_template(
        "page.html.jinja",
        study=study,
        chapters=[
            (title, [(chart, render_svg(chart)) for chart in charts]) for title, charts in chapters if charts
        ],
        sheets=sheets,
        headline=next(metric for metric in overall if metric.name == "accuracy"),
        overall=overall,
        class_metrics=_group_by_class(study),
        coverage=describe_coverage(study),
        resamples=RESAMPLES,
        bins=MAX_BINS,
        bin_size=MIN_BIN_SIZE,
    )


def _group_by_class(study: Study) -> dict[str, dict[str, Metric]]:
    rows: dict[str, dict[str, Metric]] = {name: {} for name in study.classes}
    for metric in study.metrics:
        if metric.label is not None:
            rows[metric.label][metric.name] = metric
    return rows
