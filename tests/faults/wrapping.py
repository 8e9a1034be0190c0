"""A worker whose every labelled step is told before and after it is done."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.locks import hold_locks
from worker.daemon.recovery import recover_unfinished
from worker.daemon.startup import prepare_folders, record_model, start_pool
from worker.daemon.worker import Worker
from worker.filing import FileOperations, Mover
from worker.inbox import Inbox
from worker.inference.bundle import load_bundle
from worker.pool.pool import Pool, Spawn, spawn_process
from worker.pool.protocol import Job, Outcome
from worker.store import Store, open_store

Tell = Callable[[str], None]

_COMMITS = {
    "take_on": "take-on commit",
    "decide": "decide commit",
    "record_filed": "record commit",
    "retry": "retry commit",
    "readdress": "readdress commit",
}


class ToldPool:
    """A pool that tells when photos are handed to it and when they come back judged."""

    def __init__(self, pool: Pool, tell: Tell) -> None:
        self._pool = pool
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def submit(self, jobs: Sequence[Job], now: float) -> None:
        self._tell("before submit")
        self._pool.submit(jobs, now)
        self._tell("after submit")

    def collect(self, now: float) -> list[Outcome]:
        outcomes = self._pool.collect(now)
        if outcomes:
            self._tell("after judged")
        return outcomes


class ToldTurn:
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
        taken: list[int | None] = self._turn.take_on(arrivals)
        return taken


class ToldStore:
    """A store that tells of its commits."""

    def __init__(self, store: Store, tell: Tell) -> None:
        self._store = store
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def turn(self) -> Iterator[ToldTurn]:
        with self._store.begin_turn() as turn:
            told = ToldTurn(turn)
            yield told
            for commit in told.commits:
                self._tell(f"before {commit}")
        for commit in told.commits:
            self._tell(f"after {commit}")


def told_operations(inbox: Path, tell: Tell, do: FileOperations | None = None) -> FileOperations:
    """Return file operations that are told before and after; what they act on is part of the name."""
    do = do or FileOperations()

    def told(call: Callable[..., Any], name: Callable[[Any], str]) -> Callable[..., Any]:
        def calling(first: Any, *rest: Any) -> Any:
            tell(f"before {name(first)}")
            result = call(first, *rest)
            tell(f"after {name(first)}")
            return result

        return calling

    def of_file(verb: str) -> Callable[[Path], str]:
        return lambda path: f"{verb} hidden" if path.name.startswith(".moodsort") else verb

    def of_folder(path: Path) -> str:
        if path == inbox.parent:
            return "sync root"
        return "sync source" if path.is_relative_to(inbox) else "sync destination"

    return FileOperations(
        link=told(do.link, of_file("link")),
        unlink=told(do.unlink, of_file("unlink")),
        rename_without_replacing=told(do.rename_without_replacing, of_file("rename")),
        sync_folder=told(do.sync_folder, of_folder),
        make_folder=told(do.make_folder, lambda _: "make folder"),
        fsync=told(do.fsync, lambda _: "fsync"),
        write=told(do.write, lambda _: "write"),
    )


@contextmanager
def told_worker(
    config: Config,
    tell: Tell,
    do: FileOperations | None = None,
    clock: Clock | None = None,
    spawn: Spawn = spawn_process,
) -> Iterator[Worker]:
    """Put a worker together as `open_worker` does, with each of its edges wrapped."""
    clock = clock or Clock()
    bundle = load_bundle(config.bundle_folder)
    prepare_folders(config, bundle)
    with ExitStack() as opened:
        enter: Callable[[AbstractContextManager[Any]], Any] = opened.enter_context
        enter(hold_locks(config))
        pool = ToldPool(enter(closing(start_pool(config, bundle, clock, config.processes, spawn))), tell)
        store = ToldStore(enter(closing(open_store(config.database.url))), tell)
        inbox = enter(closing(Inbox(config.inbox_folder, config.inbox, clock.wall)))
        filing = Mover(told_operations(config.inbox_folder, tell, do))
        model_id = record_model(store, bundle)
        pool.wait_ready(clock.monotonic, lambda: True)
        take_up = partial(recover_unfinished, store=store, filing=filing, config=config)
        worker = Worker(config, store, model_id, pool, inbox, filing, clock, take_up)
        worker.resume_unfinished(clock.monotonic())
        inbox.open(clock.monotonic())
        yield worker
