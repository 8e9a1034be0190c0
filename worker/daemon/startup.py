"""Put a worker together from its configuration, and take it apart again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from worker import store as log_store  # imports SQLAlchemy only at open_store, after the processes started
from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.locks import hold_locks
from worker.daemon.presence_check import PresenceCheck
from worker.daemon.recovery import Recovery
from worker.daemon.worker import Worker
from worker.filing import Mover
from worker.filing.folders import prepare_folders
from worker.inbox import Inbox
from worker.inference.bundle import Bundle, load_bundle
from worker.pool.batch import check_task
from worker.pool.photo_file import open_photo_below
from worker.pool.pool import Pool
from worker.pool.prediction_task import PhotoResult, PredictionTask
from worker.pool.protocol import Setup

if TYPE_CHECKING:
    from worker.store import Store

LOCK_SECONDS = 3.0
"""How long a worker that opens waits for a locked database before it backs off."""

TURN_LOCK_SECONDS = 0.5
"""How long a turn waits for it; signals, and what comes from the child processes, have to wait as well."""


@contextmanager
def open_worker(
    config: Config, clock: Clock, mover: Mover, is_wanted: Callable[[], bool]
) -> Iterator[Worker]:
    """Open everything that a worker needs, and close it afterwards; until all is open, no photo is touched.

    Waiting for the child processes ends as soon as `is_wanted` is false. Raises ConfigError, BundleError,
    StoreError or InboxInUse, and Transient where the database does not answer.
    """
    bundle = load_bundle(config.bundle_folder)
    # Before the locks: the inbox's lock file lies in the root folder, which this makes.
    prepare_folders(config, bundle.manifest.classes, bundle.folder)
    with ExitStack() as stack:
        stack.enter_context(hold_locks(config))
        stack.callback(mover.close)
        # The processes first: they load the bundle while the database is opened.
        pool = stack.enter_context(closing(_start_pool(config, clock)))
        store = stack.enter_context(closing(log_store.open_store(config.database.url, LOCK_SECONDS)))
        model = record_model(store, bundle)
        recovery = Recovery(store, mover, config)
        inbox = stack.enter_context(
            closing(Inbox(config.inbox_folder, config.inbox, clock.wall, recovery.return_stray))
        )
        pool.wait_ready(clock.monotonic, is_wanted)
        presence_check = stack.enter_context(
            closing(PresenceCheck(config.root, store, config.inbox.rescan_seconds))
        )
        worker = Worker(config, store, model, pool, inbox, mover, presence_check, clock, recovery.run)
        # Before the inbox is scanned, which would take unfinished photos for new ones.
        worker.resume_unfinished(clock.monotonic())
        inbox.open(clock.monotonic())
        store.limit_waits(TURN_LOCK_SECONDS)
        yield worker


def record_model(store: "Store", bundle: Bundle) -> log_store.Model:
    """Record that the bundle is in use."""
    manifest = bundle.manifest
    metrics = [asdict(metric) for metric in manifest.metrics]
    now = datetime.now(UTC)
    model_id = store.use_model(manifest.name, manifest.version, manifest.classes, metrics, now)
    return log_store.Model(model_id, manifest.name, manifest.version)


def check_configuration(config: Config, clock: Clock, is_wanted: Callable[[], bool]) -> None:
    """Make the folders, and test the bundle in a process of its own. Raises BundleError or ConfigError."""
    bundle = load_bundle(config.bundle_folder)
    prepare_folders(config, bundle.manifest.classes, bundle.folder)
    check_task(PredictionTask(bundle.folder), config.limits, clock.monotonic, is_wanted)


def _start_pool(config: Config, clock: Clock) -> Pool[PhotoResult]:
    setup = Setup(PredictionTask(config.bundle_folder), config.limits)
    open_file = partial(open_photo_below, config.root)
    return Pool(setup, config.processes, clock.monotonic(), open_file=open_file)
