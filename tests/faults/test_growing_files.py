"""Files that are not complete yet are left until they are; files that vanish disturb nothing."""

from pathlib import Path

from tests.drawing import draw_jpeg, draw_noise, encode_image
from tests.driver import MovableClock, drive, open_driver
from tests.faults.observed_worker import open_observed_worker
from tests.home import Home
from worker.config import load_config

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
