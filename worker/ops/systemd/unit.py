"""Render the systemd unit that keeps a worker running."""

import re
from dataclasses import dataclass
from pathlib import Path

from worker.errors import ConfigError
from worker.paths import format_path

UNIT_NAME = "moodsort.service"

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ``ProtectHome=yes`` hides (systemd.exec(5))."""

_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (compared with, never written to)
"""What ``PrivateTmp=yes`` replaces by empty folders (systemd.exec(5))."""

_SERVICE = """\
[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
# The first start may have a large database to upgrade.
TimeoutStartSec=10min
TimeoutStopSec=60
WatchdogSec=60
Restart=on-failure
RestartSec=10
KillMode=mixed
# The worker replaces a classifier that took too much memory; the others go on.
OOMPolicy=continue
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""
"""What works in units of the system and of a user alike: system call filters need no privileges."""

_NAMESPACES = """\
ProtectSystem=strict
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
"""
"""What takes a mount namespace, so is for the system's units alone.

A user's manager can only make one inside a user namespace. Where the kernel forbids that (Ubuntu since
23.10), a unit that asks for one does not start at all (systemd issue 34983).
"""


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """What a unit runs and what it may touch; all paths are absolute.

    `database` is the SQLite file, None where a server keeps the log.
    """

    command: Path
    config: Path
    root: Path
    database: Path | None
    bundle: Path


def render_user(service: UnitSettings) -> str:
    """Return the unit for the manager of one user."""
    return _join_sections(_render_head(), _render_service(service), _render_install("default.target"))


def render_system(service: UnitSettings, user: str) -> str:
    """Return the unit for the system's manager, which runs it as the user, a name or a number."""
    written = list_written_folders(service)
    needs = [f"RequiresMountsFor={_quote_paths(written)}", "After=network.target"]
    if service.database is None:
        needs += ["Wants=network-online.target", "After=network-online.target postgresql.service"]
    return _join_sections(
        _render_head(*needs),
        _render_service(service)
        + _NAMESPACES
        + "\n".join(_render_system_lines(service, user, written))
        + "\n",
        _render_install("multi-user.target"),
    )


def list_written_folders(service: UnitSettings) -> list[Path]:
    """Return the folders that the service writes to; they have to be there before it starts."""
    folders = [service.root]
    if service.database is not None and not service.database.is_relative_to(service.root):
        folders.append(service.database.parent)
    return folders


def _render_system_lines(service: UnitSettings, user: str, written: list[Path]) -> list[str]:
    touched = [service.command, service.config, service.bundle, *written]
    home = "read-only" if _any_below(touched, _HOMES) else "yes"
    lines = [
        f"ReadWritePaths={_quote_paths(written)}",
        f"ProtectHome={home}",
        f"User={_escape_specifiers(user)}",
    ]
    if not _any_below(touched, _TEMPORARY):
        lines.append("PrivateTmp=yes")
    if user != "root":  # a root without capabilities could not read what others drop
        lines.append("CapabilityBoundingSet=")
    return lines


def _render_head(*needs: str) -> str:
    # Without a limit on starts, systemd never gives a service up that it restarts.
    return "\n".join(["[Unit]", "Description=File photos by mood", "StartLimitIntervalSec=0", *needs]) + "\n"


def _render_service(service: UnitSettings) -> str:
    words = [_quote_argument(word) for word in ("--config", _check_path(service.config))]
    command = " ".join([_quote_executable(service.command), "run", *words])
    return _SERVICE.format(command=command)


def _render_install(target: str) -> str:
    return f"[Install]\nWantedBy={target}\n"


def _join_sections(*sections: str) -> str:
    return "\n".join(sections)


def _any_below(paths: list[Path], folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)


def _quote_executable(path: Path) -> str:
    """Quote the command; a colon before it keeps systemd from replacing ``$`` in its arguments."""
    if set(format_path(path)) & set("\"'\\"):
        raise ConfigError(
            f"{format_path(path)}: systemd runs no command with quotes in its path; install it elsewhere"
        )
    return _quote_argument(f":{_check_path(path)}")


def _quote_argument(word: str) -> str:
    """Quote a word as systemd.syntax(7) reads it; an entry of a list of paths is read alike."""
    escaped = _escape_specifiers(word).replace("\\", "\\\\").replace('"', '\\"')
    return escaped if _is_plain(escaped) else f'"{escaped}"'


def _quote_paths(paths: list[Path]) -> str:
    return " ".join(_quote_argument(_check_path(path)) for path in paths)


def _is_plain(text: str) -> bool:
    return re.fullmatch(r"[\w/.,:=@%+-]+", text, re.ASCII) is not None


def _escape_specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _check_path(path: Path) -> str:
    """Return the path's text, which a unit can only hold where it is printable UTF-8."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        if not any(char < " " or char == "\x7f" for char in text):
            return text
    raise ConfigError(f"{format_path(path)!a}: a systemd unit cannot hold this name; rename it")
