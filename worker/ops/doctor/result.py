"""The result of one check of the doctor."""

from dataclasses import dataclass
from enum import StrEnum

from worker.errors import MoodsortError


class CheckState(StrEnum):
    """`FAIL` keeps the worker from its work; with `WARN` it works, but slower or at some risk."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the doctor's report; `remedy` is empty where nothing has to be done."""

    check: str
    state: CheckState
    found: str
    remedy: str = ""


def report_ok(check: str, found: str) -> CheckResult:
    """Return a result that needs no remedy."""
    return CheckResult(check, CheckState.OK, found)


def report_error(check: str, error: MoodsortError, state: CheckState = CheckState.FAIL) -> CheckResult:
    """Turn an error into a result: its sentence up to the last semicolon, and the remedy after it."""
    finding, _, remedy = " ".join(str(error).splitlines()).rpartition("; ")
    return CheckResult(check, state, finding, remedy) if finding else CheckResult(check, state, remedy)
