"""Tell a monitoring system how the worker is doing: /metrics for Prometheus, and /healthz.

prometheus_client is imported where it is used: a worker without metrics starts sooner without it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import wait
from typing import Protocol

from worker.errors import ConfigError
from worker.fileio import Wakeup
from worker.store import Model

_HEALTHY_SECONDS = 120.0
"""An idle worker steps every few seconds; one that has not for this long is stuck."""

_PHOTO_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""The buckets of the time per photo: from that of a small picture to the default `decode_seconds`."""


class WorkerState(Protocol):
    """What the metrics need to know of a worker after each step."""

    @property
    def model(self) -> Model:
        """The bundle that it predicts with."""

    @property
    def in_hand(self) -> int:
        """How many photos were taken on and are not finished."""

    @property
    def candidates(self) -> int:
        """How many files of the inbox are known and not taken on yet."""

    @property
    def tally(self) -> Mapping[str, int]:
        """How many photos are finished, by the folder that they went to."""

    @property
    def photo_seconds(self) -> Sequence[float]:
        """How long each photo took that was predicted in the last step."""

    @property
    def restarts(self) -> int:
        """How many child processes have died and were replaced."""


Observer = Callable[[WorkerState], None]
"""Is called with the worker after each step."""


class WorkerMetrics:
    """The metrics of one worker; other threads may read them at any time."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        from importlib.metadata import version

        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

        self._monotonic = monotonic
        self._stepped_at = monotonic()
        self._tally: dict[str, int] = {}
        self._counted_restarts = 0
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
        self._photo_seconds = Histogram(
            "moodsort_photo_seconds",
            "Time to read, decode and predict a photo",
            buckets=_PHOTO_SECONDS,
            registry=self.registry,
        )
        self._restarts = Counter(
            "moodsort_classifier_restarts",
            "Child processes that have died and were replaced",
            registry=self.registry,
        )
        self._model = Info("moodsort_model", "The bundle in use", registry=self.registry)
        build = Info("moodsort_build", "The program that is running", registry=self.registry)
        build.info({"version": version("moodsort")})

    def observe(self, worker: WorkerState) -> None:
        """Update the metrics after a step."""
        self._stepped_at = self._monotonic()
        self._in_hand.set(worker.in_hand)
        self._candidates.set(worker.candidates)
        self._model.info({"name": worker.model.name, "version": worker.model.version})
        for seconds in worker.photo_seconds:
            self._photo_seconds.observe(seconds)
        # The worker has totals, while a counter of Prometheus can only be incremented.
        self._restarts.inc(worker.restarts - self._counted_restarts)
        self._counted_restarts = worker.restarts
        for folder, count in worker.tally.items():
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
    with server, closing(Wakeup()) as stop:
        thread = threading.Thread(target=_serve, args=(server, stop), name="metrics")
        thread.start()
        try:
            yield metrics.observe
        finally:
            stop.wake()
            thread.join()


def _serve(server: ThreadingHTTPServer, stop: Wakeup) -> None:
    """Answer requests until `stop` is woken."""
    # Not by serve_forever(), which looks twice a second whether to end, and would hold up a stop for so long.
    server.timeout = 0  # no waiting for a connection that has gone before it could be accepted
    while stop.fileno() not in wait([server.fileno(), stop.fileno()]):
        server.handle_request()


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
