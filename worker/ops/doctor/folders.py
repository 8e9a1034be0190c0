"""Check the folders: that photos can be moved between them."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from worker.config import Config, Folders
from worker.filing.operations import FileOperations
from worker.ops.doctor.result import CheckResult, CheckState, report_ok
from worker.paths import format_path

_GIB = 2**30

_LITTLE_BYTES, _LITTLE_SHARE, _PLENTY_BYTES = _GIB, 0.05, 10 * _GIB
"""Warn under the first, or under the second as long as it is less than the third: on a large disk a
twentieth is plenty."""

_TOO_LITTLE_BYTES = 50_000_000

_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL})
"""How file systems say that they have no hard links (link(2))."""


@dataclass(frozen=True, slots=True)
class Space:
    """What `shutil.disk_usage` tells, in bytes."""

    total: int
    free: int


def measure_space(folder: Path) -> Space:
    """Return the space on the file system of a folder."""
    usage = shutil.disk_usage(folder)
    return Space(usage.total, usage.free)


def make_and_remove(folder: Path) -> None:
    """Make a hidden folder in a folder and remove it. Raises OSError where that is refused.

    It is a folder since a file in the inbox might be taken for a photo.
    """
    with _make_trial_folder(folder):
        pass


def list_folders(config: Config, classes: Iterable[str]) -> dict[str, Path]:
    """Return every folder that photos are in, by its name in a report."""
    names = (config.folders.inbox, config.folders.review, config.folders.quarantine, *classes)
    return {"root": config.root} | {name: config.root / name for name in names}


def find_existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def check_folders(
    folders: Mapping[str, Path], try_writing: Callable[[Path], None] = make_and_remove
) -> Iterator[CheckResult]:
    """Check that each folder is there, or can be made, and can be written."""
    places = {name: find_existing(folder) for name, folder in folders.items()}
    troubles = {}
    for there in dict.fromkeys(places.values()):
        try:
            try_writing(there)
        except OSError as error:
            troubles[there] = error
    for there, trouble in troubles.items():
        names = ", ".join(name for name, place in places.items() if place == there)
        found = f"{names}: {format_path(there)} cannot be written ({_explain(trouble)})"
        yield CheckResult("folders", CheckState.FAIL, found, _find_remedy(there, trouble))
    if not troubles:
        present = [name for name, there in places.items() if there == folders[name]]
        missing = [name for name in places if name not in present]
        parts = [f"{', '.join(present)} can be written"] if present else []
        parts += [f"{', '.join(missing)} will be made"] if missing else []
        yield report_ok("folders", "; ".join(parts))


def check_names(folders: Folders, classes: Iterable[str]) -> Iterator[CheckResult]:
    """Check that no label folder is, holds, or lies in another folder of ours."""
    ours = {key: PurePath(getattr(folders, key)) for key in ("inbox", "review", "quarantine")}
    labels = list(classes)
    clashes = [
        (label, key) for label in labels for key, name in ours.items() if name.is_relative_to(PurePath(label))
    ]
    for label, key in clashes:
        yield CheckResult(
            "labels",
            CheckState.FAIL,
            f"the model files into {label}, which folders.{key} uses as well",
            f"give folders.{key} another name",
        )
    if not clashes:
        yield report_ok("labels", f"the model files into {', '.join(labels)}")


def check_moving(
    folders: Mapping[str, Path],
    inbox: Path,
    operations: FileOperations | None = None,
    device: Callable[[Path], int] = lambda folder: folder.stat().st_dev,
) -> Iterator[CheckResult]:
    """Check how photos get from the inbox to each other folder: by a link, a rename or a copy."""
    places = {name: find_existing(folder) for name, folder in folders.items() if folder != inbox}
    try:
        devices = {name: device(folder) for name, folder in places.items()}
        home = device(find_existing(inbox))
    except OSError:
        return  # `prepare_folders` tells about it
    away = [name for name, number in devices.items() if number != home]
    if away:
        yield CheckResult(
            "file systems",
            CheckState.WARN,
            f"{', '.join(away)}: on another file system than the inbox, so photos are copied there",
            "nothing, or move them to the inbox's file system: a move takes less time",
        )
    else:
        yield report_ok("file systems", "one for all folders; photos are moved, not copied")
    one_of_each = {number: places[name] for name, number in devices.items()}
    for folder in one_of_each.values():
        yield from _check_links(folder, operations or FileOperations())


def check_space(
    places: Mapping[str, Path], space: Callable[[Path], Space] = measure_space
) -> Iterator[CheckResult]:
    """Check that there is room on the file system of each place."""
    for name, folder in places.items():
        try:
            found = space(find_existing(folder))
        except OSError as error:
            yield CheckResult(
                "space", CheckState.FAIL, f"{name}: {_explain(error)}", f"check {format_path(folder)}"
            )
            continue
        yield _judge_space(name, folder, found)


def _judge_space(name: str, folder: Path, found: Space) -> CheckResult:
    if not found.total:  # some file systems do not tell
        return report_ok("space", f"{name}: as much as its file system gives")
    share = found.free / found.total
    text = f"{name}: {_format_size(found.free)} free ({share:.0%})"
    remedy = f"make room on the disk of {format_path(folder)}"
    if found.free < _TOO_LITTLE_BYTES:
        return CheckResult("space", CheckState.FAIL, text, remedy)
    if found.free < _LITTLE_BYTES or (share < _LITTLE_SHARE and found.free < _PLENTY_BYTES):
        return CheckResult("space", CheckState.WARN, text, remedy)
    return report_ok("space", text)


def _format_size(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.0f} MiB"


def _find_remedy(folder: Path, error: OSError) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return f"give {format_path(folder)} to the user who runs the worker (chown, chmod)"
        case errno.ENOTDIR:
            return f"move the file {format_path(folder)} away"
        case errno.EROFS:
            return "mount its file system for writing"
        case errno.ENOSPC | errno.EDQUOT:
            return "make room on its disk"
        case _:
            return f"check what {format_path(folder)} is"


def _check_links(folder: Path, operations: FileOperations) -> Iterator[CheckResult]:
    """Try a hard link, then the rename that stands in for it."""
    try:
        with _make_trial_folder(folder) as trial:
            first, second = Path(trial, "first"), Path(trial, "second")
            first.touch()
            yield _try_link_or_rename(folder, first, second, operations)
    except OSError:
        return  # `prepare_folders` tells about it


def _try_link_or_rename(folder: Path, first: Path, second: Path, operations: FileOperations) -> CheckResult:
    try:
        operations.link(first, second)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            return CheckResult(
                "links", CheckState.FAIL, f"{format_path(folder)}: {_explain(error)}", "check the file system"
            )
    else:
        return report_ok("links", f"{format_path(folder)}: hard links work")
    try:
        operations.rename_without_replacing(first, second)
    except OSError as error:
        return CheckResult(
            "links",
            CheckState.FAIL,
            f"{format_path(folder)}: nothing can be filed: no hard links, nor renameat2 ({_explain(error)})",
            "put root on another file system (ext4, xfs, btrfs)",
        )
    return report_ok("links", f"{format_path(folder)}: no hard links here; renameat2 works instead")


def _make_trial_folder(folder: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=".moodsort-doctor-", dir=folder)


def _explain(error: OSError) -> str:
    return error.strerror or str(error)
