"""Put a worker together from its configuration, and take it apart again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from worker import store as log_store
from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.locks import hold_locks
from worker.daemon.recovery import recover
from worker.daemon.worker import Worker
from worker.errors import BundleError, ConfigError
from worker.filing import Filing
from worker.inbox import Inbox
from worker.inference.bundle import Bundle, load_bundle
from worker.pool.pool import Pool, Spawn, spawn_process
from worker.pool.protocol import Setup

if TYPE_CHECKING:
    from worker.store import Store

LOCK_SECONDS = 3.0
"""How long a worker waits for a locked database, deaf to signals, before it backs off."""


@contextmanager
def open_worker(
    config: Config, clock: Clock, filing: Filing, is_wanted: Callable[[], bool]
) -> Iterator[Worker]:
    """Open everything that a worker needs, and close it after; no photo is touched before all is well.

    What takes its time is given up as soon as `is_wanted` is false.

    Raises ConfigError, BundleError, StoreError or InboxInUse, each with its remedy, and Transient where
    the database does not answer.
    """
    bundle = load_bundle(config.bundle_folder)
    check_folders(config, bundle)
    with ExitStack() as opened:
        opened.enter_context(hold_locks(config))
        # First the processes: they load the bundle while the database is opened.
        pool = opened.enter_context(closing(start_pool(config, bundle, clock, config.processes)))
        store = opened.enter_context(closing(log_store.open_store(config.database.url, LOCK_SECONDS)))
        model_id = use_model(store, bundle)
        inbox = opened.enter_context(closing(Inbox(config.inbox_folder, config.inbox, clock.wall)))
        pool.wait_ready(clock.monotonic, is_wanted)
        take_up = partial(recover, store=store, filing=filing, config=config)
        worker = Worker(config, store, model_id, pool, inbox, filing, clock, take_up)
        worker.take_up(clock.monotonic())
        inbox.open(clock.monotonic())
        yield worker


def start_pool(
    config: Config, bundle: Bundle, clock: Clock, processes: int, spawn: Spawn = spawn_process
) -> Pool:
    """Start classifier processes under the limits that the configuration sets."""
    return Pool(setup_of(config, bundle), processes, clock.monotonic(), spawn)


def setup_of(config: Config, bundle: Bundle) -> Setup:
    """Return what a classifier process has to know of the bundle and the limits."""
    return Setup(bundle_folder=bundle.folder, **asdict(config.limits))


def use_model(store: "Store", bundle: Bundle) -> int:
    """Record that the bundle is in use; return its row's id."""
    manifest = bundle.manifest
    metrics = [asdict(metric) for metric in manifest.metrics]
    now = datetime.now(UTC)
    return store.use_model(manifest.name, manifest.version, manifest.classes, metrics, now)


def check_bundle(config: Config, clock: Clock, is_wanted: Callable[[], bool]) -> None:
    """Load a bundle in a process of its own and run its self-test. Raises BundleError or ConfigError."""
    bundle = load_bundle(config.bundle_folder)
    check_folders(config, bundle)
    with closing(start_pool(config, bundle, clock, processes=1)) as pool:
        pool.wait_ready(clock.monotonic, is_wanted)


def check_folders(config: Config, bundle: Bundle) -> None:
    """Make the folders that are not there. Raises ConfigError for one that is a file or a class's name."""
    folders = config.folders
    named = {"inbox": folders.inbox, "review": folders.review, "quarantine": folders.quarantine}
    for key, name in named.items():
        if Path(name).parts[0] in bundle.manifest.classes:
            raise ConfigError(
                f"folders.{key} is {name!r}, but {bundle.folder} has a class of that name; rename it"
            )
    _make(config.root, "folders.root")
    for key, name in named.items():
        _make(config.root / name, f"folders.{key}")
    for label in bundle.manifest.classes:
        if (config.root / label).exists() and not (config.root / label).is_dir():
            raise BundleError(f"{config.root / label}: is a file, but the folder of a label; move it away")


def _make(folder: Path, key: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"{folder}: is not a folder; move the file away or change {key}") from error
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); make it or change {key}") from error
