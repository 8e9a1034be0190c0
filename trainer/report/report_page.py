"""Render the report's page from its charts, sheets and metrics."""

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from trainer.evaluation.bootstrap import RESAMPLES
from trainer.evaluation.calibration import MAX_BINS, MIN_BIN_SIZE
from trainer.evaluation.metrics import format_interval, format_value
from trainer.report.confidence_charts import describe_coverage
from trainer.report.picture_sheets import Sheet
from trainer.report.study import Study
from trainer.report.theme import DARK, LIGHT, Chart, list_colours, render_svg
from worker.inference.manifest import Metric

_TEMPLATE = "page.html.jinja"

_MEANINGS = {
    "accuracy": "share of correct predictions",
    "balanced_accuracy": "mean recall of the classes",
    "f1": "harmonic mean of precision and recall",
    "auc": "area under the ROC curve, each class against the rest",
    "log_loss": "mean negative logarithm of the true class's probability; lower is better",
    "calibration_error": "mean gap between confidence and accuracy",
    "calibration_error_uncalibrated": "the same before temperature scaling",
}


def render_page(
    study: Study, chapters: Sequence[tuple[str, Sequence[Chart]]], sheets: Sequence[Sheet]
) -> str:
    """Return the page as HTML that refers to no other file."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    overall = [metric for metric in study.metrics if metric.label is None]
    return environment.from_string(text).render(
        study=study,
        chapters=[
            (title, [(chart, render_svg(chart)) for chart in charts]) for title, charts in chapters if charts
        ],
        sheets=sheets,
        light=list_colours(LIGHT),
        dark=list_colours(DARK),
        headline=next(metric for metric in overall if metric.name == "accuracy"),
        overall=overall,
        meanings=_MEANINGS,
        class_metrics=_group_by_class(study),
        coverage=describe_coverage(study),
        format_value=format_value,
        format_interval=format_interval,
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
