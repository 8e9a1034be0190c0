"""Write the report of a bundle, or of two: one page that needs no other file, and its charts as PNG files."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from trainer.report.classification_charts import make_classification_charts
from trainer.report.comparison_page import ChartPair, render_comparison
from trainer.report.comparison_study import ComparisonStudy
from trainer.report.confidence_charts import make_confidence_charts
from trainer.report.difference_sheets import make_difference_sheets
from trainer.report.learning_curves import make_learning_charts
from trainer.report.picture_sheets import Sheet, make_sheets, save_sheet
from trainer.report.report_page import render_page
from trainer.report.study import Study, StudyPictures
from trainer.report.theme import Chart, save_png
from worker.errors import BundleError
from worker.paths import format_path

__all__ = ["ComparisonStudy", "Study", "StudyPictures", "write_comparison", "write_report"]


def write_report(folder: Path, study: Study) -> None:
    """Write `index.html` and PNG files into a folder, which is created where it is missing.

    Raises BundleError where the disk refuses.
    """
    chapters = (
        ("How it was trained", make_learning_charts(study)),
        ("Correct and wrong predictions", make_classification_charts(study)),
        ("How reliable its confidence is", make_confidence_charts(study)),
    )
    sheets = make_sheets(study)
    charts = [chart for _, charts in chapters for chart in charts]
    _write(folder, render_page(study, chapters, sheets), charts, sheets)


def write_comparison(folder: Path, study: ComparisonStudy) -> None:
    """Write `index.html` and PNG files of two bundles into a folder, as `write_report` does of one."""
    chapters = (
        ("Correct and wrong predictions", _make_pairs(study, make_classification_charts)),
        ("How reliable their confidence is", _make_pairs(study, make_confidence_charts)),
    )
    sheets = make_difference_sheets(study)
    charts = [chart for _, pairs in chapters for pair in pairs for chart in pair]
    _write(folder, render_comparison(study, chapters, sheets), charts, sheets)


def _make_pairs(study: ComparisonStudy, make_charts: Callable[[Study], list[Chart]]) -> list[ChartPair]:
    """Return each chart of both bundles, under names that differ."""
    first, second = (
        [replace(chart, name=f"{position}-{chart.name}") for chart in make_charts(single)]
        for position, single in zip(("first", "second"), study.studies, strict=True)
    )
    return list(zip(first, second, strict=True))


def _write(folder: Path, page: str, charts: Sequence[Chart], sheets: Sequence[Sheet]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            save_png(chart, folder / f"{chart.name}.png")
        for sheet in sheets:
            save_sheet(sheet, folder / f"{sheet.name}.png")
        (folder / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise BundleError(
            f"{format_path(folder)}: the report cannot be written ({error.strerror}); check the disk"
        ) from error
