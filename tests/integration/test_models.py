"""Choosing a model: with real bundles, real child processes and a real worker."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.drawing import draw_jpeg
from tests.home import Home, wait_until
from tests.scene_bundle import make_scene_bundle
from worker.cli import moodsort
from worker.config import BUILT_IN_BUNDLE, load_config
from worker.daemon.locks import hold_locks
from worker.errors import ConfigError, MoodsortError
from worker.fileio import hash_file
from worker.inference.bundle import load_bundle, write_manifest
from worker.registry.choice import find_previous_bundle, set_bundle
from worker.registry.reload_signal import ReloadResult, ReloadStatus, request_reload

CLASSES = load_bundle(BUILT_IN_BUNDLE).manifest.classes


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended; `error` is what it would print on standard error."""

    status: int
    output: str
    error: str


@pytest.fixture(autouse=True)
def _no_steering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOODSORT_CONFIG", raising=False)
    monkeypatch.delenv("MOODSORT_DATABASE_URL", raising=False)


@pytest.fixture
def second(home: Home) -> Path:
    """Give a bundle of one network beside the configuration."""
    return make_bundle(home.folder / "second")


def make_bundle(folder: Path, **changes: Any) -> Path:
    """Make a bundle of one network and change fields of its manifest."""
    make_scene_bundle(folder)
    changes.setdefault("name", folder.name)
    write_manifest(folder, replace(load_bundle(folder).manifest, **changes))
    return folder


def run_model(home: Home, *arguments: str | Path) -> Completed:
    command = ["model", *map(str, arguments), "--config", str(home.config)]
    result = CliRunner().invoke(moodsort, command, standalone_mode=False)
    if isinstance(result.exception, MoodsortError):
        return Completed(result.exception.exit_status, result.output, str(result.exception))
    if result.exception is not None:
        raise result.exception
    return Completed(0, result.output, "")


def list_bundles(home: Home, *folders: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run_model(home, "list", *folders, "--format", "json").output)
    return rows


def read_bundle_in_use(home: Home) -> Path:
    return load_config(home.config).bundle_folder


def read_refusal(home: Home, *arguments: str | Path) -> str:
    """Return the one line with which a command is refused; fail where it has changed anything."""
    before = home.config.read_bytes()
    completed = run_model(home, *arguments)
    assert completed.status in (1, 2)
    assert completed.error
    assert "\n" not in completed.error
    assert ";" in completed.error, "the remedy is missing"
    assert completed.output == ""
    assert home.config.read_bytes() == before
    assert not list(home.folder.glob(".config.toml*"))
    return completed.error


@pytest.fixture
def test_folder(home: Home) -> Path:
    """Give five pictures of which the built-in bundle has four right or more, so its opposite one or less."""
    photos = home.folder / "drawn"
    photos.mkdir()
    for number in range(5):
        (photos / f"{number}.jpg").write_bytes(draw_jpeg(number))
    result = CliRunner().invoke(
        moodsort,
        ["classify", str(photos), "--format", "json", "--config", str(home.config)],
        standalone_mode=False,
    )
    labels = {Path(row["path"]): row["label"] for row in json.loads(result.output)}
    for label in set(CLASSES) - set(labels.values()):
        labels[photos / "0.jpg"] = label
    for path, label in labels.items():
        folder = home.folder / "test" / label
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    return home.folder / "test"


def test_bundles_are_listed_side_by_side_and_a_broken_one_with_its_problem(home: Home, second: Path) -> None:
    assert run_model(home, "use", second).status == 0
    broken = make_bundle(home.folder / "broken")
    flip_a_bit(broken / "scene.tflite")
    deeper = make_bundle(home.folder / "elsewhere" / "deeper" / "third")
    make_bundle(home.folder / "elsewhere" / ".hidden.draft")
    rows = {Path(row["folder"]): row for row in list_bundles(home, home.folder / "elsewhere")}
    assert rows.keys() == {BUILT_IN_BUNDLE, second, broken, deeper}
    assert (rows[second]["state"], rows[BUILT_IN_BUNDLE]["state"]) == ("in use", "previous")
    assert (rows[deeper]["state"], rows[deeper]["name"], rows[deeper]["problem"]) == (None, "third", None)
    assert rows[deeper]["accuracy_low"] <= rows[deeper]["accuracy"] <= rows[deeper]["accuracy_high"]
    assert "scene.tflite: its SHA-256 is not the manifest's" in rows[broken]["problem"]
    assert rows[broken]["name"] is None


