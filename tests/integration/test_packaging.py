"""What pip installs, and what make does in a fresh clone."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image

from tests.clone import make_clean_environment, make_clone

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what a fresh clone of the working tree would hold."""
    return make_clone(tmp_path_factory.mktemp("clone") / "moodsort")


@pytest.fixture(scope="module")
def installed(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing but what it asks for, into an empty environment; give its programs."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, clone)
    (wheel,) = folder.glob("moodsort-*.whl")
    venv.create(folder / "venv", with_pip=True)
    _run(folder / "venv/bin/python", "-m", "pip", "install", "-q", wheel)
    return folder / "venv/bin"


def test_make_test_checks_everything_and_needs_nothing_set_up(clone: Path) -> None:
    recipe = _run("make", "-n", "-B", "test", cwd=clone)
    for step in ("-m venv", "pip install", "setup-system", "ruff", "mypy", "lint-imports", "pytest"):
        assert re.search(step, recipe), f"make test does not run {step}"


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
    process = subprocess.run(
        command, cwd=tmp_path, env=make_clean_environment(), capture_output=True, text=True
    )
    assert process.returncode in (1, 2)
    assert process.stderr.count("\n") == 1
    assert "pipx install --force '.[train]'" in process.stderr


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    process = subprocess.run(command, cwd=cwd, env=make_clean_environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout
