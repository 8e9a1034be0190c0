"""Take from a process every right that decoding does not need: a file that takes it over gains nothing.

Each restriction is laid on where the system has it; a system without one works without, and says so. All of
them last until the process ends, and none needs a privilege.
"""

import ctypes
import errno
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

from worker.fileio import check_result, load_libc
from worker.pool.system_calls import make_filter

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
"""From linux/prctl.h; prctl(2)."""

_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_BYTES = 24
_MAX_CAPABILITIES = 64
"""From linux/capability.h: two words of 32 for each of the three sets."""

_SYS_LANDLOCK_CREATE_RULESET = 444
_SYS_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
"""From asm-generic/unistd.h (the same on every architecture) and linux/landlock.h; landlock(7)."""

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_NET_RIGHTS = {4: 2}
_SCOPES = {6: 2}
"""How many rights each version of Landlock knows, by the version that has added the last of them."""

_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
"""From linux/seccomp.h; TSYNC also holds the threads that libraries have started."""

_MAX_FILES = 32
"""A few for Python and its libraries, one for a photo, four for files that are hashed."""


@dataclass(frozen=True, slots=True)
class Jail:
    """The restrictions that hold in a process, and why others do not, one sentence each."""

    restrictions: tuple[str, ...]
    misses: tuple[str, ...]


def follow_parent() -> None:
    """Have the kernel end this process when its parent ends, where it can (Linux)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def enter_jail() -> Jail:
    """Lay every restriction on this process that the system knows.

    From here on it can read and write what is open and start threads, and little else.
    """
    restrictions: list[str] = []
    misses: list[str] = []
    for name, restrict in _RESTRICTIONS.items():
        try:
            _check_system(name)
            restrict()
        except OSError as error:
            misses.append(f"{name}: {error.strerror}")
        else:
            restrictions.append(name)
    return Jail(tuple(restrictions), tuple(misses))


def _check_system(name: str) -> None:
    # Elsewhere the numbers of calls and options, where there are any, mean something else.
    if name not in _PORTABLE and sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux has it")


def _limit_resources() -> None:
    # Not RLIMIT_NPROC: it counts the threads of all processes of the user, and some decoders start threads.
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _MAX_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _drop_capabilities() -> None:
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(_MAX_CAPABILITIES):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # it has none to drop with, or the kernel knows no more
            break
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    current = ctypes.create_string_buffer(_CAPABILITY_BYTES)
    check_result(load_libc().capget(header, current))
    if any(current.raw):  # where it has none, as in a unit of a user's, the call itself may be forbidden
        check_result(load_libc().capset(header, bytes(_CAPABILITY_BYTES)))


def _forbid_tracing() -> None:
    _prctl(_PR_SET_DUMPABLE, 0)


def _forbid_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _forbid_files() -> None:
    """Make a Landlock ruleset that handles all that the kernel knows and allows none of it, and obey it."""
    call = load_libc().syscall
    version = check_result(call(_SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION))
    masks = [_make_mask(rights, version) for rights in (_FILE_RIGHTS, _NET_RIGHTS, _SCOPES)]
    # Older kernels know a shorter struct, and take a longer one whose further fields are zero.
    attributes = struct.pack("=QQQ", *masks)
    ruleset = check_result(call(_SYS_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        check_result(call(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _make_mask(rights: dict[int, int], version: int) -> int:
    return (1 << max((count for since, count in rights.items() if since <= version), default=0)) - 1


class _Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _filter_system_calls() -> None:
    code = make_filter(os.uname().machine, os.getpid())
    program = _Program(len(code) // 8, code)
    libc = load_libc()
    number = _find_seccomp(os.uname().machine)
    flags = _SECCOMP_FILTER_FLAG_TSYNC
    check_result(libc.syscall(number, _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program)))


def _find_seccomp(machine: str) -> int:
    return {"x86_64": 317, "aarch64": 277}[machine]  # __NR_seccomp


_RESTRICTIONS: dict[str, Callable[[], None]] = {
    "own limits": _limit_resources,
    "no capabilities": _drop_capabilities,
    "no tracers": _forbid_tracing,
    "no new privileges": _forbid_privileges,
    "Landlock": _forbid_files,
    # Last: it forbids what the others call.
    "seccomp": _filter_system_calls,
}

_PORTABLE = frozenset({"own limits"})
"""What every system has."""


def _prctl(option: int, argument: int) -> None:
    check_result(load_libc().prctl(option, argument, 0, 0, 0))
