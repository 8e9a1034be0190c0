"""Files that are not complete yet are left until they are; files that vanish disturb nothing."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg, draw_noise, encode_image
from tests.driver import MovableClock, drive, open_driver
from tests.faults.observed_worker import open_observed_worker
from tests.home import Home
from worker.config import load_config
from worker.fileio import load_libc

PHOTO = encode_image(draw_noise(7), "JPEG")


def test_a_file_that_is_written_byte_by_byte_is_left_until_it_is_closed(home: Home) -> None:
    path = home.inbox / "slow.jpg"
    home.dropped[Path("inbox/slow.jpg")] = PHOTO
    with open_driver(home) as hand:
        with path.open("wb", buffering=0) as file:
            for byte in PHOTO[:30]:
                file.write(bytes([byte]))
                hand.worker.step(hand.time.clock.monotonic())
            hand.step_until(lambda: hand.worker.candidates == 1)
            hand.time.ahead += 3600
            hand.worker.step(hand.time.clock.monotonic())
            assert home.read_rows() == []
            file.write(PHOTO[30:])
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_photo_that_is_appended_to_and_closed_each_time_is_left_until_it_is_whole(home: Home) -> None:
    home.configure(inbox={"settle_seconds": 600.0})
    path = home.inbox / "slow.jpg"
    home.dropped[Path("inbox/slow.jpg")] = PHOTO
    quarter = len(PHOTO) // 4
    with open_driver(home) as hand:
        for start in range(0, 3 * quarter, quarter):
            with path.open("ab") as file:
                file.write(PHOTO[start : start + quarter])
            hand.step_until(lambda: home.count_statuses()["pending"] == 1)
            hand.step_until_idle()
            assert home.count_statuses() == {"pending": 1}
        with path.open("ab") as file:
            file.write(PHOTO[3 * quarter :])
        hand.time.ahead += 600
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_damaged_photo_waits_no_longer_than_a_file_takes_to_settle(home: Home) -> None:
    home.configure(inbox={"settle_seconds": 600.0})
    with open_driver(home) as hand:
        home.drop("cut.jpg", PHOTO[:-300])
        hand.step_until(lambda: home.count_statuses()["pending"] == 1)
        hand.step_until_idle()
        hand.time.ahead += 601
        hand.step_until(lambda: home.count_statuses() == {"quarantined": 1})
    home.check_promises()


def test_a_file_that_vanishes_before_it_is_read_is_missing_and_disturbs_no_other(home: Home) -> None:
    path = home.drop("gone.jpg", draw_jpeg(1))
    home.drop("here.jpg", draw_jpeg(2))

    def vanish(step: str) -> None:
        if step == "before submit":
            path.unlink(missing_ok=True)

    later = MovableClock()
    with drive(open_observed_worker(load_config(home.config), vanish, clock=later.clock), later) as hand:
        hand.step_until(lambda: home.count_statuses() == {"filed": 1, "missing": 1})
    assert [row.source.name for row in home.read_rows() if row.status == "missing"] == ["gone.jpg"]
    assert [path.name for path in home.read_files()] == ["here.jpg"]


def test_a_file_that_is_replaced_after_it_was_read_is_predicted_again(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    replacements: list[Path] = []

    def replace(step: str) -> None:
        if step == "after decide commit" and not replacements:
            replacements.append(home.drop("a.jpg", draw_jpeg(2)))

    later = MovableClock()
    with drive(open_observed_worker(load_config(home.config), replace, clock=later.clock), later) as hand:
        hand.step_until(home.is_all_filed)
    (row,) = home.read_rows()
    assert row.attempts == 2
    home.check_promises()


_CAP_LEASE = 28
_CAPABILITY_VERSION_3 = 0x20080522
"""From linux/capability.h."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")


@contextmanager
def _give_up_leases() -> Iterator[None]:
    """Be without CAP_LEASE, as an ordinary user is, until the context ends."""
    libc = load_libc()
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(header, sets) == 0
    before = sets.raw
    effective, *others = struct.unpack("6I", before)
    reduced = struct.pack("6I", effective & ~(1 << _CAP_LEASE), *others)
    assert libc.capset(header, reduced) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


def _drop_half_as_another_user(home: Home) -> Path:
    path = home.folder / "outside.jpg"
    path.write_bytes(PHOTO[: len(PHOTO) // 2])
    os.chown(path, 65534, 65534)
    home.dropped[Path("inbox/half.jpg")] = PHOTO
    return path.rename(home.inbox / "half.jpg")


@needs_root
def test_half_a_photo_of_another_user_is_not_taken_for_a_broken_one_where_no_lease_can_tell(
    home: Home,
) -> None:
    home.configure(inbox={"settle_seconds": 600.0})
    with _give_up_leases(), open_driver(home) as hand:
        path = _drop_half_as_another_user(home)
        with path.open("ab") as writer:
            hand.step_until(lambda: hand.worker.candidates == 1)
            hand.time.ahead += 601
            hand.step_until(lambda: home.count_statuses() == {"pending": 1})
            hand.step_until_idle()
            hand.time.ahead += 601
            hand.step_until_idle()
            assert home.count_statuses() == {"pending": 1}
            writer.write(PHOTO[len(PHOTO) // 2 :])
        hand.time.ahead += 601
        hand.step_until(home.is_all_filed)
    home.check_promises()


@needs_root
def test_a_broken_photo_of_another_user_is_quarantined_in_the_end(home: Home) -> None:
    home.configure(inbox={"settle_seconds": 600.0})
    with _give_up_leases(), open_driver(home) as hand:
        path = _drop_half_as_another_user(home)
        home.dropped[Path("inbox/half.jpg")] = path.read_bytes()
        hand.step_until(lambda: hand.worker.candidates == 1)
        hand.time.ahead += 10 * 601
        hand.step_until(lambda: home.count_statuses() == {"quarantined": 1})
    home.check_promises()


def test_a_photo_that_is_opened_again_while_it_is_read_is_never_quarantined(home: Home) -> None:
    with open_driver(home) as hand:
        path = home.drop("half.jpg", PHOTO[: len(PHOTO) // 2])
        home.dropped[Path("inbox/half.jpg")] = PHOTO
        hand.step_until(lambda: home.count_statuses()["pending"] == 1)
        with path.open("ab") as writer:
            for _ in range(3):
                hand.time.ahead += 3600
                hand.step_until_idle()
            assert home.count_statuses() == {"pending": 1}
            assert hand.worker.is_stuck, "or run --once would wait for the writer"
            writer.write(PHOTO[len(PHOTO) // 2 :])
        hand.time.ahead += 3600
        hand.step_until(home.is_all_filed)
    home.check_promises()
