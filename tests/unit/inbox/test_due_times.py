"""When names are due, in whatever order the times were set."""

import math

from hypothesis import given
from hypothesis import strategies as st

from worker.inbox.due_times import DueTimes

NAMES = st.sampled_from("abcdefgh")
CHANGES = st.lists(st.tuples(NAMES, st.none() | st.integers(0, 9)), max_size=60)


@given(CHANGES, st.integers(0, 9))
def test_names_are_taken_in_the_order_of_the_last_time_that_was_set(
    changes: list[tuple[str, int | None]], now: int
) -> None:
    due_times, expected = DueTimes(), {}
    for name, due in changes:
        if due is None:
            due_times.discard(name)
            expected.pop(name, None)
        else:
            due_times.set(name, due)
            expected[name] = due
    assert due_times.find_first() == min(expected.values(), default=math.inf)
    taken = list(iter(lambda: due_times.take(now), None))
    assert taken == [
        name for due, name in sorted((due, name) for name, due in expected.items()) if due <= now
    ]


def test_a_time_that_is_set_again_and_again_takes_no_more_memory() -> None:
    due_times = DueTimes()
    for due in range(5000):
        due_times.set("a", due)
    assert len(due_times._heap) < 1100
    assert due_times.find_first() == 4999
