"""The units, read as systemd reads them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ConfigError
from worker.ops.systemd.unit import UnitSettings, list_writable_folders, render_system, render_user

SERVICE = UnitSettings(
    command=Path("/opt/moodsort/bin/moodsort"),
    config=Path("/etc/moodsort.toml"),
    root=Path("/srv/photos"),
    database=Path("/var/lib/moodsort/moodsort.db"),
    bundle=Path("/opt/moodsort/lib/worker/bundles/default"),
)

names = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


def read_values(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def split_words(value: str) -> list[str]:
    """Split as systemd.syntax(7) does: double quotes, a backslash before a literal character, %% for %."""
    complete: list[str] = []
    word: list[str] | None = None
    is_quoted = False
    characters = iter(value)
    for char in characters:
        if char == '"':
            is_quoted = not is_quoted
            word = word or []
        elif char == " " and not is_quoted:
            if word is not None:
                complete.append("".join(word))
            word = None
        else:
            if char == "%":
                assert next(characters) == "%"
            word = [*(word or []), next(characters) if char == "\\" else char]
    assert not is_quoted
    return complete if word is None else [*complete, "".join(word)]


@given(name=names)
def test_whatever_the_configuration_is_called_it_arrives_as_one_word(name: str) -> None:
    config = Path("/etc") / name
    (command,) = read_values(render_user(replace(SERVICE, config=config)), "ExecStart")
    assert split_words(command) == [f":{SERVICE.command}", "run", "--config", str(config)]


@given(name=names)
def test_whatever_a_folder_is_called_it_can_be_written(name: str) -> None:
    root = Path("/srv") / name
    unit = render_system(replace(SERVICE, root=root), "ada")
    for key in ("ReadWritePaths", "RequiresMountsFor"):
        (paths,) = read_values(unit, key)
        assert split_words(paths) == [str(root), "/var/lib/moodsort"]


@pytest.mark.parametrize("name", ["a\nUser=root", "tab\t", "\x7f", "\udcff"])
def test_a_name_that_a_unit_cannot_hold_is_refused_on_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^[ -~]+: a systemd unit cannot hold this name; rename it$"):
        render_user(replace(SERVICE, config=Path("/etc") / name))
    with pytest.raises(ConfigError, match="cannot hold this name"):
        render_system(replace(SERVICE, root=Path("/srv") / name), "ada")


@pytest.mark.parametrize("name", ['"', "'", "\\"])
def test_a_command_that_systemd_would_not_run_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="install it elsewhere"):
        render_user(replace(SERVICE, command=Path("/opt") / name / "moodsort"))


def test_a_database_below_the_root_needs_no_folder_of_its_own() -> None:
    assert list_writable_folders(replace(SERVICE, database=Path("/srv/photos/moodsort.db"))) == [SERVICE.root]


def test_a_server_is_waited_for_and_a_file_is_not() -> None:
    assert "network-online.target" not in render_system(SERVICE, "ada")
    unit = render_system(replace(SERVICE, database=None), "ada")
    assert read_values(unit, "Wants") == ["network-online.target"]
    assert read_values(unit, "ReadWritePaths") == ["/srv/photos"]


def test_a_users_unit_asks_for_no_namespaces() -> None:
    # Where a kernel keeps user namespaces from users, a unit that asks for a mount namespace never starts.
    unit = render_user(SERVICE)
    for key in ("ProtectSystem", "ProtectHome", "ReadWritePaths", "PrivateTmp", "PrivateDevices", "User"):
        assert read_values(unit, key) == []


@pytest.mark.parametrize("field", ["command", "config", "root", "database", "bundle"])
def test_homes_stay_visible_where_a_path_of_the_service_lies_in_one(field: str) -> None:
    unit = render_system(replace(SERVICE, **{field: Path("/home/ada/moodsort")}), "ada")
    assert read_values(unit, "ProtectHome") == ["read-only"]
    assert read_values(render_system(SERVICE, "ada"), "ProtectHome") == ["yes"]


def test_temporary_folders_stay_shared_where_photos_lie_in_one() -> None:
    assert read_values(render_system(replace(SERVICE, root=Path("/var/tmp/p")), "ada"), "PrivateTmp") == []
    assert read_values(render_system(SERVICE, "ada"), "PrivateTmp") == ["yes"]


def test_root_keeps_the_capabilities_by_which_it_moves_the_files_of_others_and_no_more() -> None:
    (capabilities,) = read_values(render_system(SERVICE, "root"), "CapabilityBoundingSet")
    assert "CAP_DAC_OVERRIDE" in capabilities.split()
    assert "CAP_SYS_ADMIN" not in capabilities.split()
    assert read_values(render_system(SERVICE, "ada"), "CapabilityBoundingSet") == [""]


def test_a_service_that_failed_is_restarted_without_end() -> None:
    for unit in (render_user(SERVICE), render_system(SERVICE, "ada")):
        assert (read_values(unit, "Restart"), read_values(unit, "StartLimitIntervalSec")) == (
            ["on-failure"],
            ["0"],
        )


def test_a_user_and_the_system_start_it_at_their_own_time() -> None:
    assert read_values(render_user(SERVICE), "WantedBy") == ["default.target"]
    assert read_values(render_system(SERVICE, "ada"), "WantedBy") == ["multi-user.target"]
