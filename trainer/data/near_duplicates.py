"""Find the pictures that show the same thing: copies, re-encoded, resized and mirrored ones."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from worker.inference.decode import Pixels
from worker.inference.manifest import InputSpec
from worker.inference.preprocess import resize_to_input

Bits = NDArray[np.uint64]

_SIDE = 16
_VIEW = InputSpec(width=_SIDE + 1, height=_SIDE + 1, colour="grey", resize="stretch")

_MAX_DISTANCE = 72
"""Bits of 512 in which two hashes of the same picture may differ."""

_SET_BITS_PER_DIFFERENCE = 6
"""How many bits have to be set in the two hashes for each bit that differs.

Without it, drawings on an even ground, whose hashes are nearly empty, would all be the same picture.
Measured on 2000 web photos and 2000 faces, with both limits: of the copies saved as JPEG of quality 40,
99.6 and 99.9 % are found, of those at half size 99.9 and 100 %, of those cropped by 2 % on every side 96 and
99.7 %; of 2 million pairs of different files 4 and 29 are, most of them true copies.
"""

_BLOCK = 512
"""Rows that are compared with all later ones at a time: N × N comparisons would not fit into memory."""


class HashedImage(Protocol):
    """A picture's file hash, and its difference hash, uint64 (8,), as it is and mirrored."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file."""

    @property
    def bits(self) -> Bits:
        """The difference hash of the picture."""

    @property
    def mirror_bits(self) -> Bits:
        """The difference hash of the picture's mirror image."""


def hash_differences(pixels: Pixels) -> tuple[Bits, Bits]:
    """Hash RGB pixels, uint8 (H, W, 3), and their mirror image: uint64 (8,) each.

    The bits say where grey grows to the right and downwards: the difference hash of N. Krawetz ("Kind of
    Like That", 2013) at 16 × 16 instead of 8 × 8, in both directions: bars across the whole picture do not
    change from left to right.
    """
    grey = resize_to_input(pixels, _VIEW)[..., 0]
    return _compute_gradient_bits(grey), _compute_gradient_bits(grey[:, ::-1])


def _compute_gradient_bits(grey: Pixels) -> Bits:
    rightwards = grey[:-1, 1:] > grey[:-1, :-1]
    downwards = grey[1:, :-1] > grey[:-1, :-1]
    return np.packbits(np.stack([rightwards, downwards])).view(np.uint64)


def group_images(images: Sequence[HashedImage]) -> NDArray[np.int64]:
    """Return the number of each picture's group of near-duplicates, int64 (N,)."""
    if not images:
        return np.zeros(0, np.int64)
    return group_near_duplicates(
        np.stack([image.bits for image in images]),
        np.stack([image.mirror_bits for image in images]),
        [image.sha256 for image in images],
    )


def group_near_duplicates(bits: Bits, mirror_bits: Bits, hashes: Sequence[str]) -> NDArray[np.int64]:
    """Give each picture the number of its group, one of pictures that are the same: int64 (N,).

    Pictures are the same by their hashes, or by way of others that are. `bits` and `mirror_bits` are
    uint64 (N, 8); `hashes` the files' own, of which equal ones always group.
    """
    count = len(bits)
    # Without these, copies of a plain picture would not group: no bit is set in its difference hash.
    pairs = [_pair_equal_hashes(hashes)]
    for start in range(0, count, _BLOCK):
        rows = bits[start : start + _BLOCK]
        pairs += [
            np.argwhere(_compare_bits(rows, columns[start:])) + start for columns in (bits, mirror_bits)
        ]
    links = np.concatenate(pairs)
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    _, groups = connected_components(graph, directed=False)
    return groups.astype(np.int64)


def _pair_equal_hashes(hashes: Sequence[str]) -> NDArray[np.int64]:
    _, first, group = np.unique(np.array(hashes), return_index=True, return_inverse=True)
    return np.column_stack([np.arange(len(hashes)), first[group]])


def _compare_bits(rows: Bits, columns: Bits) -> NDArray[np.bool_]:
    """Tell which pairs of hashes, uint64 (N, 8) and (M, 8), are of the same picture: bool (N, M)."""
    distances = np.zeros((len(rows), len(columns)), np.uint16)
    for word in range(rows.shape[1]):
        distances += np.bitwise_count(rows[:, word, None] ^ columns[None, :, word])
    are_same: NDArray[np.bool_] = distances <= _MAX_DISTANCE
    set_bits = _count_bits(rows)[:, None] + _count_bits(columns)[None, :]
    are_same &= distances * _SET_BITS_PER_DIFFERENCE < set_bits
    return are_same


def _count_bits(bits: Bits) -> NDArray[np.uint16]:
    total: NDArray[np.uint16] = np.bitwise_count(bits).sum(axis=1, dtype=np.uint16)
    return total
