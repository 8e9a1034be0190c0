"""`moodsort verify`: the log against the files, and the files against the log."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click

from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import Config, load_config
from worker.daemon.verification import Finding, Verification, mark_findings
from worker.errors import MoodsortError
from worker.paths import format_path
from worker.store import open_store
from worker.store.file_index import open_file_index
from worker.store.file_log import open_file_log

_COLUMNS = ("kind", "photo_id", "path", "detail", "remedy")


@click.command()
@click.option("--quick", is_flag=True, help="Compare sizes and identities only; read no file.")
@click.option("--mark", is_flag=True, help="Have the log say what is missing, and what is there again.")
@config_option
@format_option
def verify(quick: bool, mark: bool, config_file: Path | None, output_format: str) -> int:
    """Compare the log with the files in the label folders, review and quarantine, both ways.

    Listed are rows without their file, files without a row, and files that are not what their row says, each
    with what would mend it. A photo that was moved by hand is found by its identity, or by its SHA-256.
    Nothing is changed without --mark, and a worker may go on meanwhile. Files are hashed one after the other,
    which takes as long as reading them; --quick takes seconds. The exit status is 1 if anything is wrong.
    """
    config = load_config(config_file)
    tally = _Tally()
    with ExitStack() as stack:
        log = stack.enter_context(open_file_log(config.database.url))
        index = stack.enter_context(open_file_index())
        findings = _refuse_unreadable_root(
            Verification(config, log, index, reads_contents=not quick).find_problems(), config
        )
        if mark:
            findings = mark_findings(findings, stack.enter_context(closing(open_store(config.database.url))))
        rows = map(_make_row, tally.count(findings))
        print_rows(rows, _COLUMNS, output_format, _COLUMNS, if_empty="the log and the files agree")
    return 1 if tally.wrong else 0


class _Tally:
    def __init__(self) -> None:
        self.wrong = 0

    def count(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            self.wrong += not finding.is_mended
            yield finding


def _refuse_unreadable_root(findings: Iterator[Finding], config: Config) -> Iterator[Finding]:
    try:
        yield from findings
    except OSError as error:
        raise MoodsortError(
            f"{format_path(config.root)}: cannot be read ({error.strerror}); check folders.root"
        ) from error


def _make_row(finding: Finding) -> Row:
    return {
        "kind": finding.kind.value,
        "photo_id": finding.photo_id,
        "path": format_path(finding.path),
        "detail": finding.detail,
        "remedy": finding.remedy,
    }
