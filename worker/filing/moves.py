"""What a move is, and what can become of it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from worker.fileio import FileIdentity
from worker.paths import PRIVATE_PREFIX

_LEAVING = re.compile(rf"{re.escape(PRIVATE_PREFIX)}(\d+)\.leaving")


@dataclass(frozen=True, slots=True)
class Move:
    """A photo on its way from one path to another, both relative to the root.

    `identity` is that of the file that was read, if it could be.
    """

    photo_id: int
    source: Path
    destination: Path
    identity: FileIdentity | None

    @property
    def leaving(self) -> Path:
        """The private name beside the source of a photo that is about to have none there."""
        return self.source.with_name(f"{PRIVATE_PREFIX}{self.photo_id}.leaving")

    @property
    def part(self) -> Path:
        """The private name beside the destination of a copy that is not complete."""
        return self.destination.with_name(f"{PRIVATE_PREFIX}{self.photo_id}.part")

    @property
    def copy(self) -> Path:
        """The private name beside the destination of a copy that is complete and on the disk."""
        return self.destination.with_name(f"{PRIVATE_PREFIX}{self.photo_id}.copy")


@dataclass(frozen=True, slots=True)
class Moved:
    """The file is at its destination, durably, and nowhere else; `identity` is what lies there."""

    move: Move
    identity: FileIdentity | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MoveContinues:
    """A part of the file is copied; the same move made again goes on."""

    move: Move


@dataclass(frozen=True, slots=True)
class DestinationTaken:
    """Another file has the name of the destination; the photo goes to another name in the same folder."""

    move: Move


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The source is gone, or is not the file that was read; nothing was moved."""

    move: Move


@dataclass(frozen=True, slots=True)
class MoveHindered:
    """The file system refused; the same move made again goes on."""

    move: Move
    detail: str


def parse_leaving(name: str) -> int | None:
    """Return the photo id in the private name of a source, None for any other name."""
    match = _LEAVING.fullmatch(name)
    return int(match[1]) if match else None


MoveResult = Moved | MoveContinues | DestinationTaken | SourceChanged | MoveHindered


class SourceDiffers(Exception):
    """The file at the source is not the one that was read, or not any more."""
