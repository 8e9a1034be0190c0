"""The units against systemd itself, and the command around them."""

import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worker.cli.service import service
from worker.ops.systemd.unit import UNIT_NAME, UnitSettings, render_system, render_user

AWKWARD = ' it\'s 100% "odd" \\x41 $HOME ${PATH} #1; [é]'


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every user can read: systemd tries units out only for users other than root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def awkward(open_folder: Path) -> UnitSettings:
    base = open_folder / AWKWARD
    command = open_folder / "bin %h $x" / "moodsort"
    command.parent.mkdir()
    command.touch(mode=0o755)
    return UnitSettings(
        command=command,
        config=base / f"{AWKWARD}.toml",
        root=base / "photos",
        database=base / "log" / "moodsort.db",
        bundle=base / "bundle",
    )


def write_unit(folder: Path, unit: str) -> Path:
    path = folder / UNIT_NAME
    path.write_text(unit)
    return path


def verify(kind: str, unit: Path) -> tuple[int, str]:
    process = subprocess.run(
        ["systemd-analyze", "verify", f"--{kind}", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(unit.parent)},
    )
    return process.returncode, process.stdout + process.stderr


def read_as_systemd(kind: str, unit: Path) -> str:
    # As another user than root, whom systemd refuses.
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    process = subprocess.run(
        [*prefix, "/lib/systemd/systemd", "--test", f"--{kind}", f"--unit={UNIT_NAME}"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {"SYSTEMD_UNIT_PATH": f"{unit.parent}:/lib/systemd/{kind}", "XDG_RUNTIME_DIR": str(unit.parent)},
    )
    return process.stdout[process.stdout.index(f"Unit {UNIT_NAME}:") :]


def test_systemd_accepts_a_users_unit(awkward: UnitSettings, open_folder: Path) -> None:
    assert verify("user", write_unit(open_folder, render_user(awkward))) == (0, "")


@pytest.mark.parametrize("has_server", [False, True])
def test_systemd_accepts_a_systems_unit(awkward: UnitSettings, open_folder: Path, has_server: bool) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    settings = UnitSettings(
        awkward.command,
        awkward.config,
        awkward.root,
        None if has_server else awkward.database,
        awkward.bundle,
    )
    assert verify("system", write_unit(open_folder, render_system(settings, user))) == (0, "")


def test_systemd_reports_a_unit_that_is_wrong(awkward: UnitSettings, open_folder: Path) -> None:
    _, report = verify("user", write_unit(open_folder, render_user(awkward) + "Wanted=more\n"))
    assert "'Wanted'" in report


def test_systemd_reads_every_path_as_it_is(awkward: UnitSettings, open_folder: Path) -> None:
    unit = write_unit(open_folder, render_system(awkward, "root"))
    text = read_as_systemd("system", unit)
    database_folder = Path(str(awkward.database)).parent
    assert f"ReadWritePaths: {awkward.root} {database_folder}\n" in text
    for folder in (awkward.root, database_folder):
        assert f"RequiresMountsFor: {folder} (origin-file)\n" in text
    # systemd shows words as a shell would have to write them.
    escaped = str(awkward.config).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    assert f'run --config "{escaped}"\n' in text


@pytest.mark.parametrize(("user", "most"), [("ada", 1.4), ("root", 2.3)])
def test_the_exposure_that_systemd_works_out_stays_low(open_folder: Path, user: str, most: float) -> None:
    settings = UnitSettings(
        command=Path("/opt/moodsort/bin/moodsort"),
        config=Path("/etc/moodsort.toml"),
        root=Path("/srv/photos"),
        database=Path("/var/lib/moodsort/moodsort.db"),
        bundle=Path("/opt/moodsort/lib/worker/bundles/default"),
    )
    unit = write_unit(open_folder, render_system(settings, user))
    report = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert exposure is not None
    assert float(exposure[1]) <= most


_UNDER_MDWE = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN (prctl(2))
    sys.exit("no PR_SET_MDWE")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_bundle_works_where_no_memory_may_be_written_and_executed(tmp_path: Path) -> None:
    # The unit says MemoryDenyWriteExecute=yes; a LiteRT that made code as it runs would not start there.
    (tmp_path / "config.toml").touch()
    command = [
        "-c",
        "from worker.cli import main; main()",
        "doctor",
        "--config",
        str(tmp_path / "config.toml"),
        "--format",
        "jsonl",
    ]
    process = subprocess.run(
        [sys.executable, "-c", _UNDER_MDWE, *command], capture_output=True, text=True, check=False
    )
    if "no PR_SET_MDWE" in process.stderr:
        pytest.skip("Linux has this since 6.3")
    rows = {row["check"]: row for row in map(json.loads, process.stdout.splitlines())}
    assert rows["model"]["state"] == "ok", rows["model"]["found"]
    assert rows["images"]["state"] == "ok", rows["images"]["found"]


class Home:
    """A home with a configuration, and a systemctl that records its calls and ends with `script`."""

    def __init__(self, folder: Path, script: str) -> None:
        self.config = folder / "config.toml"
        self.config.touch()
        self.unit = folder / "xdg" / "systemd" / "user" / UNIT_NAME
        self.calls = folder / "calls"
        systemctl = folder / "bin" / "systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text(f'#!/bin/sh\necho "$@" >> "{self.calls}"\n{script}\n')
        systemctl.chmod(systemctl.stat().st_mode | stat.S_IXUSR)
        self._environment = {
            "XDG_CONFIG_HOME": str(folder / "xdg"),
            "PATH": f"{systemctl.parent}:{os.environ['PATH']}",
            "MOODSORT_DATABASE_URL": None,
            "MOODSORT_CONFIG": None,
        }

    def run_service(self, *words: str) -> Result:
        arguments = [*words, "--config", str(self.config)]
        return CliRunner().invoke(service, arguments, env=self._environment, standalone_mode=False)


def test_a_service_is_installed_and_uninstalled_by_one_command_each(tmp_path: Path) -> None:
    home = Home(tmp_path, "exit 0")
    result = home.run_service("install")
    assert result.return_value == 0
    assert result.output.splitlines() == [
        f"wrote {home.unit}",
        "enabled and started it",
        "To have it run while nobody is logged in, type:",
        "  loginctl enable-linger",
    ]
    assert f"--config {home.config}" in home.unit.read_text()
    assert (tmp_path / "photos").is_dir()
    assert home.run_service("uninstall").return_value == 0
    assert not home.unit.exists()
    assert home.calls.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now moodsort.service",
        "--user disable --now moodsort.service",
        "--user daemon-reload",
    ]


