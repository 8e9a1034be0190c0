"""Where the database is, out of its URL."""

import os
import re
from pathlib import Path

_SQLITE = "sqlite:///"


def find_sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database, or None where a server keeps it."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def describe_address(url: str) -> str:
    """Return how messages name the database: its file, or its URL without the password."""
    file = find_sqlite_file(url)
    if file is not None:
        return os.fsencode(file).decode("utf-8", "backslashreplace")
    scheme, separator, rest = url.partition("://")
    login, at, tail = rest.rpartition("@")
    user, colon, _password = login.partition(":")
    tail = re.sub(r"(password=)[^&]*", r"\1***", tail)
    return f"{scheme}{separator}{user}{colon and ':***'}{at}{tail}"
