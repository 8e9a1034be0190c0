from pathlib import Path

import pytest

from worker.store.address import describe_address, find_sqlite_file


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/moodsort.db", "/data/moodsort.db"),
        ("postgresql://ann@host/moods", "postgresql://ann@host/moods"),
        ("postgresql://ann:p@ss@host/moods", "postgresql://ann:***@host/moods"),
        (
            "postgresql:///moods?user=ann&password=pass&sslmode=on",
            "postgresql:///moods?user=ann&password=***&sslmode=on",
        ),
    ],
)
def test_an_address_never_shows_a_password(url: str, shown: str) -> None:
    assert describe_address(url) == shown


def test_only_sqlite_has_a_file() -> None:
    assert find_sqlite_file("sqlite:////data/moodsort.db") == Path("/data/moodsort.db")
    assert find_sqlite_file("postgresql://ann@host/moods") is None
