"""Tables are read without leniency: every problem is reported, in one sentence each."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.tables import Problems, Range, read_table


@dataclass(frozen=True, slots=True)
class Inner:
    """A table in a table."""

    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One key of each kind."""

    name: str
    ratio: Annotated[float, Range(0, 1)]
    count: Annotated[int, Range(1, None)]
    mode: Literal["fast", "slow"]
    is_on: bool
    words: tuple[str, ...]
    inner: Inner
    extra: dict[str, str]
    limit: Annotated[float, Range(0, 9)] | None
    spare: int = 7


GOOD: dict[str, Any] = {
    "name": "a",
    "ratio": 0.5,
    "count": 3,
    "mode": "fast",
    "is_on": True,
    "words": ["x"],
    "inner": {"size": 1},
    "extra": {"k": "v"},
    "limit": None,
}


def find_problems(changes: dict[str, Any]) -> list[str]:
    problems = Problems()
    sample = read_table(Sample, GOOD | changes, problems)
    assert (sample is None) is bool(problems)
    assert all("\n" not in problem for problem in problems)
    return problems


def test_a_whole_table_is_read() -> None:
    problems = Problems()
    sample = read_table(Sample, GOOD, problems)
    assert sample == Sample("a", 0.5, 3, "fast", True, ("x",), Inner(1), {"k": "v"}, None)


def test_a_whole_number_is_accepted_where_a_float_is_expected() -> None:
    sample = read_table(Sample, GOOD | {"ratio": 1}, Problems())
    assert sample is not None
    assert sample.ratio == 1.0
    assert isinstance(sample.ratio, float)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("name", 5, "name is 5, but takes text in quotes"),
        ("ratio", "half", "ratio is 'half', but takes a number"),
        ("ratio", True, "ratio is True, but takes a number"),
        ("ratio", 1.01, "ratio is 1.01, but takes from 0 to 1"),
        ("ratio", math.nan, "ratio is nan, but takes"),
        ("ratio", math.inf, "ratio is inf, but takes"),
        pytest.param("ratio", 10**400, "but takes a finite number", id="ratio-larger than any float"),
        ("count", 0, "count is 0, but takes 1 or more"),
        ("count", 1.5, "count is 1.5, but takes a whole number"),
        ("count", False, "count is False, but takes a whole number"),
        ("mode", "medium", "mode is 'medium', but takes 'fast' or 'slow'"),
        ("mode", ["fast"], "mode is ['fast'], but takes 'fast' or 'slow'"),
        ("is_on", 1, "is_on is 1, but takes true or false"),
        ("words", "x", "words is 'x', but takes a list"),
        ("words", ["x", 2], "words[1] is 2, but takes text in quotes"),
        ("inner", 3, "inner is 3, but takes a table"),
        ("inner", {"size": "big"}, "inner.size is 'big', but takes a whole number"),
        ("inner", {}, "inner.size is missing"),
        ("extra", {"k": 1}, "extra.k is 1, but takes text in quotes"),
        ("extra", [], "extra is [], but takes a table"),
        ("limit", 10, "limit is 10, but takes from 0 to 9"),
        ("inner", {"size": 1, "sise": 2}, "inner.sise is not a key here; did you mean inner.size?"),
        ("two\nlines", 1, "is not a key here"),
    ],
)
def test_a_wrong_value_is_reported_with_its_key_and_what_is_allowed(
    key: str, value: object, sentence: str
) -> None:
    (problem,) = find_problems({key: value})
    assert sentence in problem


def test_an_unknown_key_is_reported_with_the_nearest_one() -> None:
    assert find_problems({"cuont": 3}) == ["cuont is not a key here; did you mean count?"]


def test_a_key_like_no_other_is_reported_with_all_of_them() -> None:
    (problem,) = find_problems({"zzz": 3})
    assert problem.startswith("zzz is not a key here; known are name, ratio")


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_without_a_default_is_reported(key: str) -> None:
    problems = Problems()
    assert read_table(Sample, {name: GOOD[name] for name in GOOD if name != key}, problems) is None
    assert problems == [f"{key} is missing"]


def test_every_problem_is_reported_at_once() -> None:
    assert (
        len(find_problems({"name": 1, "ratio": 2, "mode": "x", "unknown": 1, "inner": {"size": None}})) == 5
    )


@pytest.mark.parametrize("table", [None, [], "text", 3])
def test_what_is_no_table_is_reported(table: object) -> None:
    problems = Problems()
    assert read_table(Sample, table, problems) is None
    assert problems == [f"the file is {table!r}, but takes a table"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)) | st.text(max_size=6), VALUES, max_size=5))
def test_whatever_a_table_holds_it_is_read_or_its_problems_are_reported(changes: dict[str, Any]) -> None:
    find_problems(changes)