def test_without_systemd_the_commands_are_printed_and_the_status_is_1(tmp_path: Path) -> None:
    result = Home(tmp_path, "exit 1").run_service("install")
    assert result.return_value == 1
    assert "type:\n  systemctl --user daemon-reload\n  systemctl --user enable --now" in result.output


def test_a_configuration_with_a_mistake_is_not_installed(tmp_path: Path) -> None:
    home = Home(tmp_path, "exit 0")
    home.config.write_text("[folder]\n")
    result = home.run_service("install")
    assert "did you mean folders?" in str(result.exception)
    assert not home.unit.exists()


def test_the_unit_that_is_shown_is_the_one_that_is_installed(tmp_path: Path) -> None:
    home = Home(tmp_path, "exit 0")
    home.run_service("install")
    assert home.run_service("show").output == home.unit.read_text()


def test_a_systems_service_is_shown_for_the_user_that_is_named(tmp_path: Path) -> None:
    result = Home(tmp_path, "exit 0").run_service("show", "--system", "--user-name", "ada")
    assert "\nUser=ada\n" in result.output


def test_a_user_name_without_the_system_is_wrong_use(tmp_path: Path) -> None:
    result = Home(tmp_path, "exit 0").run_service("install", "--user-name", "ada")
    assert "--user-name goes with --system" in str(result.exception)