def test_a_bundle_in_use_that_is_not_there_is_listed_with_its_problem(home: Home) -> None:
    home.configure(model={"bundle": "nowhere"})
    rows = list_bundles(home)
    assert [row["state"] for row in rows] == [None, "in use"]
    assert "is not there" in rows[1]["problem"]


def test_a_table_lists_a_bundle_on_one_line(home: Home, second: Path) -> None:
    assert run_model(home, "use", second).status == 0
    lines = run_model(home, "list").output.splitlines()
    (line,) = [line for line in lines if "in use" in line]
    assert str(second) in line
    assert ", ".join(CLASSES) in line


def test_a_manifest_is_shown_in_full(home: Home, second: Path) -> None:
    manifest = json.loads((second / "manifest.json").read_text())
    assert json.loads(run_model(home, "show", second, "--format", "json").output) == {
        "folder": str(second),
        **manifest,
    }
    table = run_model(home, "show").output
    assert str(BUILT_IN_BUNDLE) in table
    assert manifest["networks"][0]["sha256"] in table
    assert len(re.findall(r"^recall\t", table, re.MULTILINE)) == len(CLASSES)


def test_use_changes_the_one_key_and_previous_goes_back_and_forth(home: Home, second: Path) -> None:
    home.config.write_text("# mine\n[model]\nprocesses = 1  # enough\n")
    completed = run_model(home, "use", second)
    assert "passes its self-test" in completed.output
    assert "no worker is running" in completed.output
    assert home.config.read_text() == '# mine\n[model]\nbundle = "second"\nprocesses = 1  # enough\n'
    assert run_model(home, "use", "--previous").status == 0
    assert home.config.read_text() == '# mine\n[model]\nbundle = "default"\nprocesses = 1  # enough\n'
    assert run_model(home, "use", "--previous").status == 0
    assert read_bundle_in_use(home) == second


def test_the_bundle_in_use_is_tested_again_and_nothing_is_written(home: Home) -> None:
    before = home.config.read_bytes()
    assert "in use already" in run_model(home, "use", "default").output
    assert home.config.read_bytes() == before
    assert "no other model was in use before" in read_refusal(home, "use", "--previous")


