"""The photos to measure with, and the folders that they are laid out in."""

import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""Formats that cv2.imread, by which the tutorial's loop reads, is sure to support."""

_SEED = 20

SETTLE_SECONDS = 2.0
"""`inbox.settle_seconds`, at its default: a worker that starts leaves younger files alone at first."""


def list_photos(folder: Path) -> list[Path]:
    """Return the photos of a folder and of those below it, shuffled, always in the same order."""
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    random.Random(_SEED).shuffle(photos)
    return photos


@dataclass(frozen=True, slots=True)
class Root:
    """A folder with a configuration, an inbox and, once a worker has run, a database."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *, processes: int = 0) -> "Root":
        """Make the folder; `processes` is `model.processes`, where 0 stands for one per core."""
        (folder / "photos" / "inbox").mkdir(parents=True)
        (folder / "config.toml").write_text(
            f"[inbox]\nsettle_seconds = {SETTLE_SECONDS}\n[model]\nprocesses = {processes}\n",
            encoding="utf-8",
        )
        return cls(folder)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def inbox(self) -> Path:
        """The watched folder."""
        return self.folder / "photos" / "inbox"

    def is_filed(self, name: str) -> bool:
        """Tell whether a photo has left the inbox and is in another folder."""
        if os.path.lexists(self.inbox / name):
            return False
        return any(
            entry.is_dir() and os.path.lexists(Path(entry, name)) for entry in os.scandir(self.inbox.parent)
        )

    def is_empty(self) -> bool:
        """Tell whether nothing is left in the inbox."""
        return not any(self.inbox.iterdir())


def copy_photos(photos: list[Path], folder: Path, count: int, name: str = "photo") -> list[str]:
    """Copy `count` photos, repeating them where there are fewer; return the names of the copies."""
    names = []
    for index in range(count):
        photo = photos[index % len(photos)]
        names.append(f"{name}-{index:05}{photo.suffix.lower()}")
        shutil.copyfile(photo, folder / names[-1])
    return names


def wait_settled() -> None:
    """Wait until the copies are on the disk, and old enough for a worker that starts to take them on."""
    os.sync()
    time.sleep(SETTLE_SECONDS + 0.1)
