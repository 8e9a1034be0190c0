"""Look whether filed photos are still where they were filed, a slice at a time, over and over."""

import logging
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from worker.fileio import identify_file
from worker.store import FiledPhoto

if TYPE_CHECKING:  # child processes are started before SQLAlchemy is imported, which takes a while
    from worker.store import Store

logger = logging.getLogger(__name__)

_SLICE_PHOTOS = 200
"""How many photos are looked for in one turn: on a disk that has to seek for each, filing waits for them."""

_SLICE_SECONDS = 1.0


class _Presence(Enum):
    """What the path of a filed photo holds; UNCLEAR is a file of another size, or a path that fails."""

    PHOTO = "photo"
    NOTHING = "nothing"
    UNCLEAR = "unclear"


class PresenceCheck:
    """Keeps the log true to what people do in the label folders: emptied by hand, or filled again.

    The newest photos come first. Nothing here waits; a pass takes one slice a second.
    """

    def __init__(self, root: Path, store: "Store", pause_seconds: float) -> None:
        """`pause_seconds` lie between the end of one pass and the next."""
        self._root = root
        self._store = store
        self._pause_seconds = pause_seconds
        self._before_id: int | None = None
        self._folders = LabelFolders(root)
        self._lost = 0
        self._returned = 0
        self.next_due = 0.0

    def step(self, now: float) -> None:
        """Check the next slice where it is due. Raises Transient where the database does not answer."""
        if now < self.next_due:
            return
        photos = self._store.list_filed(self._before_id, _SLICE_PHOTOS)
        self._check(photos)
        if len(photos) < _SLICE_PHOTOS:
            self._before_id, self.next_due = None, now + self._pause_seconds
            self.close()
        else:
            self._before_id, self.next_due = photos[-1].photo_id, now + _SLICE_SECONDS

    def close(self) -> None:
        """Log what has changed since the last call; a worker that ends may be in the middle of a pass."""
        if self._lost:
            fields = {"event": "photos_missing", "count": self._lost}
            logger.warning("filed photos are missing from their folders", extra=fields)
        if self._returned:
            fields = {"event": "photos_returned", "count": self._returned}
            logger.info("filed photos are in their folders again", extra=fields)
        self._lost = self._returned = 0

    def _check(self, photos: Sequence[FiledPhoto]) -> None:
        presences = [(photo, _look_for(self._root / photo.path, photo.size_bytes)) for photo in photos]
        present = [photo for photo, presence in presences if presence is _Presence.PHOTO]
        gone = [photo for photo, presence in presences if presence is _Presence.NOTHING]
        # After the photos: a disk that goes away in between takes its folder with it.
        self._folders.remember({photo.folder for photo in present})
        absent = self._folders.list_absent({photo.folder for photo in gone if not photo.is_missing})
        self._record(
            lost=[photo.photo_id for photo in gone if not photo.is_missing and photo.folder not in absent],
            returned=[photo.photo_id for photo in present if photo.is_missing],
        )

    def _record(self, lost: Sequence[int], returned: Sequence[int]) -> None:
        if not lost and not returned:
            return
        with self._store.begin_turn() as turn:
            lost_count, returned_count = turn.mark_missing(lost), turn.mark_returned(returned)
        # After the commit: a turn that fails has changed nothing.
        self._lost += lost_count
        self._returned += returned_count


class LabelFolders:
    """Tells a folder that was emptied from one that is not there, as when its disk is not mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._devices: dict[str, int] = {}
        self._absent: set[str] = set()

    def remember(self, folders: Iterable[str]) -> None:
        """Remember the devices of folders that hold photos now."""
        for folder in folders:
            device = _read_device(self._root / folder)
            if device is not None:
                self._devices[folder] = device

    def list_absent(self, folders: Iterable[str]) -> set[str]:
        """Return the folders that are absent.

        Each is logged once, until it is back.
        """
        absent = {folder for folder in folders if self.is_absent(folder)}
        for folder in absent - self._absent:
            fields = {"event": "folder_gone", "path": self._root / folder}
            logger.warning("a folder of filed photos is gone; the log keeps them as filed", extra=fields)
        self._absent = {folder for folder in self._absent if self.is_absent(folder)} | absent
        return absent

    def is_absent(self, folder: str) -> bool:
        """Tell whether a folder is gone, or on another device than when it last held photos."""
        device = _read_device(self._root / folder)
        return device is None or device != self._devices.get(folder, device)


def _look_for(path: Path, size_bytes: int) -> _Presence:
    try:
        identity = identify_file(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return _Presence.NOTHING
    except OSError:
        return _Presence.UNCLEAR
    # The name may be that of another photo by now, which was filed under it after this one had gone.
    is_photo = identity is not None and identity.size_bytes == size_bytes
    return _Presence.PHOTO if is_photo else _Presence.UNCLEAR


def _read_device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev if folder.is_dir() else None
    except OSError:
        return None
