"""Read plain tables (TOML, JSON) into frozen dataclasses and report every problem at once."""

import difflib
import math
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from worker.paths import escape_unprintable

T = TypeVar("T")

_WORDS = {str: "text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds that a number has to keep, both included; None leaves a side open."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low:g} or more"
        return f"from {self.low:g} to {self.high:g}"

    def holds(self, number: float) -> bool:
        """Tell whether the number keeps the bounds."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


class Problems(list[str]):
    """What was wrong with a table, one sentence per key, each on one line."""

    def append(self, problem: str) -> None:
        """Note a sentence."""
        super().append(escape_unprintable(problem))

    def wrong(self, key: str, found: object, wanted: str) -> None:
        """Note a value that is not what the key takes."""
        self.append(f"{key} is {found!r}, but takes {wanted}")


def read_table(kind: type[T], table: object, problems: Problems, prefix: str = "") -> T | None:
    """Make a `kind` of the table, or None after adding to `problems` what keeps it from being one.

    A key without a default that is missing, a key that `kind` does not have, a value of another type and
    a number out of its `Range` are problems. Whole numbers are taken where numbers are wanted.
    """
    if not isinstance(table, Mapping):
        problems.wrong(prefix.rstrip(".") or "the file", table, "a table")
        return None
    before = len(problems)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind, include_extras=True)
    for key in table:
        if key not in known:
            problems.append(_describe_unknown(f"{prefix}{key}", prefix, key, list(known)))
    values = {
        name: _read_value(hints[name], field, table, problems, f"{prefix}{name}")
        for name, field in known.items()
        if name in table or _is_required(field)
    }
    return kind(**values) if len(problems) == before else None


def _describe_unknown(full: str, prefix: str, key: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    if near:
        return f"{full} is not a key here; did you mean {prefix}{near[0]}?"
    return f"{full} is not a key here; known are {', '.join(known)}"


def _is_required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read_value(
    hint: Any, field: "Field[Any]", table: Mapping[str, object], problems: Problems, key: str
) -> Any:
    if field.name not in table:
        problems.append(f"{key} is missing")
        return None
    return _convert(hint, table[field.name], problems, key)


def _convert(hint: Any, found: object, problems: Problems, key: str) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *rules = get_args(hint)
        value = _convert(inner, found, problems, key)
        for rule in rules:
            if isinstance(rule, Range) and _is_number(value) and not rule.holds(value):
                problems.wrong(key, found, str(rule))
        return value
    if origin in (Union, types.UnionType):
        if found is None:
            return None
        (inner,) = (arm for arm in get_args(hint) if arm is not type(None))
        return _convert(inner, found, problems, key)
    if origin is Literal:
        return _check_choice(get_args(hint), found, problems, key)
    if origin is tuple:
        return _convert_sequence(get_args(hint)[0], found, problems, key)
    if origin is dict:
        return _convert_mapping(get_args(hint)[1], found, problems, key)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_table(hint, found, problems, f"{key}.")
    return _convert_scalar(hint, found, problems, key)


def _check_choice(allowed: tuple[object, ...], found: object, problems: Problems, key: str) -> object:
    if found not in allowed:
        problems.wrong(key, found, " or ".join(repr(choice) for choice in allowed))
    return found


def _convert_sequence(inner: Any, found: object, problems: Problems, key: str) -> tuple[Any, ...]:
    if not isinstance(found, list):
        problems.wrong(key, found, "a list")
        return ()
    return tuple(_convert(inner, item, problems, f"{key}[{index}]") for index, item in enumerate(found))


def _convert_mapping(inner: Any, found: object, problems: Problems, key: str) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        problems.wrong(key, found, "a table")
        return {}
    return {name: _convert(inner, item, problems, f"{key}.{name}") for name, item in found.items()}


def _convert_scalar(hint: type, found: object, problems: Problems, key: str) -> Any:
    if hint is float and _is_number(found):
        return _check_finite(found, problems, key)  # type: ignore[arg-type]
    if isinstance(found, bool) is not (hint is bool) or not isinstance(found, hint):
        problems.wrong(key, found, _WORDS[hint])
        return None
    return found


def _check_finite(found: float, problems: Problems, key: str) -> float | None:
    with suppress(OverflowError):  # a whole number may be larger than any float
        if math.isfinite(found):
            return float(found)
    problems.wrong(key, found, "a finite number")
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
