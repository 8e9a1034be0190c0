"""moodsort run: watch the inbox, or file once what is in it."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from worker.cli.options import config_option, format_option
from worker.cli.output import Row, print_rows
from worker.config import Config, load_config
from worker.daemon.dry_run import Proposal, plan_inbox
from worker.daemon.service import WorkerService
from worker.daemon.signals import Signals
from worker.daemon.single_run import SingleRun
from worker.daemon.worker import Worker
from worker.ops.logging import configure_logging
from worker.ops.systemd.notifier import Notifier
from worker.paths import format_path

logger = logging.getLogger(__name__)

COLUMNS = ("path", "destination", "label", "confidence", "reason", "detail")


@click.command()
@config_option
@click.option("--once", is_flag=True, help="File what is in the inbox now, then end.")
@click.option("--dry-run", is_flag=True, help="With --once: list what would go where, and change nothing.")
@format_option
def run(config_file: Path | None, once: bool, dry_run: bool, output_format: str) -> int:
    """Watch the inbox: classify each photo, file it, and record the decision.

    Ctrl-C or SIGTERM end it after the batch in hand. SIGHUP makes it read its configuration and its bundle
    again; where the new ones are wrong, it goes on with the old ones. On a terminal it says in sentences what
    happens, elsewhere in JSON lines on standard error. --format is that of the list of --dry-run.
    """
    _check_dry_run(once, dry_run)
    config = load_config(config_file)
    if dry_run:
        _list_proposals(config, output_format)
        return 0
    with Signals().install() as signals:
        if once:
            return _run_once(config, signals)
        # The service does so again when it is ready; what it logs before then must be readable as well.
        _configure_logging(config)
        notifier = Notifier.from_environment(os.environ)
        WorkerService(lambda: load_config(config_file), signals, notifier, _configure_logging).run()
    return 0


def _check_dry_run(once: bool, dry_run: bool) -> None:
    if dry_run and not once:
        raise click.UsageError("--dry-run lists what is in the inbox now; add --once")
    source = click.get_current_context().get_parameter_source("output_format")
    if source is click.core.ParameterSource.COMMANDLINE and not dry_run:
        raise click.UsageError("--format is that of the list of --dry-run; add --once --dry-run")


def _list_proposals(config: Config, output_format: str) -> None:
    _configure_logging(config)
    rows = map(_make_row, plan_inbox(config))
    print_rows(rows, COLUMNS, output_format, COLUMNS, if_empty="the inbox is empty")


def _make_row(proposal: Proposal) -> Row:
    prediction, destination = proposal.prediction, proposal.destination
    return {
        "path": format_path(proposal.source),
        "destination": destination and format_path(destination),
        "label": prediction and prediction.label,
        "confidence": prediction and prediction.confidence,
        "reason": proposal.reason,
        "detail": proposal.detail,
    }


def _configure_logging(config: Config) -> None:
    configure_logging(config.log.level, config.log.format, sys.stderr)


def _run_once(config: Config, signals: Signals) -> int:
    start = time.monotonic()
    unfinished = 0

    def report(worker: Worker) -> None:
        nonlocal unfinished
        unfinished = worker.in_hand
        _report_summary(worker, time.monotonic() - start, is_stopped=signals.stop_asked)

    with _show_progress(config) as observe:
        SingleRun(config, signals, observe).run(report)
    return 1 if unfinished and not signals.stop_asked else 0


@contextmanager
def _show_progress(config: Config) -> Iterator[Callable[[Worker], None]]:
    """Show a progress bar on a terminal, instead of a line for each photo."""
    if not sys.stderr.isatty():
        _configure_logging(config)
        yield lambda _worker: None
        return
    # rich takes longer to import than a service without a terminal takes to start watching.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("filing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        # Once rich has replaced sys.stderr, so that warnings are printed above the bar.
        configure_logging("warning" if config.log.level == "info" else config.log.level, "text", sys.stderr)
        task = progress.add_task("filing", total=None, counts="")

        def observe(worker: Worker) -> None:
            finished = worker.tally.total()
            total = finished + worker.in_hand + worker.candidates
            progress.update(task, completed=finished, total=total, counts=_format_counts(worker))

        yield observe


def _report_summary(worker: Worker, seconds: float, *, is_stopped: bool) -> None:
    """Print the summary for a person at a terminal, and log it elsewhere."""
    summary = _summarize(worker, seconds, is_stopped=is_stopped)
    if sys.stdout.isatty() or sys.stderr.isatty():
        click.echo(summary)
        return
    fields = {
        "event": "summary",
        "photos": worker.tally.total(),
        "seconds": round(seconds, 1),
        "folders": dict(worker.tally),
        "unfinished": worker.in_hand,
        "left": worker.candidates,
    }
    logger.info("%s", summary, extra=fields)


def _summarize(worker: Worker, seconds: float, *, is_stopped: bool) -> str:
    count = worker.tally.total()
    rate = f" ({count / seconds:.0f} a second)" if seconds > 1 and count > 1 else ""
    parts = [f"{_format_photos(count)} in {seconds:.1f} s{rate}"]
    if worker.tally:
        parts[0] += f": {_format_counts(worker)}"
    if is_stopped:
        parts.append(f"stopped with {worker.in_hand + worker.candidates or 'nothing'} left in the inbox")
        return "; ".join(parts)
    if worker.in_hand:
        parts.append(f"{_format_photos(worker.in_hand)} could not be finished and will be at the next start")
    if worker.candidates:
        parts.append(f"{_format_photos(worker.candidates)} still being written, left in the inbox")
    return "; ".join(parts)


def _format_counts(worker: Worker) -> str:
    return ", ".join(f"{count} {folder}" for folder, count in worker.tally.most_common())


def _format_photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"
