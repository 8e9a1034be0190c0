"""Choosing a model: with real bundles, real classifier processes and a real worker."""

import errno
import json
import os
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

from tests.drawing import photo_bytes
from tests.home import Home, until
from tests.scene_bundle import make_scene_bundle
from worker.cli import moodsort
from worker.config import BUILT_IN_BUNDLE, load_config
from worker.daemon.locks import hold_locks
from worker.errors import ConfigError, MoodsortError
from worker.inference.bundle import hash_file, load_bundle, write_manifest
from worker.registry.choice import find_previous_bundle, set_bundle
from worker.registry.reload_signal import ReloadReply, ReloadResult, request_reload

CLASSES = load_bundle(BUILT_IN_BUNDLE).manifest.classes


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended; `error` is what it would say on standard error."""

    status: int
    output: str
    error: str


@pytest.fixture(autouse=True)
def _no_steering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOODSORT_CONFIG", raising=False)
    monkeypatch.delenv("MOODSORT_DATABASE_URL", raising=False)


@pytest.fixture
def second(home: Home) -> Path:
    """Give a bundle of one reader beside the configuration."""
    return copied(home.folder / "second")


def copied(folder: Path, **changes: Any) -> Path:
    """Make a bundle of one reader and change fields of its manifest."""
    make_scene_bundle(folder)
    changes.setdefault("name", folder.name)
    write_manifest(folder, replace(load_bundle(folder).manifest, **changes))
    return folder


def model(home: Home, *arguments: str | Path) -> Done:
    command = ["model", *map(str, arguments), "--config", str(home.config)]
    result = CliRunner().invoke(moodsort, command, standalone_mode=False)
    if isinstance(result.exception, MoodsortError):
        return Done(result.exception.exit_status, result.output, str(result.exception))
    if result.exception is not None:
        raise result.exception
    return Done(0, result.output, "")


def listed(home: Home, *folders: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(model(home, "list", *folders, "--format", "json").output)
    return rows


def in_use(home: Home) -> Path:
    return load_config(home.config).bundle_folder


def refused(home: Home, *arguments: str | Path) -> str:
    """Return the one line with which a command is refused; fail where it has changed anything."""
    before = home.config.read_bytes()
    done = model(home, *arguments)
    assert done.status in (1, 2)
    assert done.error
    assert "\n" not in done.error
    assert ";" in done.error, "the remedy is missing"
    assert done.output == ""
    assert home.config.read_bytes() == before
    assert not list(home.folder.glob(".config.toml*"))
    return done.error


@pytest.fixture
def test_folder(home: Home) -> Path:
    """Give five pictures of which the built-in bundle has four right or more, so its mirror one or less."""
    drawn = home.folder / "drawn"
    drawn.mkdir()
    for number in range(5):
        (drawn / f"{number}.jpg").write_bytes(photo_bytes(number))
    judged = CliRunner().invoke(
        moodsort,
        ["classify", str(drawn), "--format", "json", "--config", str(home.config)],
        standalone_mode=False,
    )
    labels = {Path(row["path"]): row["label"] for row in json.loads(judged.output)}
    for label in set(CLASSES) - set(labels.values()):
        labels[drawn / "0.jpg"] = label
    for path, label in labels.items():
        folder = home.folder / "test" / label
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    return home.folder / "test"


def test_bundles_are_listed_side_by_side_and_a_broken_one_with_its_problem(home: Home, second: Path) -> None:
    assert model(home, "use", second).status == 0
    broken = copied(home.folder / "broken")
    flip_a_bit(broken / "reader.tflite")
    deeper = copied(home.folder / "elsewhere" / "deeper" / "third")
    copied(home.folder / "elsewhere" / ".hidden.draft")
    rows = {Path(row["folder"]): row for row in listed(home, home.folder / "elsewhere")}
    assert rows.keys() == {BUILT_IN_BUNDLE, second, broken, deeper}
    assert (rows[second]["state"], rows[BUILT_IN_BUNDLE]["state"]) == ("in use", "previous")
    assert (rows[deeper]["state"], rows[deeper]["name"], rows[deeper]["problem"]) == (None, "third", None)
    assert rows[deeper]["accuracy_low"] <= rows[deeper]["accuracy"] <= rows[deeper]["accuracy_high"]
    assert "reader.tflite: its SHA-256 is not the manifest's" in rows[broken]["problem"]
    assert rows[broken]["name"] is None


def test_a_bundle_in_use_that_is_not_there_is_listed_with_its_problem(home: Home) -> None:
    home.configure(model={"bundle": "nowhere"})
    rows = listed(home)
    assert [row["state"] for row in rows] == [None, "in use"]
    assert "is not there" in rows[1]["problem"]


def test_a_table_lists_a_bundle_on_one_line(home: Home, second: Path) -> None:
    assert model(home, "use", second).status == 0
    lines = model(home, "list").output.splitlines()
    (line,) = [line for line in lines if "in use" in line]
    assert str(second) in line
    assert ", ".join(CLASSES) in line


def test_a_manifest_is_shown_whole(home: Home, second: Path) -> None:
    manifest = json.loads((second / "manifest.json").read_text())
    assert json.loads(model(home, "show", second, "--format", "json").output) == {
        "folder": str(second),
        **manifest,
    }
    table = model(home, "show").output
    assert str(BUILT_IN_BUNDLE) in table
    assert manifest["stages"][0]["sha256"] in table
    assert table.count("recall") == len(CLASSES)


def test_use_changes_the_one_key_and_previous_goes_back_and_forth(home: Home, second: Path) -> None:
    home.config.write_text("# mine\n[model]\nprocesses = 1  # enough\n")
    done = model(home, "use", second)
    assert "passes its self-test" in done.output
    assert "no worker is running" in done.output
    assert home.config.read_text() == '# mine\n[model]\nbundle = "second"\nprocesses = 1  # enough\n'
    assert model(home, "use", "--previous").status == 0
    assert home.config.read_text() == '# mine\n[model]\nbundle = "default"\nprocesses = 1  # enough\n'
    assert model(home, "use", "--previous").status == 0
    assert in_use(home) == second


def test_the_bundle_in_use_is_tested_again_and_nothing_is_written(home: Home) -> None:
    before = home.config.read_bytes()
    assert "in use already" in model(home, "use", "default").output
    assert home.config.read_bytes() == before
    assert "no other model was in use before" in refused(home, "use", "--previous")


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
    kept = home.folder / "kept" / "real.toml"
    kept.parent.mkdir()
    home.config.rename(kept)
    kept.chmod(0o640)
    home.config.symlink_to(kept)
    assert model(home, "use", second).status == 0
    assert home.config.is_symlink()
    assert kept.stat().st_mode & 0o777 == 0o640
    assert in_use(home) == second
    assert list(kept.parent.iterdir()) == [kept]


def test_a_running_worker_goes_on_with_the_new_bundle(home: Home, second: Path) -> None:
    with home.watched() as running:
        done = model(home, "use", second)
        assert f"told the worker, process {running.popen.pid}" in done.output
        until(lambda: len(running.told("ready")) == 2)
        home.drop("a.jpg", photo_bytes(1))
        until(lambda: home.statuses()["filed"] == 1)
        assert running.end() == 0
    (row,) = json.loads(home.moodsort("log", "--format", "json").stdout)
    assert row["model"].startswith("second")
    home.check_promises()


def test_a_bundle_that_is_less_accurate_is_refused_with_both_figures(home: Home, test_folder: Path) -> None:
    mirror = copied(home.folder / "mirror", classes=CLASSES[::-1])
    error = refused(home, "use", mirror, "--test", test_folder)
    assert "is less accurate" in error
    assert error.count("of 5 right") == 2
    assert "McNemar's p = " in error
    assert "--force" in error
    forced = model(home, "use", mirror, "--test", test_folder, "--force")
    assert forced.status == 0
    assert forced.output.count("of 5 right") == 2
    assert in_use(home) == mirror


def test_a_bundle_that_is_as_accurate_is_taken(home: Home, second: Path, test_folder: Path) -> None:
    (test_folder / CLASSES[0] / "notes.txt").write_text("not a picture")
    done = model(home, "use", second, "--test", test_folder)
    assert done.status == 0
    assert "McNemar's p = 1; 1 files are no pictures" in done.output
    assert in_use(home) == second


def test_a_bundle_with_other_classes_is_refused_unless_forced_and_left_without_force(home: Home) -> None:
    other = copied(home.folder / "other", classes=("merry", "gloomy"))
    assert "photos would go to other folders" in refused(home, "use", other)
    assert "photos go to other folders" in model(home, "use", other, "--force").output
    assert in_use(home) == other
    assert model(home, "use", "--previous").status == 0
    assert in_use(home) == BUILT_IN_BUNDLE


def test_a_bundle_that_fails_its_self_test_is_refused_even_by_force(home: Home, second: Path) -> None:
    golden = second / "golden.npz"
    manifest = load_bundle(second).manifest
    with np.load(golden) as arrays:
        inputs, answers = arrays["inputs"], arrays["answers"]
    np.savez(golden, inputs=inputs, answers=answers + 1)
    (stage,) = manifest.stages
    stage = replace(stage, golden=replace(stage.golden, sha256=hash_file(golden)))
    write_manifest(second, replace(manifest, stages=(stage,)))
    assert "logits differ" in refused(home, "use", second, "--force")


def test_a_flipped_byte_is_refused(home: Home, second: Path) -> None:
    flip_a_bit(second / "reader.tflite")
    assert "reader.tflite: its SHA-256 is not the manifest's" in refused(home, "use", second)


def test_what_is_no_bundle_is_refused(home: Home) -> None:
    (home.folder / "file").touch()
    assert "is a file" in refused(home, "use", home.folder / "file")
    assert "is not there" in refused(home, "use", home.folder / "nowhere")
    assert "manifest.json: is not there" in refused(home, "use", home.root)
    assert "is not a folder" in refused(home, "list", home.folder / "nowhere")


def test_a_test_folder_that_does_not_fit_is_refused(home: Home, second: Path, test_folder: Path) -> None:
    use = "use", second, "--test"
    assert "is not a folder" in refused(home, *use, home.folder / "nowhere")
    assert "has no class folders" in refused(home, *use, home.inbox)
    (test_folder / "angry").mkdir()
    assert "angry: is no class of" in refused(home, *use, test_folder)
    (test_folder / "angry").rmdir()
    shutil.rmtree(test_folder / CLASSES[1])
    assert f"{CLASSES[1]}: has no pictures" in refused(home, *use, test_folder)


def test_a_bundle_in_use_that_is_broken_can_be_left_but_not_compared_with(
    home: Home, second: Path, test_folder: Path
) -> None:
    home.configure(model={"bundle": "nowhere"})
    assert "leave --test out" in refused(home, "use", second, "--test", test_folder)
    assert model(home, "use", second).status == 0
    assert in_use(home) == second


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
    assert find_previous_bundle(home.config, in_use(home)) is None
    assert not list(home.folder.glob("*.new")) + list(home.folder.glob(".*.new"))


def test_what_was_in_use_before_is_found_whatever_was_configured_by_hand(home: Home, second: Path) -> None:
    third = copied(home.folder / "third")
    set_bundle(home.config, BUILT_IN_BUNDLE, second)
    assert find_previous_bundle(home.config, third) == BUILT_IN_BUNDLE
    set_bundle(home.config, second, third)
    assert find_previous_bundle(home.config, third) == second
    assert find_previous_bundle(home.config, second) == BUILT_IN_BUNDLE


def test_a_damaged_memory_of_bundles_is_told(home: Home) -> None:
    (home.folder / ".config.toml.models").write_text("{")
    done = model(home, "use", "--previous")
    assert (done.status, "delete it" in done.error) == (2, True)


@pytest.fixture
def lock(home: Home) -> Iterator[Path]:
    """Give the inbox's lock file while this process holds it."""
    config = load_config(home.config)
    with hold_locks(config):
        yield home.root / ".inbox.lock"


