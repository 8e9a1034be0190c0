"""The command `moodsort dataset check`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trainer.cli import require_libraries
from trainer.cli.messages import REPORTER, say
from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import load_config
from worker.paths import format_path

if TYPE_CHECKING:
    from trainer.data.audit.findings import AuditFinding

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
    classes or splits, rare classes, and tiny, dark and blurred pictures.

    The exit status is 1 while something is beyond doubt wrong: files that cannot be read, the same file
    twice, and classes too small to train on. The rest is a matter of looking.
    """
    require_libraries("dataset check", ("scipy", *(("jinja2",) if page else ())))
    if labels:
        require_libraries("--labels", ("cleanlab", "sklearn"))
    # Not before the libraries are known to be there; the other commands do without them.
    from trainer.pipelines.audit_dataset import AuditConfig, audit_dataset

    max_pixels = load_config(config_file).limits.max_pixels
    audit = audit_dataset(AuditConfig(data, labels, fix, page, max_pixels), REPORTER)
    _print_findings(audit.report.findings, output_format)
    say(audit.summary)
    for note in audit.report.notes:
        say(note)
    return 1 if audit.is_unresolved else 0


def _print_findings(findings: "Sequence[AuditFinding]", output_format: str) -> None:
    if output_format != "table":
        print_rows(map(_make_row, findings), _COLUMNS, output_format, ())
    elif findings:
        print_rows(_count_findings(findings), (), output_format, _TABLE)
    else:
        click.echo("nothing found")


def _make_row(finding: "AuditFinding") -> Row:
    return {
        "kind": finding.kind.value,
        "certain": finding.is_certain,
        "paths": [format_path(path) for path in finding.paths],
        "detail": finding.detail,
    }


def _count_findings(findings: "Sequence[AuditFinding]") -> Iterator[Row]:
    from trainer.data.audit.audit_page import TITLES  # by now it has been imported

    for kind, kind_findings in groupby(findings, key=lambda finding: finding.kind):
        first, *rest = kind_findings
        location = f"{format_path(first.paths[0])}: " if first.paths else ""
        yield {
            "finding": TITLES[kind].lower(),
            "count": len(rest) + 1,
            "certain": "beyond doubt" if first.is_certain else "worth a look",
            "example": location + first.detail,
        }
