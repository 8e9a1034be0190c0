"""Look for what keeps a worker from its work, and say what mends it."""

from collections.abc import Iterator

from worker.config import Config
from worker.ops.doctor.database import check_database, check_sqlite, find_database_folder
from worker.ops.doctor.folders import (
    check_folders,
    check_moving,
    check_names,
    check_space,
    list_folders,
)
from worker.ops.doctor.model import check_bundle, check_images, read_classes
from worker.ops.doctor.result import CheckResult, CheckState
from worker.ops.doctor.system import check_open_files, check_running, check_watching

__all__ = ["CheckResult", "CheckState", "examine"]


def examine(config: Config) -> Iterator[CheckResult]:
    """Check everything that a worker needs; change nothing that stays."""
    classes = read_classes(config)
    folders = list_folders(config, classes)
    places = {"photos": config.root}
    written = dict(folders)
    if folder := find_database_folder(config.database.url):
        places["database"] = folder
        written["the database's folder"] = folder
    yield from check_running(config)
    yield from check_folders(written)
    if classes:
        yield from check_names(config.folders, classes)
    yield from check_moving(folders, config.inbox_folder)
    yield from check_space(places)
    yield from check_watching(config)
    yield from check_open_files(config.processes)
    yield from check_images()
    yield from check_bundle(config)
    yield from check_sqlite(config.database.url)
    yield from check_database(config.database.url)
