"""Photos to move in a folder of the test's own, and the file systems that they may be on."""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.drawing import draw_jpeg
from worker.fileio import FileIdentity, identify_file
from worker.filing import FileOperations, Move, Mover, MoveResult
from worker.tree import Entry

BYSTANDER = b"a bystander, not to be touched"


def drop(root: Path, name: str = "a.jpg", content: bytes | None = None) -> Path:
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw_jpeg() if content is None else content)
    return path


def read_identity(path: Path) -> FileIdentity:
    identity = identify_file(path.lstat())
    assert identity is not None
    return identity


def make_move(root: Path, path: Path, photo_id: int = 1) -> Move:
    source = path.relative_to(root)
    return Move(photo_id, source, Path("happy", *source.parts[1:]), read_identity(path))


def move_file(root: Path, move: Move, **operations: Callable[..., Any]) -> MoveResult:
    with closing(Mover(root, replace(FileOperations(), **operations))) as mover:
        (result,) = mover.move_all([move])
    return result


def read_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def make_refusal(number: int) -> Callable[..., Any]:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def separate_mounts() -> dict[str, Callable[..., Any]]:
    """Return a link and a rename that fail as between two mounts; only link reports a taken name first."""
    real = FileOperations()

    def link(source: Entry, descriptor: int, destination: Entry) -> None:
        if source.folder == destination.folder:
            real.link(source, descriptor, destination)
        elif is_taken(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        else:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def rename(source: Entry, destination: Entry) -> None:
        if source.folder != destination.folder:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real.rename_without_replacing(source, destination)

    return {"link": link, "rename_without_replacing": rename}


def separate_mounts_without_links() -> dict[str, Callable[..., Any]]:
    """Do the same as between a disk and a stick that has no hard links."""
    mounts = separate_mounts()

    def link(source: Entry, descriptor: int, destination: Entry) -> None:
        if source.folder == destination.folder:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        mounts["link"](source, descriptor, destination)

    return mounts | {"link": link}


def rename_like_nfs() -> dict[str, Callable[..., Any]]:
    """Return a rename that cannot promise not to replace."""
    return {"rename_without_replacing": make_refusal(errno.EINVAL)}


def is_taken(entry: Entry) -> bool:
    try:
        FileOperations().read_status(entry)
    except FileNotFoundError:
        return False
    return True


FILE_SYSTEMS: dict[str, Callable[[], dict[str, Callable[..., Any]]]] = {
    "one": dict,
    "without links": lambda: {"link": make_refusal(errno.EPERM)},
    "like NFS": rename_like_nfs,
    "two": separate_mounts,
    "two without links": separate_mounts_without_links,
}
"""The operations of a place, by how photos get from the inbox to a label folder there."""
