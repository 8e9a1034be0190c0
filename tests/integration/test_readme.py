"""Every command of the README works as it is written, from a clone, in the README's order."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest

from docs.drawn_photos import draw_photo, make_face
from tests.clone import PROJECT, make_clean_environment, make_clone
from tests.distinct_pictures import fill_folder
from tests.home import wait_until
from tests.integration.test_documents import read_blocks
from tests.patience import scale

README = PROJECT / "README.md"

pytestmark = pytest.mark.timeout(scale(600))

_MAX_LINES = 150
_PICTURES = 20

_MOODS = (0.9, 0.8, 1.0, -0.9, -1.0, -0.8)
"""Of the faces on the photos that are dropped: the built-in model files some as happy and some as sad."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give what a fresh clone holds, and what the reader has: labelled pictures, and photos in the inbox."""
    folder = make_clone(tmp_path / "moodsort")
    for number, label in enumerate(("happy", "sad")):
        fill_folder(folder / "my-pictures" / label, number * _PICTURES, _PICTURES)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give a reader's environment: pipx and its programs on the path, systemd's programs standing in."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("systemctl", "loginctl", "journalctl"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    (programs / "pipx").write_text(f'#!/bin/sh\nexec {sys.executable} -m pipx "$@"\n')
    (programs / "pipx").chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return make_clean_environment() | {
        "HOME": str(home),
        "PATH": f"{tmp_path}/tools:{programs}:{os.environ['PATH']}",
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "tools"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "PIP_CACHE_DIR": str(Path("~/.cache/pip").expanduser()),
        "COLUMNS": "80",
    }


def test_the_readme_is_short_and_shows_a_picture_first() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) < _MAX_LINES
    assert any(line.startswith("![") for line in lines[:10])


def test_every_command_of_the_readme_works_as_written(clone: Path, environment: dict[str, str]) -> None:
    for block in read_blocks(README, "sh"):
        for line in filter(None, block.splitlines()):
            command = line.partition("  #")[0].strip()
            if command == "make run":
                _watch(command, clone, environment)
            elif extra := re.fullmatch(r"pipx install --force '\.\[(\w+)\]'", command):
                _add_extra(extra[1], Path(environment["PIPX_HOME"]))
            else:
                _run(command, clone, environment)
    (query,) = read_blocks(README, "sql")
    connection = sqlite3.connect(clone / "moodsort.db")
    assert connection.execute(query).fetchall()
    connection.close()


def _watch(command: str, clone: Path, environment: dict[str, str]) -> None:
    """Run a worker as the reader does: drop photos where it says, wait until they are filed, press Ctrl-C."""
    log = clone.parent / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [*command.split(), f"PYTHON={sys.executable}"],
            cwd=clone,
            env=environment,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        wait_until(lambda: '"ready"' in log.read_text() or worker.poll() is not None, scale(300))
        assert f'"{clone}/photos/inbox"' in log.read_text()
        for seed, mood in enumerate(_MOODS):
            face = make_face(np.random.default_rng(seed), 160, 150, 80, mood)
            draw_photo([face], (320, 320), seed).save(clone / f"photos/inbox/{seed}.jpg")
        wait_until(lambda: len(list(clone.glob("photos/[hs]a*/*.jpg"))) == len(_MOODS))
    finally:
        os.killpg(worker.pid, signal.SIGINT)
        worker.wait(timeout=scale(30))


def _add_extra(extra: str, pipx_home: Path) -> None:
    """Add the libraries of an extra from the suite's own environment: TensorFlow takes minutes to install."""
    assert extra in metadata("moodsort").get_all("Provides-Extra", [])
    (site_packages,) = pipx_home.glob("venvs/moodsort/lib/python*/site-packages")
    (site_packages / "extra.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")


def _run(command: str, clone: Path, environment: dict[str, str]) -> None:
    completed = subprocess.run(
        command, shell=True, cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, f"{command}\n{completed.stdout}\n{completed.stderr}"
