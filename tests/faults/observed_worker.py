"""A worker that reports each of its steps before and after it is done."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.locks import hold_locks
from worker.daemon.presence_check import PresenceCheck
from worker.daemon.recovery import Recovery
from worker.daemon.startup import record_model
from worker.daemon.worker import Worker
from worker.filing import FileOperations, Mover
from worker.filing.folders import prepare_folders
from worker.inbox import Inbox
from worker.inference.bundle import load_bundle
from worker.paths import PRIVATE_PREFIX
from worker.pool.pool import Pool
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.protocol import Job, JobResult, Setup
from worker.pool.spawn import Spawn, spawn_process
from worker.store import Store, open_store
from worker.tree import Entry, Folder

Report = Callable[[str], None]

_COMMITS = {
    "take_on": "take-on commit",
    "decide": "decide commit",
    "record_filed": "record commit",
    "retry": "retry commit",
    "readdress": "readdress commit",
}


class ObservedPool:
    """A pool that reports when photos are submitted and when their results are collected."""

    def __init__(self, pool: Pool[PhotoResult], report: Report) -> None:
        self._pool = pool
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def submit(self, jobs: Sequence[Job], now: float) -> None:
        self._report("before submit")
        self._pool.submit(jobs, now)
        self._report("after submit")

    def collect(self, now: float) -> list[JobResult[PhotoResult]]:
        results = self._pool.collect(now)
        if results:
            self._report("after collect")
        return results


class ObservedTurn:
    """A turn that remembers what was written in it."""

    def __init__(self, turn: Any) -> None:
        self._turn = turn
        self.commits: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in _COMMITS and _COMMITS[name] not in self.commits:
            self.commits.append(_COMMITS[name])
        return getattr(self._turn, name)

    def take_on(self, arrivals: Sequence[Any]) -> list[int | None]:
        if arrivals:
            self.commits.append(_COMMITS["take_on"])
        photo_ids: list[int | None] = self._turn.take_on(arrivals)
        return photo_ids


class ObservedStore:
    """A store that reports its commits."""

    def __init__(self, store: Store, report: Report) -> None:
        self._store = store
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def begin_turn(self) -> Iterator[ObservedTurn]:
        with self._store.begin_turn() as turn:
            observed_turn = ObservedTurn(turn)
            yield observed_turn
            for commit in observed_turn.commits:
                self._report(f"before {commit}")
        for commit in observed_turn.commits:
            self._report(f"after {commit}")


_RENAMES = {".leaving": "hide", ".copy": "complete copy"}


def observe_operations(
    inbox: Path, report: Report, operations: FileOperations | None = None
) -> FileOperations:
    """Return file operations that report each call before and after; private names are called hidden.

    `inbox` is relative to the root.
    """
    operations = operations or FileOperations()

    def observe(call: Callable[..., Any], name_step: Callable[..., str]) -> Callable[..., Any]:
        def call_and_report(*arguments: Any) -> Any:
            report(f"before {name_step(*arguments)}")
            result = call(*arguments)
            report(f"after {name_step(*arguments)}")
            return result

        return call_and_report

    def name_link(source: Entry, *_: object) -> str:
        return "link hidden" if source.name.startswith(PRIVATE_PREFIX) else "link"

    def name_rename(_: Entry, destination: Entry) -> str:
        is_private = destination.name.startswith(PRIVATE_PREFIX)
        return _RENAMES[destination.path.suffix] if is_private else "reveal"

    def name_unlink(entry: Entry) -> str:
        return "unlink" if entry.path.suffix == ".leaving" else "unlink hidden"

    def name_sync(folder: Folder) -> str:
        if folder.path == Path():
            return "sync root"
        return "sync source" if folder.path.is_relative_to(inbox) else "sync destination"

    return replace(
        operations,
        link=observe(operations.link, name_link),
        unlink=observe(operations.unlink, name_unlink),
        rename_without_replacing=observe(operations.rename_without_replacing, name_rename),
        sync_folder=observe(operations.sync_folder, name_sync),
        make_folder=observe(operations.make_folder, lambda _: "make folder"),
        fsync=observe(operations.fsync, lambda _: "fsync"),
        copy=observe(operations.copy, lambda *_: "copy"),
    )


def start_pool(config: Config, clock: Clock, spawn: Spawn = spawn_process) -> Pool[PhotoResult]:
    """Start the processes of a worker."""
    setup = Setup(PredictionTask(config.bundle_folder), config.limits)
    return Pool(setup, config.processes, clock.monotonic(), spawn)


@contextmanager
def open_observed_worker(
    config: Config,
    report: Report,
    operations: FileOperations | None = None,
    clock: Clock | None = None,
    spawn: Spawn = spawn_process,
    pool: Pool[PhotoResult] | None = None,
) -> Iterator[Worker]:
    """Put a worker together as `open_worker` does, with each of its edges wrapped.

    A `pool` that is given stays open, for the next worker.
    """
    clock = clock or Clock()
    bundle = load_bundle(config.bundle_folder)
    prepare_folders(config, bundle.manifest.classes, bundle.folder)
    with ExitStack() as stack:
        stack.enter_context(hold_locks(config))
        pool = pool or stack.enter_context(closing(start_pool(config, clock, spawn)))
        observed_pool: Any = ObservedPool(pool, report)
        store: Any = ObservedStore(stack.enter_context(closing(open_store(config.database.url))), report)
        observed_operations = observe_operations(Path(config.folders.inbox), report, operations)
        mover = stack.enter_context(closing(Mover(config.root, observed_operations)))
        recovery = Recovery(store, mover, config)
        inbox = stack.enter_context(
            closing(Inbox(config.inbox_folder, config.inbox, clock.wall, recovery.return_stray))
        )
        model = record_model(store, bundle)
        pool.wait_ready(clock.monotonic, lambda: True)
        presence_check = stack.enter_context(
            closing(PresenceCheck(config.root, store, config.inbox.rescan_seconds))
        )
        worker = Worker(
            config, store, model, observed_pool, inbox, mover, presence_check, clock, recovery.run
        )
        worker.resume_unfinished(clock.monotonic())
        inbox.open(clock.monotonic())
        yield worker
