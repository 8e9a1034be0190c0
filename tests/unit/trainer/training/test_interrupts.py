import signal
from collections.abc import Iterator

import pytest

from trainer.training.interrupts import hold_interrupts


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


def test_an_interrupt_is_raised_at_the_end_of_the_body() -> None:
    lines: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        _interrupt(lines, times=1)

    assert lines == ["interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_raised_at_once() -> None:
    lines: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        _interrupt(lines, times=2)

    assert lines == ["interrupted"]


def test_an_error_of_the_body_is_raised_as_it_is() -> None:
    with pytest.raises(ValueError, match="of the body"), hold_interrupts():
        raise ValueError("of the body")

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_interrupt_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with hold_interrupts():
        signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def _interrupt(lines: list[str], times: int) -> None:
    with hold_interrupts():
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            lines.append("interrupted")
