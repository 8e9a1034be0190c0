"""Installing the unit: written whole, in the right order, and what remains is said."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from worker.config import load_config
from worker.errors import ConfigError, MoodsortError
from worker.ops.systemd.install import (
    Manager,
    describe_service,
    find_command,
    find_owner,
    find_user_manager,
    install,
    run_quietly,
    uninstall,
)


class Systemctl:
    """A systemctl that records its calls, and fails where one contains certain words."""

    def __init__(self, *failing_words: str) -> None:
        self.calls: list[str] = []
        self._failing_words = failing_words

    def __call__(self, command: Sequence[str]) -> bool:
        self.calls.append(" ".join(command[1:]))
        return not set(command) & set(self._failing_words)


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(tmp_path / "systemd" / "user", ("systemctl",))


def test_a_unit_is_written_enabled_and_started(manager: Manager) -> None:
    systemctl = Systemctl()
    result = install("[Unit]\n", manager, systemctl)
    assert manager.unit_file.read_text() == "[Unit]\n"
    assert manager.unit_file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in manager.folder.iterdir()] == ["moodsort.service"]
    assert systemctl.calls == ["daemon-reload", "enable --now moodsort.service"]
    assert result.messages == (f"wrote {manager.unit_file}", "enabled and started it")
    assert result.remaining == ()


def test_installing_again_changes_nothing(manager: Manager) -> None:
    install("[Unit]\n", manager, Systemctl())
    before = manager.unit_file.stat()
    systemctl = Systemctl()
    result = install("[Unit]\n", manager, systemctl)
    assert manager.unit_file.stat().st_ino == before.st_ino
    assert systemctl.calls == ["daemon-reload", "enable --now moodsort.service"]
    assert result.messages[0] == f"{manager.unit_file} is as it was"


def test_a_unit_that_has_changed_is_restarted(manager: Manager) -> None:
    install("[Unit]\n", manager, Systemctl())
    systemctl = Systemctl()
    install("[Unit]\n\n", manager, systemctl)
    assert manager.unit_file.read_text() == "[Unit]\n\n"
    assert systemctl.calls == ["daemon-reload", "enable moodsort.service", "restart moodsort.service"]


def test_what_systemd_did_not_do_remains_for_a_person(manager: Manager) -> None:
    result = install("[Unit]\n", manager, Systemctl("daemon-reload"))
    assert result.messages == (f"wrote {manager.unit_file}",)
    assert result.remaining == (
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", "--now", "moodsort.service"),
    )


def test_a_folder_that_cannot_be_written_is_reported_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "systemd").write_text("a file")
    systemctl = Systemctl()
    with pytest.raises(MoodsortError, match=r"^\S+moodsort.service: cannot be \w+ \(.*\); check .*$"):
        install("[Unit]\n", Manager(tmp_path / "systemd", ("systemctl",)), systemctl)
    assert systemctl.calls == []


def test_uninstalling_stops_before_it_removes(manager: Manager) -> None:
    install("[Unit]\n", manager, Systemctl())
    systemctl = Systemctl()
    result = uninstall(manager, systemctl)
    assert systemctl.calls == ["disable --now moodsort.service", "daemon-reload"]
    assert result.messages == ("stopped and disabled it", f"removed {manager.unit_file}")
    assert not manager.unit_file.exists()


def test_uninstalling_again_is_no_error(manager: Manager) -> None:
    systemctl = Systemctl()
    assert uninstall(manager, systemctl).messages == (f"{manager.unit_file}: is not installed",)
    assert systemctl.calls == []


def test_a_unit_is_removed_even_where_systemd_does_not_answer(manager: Manager) -> None:
    install("[Unit]\n", manager, Systemctl())
    result = uninstall(manager, Systemctl("disable"))
    assert result.messages == (f"removed {manager.unit_file}",)
    assert result.remaining == (("systemctl", "disable", "--now", "moodsort.service"),)
    assert not manager.unit_file.exists()


def test_a_users_units_lie_where_the_environment_says(tmp_path: Path) -> None:
    assert find_user_manager({"XDG_CONFIG_HOME": str(tmp_path)}).folder == tmp_path / "systemd" / "user"
    assert find_user_manager({}).folder == Path.home() / ".config" / "systemd" / "user"


def test_a_command_that_is_missing_has_not_succeeded(tmp_path: Path) -> None:
    assert not run_quietly([str(tmp_path / "systemctl")])
    assert not run_quietly(["false"])
    assert run_quietly(["true"])


def test_the_command_is_the_one_that_was_called_or_the_interpreters_neighbour(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "moodsort"
    command.parent.mkdir()
    command.touch(mode=0o755)
    interpreter = command.with_name("python")
    assert find_command(command, Path("/usr/bin/python3")) == command
    assert find_command(tmp_path / "__main__.py", interpreter) == command
    with pytest.raises(ConfigError, match="install moodsort again"):
        find_command(tmp_path / "__main__.py", tmp_path / "python")


def test_a_service_needs_a_configuration_that_it_can_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOODSORT_CONFIG", raising=False)
    monkeypatch.delenv("MOODSORT_DATABASE_URL", raising=False)
    with pytest.raises(ConfigError, match="name it with --config"):
        describe_service(load_config(), None, tmp_path / "moodsort", {})
    (tmp_path / "config.toml").touch()
    settings = describe_service(load_config(), None, tmp_path / "moodsort", {})
    assert (settings.config, settings.root) == (tmp_path / "config.toml", tmp_path / "photos")


def test_a_database_that_only_this_shell_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    config_file = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match="a service does not see it"):
        describe_service(
            load_config(config_file), config_file, tmp_path, {"MOODSORT_DATABASE_URL": "sqlite:///a.db"}
        )


def test_a_systems_service_runs_as_the_owner_of_the_photos(tmp_path: Path) -> None:
    assert find_owner(tmp_path) == tmp_path.owner()
    with pytest.raises(ConfigError, match="--user-name"):
        find_owner(tmp_path / "gone")
