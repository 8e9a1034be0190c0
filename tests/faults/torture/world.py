"""People and programs that drop photos, and change their minds while the worker is at it."""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.drawing import draw_jpeg
from tests.faults.torture.record import Record, hash_content, read_content_id
from tests.home import Home
from worker.fileio import exchange_paths, rename_without_replacing

_FOLDERS = ("", "", "trip", "trip/2024", "été")
_LABELS = ("happy", "sad")
_NAMES = ("a.jpg", "b.jpg", "IMG_0001.JPG", "a (2).jpg")
_NAMES_FOR = 60
"""After so many drops the names get another ending, or the free names would have ever larger numbers."""

_MAX_WAITING = 24
_MAX_WRITERS = 3


class _Writer:
    """A program that writes a file into the inbox, a piece at each call."""

    def __init__(self, path: Path, data: bytes, pieces: int) -> None:
        self.path = path
        self._file = path.open("xb", buffering=0)
        size = -(-len(data) // pieces)
        self._pieces = [data[start : start + size] for start in range(0, len(data), size)]

    def go_on(self) -> bool:
        """Write a piece; return whether there is more to come."""
        self._file.write(self._pieces.pop(0))
        if not self._pieces:
            self._file.close()
        return bool(self._pieces)


class World:
    """Does one thing at a time to a home, and records it."""

    def __init__(self, home: Home, random_: random.Random) -> None:
        self.record = Record()
        self._home = home
        self._log = (home.folder / "world.log").open("w", buffering=1)
        self._random = random_
        self._outside = home.folder / "outside"
        for folder in (self._outside, *(home.root / label for label in _LABELS)):
            folder.mkdir()
        self._numbers = count()
        self._pictures = [draw_jpeg(seed, (40, 32)) for seed in range(6)]
        self._recent: list[bytes] = []
        self._writers: list[_Writer] = []
        self._actions: dict[Callable[[], None], int] = {
            self._rename_in: 10,
            self._copy_in: 4,
            self._begin_to_write: 4,
            self._drop_damaged: 1,
            self._drop_hard_link: 2,
            self._replace: 2,
            self._delete: 2,
            self._rename_within: 2,
            self._move_to_label: 1,
        }

    def act(self) -> None:
        """Do something, unless much is waiting already."""
        self._write_on()
        if len(self._list_inbox()) < _MAX_WAITING:
            (action,) = self._random.choices(list(self._actions), list(self._actions.values()))
            with suppress(FileExistsError, FileNotFoundError):  # the name is taken, or the worker was faster
                self._log.write(f"{time.time():.3f} {action.__name__}\n")
                action()

    def settle(self) -> None:
        """Finish every file that is being written."""
        while self._writers:
            self._write_on()

    # Dropping

    def _rename_in(self) -> None:
        data = self._draw()
        rename_without_replacing(self._stage(data), self._choose_path())
        self._count(data)

    def _copy_in(self) -> None:
        data = self._draw()
        with self._choose_path().open("xb") as file:
            file.write(data)
        self._count(data)

    def _begin_to_write(self) -> None:
        if len(self._writers) < _MAX_WRITERS:
            data = self._draw()
            self._writers.append(_Writer(self._choose_path(), data, self._random.randint(2, 12)))
            self._count(data)

    def _write_on(self) -> None:
        self._writers = [writer for writer in self._writers if writer.go_on()]

    def _drop_damaged(self) -> None:
        data = self._draw()[:-400]
        rename_without_replacing(self._stage(data), self._choose_path())
        self.record.damaged.add(hash_content(data))
        self._count(data)

    def _drop_hard_link(self) -> None:
        """Drop a second name of a photo that is filed."""
        filed = self._choose([path for label in _LABELS for path in self._list(self._home.root / label)])
        path = self._choose_path()
        os.link(filed, path)
        self.record.names[hash_content(filed.read_bytes())] += 1

    # Changing one's mind

    def _replace(self) -> None:
        """Put another file under a name of the inbox, as an editor does that saves."""
        data = self._draw()
        staged = self._stage(data)
        exchange_paths(staged, self._choose_waiting())
        self._count(data)
        self._unlink(staged)

    def _delete(self) -> None:
        staged = self._outside / str(next(self._numbers))
        rename_without_replacing(self._choose_waiting(), staged)
        self._unlink(staged)

    def _unlink(self, staged: Path) -> None:
        self.record.hand_actions += 1
        descriptor = os.open(staged, os.O_RDONLY)
        try:
            staged.unlink()
            self._log.write(
                f"  - {staged.name} {read_content_id(descriptor)[:8]} {os.fstat(descriptor).st_nlink}\n"
            )
            self.record.remove(descriptor)
        finally:
            os.close(descriptor)

    def _rename_within(self) -> None:
        self._rename_by_hand(self._choose_path())

    def _move_to_label(self) -> None:
        place = Path(self._random.choice(_LABELS), f"by hand {next(self._numbers)}.jpg")
        self.record.hand_places[place] = self._rename_by_hand(self._home.root / place)

    def _rename_by_hand(self, destination: Path) -> str:
        staged = self._outside / str(next(self._numbers))
        rename_without_replacing(self._choose_waiting(), staged)
        content_id = hash_content(staged.read_bytes())
        self.record.hand_actions += 1
        self.record.names[content_id] += 1
        try:
            rename_without_replacing(staged, destination)
        except FileExistsError:
            rename_without_replacing(staged, self._home.inbox / f"{staged.name}.jpg")
            raise
        return content_id

    # Choosing

    def _draw(self) -> bytes:
        """Return a picture: another one, or one that has been dropped before."""
        if self._recent and self._random.random() < 0.4:
            return self._random.choice(self._recent)
        comment = f"picture {next(self._numbers)}".encode()
        picture = self._random.choice(self._pictures)
        # SOI, then a segment COM with the id (ITU-T T.81, B.2.4.5), then the rest.
        data = picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]
        self._recent = [*self._recent[-7:], data]
        return data

    def _count(self, data: bytes) -> None:
        self._log.write(f"  + {hash_content(data)[:8]}\n")
        self.record.files[hash_content(data)] += 1
        self.record.drops += 1

    def _stage(self, data: bytes) -> Path:
        path = self._outside / str(next(self._numbers))
        path.write_bytes(data)
        return path

    def _choose_path(self) -> Path:
        folder = self._home.inbox / self._random.choice(_FOLDERS)
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(self._random.choice(_NAMES))
        return folder / f"{name.stem}{self.record.drops // _NAMES_FOR or ''}{name.suffix}"

    def _choose_waiting(self) -> Path:
        return self._choose([path for path in self._list_inbox() if not self._is_being_written(path)])

    def _is_being_written(self, path: Path) -> bool:
        return any(writer.path == path for writer in self._writers)

    def _list_inbox(self) -> list[Path]:
        return self._list(self._home.inbox)

    def _list(self, folder: Path) -> list[Path]:
        walk = os.walk(folder)
        paths = sorted(Path(above, name) for above, _, names in walk for name in names)
        return [path for path in paths if not path.name.startswith(".")]

    def _choose(self, paths: list[Path]) -> Path:
        if not paths:
            raise FileNotFoundError
        return self._random.choice(paths)
