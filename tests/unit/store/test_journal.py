from pathlib import Path

import pytest

from worker.store.journal import can_corrupt_wal, choose_journal_mode


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)])
def test_a_version_of_sqlite_that_can_corrupt_wal_is_recognised(version: tuple[int, ...]) -> None:
    assert can_corrupt_wal(version)


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (4, 0, 0)])
def test_a_fixed_version_of_sqlite_may_use_wal(version: tuple[int, ...]) -> None:
    assert not can_corrupt_wal(version)


@pytest.mark.parametrize(("version", "mode"), [((3, 40, 1), "delete"), ((3, 53, 0), "wal")])
def test_a_write_ahead_log_is_for_versions_that_cannot_corrupt_it(
    version: tuple[int, ...], mode: str, tmp_path: Path
) -> None:
    assert choose_journal_mode(tmp_path / "moodsort.db", version) == mode
