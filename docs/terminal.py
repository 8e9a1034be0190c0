"""Run commands in a terminal, and render what it shows as SVG."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 80

_ROWS = 40


class Terminal:
    """A terminal of 80 columns in a folder; `search_path` is where commands are looked for first."""

    def __init__(self, folder: Path, search_path: Path) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "PATH": f"{search_path}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
        }
        self._console = Console(record=True, width=COLUMNS, file=io.StringIO())

    def run(self, command: str) -> None:
        """Type a command, and show what it prints. Raises CalledProcessError where it fails."""
        printed = self._capture(command).replace("\r\n", "\n").rstrip()
        self._console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        self._console.print(Text.from_ansi(printed), end="\n\n")

    def render(self, title: str) -> str:
        """Return what was shown so far as SVG, which refers to nothing outside itself."""
        svg = self._console.export_svg(title=title, theme=MONOKAI, unique_id=title)
        # The fonts would come from a server; each line has its length, so that any monospaced font fits.
        return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)

    def _capture(self, command: str) -> str:
        """Run a command with its standard output on the terminal.

        The progress bar is left out, since it is on standard error and gone at the end.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, COLUMNS, 0, 0))
        with (
            os.fdopen(ours, "rb", buffering=0) as screen,
            subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=self._folder,
                env=self._environment,
                stdin=theirs,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
            ) as process,
        ):
            os.close(theirs)
            printed = _read_screen(screen)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return printed


def _read_screen(screen: io.RawIOBase) -> str:
    printed = bytearray()
    try:
        while part := screen.read(65536):
            printed += part
    except OSError:  # Linux reports the end of a terminal so
        pass
    return printed.decode()
