"""Read and write the log: the only package with SQL.

The classes that write are imported on first use: SQLAlchemy takes longer to import than `moodsort log` takes
to answer.
"""

from typing import TYPE_CHECKING, Any

from worker.store.records import Arrival, Content, Decision, FiledPhoto, Model, Status, Unfinished

if TYPE_CHECKING:
    from worker.store.turn import Turn
    from worker.store.writer import Store, open_store

__all__ = [
    "Arrival",
    "Content",
    "Decision",
    "FiledPhoto",
    "Model",
    "Status",
    "Store",
    "Turn",
    "Unfinished",
    "open_store",
]


def __getattr__(name: str) -> Any:
    if name in ("Store", "Turn", "open_store"):
        from worker.store import writer

        return getattr(writer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
