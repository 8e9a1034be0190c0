"""Tell a monitoring system how the worker is doing: /metrics for Prometheus, and /healthz.

prometheus_client is imported where it is used: a worker without metrics starts sooner without it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from worker.errors import ConfigError

_HEALTHY_SECONDS = 120.0
"""An idle worker steps every few seconds; one that has not for this long is stuck."""


class WorkerState(Protocol):
    """What the metrics need to know of a worker after each step."""

    @property
    def in_hand(self) -> int:
        """How many photos were taken on and are not finished."""

    @property
    def candidates(self) -> int:
        """How many files of the inbox are known and not taken on yet."""

    @property
    def tally(self) -> Mapping[str, int]:
        """How many photos are finished, by the folder that they went to."""


Observer = Callable[[WorkerState], None]
"""Is called with the worker after each step."""


class WorkerMetrics:
    """The metrics of one worker; other threads may read them at any time."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge

        self._monotonic = monotonic
        self._stepped_at = monotonic()
        self._tally: dict[str, int] = {}
        # Not the global one, which refuses the names of the next worker after a reload.
        self.registry = CollectorRegistry()
        self._photos = Counter(
            "moodsort_photos", "Photos that are finished, by folder", ["folder"], registry=self.registry
        )
        self._in_hand = Gauge(
            "moodsort_photos_in_hand", "Photos taken on and not finished", registry=self.registry
        )
        self._candidates = Gauge(
            "moodsort_candidates", "Files of the inbox not taken on yet", registry=self.registry
        )

    def observe(self, worker: WorkerState) -> None:
        """Update the metrics after a step."""
        self._stepped_at = self._monotonic()
        self._in_hand.set(worker.in_hand)
        self._candidates.set(worker.candidates)
        for folder, count in worker.tally.items():
            # The tally is a total, while a counter of Prometheus can only be incremented.
            self._photos.labels(folder).inc(count - self._tally.get(folder, 0))
        self._tally = dict(worker.tally)

    @property
    def is_healthy(self) -> bool:
        """Whether the worker has stepped recently."""
        return self._monotonic() - self._stepped_at < _HEALTHY_SECONDS


@contextmanager
def serve_metrics(listen: str, monotonic: Callable[[], float]) -> Iterator[Observer]:
    """Serve on `listen`, as "HOST:PORT", until the context ends; the empty text serves nowhere.

    Yields the observer to call with the worker after each step. Raises ConfigError where the address is not
    free.
    """
    if not listen:
        yield lambda _worker: None
        return
    metrics = WorkerMetrics(monotonic)
    host, _, port = listen.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _make_handler(metrics))
    except OSError as error:
        raise ConfigError(f"metrics.listen: {listen} is not free ({error.strerror}); name another") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics")
    thread.start()
    try:
        yield metrics.observe
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _make_handler(metrics: WorkerMetrics) -> type[BaseHTTPRequestHandler]:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    class Handler(BaseHTTPRequestHandler):
        """Answers GET, and logs no request."""

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
            elif self.path == "/healthz":
                healthy = metrics.is_healthy
                self._answer(200 if healthy else 503, "text/plain", b"ok\n" if healthy else b"stuck\n")
            else:
                self._answer(404, "text/plain", b"/metrics and /healthz are served here\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
