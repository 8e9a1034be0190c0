"""Render the report's templates, and what they share."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from trainer.evaluation.metrics import format_interval, format_value
from trainer.report.theme import DARK, LIGHT, list_colours

_MEANINGS = {
    "accuracy": "share of correct predictions",
    "balanced_accuracy": "mean recall of the classes",
    "f1": "harmonic mean of precision and recall",
    "auc": "area under the ROC curve, each class against the rest",
    "log_loss": "mean negative logarithm of the true class's probability; lower is better",
    "calibration_error": "mean gap between confidence and accuracy",
    "calibration_error_uncalibrated": "the same before temperature scaling",
}


def render_template(name: str, **values: Any) -> str:
    """Return a page as HTML that refers to no other file."""
    environment = Environment(
        loader=FunctionLoader(_read_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["zip"] = zip
    return environment.get_template(name).render(
        light=list_colours(LIGHT),
        dark=list_colours(DARK),
        meanings=_MEANINGS,
        format_value=format_value,
        format_interval=format_interval,
        **values,
    )


def _read_template(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
