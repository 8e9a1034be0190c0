"""Move photos to their destinations, and plan how to finish moves that a crash has interrupted."""

from worker.filing.mover import Mover
from worker.filing.moves import (
    DestinationTaken,
    Move,
    MoveContinues,
    Moved,
    MoveHindered,
    MoveResult,
    SourceChanged,
    parse_leaving,
)
from worker.filing.operations import FileOperations
from worker.filing.recovery_plan import (
    DecidedFile,
    PathState,
    RecoveryAction,
    plan_recovery,
    read_path_state,
)

__all__ = [
    "DecidedFile",
    "DestinationTaken",
    "FileOperations",
    "Move",
    "MoveContinues",
    "MoveHindered",
    "MoveResult",
    "Moved",
    "Mover",
    "PathState",
    "RecoveryAction",
    "SourceChanged",
    "parse_leaving",
    "plan_recovery",
    "read_path_state",
]
