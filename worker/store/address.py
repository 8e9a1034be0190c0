"""The parts of a database URL that the rest of the package needs."""

import os
import re
from pathlib import Path

_SQLITE = "sqlite:///"


def find_sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite database, or None for a database on a server."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def describe_address(url: str) -> str:
    """Return the name of the database in messages: its file, or its URL without the password."""
    file = find_sqlite_file(url)
    if file is not None:
        return os.fsencode(file).decode("utf-8", "backslashreplace")
    scheme, separator, rest = url.partition("://")
    # At the last @: a password may have one as well.
    login, at, tail = rest.rpartition("@")
    user, colon, _password = login.partition(":")
    # libpq takes the password as a parameter as well.
    tail = re.sub(r"(password=)[^&]*", r"\1***", tail)
    return f"{scheme}{separator}{user}{colon and ':***'}{at}{tail}"
