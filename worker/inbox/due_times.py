"""Remember when each of many names is due, without ever looking at all of them."""

import heapq
import math

_STALE_ENTRIES = 1000
"""So many entries that no longer hold are kept at least before the heap is built anew."""


class DueTimes:
    """Names and the time when each is due next; each operation takes logarithmic time."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        # An entry holds while its time is that of `_times`; others are dropped when they come up.
        self._heap: list[tuple[float, str]] = []

    def set(self, name: str, due: float) -> None:
        """Set the time of a name, in place of the one that it had."""
        if self._times.get(name) == due:
            return
        self._times[name] = due
        heapq.heappush(self._heap, (due, name))
        if len(self._heap) > 2 * len(self._times) + _STALE_ENTRIES:
            self._heap = [(due, name) for name, due in self._times.items()]
            heapq.heapify(self._heap)

    def discard(self, name: str) -> None:
        """Forget a name, if it is there."""
        self._times.pop(name, None)

    def find_first(self) -> float:
        """Return the earliest time, infinity where there is none."""
        while self._heap:
            due, name = self._heap[0]
            if self._times.get(name) == due:
                return due
            heapq.heappop(self._heap)
        return math.inf

    def take(self, now: float) -> str | None:
        """Remove and return the name that has been due for longest at `now`, None where none is."""
        if self.find_first() > now:
            return None
        _, name = heapq.heappop(self._heap)
        del self._times[name]
        return name
