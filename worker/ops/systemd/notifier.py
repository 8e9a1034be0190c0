"""Tell systemd how the service is doing: the protocol of sd_notify(3), without its library."""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_SEND_SECONDS = 1.0
"""How long a full queue of the service manager may delay the worker."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """The service manager's socket, None where there is no manager, and how often it expects a sign of life.

    A worker that does not call `feed_watchdog` for `watchdog_seconds` is killed and started again;
    sd_watchdog_enabled(3) advises to call it twice in that time.
    """

    address: bytes | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int | None = None) -> "Notifier":
        """Read what the service manager has set for the process `pid`, by default this one."""
        address = _parse_address(environment.get("NOTIFY_SOCKET", ""))
        return cls(address, _read_watchdog_seconds(environment, os.getpid() if pid is None else pid))

    def notify_ready(self, status: str) -> None:
        """Report that the start, or the reload, is done."""
        self._send("READY=1", _format_status(status))

    def notify_reloading(self, monotonic_us: int) -> None:
        """Report that a reload began at `monotonic_us` (CLOCK_MONOTONIC); `notify_ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_us}")

    def notify_stopping(self) -> None:
        """Report that the worker is about to end."""
        self._send("STOPPING=1")

    def notify_status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(_format_status(text))

    def feed_watchdog(self) -> None:
        """Report that the worker is alive."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self.address is None:
            return
        message = "\n".join(assignments).encode("utf-8", "backslashreplace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_SECONDS)
                sender.sendto(message, self.address)
        except OSError as error:
            # A worker must not stop filing because nobody supervises it any more.
            logger.debug(
                "the service manager was not notified", extra={"event": "unheard", "error": str(error)}
            )


def _parse_address(variable: str) -> bytes | None:
    """Return the socket's address, None for one of another kind; @ stands for the NUL of an abstract one."""
    address = os.fsencode(variable)
    if address.startswith(b"@"):
        return b"\0" + address[1:]
    return address if address.startswith(b"/") else None


def _read_watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdigit()):
        return None
    return int(microseconds) / 1e6 or None


def _format_status(text: str) -> str:
    # On one line: in this protocol a line break begins another assignment.
    return f"STATUS={' '.join(text.splitlines())}"
