"""Metrics and health, over a real socket."""

import socket
import urllib.error
import urllib.request

import pytest

from tests.drawing import draw_jpeg
from tests.home import Home, wait_until
from tests.patience import scale
from worker.errors import ConfigError
from worker.ops.metrics import WorkerMetrics, serve_metrics


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=scale(10)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


def test_a_running_worker_reports_how_many_photos_it_has_finished(home: Home, port: int) -> None:
    home.configure(metrics={"listen": f"127.0.0.1:{port}"})
    with home.run_worker() as worker:
        wait_until(worker.is_ready)
        home.drop("holiday.jpg", draw_jpeg(1))
        wait_until(lambda: 'moodsort_photos_total{folder="' in _get(port, "/metrics")[1], seconds=30)
        assert _get(port, "/healthz") == (200, "ok\n")
        assert _get(port, "/")[0] == 404


def test_a_worker_that_has_not_stepped_for_long_is_not_healthy() -> None:
    now = [0.0]
    metrics = WorkerMetrics(lambda: now[0])
    assert metrics.is_healthy
    now[0] = 1000.0
    assert not metrics.is_healthy


def test_an_address_that_is_taken_is_one_clear_line(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        serving = serve_metrics(f"127.0.0.1:{port}", lambda: 0.0)
        with pytest.raises(ConfigError, match=r"metrics\.listen: .* name another"), serving:
            pass
