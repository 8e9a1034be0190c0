"""Decide when to try again what another program has kept from the database."""

import logging
import math
from dataclasses import dataclass

from worker.errors import Locked

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 2.0

_LOGGED_FAILURES = 3
"""Programs collide for a moment all the time; what takes longer, some two seconds, is worth a line."""

_LONG_FAILURES = 10
"""With the pauses and the waiting itself, some 20 seconds."""


@dataclass(slots=True)
class LockWait:
    """The tries of a worker that waits for its database; one that succeeds ends the wait."""

    not_before: float = -math.inf
    _failures: int = 0

    @property
    def is_long(self) -> bool:
        """Whether it has been tried again and again."""
        return self._failures >= _LONG_FAILURES

    def fail(self, error: Locked, now: float) -> None:
        """Record that the database was locked."""
        self.not_before = now + min(_MAX_PAUSE_SECONDS, _PAUSE_SECONDS * 2**self._failures)
        self._failures += 1
        if self._failures == _LOGGED_FAILURES:  # once, not for every try of a night
            logger.warning("waiting for the database", extra={"event": "locked", "detail": str(error)})

    def succeed(self) -> None:
        """Record that it was not."""
        if self._failures >= _LOGGED_FAILURES:
            logger.info("the database is free again", extra={"event": "unlocked"})
        self._failures = 0
        self.not_before = -math.inf
