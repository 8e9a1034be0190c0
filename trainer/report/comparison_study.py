"""The data of a report that compares two bundles on the same pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.evaluation.bundle_evaluation import Evaluation
from trainer.evaluation.comparison import PairedComparison
from trainer.report.evaluation_study import describe_data, describe_overlap, make_evaluation_study
from trainer.report.study import Study
from worker.config import Limits
from worker.inference.manifest import Metric
from worker.paths import format_path


@dataclass(frozen=True, slots=True)
class ComparisonStudy:
    """Everything that the report of two bundles shows: names, the study of each, and how they compare."""

    title: str
    about_test: str
    names: tuple[str, str]
    studies: tuple[Study, Study]
    comparison: PairedComparison


def make_comparison_study(
    evaluation: Evaluation,
    data: Path,
    metrics: Sequence[tuple[Metric, ...]],
    comparison: PairedComparison,
    command: str,
    limits: Limits,
    *,
    with_pictures: bool,
) -> ComparisonStudy:
    """Return the study of an evaluation's two bundles."""
    first, second = (
        make_evaluation_study(
            evaluation, number, data, metrics[number], command, limits, with_pictures=with_pictures
        )
        for number in range(2)
    )
    names = evaluation.name_bundles()
    return ComparisonStudy(
        title=f"{names[0]} and {names[1]} on {format_path(Path(data.name))}",
        about_test=" ".join(
            (describe_data(evaluation, data), *(describe_overlap(evaluation, number) for number in range(2)))
        ),
        names=(names[0], names[1]),
        studies=(first, second),
        comparison=comparison,
    )