def test_a_process_that_does_not_hold_the_lock_is_sent_nothing(home: Home, lock: Path) -> None:
    sent: list[int] = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        lock.write_text(f"{other.pid}\n")
        told = request_reload(load_config(home.config), lambda process, _: sent.append(process))
        other.communicate(b"\n")
    assert (told, sent) == (ReloadReply(ReloadResult.UNKNOWN), [])


def test_a_worker_of_another_user_is_told_of(home: Home, lock: Path) -> None:
    def forbid(process: int, number: int) -> None:
        raise PermissionError

    assert request_reload(load_config(home.config), forbid) == ReloadReply(ReloadResult.FORBIDDEN)


def test_a_benchmark_measures_drawn_and_given_photos(home: Home) -> None:
    (row,) = json.loads(model(home, "benchmark", "--count", "1", "--format", "json").output)
    assert (row["photos"], row["left_out"]) == (1, 0)
    assert min(row["load_ms"], row["judge_ms"], row["memory_mb"]) > 0
    assert row["judge_ms"] <= row["photo_ms"] <= row["photo_ms_p95"]
    photos = home.folder / "given"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(photo_bytes(1))
    (photos / "b.txt").write_text("not a picture")
    (row,) = json.loads(model(home, "benchmark", "default", "--photos", photos, "--format", "json").output)
    assert (row["photos"], row["left_out"]) == (1, 1)


def test_a_benchmark_without_photos_says_what_to_do(home: Home) -> None:
    assert "has no photos in it" in refused(home, "benchmark", "--photos", home.inbox)
    (home.folder / "given").mkdir()
    (home.folder / "given" / "b.txt").write_text("not a picture")
    assert "no photo that can be judged" in refused(home, "benchmark", "--photos", home.folder / "given")


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
