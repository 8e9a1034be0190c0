"""Look for what keeps a worker from its work, and say what to do about it."""

from collections.abc import Iterator
from pathlib import Path

from worker.config import Config
from worker.ops.doctor.database import check_database, check_sqlite, find_database_folder
from worker.ops.doctor.folders import (
    check_folders,
    check_labels,
    check_moves,
    check_space,
    check_symbolic_links,
    list_folders,
)
from worker.ops.doctor.model import check_bundle, check_images, read_classes
from worker.ops.doctor.result import CheckResult, CheckState
from worker.ops.doctor.system import check_events, check_open_files, check_worker, check_writers

__all__ = ["CheckResult", "CheckState", "examine"]


def examine(config: Config, config_file: Path | None) -> Iterator[CheckResult]:
    """Check everything that a worker needs, and leave everything as it was.

    `config_file` is what the configuration was read from; None where the defaults apply.
    """
    classes = read_classes(config)
    photo_folders = list_folders(config, classes)
    disks = {"photos": config.root}
    writable_folders = dict(photo_folders)
    if database_folder := find_database_folder(config.database.url):
        disks["database"] = database_folder
        writable_folders["the database's folder"] = database_folder
    yield from check_worker(config)
    yield from check_folders(writable_folders, config_file)
    yield from check_symbolic_links(photo_folders, config.root)
    if classes:
        yield from check_labels(config.folders, classes)
    yield from check_moves(photo_folders, config.inbox_folder)
    yield from check_space(disks)
    yield from check_events(config)
    yield from check_writers()
    yield from check_open_files(config.processes)
    yield from check_images()
    yield from check_bundle(config)
    yield from check_sqlite(config.database.url)
    yield from check_database(config.database.url)
