import pytest

from worker.store.revision import RevisionState, compare_revision


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (None, RevisionState.EMPTY),
        ("0001", RevisionState.OLDER),
        ("0002", RevisionState.CURRENT),
        ("0010", RevisionState.NEWER),
        ("ab12cd34ef56", RevisionState.NEWER),
    ],
)
def test_a_revision_is_older_current_or_newer_by_its_number(
    revision: str | None, expected: RevisionState
) -> None:
    assert compare_revision(revision, head="0002") is expected
