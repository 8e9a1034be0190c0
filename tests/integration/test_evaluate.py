"""`moodsort evaluate` as people call it: with the bundle that ships, and without TensorFlow."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from PIL import Image
from trainer.evaluation.judging import Judged, Limits, Unjudged, judge_files

from tests.drawing import draw_photo, photo_bytes, pixel_bomb
from trainer.cli.evaluate import evaluate
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import load_bundle, write_manifest

BUILT_IN = Path(__file__).parents[2] / "worker" / "bundles" / "default"

EVALUATE = """
import sys
from trainer.cli.evaluate import evaluate
from worker.errors import MoodsortError
try:
    evaluate.main(standalone_mode=False)
except MoodsortError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
loaded = {"tensorflow", "keras"} & set(sys.modules)
assert not loaded, loaded
"""


def evaluated(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", EVALUATE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def draw_data(folder: Path, each: int = 8) -> Path:
    for label, first in (("happy", 0), ("sad", 1000)):
        (folder / label).mkdir(parents=True)
        for seed in range(first, first + each):
            (folder / label / f"{seed}.jpg").write_bytes(photo_bytes(seed))
    return folder


def inclined(folder: Path, decision_threshold: float) -> Path:
    """Copy the built-in bundle with another threshold, so that its predictions are others."""
    folder.mkdir()
    for path in BUILT_IN.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    manifest = load_bundle(BUILT_IN).manifest
    write_manifest(folder, replace(manifest, name=folder.name, decision_threshold=decision_threshold))
    return folder


def test_one_bundle_is_measured_and_what_cannot_be_judged_is_counted_and_named(tmp_path):
    data = draw_data(tmp_path / "data")
    (data / "sad" / "torn.jpg").write_bytes(photo_bytes(1)[:400])
    (data / "sad" / "bomb.png").write_bytes(pixel_bomb())
    os.mkfifo(data / "sad" / "pipe.jpg")

    done = evaluated("default", data)

    assert done.returncode == 0, done.stderr
    assert "16 pictures" in done.stdout
    assert "3 files left out" in done.stdout
    for name in ("accuracy", "balanced_accuracy", "auc", "log_loss", "calibration_error_uncalibrated"):
        assert name in done.stdout
    for name in ("torn.jpg", "bomb.png", "pipe.jpg"):
        assert name in done.stderr
    assert "min_confidence" in done.stdout


def test_two_bundles_are_compared_on_the_same_pictures(tmp_path):
    data = draw_data(tmp_path / "data")
    (first, second) = (inclined(tmp_path / name, share) for name, share in (("yes", 0.0), ("no", 1.0)))

    done = evaluated(first, second, data, "--format", "json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [bundle["bundle"] for bundle in found["bundles"]] == ["yes", "no"]
    assert found["pictures"] == 16
    comparison = found["comparison"]
    assert comparison["only_first_right"] == comparison["only_second_right"] == 8
    assert comparison["mcnemar_p"] == 1.0
    assert comparison["gain"] == 0.0
    assert len(comparison["differing"]) == 16
    assert comparison["differing"][0]["first"] == "happy"
    assert comparison["differing"][0]["second"] == "sad"


def test_of_a_divided_folder_the_test_part_is_taken(tmp_path, capsys):
    for part, each in (("train", 4), ("valid", 3), ("test", 2)):
        draw_data(tmp_path / "data" / part, each)

    evaluate.main(["default", str(tmp_path / "data"), "--format", "csv"], standalone_mode=False)

    header, accuracy, *_ = capsys.readouterr().out.splitlines()
    assert header == "bundle,version,metric,label,value,low,high,pictures"
    assert accuracy.endswith(",4")


def one_class(folder: Path) -> None:
    (folder / "happy").mkdir(parents=True)
    draw_photo().save(folder / "happy" / "0.png")


def other_classes(folder: Path) -> None:
    draw_data(folder, each=1)
    (folder / "sad").rename(folder / "gloomy")


def nothing_readable(folder: Path) -> None:
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        (folder / label / "notes.txt").write_text("no picture")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (one_class, "one class folder, happy"),
        (other_classes, "knows happy, sad"),
        (nothing_readable, "none of its 2 files could be judged"),
    ],
)
def test_data_that_does_not_fit_the_bundle_is_refused_in_one_line(tmp_path, prepare, sentence):
    prepare(tmp_path / "data")

    with pytest.raises(ConfigError, match=sentence) as refusal:
        evaluate.main(["default", str(tmp_path / "data")], standalone_mode=False)

    assert "\n" not in str(refusal.value)


def test_a_bundle_that_is_not_there_is_named(tmp_path):
    data = draw_data(tmp_path / "data", each=1)

    with pytest.raises(BundleError, match=r"nowhere/manifest\.json: is not there"):
        evaluate.main([str(tmp_path / "nowhere"), str(data)], standalone_mode=False)


def test_more_than_two_bundles_are_wrong_use(tmp_path):
    with pytest.raises(click.UsageError, match="3 bundles"):
        evaluate.main(["a", "b", "c", str(tmp_path)], standalone_mode=False)


def test_a_file_that_takes_too_long_is_left_out_and_the_next_one_is_judged(tmp_path):
    slow, quick = tmp_path / "slow.png", tmp_path / "quick.png"
    Image.new("L", (12_000, 12_000)).save(slow)
    Image.new("L", (64, 64)).save(quick)

    (hurried,) = judge_files([BUILT_IN], [slow], Limits(seconds=0.01))
    (unhurried,) = judge_files([BUILT_IN], [quick])

    assert isinstance(hurried, Unjudged)
    assert hurried.reason == "decode_timeout"
    assert isinstance(unhurried, Judged)


def test_a_file_that_ends_its_process_is_left_out_and_the_next_ones_are_judged(tmp_path, monkeypatch):
    data = draw_data(tmp_path / "data", each=2)
    paths = sorted(data.glob("*/*.jpg"))
    # Python reads this module at the start of each process that judges.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'trainer.evaluation.judging.process' in sys.orig_argv:\n"
        "    import worker.inference.decode\n"
        "    read = worker.inference.decode.read_picture\n"
        "    def fatal(data, **limits):\n"
        "        if len(data) == LENGTH:\n"
        "            os.abort()\n"
        "        return read(data, **limits)\n"
        "    worker.inference.decode.read_picture = fatal\n".replace("LENGTH", str(paths[1].stat().st_size))
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")

    outcomes = list(judge_files([BUILT_IN], paths))

    assert [each.path for each in outcomes] == paths
    refused = [each for each in outcomes if isinstance(each, Unjudged)]
    assert [(each.path, each.reason) for each in refused] == [(paths[1], "decoder_crashed")]
