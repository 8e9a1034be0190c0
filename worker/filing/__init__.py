"""Move photos to where they belong, and take up the moves that were cut short."""

from worker.filing.mover import (
    Changed,
    Filing,
    Hindered,
    Move,
    Moved,
    Result,
    Taken,
    free_destination,
)
from worker.filing.operations import Operations
from worker.filing.recovery_plan import Next, Trace, trace_of, what_is_next

__all__ = [
    "Changed",
    "Filing",
    "Hindered",
    "Move",
    "Moved",
    "Next",
    "Operations",
    "Result",
    "Taken",
    "Trace",
    "free_destination",
    "trace_of",
    "what_is_next",
]
