"""Where a photo goes whose name is taken."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from worker.filing import find_free_path

WANTED = Path("/photos/happy/beach/a.jpg")


def test_a_free_name_is_kept() -> None:
    assert find_free_path(WANTED, lambda path: False) == WANTED


def test_a_taken_name_gets_the_first_free_number_from_2_on() -> None:
    taken = {WANTED, WANTED.with_name("a (2).jpg"), WANTED.with_name("a (4).jpg")}
    assert find_free_path(WANTED, taken.__contains__) == WANTED.with_name("a (3).jpg")


@given(
    st.integers(0, 40),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
)
def test_a_destination_is_never_a_taken_one_and_stays_in_its_folder(count: int, name: str) -> None:
    name = name.encode()[:255].decode("utf-8", "ignore")
    if name in ("", ".", ".."):
        name = "a"
    wanted = Path("/photos/sad") / name
    taken: set[Path] = set()
    for _ in range(count + 1):
        found = find_free_path(wanted, taken.__contains__)
        assert found not in taken
        assert found.parent == wanted.parent
        taken.add(found)
