"""Check the folders: that photos can be moved between them."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from worker.config import Config, Folders
from worker.filing.operations import FileOperations
from worker.ops.doctor.result import CheckResult, CheckState, report_ok
from worker.paths import format_path
from worker.tree import LINK_REMEDY, Entry, Tree, find_link

_GIB = 2**30

_LOW_BYTES, _LOW_SHARE, _PLENTY_BYTES = _GIB, 0.05, 10 * _GIB
"""Warn under the first, or under the second as long as that is less than the third: a twentieth of a large
disk is plenty."""

_TOO_LOW_BYTES = 50_000_000

_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL})
"""How file systems say that they have no hard links (link(2))."""


_CHANGE_FOLDER = (
    "change to a folder of your own, or set folders.root in a config.toml and name that with --config"
)


@dataclass(frozen=True, slots=True)
class Space:
    """The size of a file system and what is free of it, in bytes."""

    total: int
    free: int


def measure_space(folder: Path) -> Space:
    """Return the space on the file system of a folder."""
    usage = shutil.disk_usage(folder)
    return Space(usage.total, usage.free)


def make_and_remove(folder: Path) -> None:
    """Make a hidden folder in a folder and remove it. Raises OSError where that is refused."""
    # Not a file: a worker that watches the inbox might take that for a photo.
    with _make_trial_folder(folder):
        pass


def is_own_folder(folder: Path) -> bool:
    """Tell whether a folder belongs to the user who runs this."""
    return folder.stat().st_uid == os.geteuid()


def list_folders(config: Config, classes: Iterable[str]) -> dict[str, Path]:
    """Return every folder that holds photos, by its name in the report."""
    names = (config.folders.inbox, config.folders.review, config.folders.quarantine, *classes)
    return {"root": config.root} | {name: config.root / name for name in names}


def find_existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def check_folders(
    folders: Mapping[str, Path],
    config_file: Path | None,
    try_writing: Callable[[Path], None] = make_and_remove,
    is_own: Callable[[Path], bool] = is_own_folder,
) -> Iterator[CheckResult]:
    """Check that each folder exists, or can be made, and can be written.

    Without a configuration file the folders are where the command happens to be called.
    """
    existing = {name: find_existing(folder) for name, folder in folders.items()}
    is_writable = True
    for folder in dict.fromkeys(existing.values()):
        try:
            try_writing(folder)
        except OSError as error:
            is_writable = False
            paths = {name: path for name, path in folders.items() if existing[name] == folder}
            sentence = f"{', '.join(paths)}: {format_path(folder)} cannot be written ({_explain(error)})"
            remedy = (
                _find_remedy(folder, error)
                if is_own(folder)
                else _find_foreign_remedy(folder, paths.values(), config_file, error)
            )
            yield CheckResult("folders", CheckState.FAIL, sentence, remedy)
    if is_writable:
        present = [name for name, path in existing.items() if path == folders[name]]
        missing = [name for name in existing if name not in present]
        parts = [f"{', '.join(present)} can be written"] if present else []
        parts += [f"{', '.join(missing)} will be made"] if missing else []
        yield report_ok("folders", "; ".join(parts))


def check_labels(folders: Folders, classes: Iterable[str]) -> Iterator[CheckResult]:
    """Check that no label folder is, holds, or lies in another folder of the worker's."""
    names = {key: PurePath(getattr(folders, key)) for key in ("inbox", "review", "quarantine")}
    labels = list(classes)
    clashes = [
        (label, key)
        for label in labels
        for key, name in names.items()
        if name.is_relative_to(PurePath(label))
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


def check_moves(
    folders: Mapping[str, Path],
    inbox: Path,
    operations: FileOperations | None = None,
    device: Callable[[Path], int] = lambda folder: folder.stat().st_dev,
) -> Iterator[CheckResult]:
    """Check how photos get from the inbox to each other folder: by a link, a rename or a copy."""
    existing = {name: find_existing(folder) for name, folder in folders.items() if folder != inbox}
    try:
        devices = {name: device(folder) for name, folder in existing.items()}
        inbox_device = device(find_existing(inbox))
    except OSError:
        return  # `check_folders` reports it
    remote = [name for name, number in devices.items() if number != inbox_device]
    if remote:
        yield CheckResult(
            "file systems",
            CheckState.WARN,
            f"{', '.join(remote)}: on another file system than the inbox, so photos are copied there",
            "nothing, or move them to the inbox's file system: a move takes less time",
        )
    else:
        yield report_ok("file systems", "one for all folders; photos are moved, not copied")
    folder_by_device = {number: existing[name] for name, number in devices.items()}
    for folder in folder_by_device.values():
        yield from _check_links(folder, operations or FileOperations())


def check_symbolic_links(folders: Mapping[str, Path], root: Path) -> Iterator[CheckResult]:
    """Check that no folder is reached over a symbolic link: below the root none is followed."""
    links = {name: find_link(root, folder) for name, folder in folders.items()}
    for name, link in links.items():
        if link is not None:
            sentence = f"{name}: {format_path(link)} is a symbolic link, which is not followed"
            yield CheckResult("folders", CheckState.FAIL, sentence, LINK_REMEDY)


def check_space(
    folders: Mapping[str, Path], measure: Callable[[Path], Space] = measure_space
) -> Iterator[CheckResult]:
    """Check that there is room on the file system of each folder."""
    for name, folder in folders.items():
        try:
            space = measure(find_existing(folder))
        except OSError as error:
            remedy = f"check {format_path(folder)}"
            yield CheckResult("space", CheckState.FAIL, f"{name}: {_explain(error)}", remedy)
            continue
        yield _rate_space(name, folder, space)


def _rate_space(name: str, folder: Path, space: Space) -> CheckResult:
    if not space.total:  # some file systems do not tell
        return report_ok("space", f"{name}: as much as its file system gives")
    share = space.free / space.total
    sentence = f"{name}: {_format_size(space.free)} free ({share:.0%})"
    remedy = f"make room on the disk of {format_path(folder)}"
    if space.free < _TOO_LOW_BYTES:
        return CheckResult("space", CheckState.FAIL, sentence, remedy)
    if space.free < _LOW_BYTES or (share < _LOW_SHARE and space.free < _PLENTY_BYTES):
        return CheckResult("space", CheckState.WARN, sentence, remedy)
    return report_ok("space", sentence)


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


def _find_foreign_remedy(
    folder: Path, paths: Iterable[Path], config_file: Path | None, error: OSError
) -> str:
    """Return the remedy where the folder that refuses is the system's or another user's."""
    is_refused = error.errno in (errno.EACCES, errno.EPERM)
    missing = next((path for path in paths if path != folder), None)
    if config_file is None and (is_refused or error.errno == errno.EROFS):
        return _CHANGE_FOLDER
    if is_refused and missing:
        return f"make {format_path(missing)} and give it to the user who runs the worker (mkdir, chown)"
    return _find_remedy(folder, error)


def _check_links(folder: Path, operations: FileOperations) -> Iterator[CheckResult]:
    """Try a hard link, then the rename that is used without it."""
    try:
        with _make_trial_folder(folder) as trial, closing(Tree(Path(trial))) as tree:
            yield _try_link_or_rename(folder, tree, operations)
    except OSError:
        return  # `check_folders` reports it


def _try_link_or_rename(folder: Path, trial: Tree, operations: FileOperations) -> CheckResult:
    first, second = trial.find_entry(Path("first")), trial.find_entry(Path("second"))
    try:
        _make_and_link(first, second, operations)
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


def _make_and_link(first: Entry, second: Entry, operations: FileOperations) -> None:
    descriptor = operations.open_file(first, os.O_WRONLY | os.O_CREAT)
    try:
        operations.link(first, descriptor, second)
    finally:
        os.close(descriptor)


def _make_trial_folder(folder: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=".moodsort-doctor-", dir=folder)


def _explain(error: OSError) -> str:
    return error.strerror or str(error)
