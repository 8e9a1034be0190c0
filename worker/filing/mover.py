"""Move photos to their destinations without overwriting any file and without losing one on the way."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from worker.fileio import FileIdentity, KnownFile, identify_file
from worker.filing.batch import MoveBatch, describe_error
from worker.filing.copier import SLICE_BYTES, Copier
from worker.filing.files import Files, Inode, is_like_copy, is_same_file
from worker.filing.moves import Move, MoveHindered, MoveResult
from worker.filing.operations import FileOperations
from worker.tree import Tree


class Mover:
    """Moves files below a root in batches, so that a folder is synced once for many of them.

    The root may be a symbolic link; below it none is followed.
    """

    def __init__(
        self, root: Path, operations: FileOperations | None = None, slice_bytes: int = SLICE_BYTES
    ) -> None:
        """`slice_bytes` is how much one call of `move_all` copies at most."""
        self._root = root
        self._operations = operations or FileOperations()
        self._copier = Copier(self._operations, slice_bytes)
        self._identities: dict[int, FileIdentity] = {}
        self._durable_folders: dict[Path, Inode] = {}

    def close(self) -> None:
        """Give up the copies that are under way; the next mover makes them anew."""
        self._copier.close()

    def move_all(self, moves: Sequence[Move]) -> list[MoveResult]:
        """Move each photo: link, sync the folders, withdraw the old name, sync again.

        Between file systems a durable copy takes the link's place, and where there are no links, a rename.
        An interruption between any two calls leaves the file whole at its source, at its destination, or
        under a private name beside one of them; making the same move again finishes it.
        """
        self._copier.start_batch()
        try:
            tree = Tree(self._root, self._operations.open_folder)
        except OSError as error:
            return [MoveHindered(move, describe_error(error)) for move in moves]
        with closing(tree):
            return MoveBatch(self._make_files(tree), self._copier, self._identities).run(moves)

    def settle_private_names(
        self, photo_id: int, source: Path, destination: Path, file: KnownFile | None
    ) -> FileIdentity | None:
        """Tidy up what a stopped worker has left of a move under private names.

        A file that was about to leave is gone from its source, or back there, and a copy that is not complete
        is removed. `file` is the one that was decided on, None where that is not known. Returns the identity
        of a complete copy of it: then only the move made again can finish. Raises OSError.
        """
        move = Move(photo_id, source, destination, None)
        with self._open_files() as files:
            files.remove(move.part)
            copy = files.read_status(move.copy)
            if copy is not None and file is not None and copy.st_size != file.size_bytes:
                # A log that was begun anew gives out the same ids: this is some other photo.
                files.reveal_beside(move.copy, destination, copy)
                copy = None
            if (leaving := files.read_status(move.leaving)) is not None:
                is_copied = copy is not None and _is_original(leaving, copy, file)
                if is_copied or is_same_file(leaving, files.read_status(destination)):
                    files.remove(move.leaving)
                else:
                    files.reveal_beside(move.leaving, source, leaving)
                files.sync_folder(source.parent)
            return identify_file(copy) if copy else None

    def return_stray(self, path: Path, photo_id: int) -> None:
        """Give a file that has a private name, and no row, a visible one beside it. Raises OSError."""
        with self._open_files() as files:
            if (status := files.read_status(path)) is not None:
                files.reveal_beside(path, path.with_name(f"moodsort-{photo_id}"), status)
                files.sync_folder(path.parent)

    @contextmanager
    def _open_files(self) -> Iterator[Files]:
        with closing(Tree(self._root, self._operations.open_folder)) as tree:
            yield self._make_files(tree)

    def _make_files(self, tree: Tree) -> Files:
        return Files(tree, self._operations, self._durable_folders)


def _is_original(leaving: os.stat_result, copy: os.stat_result, file: KnownFile | None) -> bool:
    """Tell whether a file that was leaving is what the copy is of, and not a newer version."""
    if file is None:
        return is_like_copy(leaving, copy)
    identity = identify_file(leaving)
    return identity is not None and file.is_at(identity)
