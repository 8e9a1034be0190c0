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

_TYPE_NAMES = {str: "text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both inclusive; None leaves a side open."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low:g} or more"
        return f"from {self.low:g} to {self.high:g}"

    def __contains__(self, number: float) -> bool:
        # NaN is in no range but one that is open on both sides: it compares false with every bound.
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


class Problems(list[str]):
    """What is wrong with a table: sentences that name their key, each on one line."""

    def append(self, problem: str) -> None:
        """Add a sentence."""
        super().append(escape_unprintable(problem))

    def reject(self, key: str, value: object, allowed: str) -> None:
        """Add the sentence about a value that the key does not take."""
        self.append(f"{key} is {value!r}, but takes {allowed}")


def read_table(kind: type[T], table: object, problems: Problems, prefix: str = "") -> T | None:
    """Convert a table into the dataclass `kind`, or add what is wrong to `problems` and return None.

    Wrong are a missing key without a default, a key that `kind` does not have, a value of another type and a
    number outside its `Range`. A whole number is accepted where a float is expected. `prefix` goes before the
    keys in the sentences.
    """
    if not isinstance(table, Mapping):
        problems.reject(prefix.rstrip(".") or "the file", table, "a table")
        return None
    problem_count = len(problems)
    fields_by_name = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind, include_extras=True)
    for key in table:
        if key not in fields_by_name:
            problems.append(_describe_unknown(prefix, key, list(fields_by_name)))
    values = {
        name: _read_value(hints[name], field, table, problems, f"{prefix}{name}")
        for name, field in fields_by_name.items()
        if name in table or _is_required(field)
    }
    return kind(**values) if len(problems) == problem_count else None


def _describe_unknown(prefix: str, key: object, known: list[str]) -> str:
    if matches := difflib.get_close_matches(str(key), known, n=1, cutoff=0.5):
        return f"{prefix}{key} is not a key here; did you mean {prefix}{matches[0]}?"
    return f"{prefix}{key} is not a key here; known are {', '.join(known)}"


def _is_required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read_value(
    hint: Any, field: "Field[Any]", table: Mapping[str, object], problems: Problems, key: str
) -> Any:
    if field.name not in table:
        problems.append(f"{key} is missing")
        return None
    return _convert(hint, table[field.name], problems, key)


def _convert(hint: Any, value: object, problems: Problems, key: str) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *rules = get_args(hint)
        converted = _convert(inner, value, problems, key)
        for rule in rules:
            if isinstance(rule, Range) and _is_number(converted) and converted not in rule:
                problems.reject(key, value, str(rule))
        return converted
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (alternative for alternative in get_args(hint) if alternative is not type(None))
        return _convert(inner, value, problems, key)
    if origin is Literal:
        return _check_choice(get_args(hint), value, problems, key)
    if origin is tuple:
        return _convert_sequence(get_args(hint)[0], value, problems, key)
    if origin is dict:
        return _convert_mapping(get_args(hint)[1], value, problems, key)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_table(hint, value, problems, f"{key}.")
    return _convert_scalar(hint, value, problems, key)


def _check_choice(allowed: tuple[object, ...], value: object, problems: Problems, key: str) -> object:
    if value not in allowed:
        problems.reject(key, value, " or ".join(repr(choice) for choice in allowed))
    return value


def _convert_sequence(inner: Any, value: object, problems: Problems, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        problems.reject(key, value, "a list")
        return ()
    return tuple(_convert(inner, item, problems, f"{key}[{index}]") for index, item in enumerate(value))


def _convert_mapping(inner: Any, value: object, problems: Problems, key: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        problems.reject(key, value, "a table")
        return {}
    return {name: _convert(inner, item, problems, f"{key}.{name}") for name, item in value.items()}


def _convert_scalar(hint: type, value: object, problems: Problems, key: str) -> Any:
    if hint is float and _is_number(value):
        return _check_finite(value, problems, key)  # type: ignore[arg-type]
    # bool is a subclass of int, so isinstance alone would take true for 1.
    if isinstance(value, bool) is not (hint is bool) or not isinstance(value, hint):
        problems.reject(key, value, _TYPE_NAMES[hint])
        return None
    return value


def _check_finite(value: float, problems: Problems, key: str) -> float | None:
    with suppress(OverflowError):  # a whole number may be larger than any float
        if math.isfinite(value):
            return float(value)
    problems.reject(key, value, "a finite number")
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
