"""Copy photos between file systems, in slices, so that nobody waits for a large one."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass

from worker.fileio import identify_file
from worker.filing.file_copy import copy_attributes
from worker.filing.files import Files, is_like_copy, is_same_file, is_unchanged
from worker.filing.moves import Move, SourceDiffers
from worker.filing.operations import FileOperations

SLICE_BYTES = 1 << 25
"""How much is copied in one batch of moves: signals and all other photos wait for its end."""


@dataclass(slots=True)
class _Copy:
    """A copy that is under way: open descriptors of both files, and how much of it is written."""

    source: int
    target: int
    status: os.stat_result
    offset: int = 0

    def close(self) -> None:
        os.close(self.source)
        os.close(self.target)


@dataclass(frozen=True, slots=True)
class _Complete:
    """A copy that this process has completed, and what it is a copy of."""

    source: os.stat_result
    copy: os.stat_result


class Copier:
    """Makes complete, durable copies under private names; it holds those that are not complete yet."""

    def __init__(self, operations: FileOperations, slice_bytes: int = SLICE_BYTES) -> None:
        self._operations = operations
        self._slice_bytes = slice_bytes
        self._copies: dict[int, _Copy] = {}
        self._complete: dict[int, _Complete] = {}
        self._bytes_left = 0

    def start_batch(self) -> None:
        """Allow another slice to be copied."""
        self._bytes_left = self._slice_bytes

    def close(self) -> None:
        """Give up the copies under way; the moves made again begin anew."""
        for copy in self._copies.values():
            copy.close()
        self._copies.clear()

    def forget(self, photo_id: int) -> None:
        """Give up the copy of one photo, if there is one."""
        self._complete.pop(photo_id, None)
        if copy := self._copies.pop(photo_id, None):
            copy.close()

    def discard(self, files: Files, move: Move) -> None:
        """Give up the copy of one photo, and remove what is written of it."""
        if self.is_copying(move.photo_id):
            self.forget(move.photo_id)
            with suppress(OSError):
                files.remove(move.part)

    def is_copying(self, photo_id: int) -> bool:
        """Tell whether a part of a photo is copied."""
        return photo_id in self._copies

    def is_copied(self, move: Move, source: os.stat_result, copy: os.stat_result) -> bool:
        """Tell whether a complete copy is one of this source."""
        if complete := self._complete.get(move.photo_id):
            return is_unchanged(complete.source, source)
        return is_like_copy(source, copy)

    def is_copy(self, move: Move, status: os.stat_result | None) -> bool:
        """Tell whether a file is a copy that this process has made of the photo."""
        complete = self._complete.get(move.photo_id)
        return complete is not None and is_same_file(complete.copy, status)

    def copy(self, files: Files, move: Move, status: os.stat_result) -> bool:
        """Copy on from where the last call stopped; return whether all is there under `move.copy`.

        `status` is that of the source. Raises OSError, and SourceDiffers where the file changes meanwhile.
        """
        if self._bytes_left <= 0 or not self._may_begin(move.photo_id, status.st_size):
            return False
        try:
            copy = self._copies.get(move.photo_id) or self._begin(files, move, status)
            self._copy_slice(copy, status)
            if copy.offset < status.st_size:
                return False
            complete = self._finish(files, move, copy)
        except (OSError, SourceDiffers):
            self.discard(files, move)
            raise
        self.forget(move.photo_id)
        self._complete[move.photo_id] = complete
        return True

    def _may_begin(self, photo_id: int, size_bytes: int) -> bool:
        # One copy at a time is left half made; small files go ahead of it in half of each slice.
        if not self._copies or photo_id in self._copies:
            return True
        return size_bytes <= self._bytes_left - self._slice_bytes // 2

    def _begin(self, files: Files, move: Move, status: os.stat_result) -> _Copy:
        # O_EXCL would refuse to write where a crash has left an unfinished copy.
        files.remove(move.part)
        source = files.open_descriptor(move.source, os.O_RDONLY | os.O_NONBLOCK)
        try:
            # The permissions of the source are copied last: until then nobody else may read it.
            target = files.open_descriptor(move.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except BaseException:
            os.close(source)
            raise
        copy = self._copies[move.photo_id] = _Copy(source, target, status)
        return copy

    def _copy_slice(self, copy: _Copy, status: os.stat_result) -> None:
        """Copy no more than the file held at the start, so that one that grows is not copied for ever."""
        while copy.offset < status.st_size and self._bytes_left > 0:
            _check_source(copy, status)
            count = min(self._bytes_left, status.st_size - copy.offset)
            copied = self._operations.copy(copy.source, copy.target, copy.offset, count)
            if copied == 0:
                raise SourceDiffers
            copy.offset += copied
            self._bytes_left -= copied
        if copy.offset < status.st_size:
            # Slice by slice, or the last one would wait for all of them.
            self._operations.fsync(copy.target)

    def _finish(self, files: Files, move: Move, copy: _Copy) -> _Complete:
        # Before fsync(2), which then makes the attributes durable as well.
        copy_attributes(copy.source, copy.target)
        self._operations.fsync(copy.target)
        _check_source(copy, copy.status)
        target = os.fstat(copy.target)
        if target.st_size != copy.status.st_size:
            raise OSError(errno.EIO, "the copy has another size than the file")
        files.reveal(move.part, move.copy, target)
        return _Complete(copy.status, target)


def _check_source(copy: _Copy, status: os.stat_result) -> None:
    """Raise SourceDiffers unless the file that is copied is the one at the source, and unchanged."""
    first = identify_file(copy.status)
    if first != identify_file(status) or first != identify_file(os.fstat(copy.source)):
        raise SourceDiffers
