"""Set the report's page from its charts, sheets and figures."""

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from trainer.evaluation.metrics import format_interval, format_value
from trainer.report.confidence_charts import describe_coverage
from trainer.report.picture_sheets import Sheet
from trainer.report.study import Study
from trainer.report.theme import DARK, LIGHT, Chart, list_colours, render_svg
from worker.inference.bundle import Metric

_TEMPLATE = "page.html.jinja"

_MEANINGS = {
    "accuracy": "right answers",
    "balanced_accuracy": "mean recall of the classes",
    "f1": "harmonic mean of precision and recall",
    "auc": "area under the ROC curve, each class against the rest",
    "log_loss": "mean surprise at the truth; lower is better",
    "calibration_error": "mean gap between confidence and accuracy",
    "calibration_error_uncalibrated": "the same before temperature scaling",
}


def render_page(
    study: Study, chapters: Sequence[tuple[str, Sequence[Chart]]], sheets: Sequence[Sheet]
) -> str:
    """Return the page: HTML that refers to nothing outside itself."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    whole = [metric for metric in study.metrics if metric.label is None]
    return environment.from_string(text).render(
        study=study,
        chapters=[
            (title, [(chart, render_svg(chart)) for chart in charts]) for title, charts in chapters if charts
        ],
        sheets=sheets,
        light=list_colours(LIGHT),
        dark=list_colours(DARK),
        headline=next(metric for metric in whole if metric.name == "accuracy"),
        whole=whole,
        meanings=_MEANINGS,
        by_class=_group_by_class(study),
        coverage=describe_coverage(study),
        value=format_value,
        interval=format_interval,
    )


def _group_by_class(study: Study) -> dict[str, dict[str, Metric]]:
    rows: dict[str, dict[str, Metric]] = {name: {} for name in study.classes}
    for metric in study.metrics:
        if metric.label is not None:
            rows[metric.label][metric.name] = metric
    return rows
