"""Names of files as bytes: how they are shown, and where a taken one goes."""

import os
from collections.abc import Callable
from pathlib import Path

NAME_MAX = 255
"""Bytes that a name may have on every file system in common use (POSIX ``NAME_MAX`` on Linux)."""

_EXTENSION_MAX = 16
"""Longer endings are part of the name, so that a shortened name never loses what was before them."""


def format_path(path: Path) -> str:
    r"""Return the path as UTF-8 text, each byte that is not UTF-8 as ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def escape_unprintable(text: str) -> str:
    """Return text with its control characters escaped, so that no name can play tricks on a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def encode_undecodable(path: Path) -> bytes | None:
    """Return the path's exact bytes where `format_path` cannot give them back, else None."""
    exact = os.fsencode(path)
    try:
        exact.decode("utf-8")
    except UnicodeDecodeError:
        return exact
    return None


def restore_path(text: str, exact: bytes | None) -> Path:
    """Return the path that `format_path` and `encode_undecodable` were made of."""
    return Path(os.fsdecode(text.encode("utf-8") if exact is None else exact))


def find_free_path(wanted: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return the path, or the first of its numbered siblings `` (2)``, `` (3)`` … that is not taken."""
    path, number = wanted, 1
    while is_taken(path):
        number += 1
        path = wanted.with_name(number_name(wanted.name, number))
    return path


def number_name(name: str, number: int) -> str:
    """Return the name with `` (number)`` before its extension, shortened to fit `NAME_MAX` bytes.

    A cut falls between UTF-8 characters; a name that is not UTF-8 is cut between bytes.
    """
    stem, extension = os.path.splitext(os.fsencode(name))
    if len(extension) > _EXTENSION_MAX:
        stem, extension = stem + extension, b""
    mark = b" (%d)" % number
    kept = stem[: NAME_MAX - len(mark) - len(extension)]
    if kept != stem and _is_utf8(stem):
        kept = kept.decode("utf-8", "ignore").encode("utf-8")
    return os.fsdecode(kept + mark + extension)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
