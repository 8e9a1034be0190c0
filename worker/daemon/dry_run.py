"""Say what a run would do with the inbox, without moving, recording, making or locking anything."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from worker.config import Config
from worker.daemon.planner import Photo, plan_move
from worker.daemon.signals import ignore_lease_breaks
from worker.errors import Reason
from worker.filing.folders import check_folders
from worker.inbox.candidates import Writer
from worker.inbox.scanner import inspect_file, make_ignore_test, scan_folder
from worker.inference.bundle import load_bundle
from worker.inference.prediction import Prediction
from worker.pool.batch import run_batch
from worker.pool.prediction_task import PredictionTask
from worker.pool.protocol import Delayed, Gone
from worker.tree import Tree


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a run would do with one file; both paths are relative to the root folder.

    Without a destination it would stay where it is, and `detail` says why.
    """

    source: Path
    destination: Path | None
    prediction: Prediction | None
    reason: Reason | None
    detail: str | None


def plan_inbox(config: Config) -> Iterator[Proposal]:
    """Predict every file of the inbox, and yield what a run would do with each.

    Raises ConfigError or BundleError where a run would not start.
    """
    bundle = load_bundle(config.bundle_folder)
    check_folders(config, bundle.manifest.classes, bundle.folder)
    whole_files, growing_files = _list_files(config)
    task = PredictionTask(bundle.folder)
    results = run_batch(task, whole_files, config.limits, config.processes, config.model.batch_size)
    reserved: set[Path] = set()
    now = datetime.now(UTC)
    for path, result in zip(whole_files, results, strict=True):
        match result:
            case Delayed(_, detail):
                yield _leave(path, config, detail)
            case Gone():
                yield _leave(path, config, "it has gone")
            case _:
                move, decision = plan_move(Photo(0, path, 0), result, config, reserved, now)
                reserved.add(move.destination)
                source = path.relative_to(config.root)
                yield Proposal(
                    source, decision.destination, decision.prediction, decision.reason, decision.detail
                )
    for path in growing_files:
        yield _leave(path, config, "it is still being written")


def _leave(path: Path, config: Config, detail: str) -> Proposal:
    return Proposal(path.relative_to(config.root), None, None, None, detail)


def _has_writer(tree: Tree, path: Path) -> bool:
    return inspect_file(tree, path).writer is Writer.PRESENT


def _list_files(config: Config) -> tuple[list[Path], list[Path]]:
    """List the files of the inbox: those that are whole, and those that a program is writing."""
    is_ignored = make_ignore_test(config.inbox.ignore)
    entries = scan_folder(config.inbox_folder, recursive=config.inbox.recursive, is_ignored=is_ignored)
    files = sorted(path for path, kind in entries if kind is None)
    if not files:
        return [], []
    with ignore_lease_breaks(), closing(Tree(config.root)) as tree:
        growing_files = [path for path in files if _has_writer(tree, path.relative_to(config.root))]
    return [path for path in files if path not in growing_files], growing_files
