"""What is told of many times."""

from worker.registry.benchmark import Spread


def test_of_a_hundred_times_five_are_above_the_ninety_fifth_hundredth() -> None:
    found = Spread.of([float(time) for time in range(100, 0, -1)])
    assert (found.median, found.p95) == (50.5, 95.0)


def test_a_single_time_is_its_own_middle_and_limit() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0)
