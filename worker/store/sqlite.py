"""The driver of SQLite: pysqlite3, which brings a newer SQLite than most systems have, or Python's own.

Both have the same interface; import it from here.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ModuleNotFoundError:  # there are wheels for x86-64 and macOS alone
        import sqlite3

__all__ = ["sqlite3"]
