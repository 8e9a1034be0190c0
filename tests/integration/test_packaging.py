"""The two commands of the README in a fresh clone, and what pip installs elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
from PIL import Image

from tests.patience import scale

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what a fresh clone of the working tree would hold: no environment, no caches, no database."""
    names = _run("git", "-C", PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    folder = tmp_path_factory.mktemp("clone") / "moodsort"
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def installed(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing but what it asks for, into an empty environment; give its programs."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, clone)
    (wheel,) = folder.glob("moodsort-*.whl")
    venv.create(folder / "venv", with_pip=True)
    _run(folder / "venv/bin/python", "-m", "pip", "install", "-q", wheel)
    return folder / "venv/bin"


def test_make_run_in_a_fresh_clone_sets_everything_up_and_files_a_photo(
    clone: Path,
) -> None:
    worker = subprocess.Popen(
        ["make", "run", f"PYTHON={sys.executable}"],
        cwd=clone,
        env=_make_environment(),
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        assert worker.stderr is not None
        line = next(line for line in worker.stderr if '"event": "ready"' in line)
        inbox = Path(json.loads(line)["path"])
        assert inbox == clone / "photos/inbox"
        Image.new("RGB", (64, 64), "orange").save(inbox / "holiday.jpg")
        deadline = time.monotonic() + scale(30)
        while not list(clone.glob("photos/[hs]a*/holiday.jpg")):
            assert time.monotonic() < deadline, "the photo was not filed"
            time.sleep(0.05)
    finally:
        os.killpg(worker.pid, 15)
        worker.communicate(timeout=scale(30))


def test_make_test_checks_everything_and_needs_nothing_set_up(clone: Path) -> None:
    recipe = _run("make", "-n", "-B", "test", cwd=clone)
    for step in ("-m venv", "pip install", "setup-system", "ruff", "mypy", "lint-imports", "pytest"):
        assert re.search(step, recipe), f"make test does not run {step}"


def test_the_readme_opens_with_the_two_commands() -> None:
    opening = (PROJECT / "README.md").read_text().split("```")[1]
    assert re.findall(r"^make \w+", opening, re.MULTILINE) == ["make run", "make test"]


def test_a_wheel_gives_a_working_worker_without_tensorflow(installed: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "photos/inbox"
    inbox.mkdir(parents=True)
    Image.new("RGB", (64, 64), "teal").save(inbox / "a.png")
    _run(installed / "moodsort", "run", "--once", cwd=tmp_path)
    assert "a.png" in _run(installed / "moodsort", "log", "--format", "csv", cwd=tmp_path)
    packages = _run(installed / "python", "-m", "pip", "list").lower()
    assert not re.search("tensorflow|keras|torch|matplotlib", packages)


def test_a_wheel_holds_the_templates_of_the_unit(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    unit = _run(installed / "moodsort", "service", "show", "--system", "--user-name", "ada", cwd=tmp_path)
    assert f"ExecStart=:{installed / 'moodsort'} run --config {tmp_path / 'config.toml'}\n" in unit
    assert "ProtectSystem=strict\n" in unit


def test_without_tensorflow_train_says_how_to_install_it(installed: Path, tmp_path: Path) -> None:
    command = [installed / "moodsort", "train", tmp_path, "--out", tmp_path / "bundle"]
    process = subprocess.run(command, cwd=tmp_path, env=_make_environment(), capture_output=True, text=True)
    assert process.returncode in (1, 2)
    assert process.stderr.count("\n") == 1
    assert "pipx install --force '.[train]'" in process.stderr


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    process = subprocess.run(command, cwd=cwd, env=_make_environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


def _make_environment() -> dict[str, str]:
    # What the suite's own make and environment have set must not reach the fresh clone's.
    prefixes = ("MAKE", "MFLAGS", "MOODSORT_", "VIRTUAL_ENV", "PYTHON", "NOTIFY_SOCKET")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
