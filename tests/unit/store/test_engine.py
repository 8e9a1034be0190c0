import pytest

from worker.store.engine import can_corrupt_wal


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)])
def test_a_version_of_sqlite_that_can_corrupt_wal_is_recognised(version: tuple[int, ...]) -> None:
    assert can_corrupt_wal(version)


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (4, 0, 0)])
def test_a_fixed_version_of_sqlite_may_use_wal(version: tuple[int, ...]) -> None:
    assert not can_corrupt_wal(version)
