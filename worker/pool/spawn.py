"""Start child processes, without the secrets of their parent."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

Spawn = Callable[[int], "subprocess.Popen[bytes]"]
"""Starts a child process that talks on the descriptor. Raises OSError where the system has no room for it."""

_DEFAULTS = {
    # Where glibc gets to by itself with the first large picture (mallopt(3)). Until then it returns the
    # memory of each picture to the kernel, which has to clear pages for the next one.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
    # Otherwise NumPy starts a thread for each core when it is imported, which doubles the time of the import.
    "OPENBLAS_NUM_THREADS": "1",
}
"""Variables of a child process; those that the user has set win."""

_PASSED_ON = frozenset({"HOME", "LANG", "OPENBLAS_NUM_THREADS", "PATH", "SYSTEMROOT", "TZ", "VIRTUAL_ENV"})
_PASSED_ON_PREFIXES = ("DYLD_", "LC_", "LD_", "MALLOC_", "PYTHON")
"""What Python and its libraries need to start; HOME is where Python looks for packages of the user's.

Everything else stays behind: the database's URL may hold a password, and others' variables their keys.
"""


def make_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process whose parent has this one."""
    passed_on = {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return _DEFAULTS | passed_on


def spawn_process(descriptor: int) -> "subprocess.Popen[bytes]":
    """Start a child process that talks on the descriptor.

    It has a process group of its own, so that Ctrl-C in a terminal reaches the parent alone.
    """
    return subprocess.Popen(
        # -P: never import a module from the folder that the worker was started in.
        [sys.executable, "-P", "-m", "worker.pool.process", str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=make_environment(os.environ),
        process_group=0,
    )
