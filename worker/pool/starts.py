"""Decide when a child process may be started: a service that was proven never gives up."""

import logging
import math
from dataclasses import dataclass

from worker.errors import BundleError

logger = logging.getLogger(__name__)

_MAX_FAILURES = 3
"""One may be bad luck, as when memory is short; so many in a row have a cause that stays."""

_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 30.0


@dataclass(slots=True)
class Starts:
    """The starts of a pool's processes; it is proven once one of them was ready."""

    not_before: float = -math.inf
    _is_proven: bool = False
    _failures: int = 0

    def succeed(self) -> None:
        """Record that a process is ready."""
        if self._failures > 1:
            logger.info("child processes start again", extra={"event": "starts_again"})
        self._is_proven = True
        self._failures = 0
        self.not_before = -math.inf

    def fail(self, cause: str, now: float) -> None:
        """Record that a process could not start, or has ended before it was ready.

        Raises BundleError where none was ever ready and there have been several.
        """
        self._failures += 1
        if not self._is_proven:
            if self._failures >= _MAX_FAILURES:
                raise BundleError(f"child processes do not start: {cause}; see moodsort doctor")
            return
        pause = min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2 ** (self._failures - 1))
        self.not_before = now + pause
        if self._failures == _MAX_FAILURES:  # once, not for every try of a night
            fields = {"event": "starts_fail", "cause": cause}
            logger.warning("child processes do not start; trying again", extra=fields)

    def refuse(self, detail: str) -> None:
        """Raise BundleError where a process found its task unfit and none was ever ready."""
        if not self._is_proven:
            raise BundleError(detail)
