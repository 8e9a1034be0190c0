"""Move the photos of one batch step by step, so that a folder is synced once for many of them."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.fileio import FileIdentity, identify_file
from worker.filing.copier import Copier
from worker.filing.files import Files, cannot_link, is_same_file, is_unchanged
from worker.filing.moves import (
    DestinationTaken,
    Move,
    MoveContinues,
    Moved,
    MoveHindered,
    MoveResult,
    SourceChanged,
    SourceDiffers,
)
from worker.tree import PATH_ONLY


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a move is.

    `source` is the file that has to lose its old name, None where none has it any more; with `is_leaving` it
    bears its private name already. `hidden` is the private name of a file that is to get the destination's.
    """

    move: Move
    source: os.stat_result | None = None
    is_leaving: bool = False
    hidden: Path | None = None

    @property
    def is_renamed(self) -> bool:
        """Whether the file itself goes to its destination, for want of links."""
        return self.hidden is not None and self.hidden == self.move.leaving


class MoveBatch:
    """The moves of one batch; each step takes those that have come that far, and ends some of them."""

    def __init__(self, files: Files, copier: Copier, identities: dict[int, FileIdentity]) -> None:
        """`identities` keeps what was first seen of sources that could not be read, between batches."""
        self._files = files
        self._copier = copier
        self._identities = identities
        self._results: dict[int, MoveResult] = {}

    def run(self, moves: Sequence[Move]) -> list[MoveResult]:
        """Make the moves; return their results in the same order."""
        # Those that are half copied last, or a large one would hold up the others slice by slice.
        ordered = sorted(moves, key=lambda move: self._copier.is_copying(move.photo_id))
        progress = self._take_step(self._arrive, map(Progress, ordered))
        # In this order a power cut between two steps cannot leave a photo without a name.
        progress = self._sync(progress, lambda move: move.destination.parent)
        progress = self._take_step(self._withdraw, progress)
        progress = self._sync_left(progress)
        progress = self._finish_hidden(progress)
        for ended in progress:
            self._end(Moved(ended.move, self._identify(ended.move.destination)))
        return [self._results[move.photo_id] for move in moves]

    def _identify(self, path: Path) -> FileIdentity | None:
        with suppress(OSError):
            if (status := self._files.read_status(path)) is not None:
                return identify_file(status)
        return None

    def _finish_hidden(self, progress: list[Progress]) -> list[Progress]:
        hidden = self._take_step(self._reveal, (ended for ended in progress if ended.hidden))
        hidden = self._sync(hidden, lambda move: move.destination.parent)
        hidden = self._sync_left(hidden)
        return [ended for ended in progress if ended.hidden is None] + hidden

    def _take_step(
        self, step: Callable[[Progress], Progress | MoveResult], progress: Iterable[Progress]
    ) -> list[Progress]:
        """Take one step with each move; return those that go on."""
        remaining = []
        for current in progress:
            try:
                outcome = step(current)
            except SourceDiffers:
                self._copier.discard(self._files, current.move)
                outcome = SourceChanged(current.move)
            except OSError as error:
                outcome = MoveHindered(current.move, describe_error(error))
            if isinstance(outcome, Progress):
                remaining.append(outcome)
            else:
                self._end(outcome)
        return remaining

    def _end(self, result: MoveResult) -> None:
        photo_id = result.move.photo_id
        self._results[photo_id] = result
        if isinstance(result, Moved | SourceChanged):
            self._identities.pop(photo_id, None)
            self._copier.forget(photo_id)

    def _sync_left(self, progress: list[Progress]) -> list[Progress]:
        """Sync the folders that photos have left; of one that is gone no name is left to make durable."""
        return self._sync(progress, lambda move: move.source.parent, may_be_gone=True)

    def _sync(
        self, progress: list[Progress], choose: Callable[[Move], Path], *, may_be_gone: bool = False
    ) -> list[Progress]:
        """Sync a folder of each move, each folder once; return the moves that go on."""
        causes: dict[Path, str] = {}
        for folder in dict.fromkeys(choose(current.move) for current in progress):
            try:
                self._files.sync_folder(folder)
            except OSError as error:
                if may_be_gone and isinstance(error, FileNotFoundError):
                    continue
                causes[folder] = describe_error(error)
        for current in progress:
            if cause := causes.get(choose(current.move)):
                self._end(MoveHindered(current.move, cause))
        return [current for current in progress if choose(current.move) not in causes]

    # The file gets its new name, or a copy of it lies beside that.

    def _arrive(self, progress: Progress) -> Progress | MoveResult:
        move = progress.move
        try:
            descriptor = self._files.open_descriptor(move.source, PATH_ONLY)
        except (FileNotFoundError, NotADirectoryError):
            return self._resume(move, None)
        try:
            status = os.fstat(descriptor)
            if self._is_expected(move, status):
                return self._link(move, descriptor, status)
        finally:
            os.close(descriptor)
        return self._resume(move, status)

    def _is_expected(self, move: Move, status: os.stat_result) -> bool:
        identity = identify_file(status)
        expected = self._get_expected(move)
        if expected is None and identity is not None:
            expected = self._identities[move.photo_id] = identity
        return identity is not None and identity == expected

    def _get_expected(self, move: Move) -> FileIdentity | None:
        return move.identity or self._identities.get(move.photo_id)

    def _link(self, move: Move, descriptor: int, status: os.stat_result) -> Progress | MoveResult:
        self._files.make_folders(move.destination.parent)
        try:
            self._files.link(move.source, descriptor, move.destination)
        except FileExistsError:
            return self._recognise(move, status)
        except FileNotFoundError as error:
            if os.fstat(descriptor).st_nlink == 0:
                raise SourceDiffers from error
            raise
        except OSError as error:
            if error.errno == errno.EXDEV:
                return self._copy(move, status)
            if not cannot_link(error):
                raise
            is_taken = self._files.read_status(move.destination) is not None
            return DestinationTaken(move) if is_taken else Progress(move, status, hidden=move.leaving)
        return Progress(move, status)

    def _recognise(self, move: Move, status: os.stat_result) -> Progress | MoveResult:
        """Tell whether what is at the destination is the photo, which has got there before."""
        arrived = self._files.read_status(move.destination)
        if is_same_file(arrived, status):
            return Progress(move, status)
        copy = self._files.read_status(move.copy)
        # Never by its content: another file may hold the same.
        if copy is not None and is_same_file(arrived, copy):
            source = status if self._copier.is_copied(move, status, copy) else None
            return Progress(move, source, hidden=move.copy)
        return DestinationTaken(move)

    def _copy(self, move: Move, status: os.stat_result) -> Progress | MoveResult:
        """Copy to a private name and link that, so that no incomplete file is ever at the destination."""
        copy = self._files.read_status(move.copy)
        if copy is not None and not self._copier.is_copied(move, status, copy):
            # A log that was begun anew gives out the same ids: this is some other photo.
            self._files.reveal_beside(move.copy, move.destination, copy)
            copy = None
        if copy is None and not self._copier.copy(self._files, move, status):
            return MoveContinues(move)
        return self._link_copy(Progress(move, status, hidden=move.copy))

    def _link_copy(self, progress: Progress) -> Progress | MoveResult:
        move = progress.move
        try:
            with self._files.open_file(move.copy) as descriptor:
                self._files.link(move.copy, descriptor, move.destination)
        except FileExistsError:
            copy = self._files.read_status(move.copy)
            is_own = is_same_file(copy, self._files.read_status(move.destination))
            return progress if is_own else DestinationTaken(move)
        except OSError as error:
            if not cannot_link(error):
                raise
            if self._files.read_status(move.destination) is not None:
                return DestinationTaken(move)
        return progress

    def _resume(self, move: Move, status: os.stat_result | None) -> Progress:
        """Go on with a move whose source is gone, or is not what it was; an interrupted move does both."""
        leaving = self._files.read_status(move.leaving)
        copy = self._files.read_status(move.copy)
        arrived = self._files.read_status(move.destination)
        if leaving is not None:
            return self._resume_leaving(move, leaving, copy, arrived)
        if self._is_known(move, arrived) or (copy is None and self._copier.is_copy(move, arrived)):
            source = status if is_same_file(status, arrived) else None
            return Progress(move, source, hidden=move.copy if is_same_file(arrived, copy) else None)
        if copy is None:
            raise SourceDiffers
        if status is None or not self._is_known(move, status):
            return Progress(move, hidden=move.copy)  # it may be all that is left of the photo
        if self._copier.is_copied(move, status, copy):
            return Progress(move, status, hidden=move.copy)
        if is_same_file(arrived, copy):
            return Progress(move, hidden=move.copy)  # it was written to after it was copied: another photo
        self._files.remove(move.copy)
        raise SourceDiffers

    def _resume_leaving(
        self,
        move: Move,
        leaving: os.stat_result,
        copy: os.stat_result | None,
        arrived: os.stat_result | None,
    ) -> Progress:
        if is_same_file(arrived, leaving):
            return Progress(move, leaving, is_leaving=True)
        if copy is not None and self._copier.is_copied(move, leaving, copy):
            return Progress(move, leaving, is_leaving=True, hidden=move.copy)
        if copy is None and self._is_known(move, leaving):
            return Progress(move, leaving, is_leaving=True, hidden=move.leaving)
        self._files.reveal_beside(move.leaving, move.source, leaving)
        if copy is None:
            raise SourceDiffers
        return Progress(move, hidden=move.copy)

    def _is_known(self, move: Move, status: os.stat_result | None) -> bool:
        """Tell whether a file is the one that was read; links and renames have changed its ctime."""
        expected = self._get_expected(move)
        identity = identify_file(status) if status else None
        return expected is not None and identity is not None and identity.is_same_file(expected)

    # The file loses its old name.

    def _withdraw(self, progress: Progress) -> Progress:
        """Remove the old name if it is the photo's; what has come under it since gets it back.

        The file is renamed before it is looked at: what a name stood for when it was looked at may have been
        replaced by the time it is removed.
        """
        if progress.source is None:
            return progress
        move, leaving = progress.move, progress.move.leaving
        if not progress.is_leaving:
            self._hide_source(progress)
        status = self._files.read_status(leaving)
        has_new_name = self._has_new_name(progress)
        if status is not None and has_new_name and _is_source(progress, status):
            if not progress.is_renamed:
                self._files.remove(leaving)
            return progress
        if status is not None:
            self._files.reveal_beside(leaving, move.source, status)
        if progress.is_renamed or not has_new_name:
            raise SourceDiffers
        return progress

    def _has_new_name(self, progress: Progress) -> bool:
        """Tell whether what the photo is to be known by is still there: a person may have removed it."""
        if progress.is_renamed:
            return True
        if progress.hidden is not None:
            return self._files.read_status(progress.hidden) is not None
        return is_same_file(self._files.read_status(progress.move.destination), progress.source)

    def _is_linked(self, progress: Progress) -> bool:
        """Tell whether the destination's name is given already."""
        if progress.hidden is None:
            return True
        hidden = self._files.read_status(progress.hidden)
        return is_same_file(hidden, self._files.read_status(progress.move.destination))

    def _hide_source(self, progress: Progress) -> None:
        source, leaving = progress.move.source, progress.move.leaving
        # What cannot be renamed without replacing could not get its new name either, and would stay hidden.
        may_replace = self._is_linked(progress)
        try:
            self._files.hide(source, leaving, may_replace=may_replace)
        except (FileNotFoundError, NotADirectoryError):
            return  # it has gone by itself, or a network file system has lost the answer
        except FileExistsError:
            # Left by a log that was begun anew and gives out the same ids: some other photo.
            if (status := self._files.read_status(leaving)) is not None:
                self._files.reveal_beside(leaving, source, status)
            self._files.hide(source, leaving, may_replace=may_replace)

    # A hidden file gets its name.

    def _reveal(self, progress: Progress) -> Progress | MoveResult:
        move, hidden = progress.move, progress.hidden
        assert hidden is not None
        status = self._files.read_status(hidden)
        if status is None:
            raise SourceDiffers  # somebody has removed it
        self._files.make_folders(move.destination.parent)
        try:
            self._files.reveal(hidden, move.destination, status)
        except FileExistsError:
            return DestinationTaken(move)
        return progress


def _is_source(progress: Progress, status: os.stat_result) -> bool:
    """Tell whether a file that was withdrawn is the one that has arrived."""
    assert progress.source is not None
    if progress.hidden is None:  # one inode, whatever was written to it
        return os.path.samestat(progress.source, status)
    return stat.S_ISREG(status.st_mode) and is_unchanged(progress.source, status)


def describe_error(error: OSError) -> str:
    """Say what an error is, in the system's words and by its name."""
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, '?')})"
