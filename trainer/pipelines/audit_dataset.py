"""Audit folders of pictures: read, compare, check labels, write the page, move away what is beyond doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.audit.audit_page import check_page_path, summarize, write_page
from trainer.data.audit.examination import Examination, examine_files
from trainer.data.audit.findings import AuditReport, collect_findings
from trainer.data.audit.label_issues import LabelIssues, find_label_issues
from trainer.data.audit.set_aside import find_superfluous, set_aside
from trainer.data.class_folders import find_classes
from trainer.data.near_duplicates import group_images
from trainer.pipelines.reporter import Reporter
from worker.paths import format_path


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What to audit: `labels` looks for wrong ones, `fix` moves files away, `page` is the HTML to write."""

    data: tuple[Path, ...]
    labels: bool
    fix: bool
    page: Path | None
    max_pixels: int


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The report, how many pictures there are of each class, and whether something certain is still wrong."""

    report: AuditReport
    summary: str
    is_unresolved: bool


def audit_dataset(config: AuditConfig, reporter: Reporter) -> AuditResult:
    """Find what is wrong with the pictures; write the page and move files away where the config says so.

    Raises ConfigError where the folders do not make two classes or the page cannot go where it shall,
    MoodsortError where it cannot be written, SetAsideFailed where a file cannot be moved.
    """
    if config.page is not None:
        check_page_path(config.page)
    files_by_class = find_classes(config.data)
    with reporter.show_bar("reading", sum(map(len, files_by_class.values()))) as on_file:
        examination = examine_files(files_by_class, on_file, config.max_pixels)
    groups = group_images(examination.pictures)
    label_issues = _check_labels(examination, groups, reporter.say) if config.labels else None
    report = collect_findings(examination, groups, label_issues)
    if config.page is not None:
        write_page(config.page, config.data, examination, report)
        reporter.say(f"wrote {format_path(config.page)}")
    moved = _move_superfluous(examination, reporter.say) if config.fix else set()
    is_unresolved = any(finding.is_unresolved(moved) for finding in report.findings)
    return AuditResult(report, summarize(examination), is_unresolved)


def _check_labels(
    examination: Examination, groups: NDArray[np.int64], say: Callable[[str], None]
) -> LabelIssues | None:
    say("looking for wrong labels")
    label_issues = find_label_issues(examination.pictures, examination.make_labels(), groups)
    if label_issues is None:
        say("labels are not looked at: there are not ten different pictures of two classes")
    return label_issues


def _move_superfluous(examination: Examination, say: Callable[[str], None]) -> set[Path]:
    """Move what is beyond doubt out of the data; return where the files were."""
    sources = set()
    for moved in set_aside(list(find_superfluous(examination))):
        sources.add(moved.source)
        say(f"moved {format_path(moved.source)} to {format_path(moved.destination)}: {moved.reason}")
    return sources
