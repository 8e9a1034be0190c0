"""How many photos go to a process at a time."""

import pytest

from worker.pool.pool import compute_share


@pytest.mark.parametrize(
    ("due", "processes", "share"), [(0, 2, 0), (1, 4, 1), (4, 4, 1), (44, 2, 22), (64, 2, 32), (1000, 2, 32)]
)
def test_a_process_has_its_share_and_no_more_than_a_batch(due: int, processes: int, share: int) -> None:
    assert compute_share(due, processes, batch_size=32) == share


def test_the_last_photos_go_to_all_processes_in_ever_smaller_batches() -> None:
    batches, due = [], 40
    while due:
        batches.append(compute_share(due, processes=2, batch_size=32))
        due -= batches[-1]
    assert batches == [20, 10, 5, 3, 1, 1]
