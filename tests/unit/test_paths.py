"""Names as bytes: printed, restored, and numbered where they are taken."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.paths import (
    NAME_MAX,
    encode_undecodable,
    escape_unprintable,
    find_free_path,
    format_path,
    number_name,
    restore_path,
)

NAMES = st.binary(min_size=1, max_size=NAME_MAX).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
TEXTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= NAME_MAX
)


@given(NAMES)
@example(b"\xff\xfe.jpg")
@example(b"\\xff.jpg")
@example("ü.jpg".encode("latin-1"))
@example(b"two\nlines\r.jpg")
def test_any_name_is_restored_from_its_stored_form(name: bytes) -> None:
    path = Path("inbox") / os.fsdecode(name)
    assert os.fsencode(restore_path(format_path(path), encode_undecodable(path))) == b"inbox/" + name


@given(NAMES)
def test_the_text_of_a_name_is_always_utf8(name: bytes) -> None:
    format_path(Path(os.fsdecode(name))).encode("utf-8")


@given(TEXTS)
def test_a_name_in_utf8_is_its_own_text_and_stored_once(name: str) -> None:
    assert format_path(Path(name)) == str(Path(name))
    assert encode_undecodable(Path(name)) is None


def test_bytes_that_are_not_utf8_are_escaped() -> None:
    assert format_path(Path(os.fsdecode(b"f\xfcr.jpg"))) == r"f\xfcr.jpg"


def test_control_characters_are_escaped_and_printable_ones_are_not() -> None:
    assert escape_unprintable("café \x1b[2J\n") == r"café \x1b[2J\n"
    assert escape_unprintable("日　本\u202egpj\x9b") == r"日　本\u202egpj\x9b"


def test_a_free_name_is_kept() -> None:
    assert find_free_path(Path("happy/a.jpg"), lambda _: False) == Path("happy/a.jpg")


def test_a_taken_name_gets_the_first_number_that_is_free() -> None:
    paths = {Path("happy/a.jpg"), Path("happy/a (2).jpg"), Path("happy/a (4).jpg")}
    assert find_free_path(Path("happy/a.jpg"), paths.__contains__) == Path("happy/a (3).jpg")


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("a.jpg", 2, "a (2).jpg"),
        ("a.tar.gz", 3, "a.tar (3).gz"),
        ("no extension", 2, "no extension (2)"),
        (".hidden", 2, ".hidden (2)"),
        ("-rf.jpg", 2, "-rf (2).jpg"),
        ("a (2).jpg", 2, "a (2) (2).jpg"),
        ("two\nlines.jpg", 2, "two\nlines (2).jpg"),
        ("not an.extension of a file", 2, "not an.extension of a file (2)"),
    ],
)
def test_a_number_goes_before_the_extension(name: str, number: int, expected: str) -> None:
    assert number_name(name, number) == expected


@given(NAMES, st.integers(2, 10**9))
@example(b"n" * 255, 2)
@example(b"n" * 251 + b".jpg", 2)
@example("ü".encode() * 125 + b".jpeg", 10)
@example(b"\xff" * 255, 2)
def test_a_numbered_name_fits_and_differs(name: bytes, number: int) -> None:
    numbered = os.fsencode(number_name(os.fsdecode(name), number))
    assert len(numbered) <= NAME_MAX
    assert numbered != name
    assert b"/" not in numbered
    assert numbered != os.fsencode(number_name(os.fsdecode(name), number + 1))


@given(NAMES, st.sampled_from([b".jpg", b".jpeg", b".HEIC", b".\xfc"]))
def test_a_numbered_name_keeps_its_extension(stem: bytes, extension: bytes) -> None:
    stem = stem.strip(b".")[: NAME_MAX - len(extension)] or b"a"
    assert os.fsencode(number_name(os.fsdecode(stem + extension), 12)).endswith(b" (12)" + extension)


@given(TEXTS, st.integers(2, 10**6))
@example("日" * 85, 2)
def test_a_numbered_name_never_cuts_a_character(name: str, number: int) -> None:
    os.fsencode(number_name(name, number)).decode("utf-8")


PATH = Path("/photos/happy/beach/a.jpg")


def test_a_free_path_is_kept() -> None:
    assert find_free_path(PATH, lambda path: False) == PATH


def test_a_taken_path_gets_the_first_free_number_from_2_on() -> None:
    taken = {PATH, PATH.with_name("a (2).jpg"), PATH.with_name("a (4).jpg")}
    assert find_free_path(PATH, taken.__contains__) == PATH.with_name("a (3).jpg")


@given(st.integers(0, 40), TEXTS)
def test_a_free_path_is_never_a_taken_one_and_stays_in_its_folder(count: int, name: str) -> None:
    path = Path("/photos/sad") / name
    taken: set[Path] = set()
    for _ in range(count + 1):
        free_path = find_free_path(path, taken.__contains__)
        assert free_path not in taken
        assert free_path.parent == path.parent
        taken.add(free_path)
