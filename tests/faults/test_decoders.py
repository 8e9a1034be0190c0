"""A file kills or hangs the process that decodes it: it alone is quarantined."""

import resource
import subprocess
import sys

import psutil

from tests.drawing import draw_jpeg
from tests.driver import MovableClock, drive, open_driver
from tests.faults.observed_worker import open_observed_worker
from tests.home import PROJECT, Home
from worker.config import load_config


def spawn_fragile(descriptor: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.fragile_process", str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=PROJECT,
    )


def file_with_fragile_decoders(home: Home) -> None:
    later = MovableClock()
    opening = open_observed_worker(
        load_config(home.config), lambda _: None, clock=later.clock, spawn=spawn_fragile
    )
    with drive(opening, later) as hand:
        hand.step_until(
            lambda: sum(home.count_statuses().values()) == len(home.dropped) and not hand.worker.in_hand
        )


def test_a_file_that_kills_its_decoder_is_quarantined_and_the_rest_of_its_batch_is_filed(home: Home) -> None:
    home.drop_photos(5)
    home.drop("3b.jpg", draw_jpeg(20) + b"KILLS")
    file_with_fragile_decoders(home)
    (refused,) = (row for row in home.read_rows() if row.status == "quarantined")
    assert (refused.source.name, refused.reason) == ("3b.jpg", "decoder_crashed")
    assert "SIGSEGV" in str(refused.detail)
    home.check_promises()


def test_a_file_that_hangs_its_decoder_is_quarantined_after_its_time(home: Home) -> None:
    home.configure(limits={"decode_seconds": 2.0})  # of its own: a busy machine takes none of it
    home.drop_photos(3)
    home.drop("1b.jpg", draw_jpeg(20) + b"HANGS")
    file_with_fragile_decoders(home)
    (refused,) = (row for row in home.read_rows() if row.status == "quarantined")
    assert (refused.source.name, refused.reason) == ("1b.jpg", "decode_timeout")
    home.check_promises()


def test_photos_that_cannot_be_read_for_now_hold_up_no_other(home: Home) -> None:
    home.configure(model={"batch_size": 2})
    with open_driver(home) as hand:
        (child,) = psutil.Process().children()
        limits = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (3, limits[1]))  # no file can be opened
        home.drop_photos(4)
        hand.step_until(lambda: home.count_statuses() == {"pending": 4})
        for _ in range(6):  # until they are tried once a minute
            hand.step_until_idle()
            hand.time.ahead += 61
        hand.step_until_idle()
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, limits)
        home.drop_photos(1, first=4)
        hand.step_until(lambda: home.count_statuses() == {"pending": 4, "filed": 1})
        hand.time.ahead += 61
        hand.step_until(home.is_all_filed)
    home.check_promises()
