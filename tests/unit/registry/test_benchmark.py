"""The summary of many times."""

from worker.registry.benchmark import Spread


def test_of_a_hundred_times_five_are_above_the_95th_percentile() -> None:
    spread = Spread.summarize([float(time) for time in range(100, 0, -1)])
    assert (spread.median, spread.p95) == (50.5, 95.0)


def test_a_single_time_is_its_own_median_and_percentile() -> None:
    assert Spread.summarize([3.0]) == Spread(3.0, 3.0)
