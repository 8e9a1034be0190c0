"""What one check of the doctor found."""

from dataclasses import dataclass
from enum import StrEnum

from worker.errors import MoodsortError


class State(StrEnum):
    """How well things stand: `FAIL` keeps the worker from its work, `WARN` from doing it as it might."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report; `remedy` is empty where nothing has to be done."""

    check: str
    state: State
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that needs no remedy."""
    return Finding(check, State.OK, found)


def of_error(check: str, error: MoodsortError, state: State = State.FAIL) -> Finding:
    """Return the finding that an error is: its sentence up to the last semicolon, and the remedy after it."""
    found, _, remedy = " ".join(str(error).splitlines()).rpartition("; ")
    return Finding(check, state, found, remedy) if found else Finding(check, state, remedy)
