import pytest

from worker.store.revision import Standing, standing


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (None, Standing.EMPTY),
        ("0001", Standing.OLDER),
        ("0002", Standing.CURRENT),
        ("0010", Standing.NEWER),
        ("ab12cd34ef56", Standing.NEWER),
    ],
)
def test_a_revision_is_older_current_or_newer_by_its_number(revision: str | None, expected: Standing) -> None:
    assert standing(revision, head="0002") is expected
