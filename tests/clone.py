"""What a fresh clone of the working tree would hold."""

import os
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]

_OF_THE_SUITE = ("MAKE", "MFLAGS", "MOODSORT_", "VIRTUAL_ENV", "PYTHON", "NOTIFY_SOCKET", "XDG_")


def make_clone(folder: Path) -> Path:
    """Copy what git would have in the folder: no environment, no caches, no database."""
    command = ("git", "-C", PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.check_output(command, text=True).split("\0")
    for name in filter(None, names):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


def make_clean_environment() -> dict[str, str]:
    """Return the environment without what the suite's own make and interpreter have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_SUITE)}
