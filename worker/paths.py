"""Names of files as bytes: how to print them, store them, and number those that are taken."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

NAME_MAX = 255
"""Bytes that a name may have on every file system in common use (POSIX ``NAME_MAX`` on Linux)."""

_EXTENSION_MAX = 16
"""A longer ending counts as part of the name, so that shortening cuts it rather than what is before it."""


PRIVATE_PREFIX = ".moodsort-"
"""How every name begins that a file bears only while it is on its way."""


def format_path(path: Path) -> str:
    r"""Return the path as UTF-8 text, each byte that is not UTF-8 as ``\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def escape_unprintable(text: str) -> str:
    """Return text with its control characters escaped, so that no name can steer a terminal.

    Those that turn the direction of writing are escaped as well: a name could look like another. Spaces of
    any width stay.
    """
    return "".join(
        char if is_shown_as_it_is(char) else char.encode("unicode_escape").decode() for char in text
    )


def is_shown_as_it_is(char: str) -> bool:
    """Tell whether a character neither steers a terminal nor changes how others are shown."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def encode_undecodable(path: Path) -> bytes | None:
    """Return the path's exact bytes where `format_path` loses them, else None."""
    exact = os.fsencode(path)
    return None if _is_utf8(exact) else exact


def restore_path(text: str, exact: bytes | None) -> Path:
    """Return the path whose `format_path` and `encode_undecodable` these are."""
    return Path(os.fsdecode(text.encode("utf-8") if exact is None else exact))


def find_free_path(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return the path, or the first of its numbered siblings `` (2)``, `` (3)`` … that is not taken."""
    candidate, number = path, 1
    while is_taken(candidate):
        number += 1
        candidate = path.with_name(number_name(path.name, number))
    return candidate


def number_name(name: str, number: int) -> str:
    """Return the name with `` (number)`` before its extension, its stem shortened to fit `NAME_MAX` bytes.

    A UTF-8 name is cut between characters, any other between bytes.
    """
    stem, extension = os.path.splitext(os.fsencode(name))
    if len(extension) > _EXTENSION_MAX:
        stem, extension = stem + extension, b""
    suffix = b" (%d)" % number + extension
    shortened = stem[: NAME_MAX - len(suffix)]
    if shortened != stem and _is_utf8(stem):
        shortened = shortened.decode("utf-8", "ignore").encode("utf-8")
    return os.fsdecode(shortened + suffix)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
