"""What was done to the inbox, recorded by who did it and not by the worker."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


def hash_content(data: bytes) -> str:
    """Return the content id of a picture."""
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class Record:
    """How many files of each content have to exist.

    `names` counts further names that a content may have: hard links that were dropped, and renames by hand,
    each of which may have met a photo that the worker had linked already. `hand_places` are files that a
    person put below the root, which the worker has nothing to do with. `hand_actions` counts what may have
    left a row whose photo is missing.
    """

    files: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    damaged: set[str] = field(default_factory=set)
    hand_places: dict[Path, str] = field(default_factory=dict)
    hand_actions: int = 0
    drops: int = 0

    def remove(self, descriptor: int) -> None:
        """Take note of an open file that a person has unlinked, if it has no other name by now."""
        # Exact: a file without a name cannot get one any more.
        if os.fstat(descriptor).st_nlink == 0:
            self.files[read_content_id(descriptor)] -= 1


def read_content_id(descriptor: int) -> str:
    """Return the content id of an open file."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
