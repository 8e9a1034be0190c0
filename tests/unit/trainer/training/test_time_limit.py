import pytest

from trainer.training.time_limit import Closing, Pace, TimeLimit

PACE = Pace(first_step=4.0, step=1.0, validation=3.0)


def test_another_step_is_begun_only_if_it_its_validation_and_what_follows_end_in_time():
    limit = TimeLimit(60.0, estimate_closing=lambda pace: 5 * pace.first_step)

    assert limit.compute_share(18.0, PACE) == pytest.approx(0.5)
    assert limit.compute_share(35.9, PACE) < 1
    assert limit.compute_share(36.0, PACE) == limit.compute_share(1e9, PACE) == 1


def test_a_time_that_what_follows_uses_up_alone_leaves_none_for_steps():
    assert TimeLimit(-1.0, estimate_closing=lambda pace: 0.0).compute_share(0.0, Pace()) == 1
    assert TimeLimit(24.0, estimate_closing=lambda pace: 20.0).compute_share(0.0, PACE) == 1


def test_what_follows_takes_longer_with_more_pictures_threads_exports_and_slower_steps():
    closing = Closing(representative=200, validation=30, test=30, exports=0, threads=2)
    seconds = closing.estimate_seconds(PACE)

    assert seconds == pytest.approx(6 + 2 * 4 + (3 * 200 + 4 * 30 + 30) * 2 * 3 / 30)
    for more_work, pace in (
        (Closing(250, 30, 30, 0, 2), PACE),
        (Closing(200, 30, 60, 0, 2), PACE),
        (Closing(200, 30, 30, 1, 2), PACE),
        (Closing(200, 30, 30, 0, 4), PACE),
        (closing, Pace(first_step=5.0, step=1.0, validation=3.0)),
        (closing, Pace(first_step=4.0, step=1.0, validation=4.0)),
    ):
        assert more_work.estimate_seconds(pace) > seconds