def test_without_a_configuration_one_with_that_key_is_made(
    home: Home, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.config.unlink()
    monkeypatch.chdir(home.folder)
    result = CliRunner().invoke(moodsort, ["model", "use", "second"], standalone_mode=False)
    assert result.exception is None
    assert home.config.read_text() == '[model]\nbundle = "second"\n'


def test_a_configuration_that_is_a_symbolic_link_stays_one_and_keeps_its_mode(
    home: Home, second: Path
) -> None:
    target = home.folder / "etc" / "real.toml"
    target.parent.mkdir()
    home.config.rename(target)
    target.chmod(0o640)
    home.config.symlink_to(target)
    assert run_model(home, "use", second).status == 0
    assert home.config.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert read_bundle_in_use(home) == second
    assert list(target.parent.iterdir()) == [target]


def test_a_running_worker_goes_on_with_the_new_bundle(home: Home, second: Path) -> None:
    with home.watch() as worker:
        completed = run_model(home, "use", second)
        assert f"told the worker, process {worker.popen.pid}" in completed.output
        wait_until(lambda: worker.find_events("reloaded"))
        home.drop("a.jpg", draw_jpeg(1))
        wait_until(lambda: home.count_statuses()["filed"] == 1)
        assert worker.end() == 0
    (row,) = json.loads(home.run_command("log", "--format", "json").stdout)
    assert row["model"].startswith("second")
    home.check_promises()


def test_a_less_accurate_bundle_is_refused_with_both_accuracies(home: Home, test_folder: Path) -> None:
    opposite = make_bundle(home.folder / "opposite", classes=CLASSES[::-1])
    error = read_refusal(home, "use", opposite, "--test", test_folder)
    assert "is less accurate" in error
    assert error.count("of 5 right") == 2
    assert "McNemar's p = " in error
    assert "--force" in error
    forced = run_model(home, "use", opposite, "--test", test_folder, "--force")
    assert forced.status == 0
    assert forced.output.count("of 5 right") == 2
    assert read_bundle_in_use(home) == opposite


def test_a_bundle_that_is_as_accurate_is_accepted(home: Home, second: Path, test_folder: Path) -> None:
    (test_folder / CLASSES[0] / "notes.txt").write_text("not a picture")
    completed = run_model(home, "use", second, "--test", test_folder)
    assert completed.status == 0
    assert "McNemar's p = 1; 1 files cannot be read" in completed.output
    assert read_bundle_in_use(home) == second


def test_a_bundle_is_tested_on_the_folder_of_a_worker_whose_other_folders_are_left_out(
    home: Home, second: Path, test_folder: Path
) -> None:
    for name in ("inbox", "review"):
        (test_folder / name).mkdir()
        (test_folder / name / "0.jpg").write_bytes(draw_jpeg(0))

    completed = run_model(home, "use", second, "--test", test_folder)

    assert completed.status == 0
    assert "left out inbox, review: not classes of the bundle" in completed.output
    assert "of 5 right" in completed.output


def test_a_bundle_with_other_classes_is_refused_unless_forced_and_left_without_force(home: Home) -> None:
    foreign = make_bundle(home.folder / "foreign", classes=("merry", "gloomy"))
    assert "photos would go to other folders" in read_refusal(home, "use", foreign)
    assert "photos go to other folders" in run_model(home, "use", foreign, "--force").output
    assert read_bundle_in_use(home) == foreign
    assert run_model(home, "use", "--previous").status == 0
    assert read_bundle_in_use(home) == BUILT_IN_BUNDLE


def test_a_bundle_that_fails_its_self_test_is_refused_even_by_force(home: Home, second: Path) -> None:
    golden = second / "golden.npz"
    manifest = load_bundle(second).manifest
    with np.load(golden) as arrays:
        inputs, logits = arrays["inputs"], arrays["logits"]
    np.savez(golden, inputs=inputs, logits=logits + 1)
    (network,) = manifest.networks
    network = replace(network, golden=replace(network.golden, sha256=hash_file(golden)))
    write_manifest(second, replace(manifest, networks=(network,)))
    assert "differs from the golden one" in read_refusal(home, "use", second, "--force")


def test_a_flipped_byte_is_refused(home: Home, second: Path) -> None:
    flip_a_bit(second / "scene.tflite")
    assert "scene.tflite: its SHA-256 is not the manifest's" in read_refusal(home, "use", second)


def test_what_is_not_a_bundle_is_refused(home: Home) -> None:
    (home.folder / "file").touch()
    assert "is a file" in read_refusal(home, "use", home.folder / "file")
    assert "is not there" in read_refusal(home, "use", home.folder / "nowhere")
    assert "manifest.json: is not there" in read_refusal(home, "use", home.root)
    assert "is not a folder" in read_refusal(home, "list", home.folder / "nowhere")


def test_a_test_folder_that_does_not_fit_is_refused(home: Home, second: Path, test_folder: Path) -> None:
    use = "use", second, "--test"
    assert "is not a folder" in read_refusal(home, *use, home.folder / "nowhere")
    assert "has no class folders" in read_refusal(home, *use, home.inbox)
    (test_folder / "inbox").mkdir()
    shutil.rmtree(test_folder / CLASSES[1])
    assert f"{CLASSES[1]}: has no pictures" in read_refusal(home, *use, test_folder)


def test_a_bundle_in_use_that_is_broken_can_be_left_but_not_compared_with(
    home: Home, second: Path, test_folder: Path
) -> None:
    home.configure(model={"bundle": "nowhere"})
    assert "leave --test out" in read_refusal(home, "use", second, "--test", test_folder)
    assert run_model(home, "use", second).status == 0
    assert read_bundle_in_use(home) == second


@pytest.mark.parametrize("failing", ["config.toml", ".config.toml.models"])
def test_a_configuration_that_cannot_be_written_is_as_it_was(home: Home, second: Path, failing: str) -> None:
    before = home.config.read_bytes()

    def replace_unless_failing(draft: Path, target: Path) -> None:
        if target.name == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        draft.replace(target)

    with pytest.raises(ConfigError, match="cannot be written"):
        set_bundle(home.config, BUILT_IN_BUNDLE, second, replace_unless_failing)
    assert home.config.read_bytes() == before
    assert find_previous_bundle(home.config, read_bundle_in_use(home)) is None
    assert not list(home.folder.glob("*.new")) + list(home.folder.glob(".*.new"))


def test_the_previous_bundle_is_found_whatever_was_configured_by_hand(home: Home, second: Path) -> None:
    third = make_bundle(home.folder / "third")
    set_bundle(home.config, BUILT_IN_BUNDLE, second)
    assert find_previous_bundle(home.config, third) == BUILT_IN_BUNDLE
    set_bundle(home.config, second, third)
    assert find_previous_bundle(home.config, third) == second
    assert find_previous_bundle(home.config, second) == BUILT_IN_BUNDLE


def test_a_damaged_history_of_bundles_is_reported(home: Home) -> None:
    (home.folder / ".config.toml.models").write_text("{")
    completed = run_model(home, "use", "--previous")
    assert (completed.status, "delete it" in completed.error) == (2, True)


@pytest.fixture
def lock(home: Home) -> Iterator[Path]:
    """Give the inbox's lock file while this process holds it."""
    config = load_config(home.config)
    with hold_locks(config):
        yield home.root / ".inbox.lock"


def test_a_process_that_does_not_hold_the_lock_is_sent_nothing(home: Home, lock: Path) -> None:
    sent: list[int] = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        lock.write_text(f"{bystander.pid}\n")
        result = request_reload(load_config(home.config), lambda process, _: sent.append(process))
        bystander.communicate(b"\n")
    assert (result, sent) == (ReloadResult(ReloadStatus.UNKNOWN_PROCESS), [])


def test_a_worker_of_another_user_is_reported(home: Home, lock: Path) -> None:
    def forbid(process: int, number: int) -> None:
        raise PermissionError

    assert request_reload(load_config(home.config), forbid) == ReloadResult(ReloadStatus.FORBIDDEN)


def test_a_benchmark_measures_generated_photos_and_those_of_a_folder(home: Home) -> None:
    (row,) = json.loads(run_model(home, "benchmark", "--count", "1", "--format", "json").output)
    assert (row["photos"], row["left_out"]) == (1, 0)
    assert min(row["load_ms"], row["predict_ms"], row["memory_mb"]) > 0
    assert row["predict_ms"] <= row["photo_ms"] <= row["photo_ms_p95"]
    album = home.folder / "album"
    album.mkdir()
    (album / "a.jpg").write_bytes(draw_jpeg(1))
    (album / "b.txt").write_text("not a picture")
    (row,) = json.loads(run_model(home, "benchmark", "default", "--photos", album, "--format", "json").output)
    assert (row["photos"], row["left_out"]) == (1, 1)


def test_a_benchmark_without_photos_says_what_to_do(home: Home) -> None:
    assert "has no photos in it" in read_refusal(home, "benchmark", "--photos", home.inbox)
    (home.folder / "album").mkdir()
    (home.folder / "album" / "b.txt").write_text("not a picture")
    assert "no photo that can be read" in read_refusal(home, "benchmark", "--photos", home.folder / "album")


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
