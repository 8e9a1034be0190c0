"""The command `moodsort dataset check`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import say, show_bar
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.data.audit.examination import Examination
    from trainer.data.audit.findings import AuditFinding, AuditReport
    from trainer.data.class_folders import ClassFile

_COLUMNS = ("kind", "certain", "paths", "detail")
_TABLE = ("finding", "count", "certain", "example")


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--labels", is_flag=True, help="Look for likely wrong labels, too.")
@click.option("--fix", is_flag=True, help="Move what is beyond doubt to DATA-set-aside; nothing is deleted.")
@click.option(
    "--page", type=click.Path(path_type=Path), help="Write the findings with their pictures, as HTML."
)
@config_option
@format_option
def check(
    data: tuple[Path, ...],
    labels: bool,
    fix: bool,
    page: Path | None,
    config_file: Path | None,
    output_format: str,
) -> int:
    """Find what is wrong with pictures before a network is trained on them.

    DATA is one or more folders that hold one folder for each class; or train, valid and test, which do.
    Finds unreadable files, copies (also resized, re-encoded and mirrored ones), the same picture in two
    classes or parts, rare classes, and tiny, dark and blurred pictures.

    The exit status is 1 while something is beyond doubt wrong: files that are no pictures, the same file
    twice, and classes too small to train on. The rest is a matter of looking.
    """
    require_libraries("dataset check", ("scipy", *(("jinja2",) if page else ())))
    if labels:
        require_libraries("--labels", ("cleanlab", "sklearn"))
    from trainer.data.audit.audit_page import check_page_path, summarize, write_page
    from trainer.data.class_folders import find_classes

    if page is not None:
        check_page_path(page)
    found = find_classes(data)
    examination = _examine(found, load_config(config_file).limits.max_pixels)
    judged = _collect_findings(examination, labels)
    if page is not None:
        write_page(page, data, examination, judged)
        say(f"wrote {format_path(page)}")
    moved = _set_aside(examination) if fix else set()
    _print(judged, output_format)
    say(summarize(examination))
    for note in judged.notes:
        say(note)
    return 1 if any(_is_left(finding, moved) for finding in judged.findings) else 0


def _examine(found: "dict[str, list[ClassFile]]", max_pixels: int) -> "Examination":
    from trainer.data.audit.examination import examine

    with show_bar("reading", sum(map(len, found.values()))) as on_file:
        return examine(found, on_file, max_pixels)


def _collect_findings(examination: "Examination", with_labels: bool) -> "AuditReport":
    from trainer.data.audit.findings import collect_findings, collect_labels, group_images

    groups = group_images(examination.pictures)
    if not with_labels:
        return collect_findings(examination, groups, None)
    from trainer.data.audit.label_issues import find_label_issues

    say("looking for wrong labels")
    numbers = collect_labels(examination)
    doubts = find_label_issues(examination.pictures, numbers, groups)
    if doubts is None:
        say("labels are not looked at: there are not ten different pictures of two classes")
    return collect_findings(examination, groups, doubts)


def _set_aside(examination: "Examination") -> set[Path]:
    from trainer.data.audit.set_aside import find_superfluous, set_aside

    moved = set()
    for each in set_aside(list(find_superfluous(examination))):
        moved.add(each.source)
        say(f"moved {format_path(each.source)} to {format_path(each.destination)}: {each.reason}")
    return moved


def _is_left(finding: "AuditFinding", moved: set[Path]) -> bool:
    """Tell whether a finding is beyond doubt and still true of the files that were not moved."""
    from trainer.data.audit.findings import FindingKind

    if not finding.is_certain:
        return False
    if finding.kind is FindingKind.FEW_PICTURES:
        return True
    left = len(set(finding.paths) - moved)
    return left > (0 if finding.kind is FindingKind.UNREADABLE else 1)


def _print(judged: "AuditReport", output_format: str) -> None:
    if output_format != "table":
        print_rows(map(_row, judged.findings), _COLUMNS, output_format, ())
    elif judged.findings:
        print_rows(_count_findings(judged.findings), (), output_format, _TABLE)
    else:
        click.echo("nothing found")


def _row(finding: "AuditFinding") -> Row:
    return {
        "kind": finding.kind.value,
        "certain": finding.is_certain,
        "paths": [format_path(path) for path in finding.paths],
        "detail": finding.detail,
    }


def _count_findings(findings: "Sequence[AuditFinding]") -> Iterator[Row]:
    from trainer.data.audit.audit_page import TITLES

    for kind, each in groupby(findings, key=lambda finding: finding.kind):
        first, *rest = each
        where = f"{format_path(first.paths[0])}: " if first.paths else ""
        yield {
            "finding": TITLES[kind].lower(),
            "count": len(rest) + 1,
            "certain": "beyond doubt" if first.is_certain else "worth a look",
            "example": where + first.detail,
        }
