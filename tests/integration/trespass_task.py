"""A task in which a file tells its process to do what no decoder has to do."""

import errno
import mmap
import os
import resource
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from worker.config import Limits
from worker.fileio import check_result, load_libc

_PTRACE_ATTACH = 16
_AT_FDCWD = -100
_MAP_SHARED_VALIDATE = 3
_MAP_GROWSDOWN = 0x100
_O_TMPFILE = os.O_RDWR | getattr(os, "O_TMPFILE", 0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it: the name of the error, or "done"; and the variables of the process's environment."""

    outcome: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class TrespassTask:
    """Do what the file's content names, with a file and a listening port that the test has prepared."""

    target: Path
    port: int

    def load(self, limits: Limits) -> Callable[[bytes], Attempt]:
        """Import and open what the attempts need, so that nothing but the attempts themselves can fail."""
        actions = list_actions(self.target, self.port)

        def attempt(data: bytes) -> Attempt:
            try:
                actions[data.decode()]()
            except OSError as error:
                return Attempt(errno.errorcode[error.errno or 0], dict(os.environ))
            except RuntimeError:  # how Python reports a thread that cannot be started
                return Attempt("RuntimeError", {})
            return Attempt("done", dict(os.environ))

        return attempt

    def make_decoder(self) -> Callable[[bytes], Attempt]:
        """Read an attempt."""
        return msgspec.msgpack.Decoder(Attempt).decode


def list_actions(target: Path, port: int) -> dict[str, Callable[[], object]]:
    """Return what is attempted, by its name."""
    actions: dict[str, Callable[[], object]] = {"nothing": lambda: None, "start a thread": _start_thread}
    return actions | _list_file_actions(target) | _list_network_actions(port) | _list_process_actions()


def _list_file_actions(target: Path) -> dict[str, Callable[[], object]]:
    descriptors = _list_descriptors()
    return {
        "read /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "read the photos": lambda: os.open(target, os.O_RDONLY),
        "write the database": lambda: os.open(target, os.O_RDWR),
        "write everywhere": lambda: _write_everywhere(descriptors),
        "make a file": lambda: os.open(target.with_name("new"), os.O_CREAT | os.O_WRONLY),
        "make an unnamed file": lambda: os.open(target.parent, _O_TMPFILE),
        "make a file in memory": lambda: os.memfd_create("new"),
        "make a folder": lambda: target.with_name("new").mkdir(),
        "delete a file": target.unlink,
        "rename a file": lambda: target.rename(target.with_name("new")),
        "link a file": lambda: os.link(target, target.with_name("new")),
        "truncate a file": lambda: os.truncate(target, 0),
        "change permissions": lambda: target.chmod(0o777),
        "list a folder": lambda: os.listdir(target.parent),  # noqa: PTH208
        "look at a file": target.stat,
        "open a folder by openat2": lambda: _call("syscall", 437, _AT_FDCWD, b"/", bytes(24), 24),
    }


def _list_network_actions(port: int) -> dict[str, Callable[[], object]]:
    return {
        "connect by TCP": lambda: _connect(socket.AF_INET, ("127.0.0.1", port)),
        "connect to a local socket": lambda: _connect(socket.AF_UNIX, "/run/dbus/system_bus_socket"),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "make a pair of sockets": socket.socketpair,
    }


def _list_process_actions() -> dict[str, Callable[[], object]]:
    parent = os.getppid()
    return {
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "start a process": lambda: subprocess.run(["/bin/true"], check=False),
        "signal the parent": lambda: os.kill(parent, signal.SIGTERM),
        "signal itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "trace the parent": lambda: _call("ptrace", _PTRACE_ATTACH, parent, None, None),
        "read the parent's memory": lambda: _call("process_vm_readv", parent, None, 0, None, 0, 0),
        "raise its limits": lambda: _call("prlimit", 0, resource.RLIMIT_NOFILE, bytes(16), None),
        "run data as code": lambda: _map_memory(mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC),
        "share memory": lambda: _map_memory(mmap.MAP_SHARED),
        "share memory, validated": lambda: _map_memory(_MAP_SHARED_VALIDATE),
        "grow a stack": lambda: _map_memory(mmap.MAP_PRIVATE | _MAP_GROWSDOWN),
        "map memory of its own": lambda: _map_memory(mmap.MAP_PRIVATE),
        "load a program for the kernel": lambda: _call("syscall", 321, 0, None, 0),
        "use io_uring": lambda: _call("syscall", 425, 1, bytes(128)),
        "mount": lambda: _call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
        "become another user": lambda: os.setuid(65534),
    }


def _call(function: str, *arguments: object) -> None:
    check_result(getattr(load_libc(), function)(*arguments))


def _connect(family: int, address: object) -> None:
    with socket.socket(family) as client:
        client.connect(address)


def _map_memory(flags: int, protection: int = mmap.PROT_READ | mmap.PROT_WRITE) -> None:
    mmap.mmap(-1, 1 << 20, flags | mmap.MAP_ANONYMOUS, protection).close()


def _start_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def _write_everywhere(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.write(descriptor, b"forged")


def _list_descriptors() -> list[int]:
    """Return what is open but for sockets: the connection to the parent is one."""
    descriptors = []
    for descriptor in range(64):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                descriptors.append(descriptor)
    return descriptors
