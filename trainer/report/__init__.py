"""Write the report of a bundle: one page that needs no other file, and its charts as PNG files."""

from pathlib import Path

from trainer.report.classification_charts import make_classification_charts
from trainer.report.confidence_charts import make_confidence_charts
from trainer.report.learning_curves import make_learning_charts
from trainer.report.picture_sheets import make_sheets, save_sheet
from trainer.report.report_page import render_page
from trainer.report.study import Study, StudyPictures
from trainer.report.theme import save_png
from worker.errors import BundleError
from worker.paths import format_path

__all__ = ["Study", "StudyPictures", "write_report"]


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
    text = render_page(study, chapters, sheets)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart in (chart for _, charts in chapters for chart in charts):
            save_png(chart, folder / f"{chart.name}.png")
        for sheet in sheets:
            save_sheet(sheet, folder / f"{sheet.name}.png")
        (folder / "index.html").write_text(text, encoding="utf-8")
    except OSError as error:
        raise BundleError(
            f"{format_path(folder)}: the report cannot be written ({error.strerror}); check the disk"
        ) from error
