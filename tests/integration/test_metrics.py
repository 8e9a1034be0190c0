"""Metrics and health, over a real socket."""

import socket
import urllib.error
import urllib.request
from importlib.metadata import version

import psutil
import pytest

from tests.drawing import draw_jpeg
from tests.driver import open_driver
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
        wait_until(lambda: 'moodsort_photos_total{folder="' in _get(port, "/metrics")[1])
        assert _get(port, "/healthz") == (200, "ok\n")
        assert _get(port, "/")[0] == 404


def test_the_metrics_name_the_program_and_the_bundle_and_time_each_photo(home: Home) -> None:
    metrics = WorkerMetrics(lambda: 0.0)
    home.drop_photos(3)
    with open_driver(home) as driver:

        def is_all_filed() -> bool:
            metrics.observe(driver.worker)
            return home.is_all_filed()

        driver.step_until(is_all_filed)
        model = driver.worker.model
    read = metrics.registry.get_sample_value
    assert read("moodsort_build_info", {"version": version("moodsort")}) == 1
    assert read("moodsort_model_info", {"name": model.name, "version": model.version}) == 1
    assert read("moodsort_photo_seconds_count") == 3
    assert read("moodsort_photo_seconds_bucket", {"le": "+Inf"}) == 3
    assert read("moodsort_photo_seconds_sum") > 0
    assert read("moodsort_classifier_restarts_total") == 0


def test_a_child_process_that_is_replaced_counts_as_a_restart(home: Home) -> None:
    metrics = WorkerMetrics(lambda: 0.0)
    with open_driver(home) as driver:
        (child,) = psutil.Process().children()
        child.kill()
        driver.step_until(lambda: driver.worker.restarts)
        for _ in range(2):  # a total that is observed twice counts once
            metrics.observe(driver.worker)
    assert metrics.registry.get_sample_value("moodsort_classifier_restarts_total") == 1


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
