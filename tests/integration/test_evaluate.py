"""`moodsort evaluate` as people call it: with the bundle that ships, and without TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import pytest
from PIL import Image

from tests.drawing import build_pixel_bomb, draw_jpeg, draw_photo
from tests.patience import scale
from trainer.cli.evaluate import evaluate
from trainer.evaluation.bundle_evaluation import SkippedFile
from trainer.evaluation.bundle_task import BundlesTask, ImagePredictions
from trainer.pipelines.evaluate import evaluate_bundles
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.errors import BundleError, ConfigError, Reason
from worker.inference.bundle import load_bundle, write_manifest
from worker.pool.batch import run_batch
from worker.pool.protocol import Completed, JobResult, Refused

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


def run_evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", EVALUATE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=scale(50), check=False)


def draw_data(folder: Path, count: int = 8) -> Path:
    for label, first in (("happy", 0), ("sad", 1000)):
        (folder / label).mkdir(parents=True)
        for seed in range(first, first + count):
            (folder / label / f"{seed}.jpg").write_bytes(draw_jpeg(seed))
    return folder


def copy_bundle(folder: Path, biases: tuple[float, float]) -> Path:
    """Copy the built-in bundle with other biases, so that it predicts other labels."""
    folder.mkdir()
    for path in BUILT_IN_BUNDLE.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    manifest = load_bundle(BUILT_IN_BUNDLE).manifest
    calibration = replace(manifest.calibration, biases=biases)
    write_manifest(folder, replace(manifest, name=folder.name, calibration=calibration))
    return folder


def test_one_bundle_is_measured_and_what_cannot_be_read_is_counted_and_named(tmp_path):
    data = draw_data(tmp_path / "data")
    (data / "sad" / "torn.jpg").write_bytes(draw_jpeg(1)[:400])
    (data / "sad" / "bomb.png").write_bytes(build_pixel_bomb())
    os.mkfifo(data / "sad" / "pipe.jpg")

    process = run_evaluate("default", data)

    assert process.returncode == 0, process.stderr
    assert "16 pictures" in process.stdout
    assert "3 files skipped" in process.stdout
    for name in ("accuracy", "balanced_accuracy", "auc", "log_loss", "calibration_error_uncalibrated"):
        assert name in process.stdout
    for name in ("torn.jpg", "bomb.png", "pipe.jpg"):
        assert name in process.stderr
    assert "min_confidence" in process.stdout


def test_two_bundles_are_compared_on_the_same_pictures(tmp_path):
    data = draw_data(tmp_path / "data")
    first = copy_bundle(tmp_path / "yes", biases=(10.0, -10.0))
    second = copy_bundle(tmp_path / "no", biases=(-10.0, 10.0))

    process = run_evaluate(first, second, data, "--format", "json")

    assert process.returncode == 0, process.stderr
    table = json.loads(process.stdout)
    assert [bundle["bundle"] for bundle in table["bundles"]] == ["yes", "no"]
    assert (table["pictures"], table["skipped"]) == (16, [])
    comparison = table["comparison"]
    assert comparison["only_first_right"] == comparison["only_second_right"] == 8
    assert comparison["mcnemar_p"] == 1.0
    assert comparison["gain"] == 0.0
    assert len(comparison["differences"]) == 16
    assert comparison["differences"][0]["first"] == "happy"
    assert comparison["differences"][0]["second"] == "sad"


def test_of_a_folder_with_splits_the_test_split_is_evaluated(tmp_path, capsys):
    for split, count in (("train", 4), ("valid", 3), ("test", 2)):
        draw_data(tmp_path / "data" / split, count)

    evaluate.main(["default", str(tmp_path / "data"), "--format", "csv"], standalone_mode=False)

    header, accuracy, *_ = capsys.readouterr().out.splitlines()
    assert header == "bundle,version,metric,label,value,low,high,pictures"
    assert accuracy.endswith(",4")


def test_of_the_worker_s_own_folder_only_the_classes_are_evaluated_and_the_rest_is_named(tmp_path):
    data = draw_data(tmp_path / "photos", count=3)
    for name in ("inbox", "quarantine", "review"):
        (data / name).mkdir()
        (data / name / "0.jpg").write_bytes(draw_jpeg(0))

    process = run_evaluate("default", data)

    assert process.returncode == 0, process.stderr
    assert "left out inbox, quarantine, review: not classes of the bundle" in process.stderr.splitlines()
    assert "6 pictures" in process.stdout


def test_bundles_of_different_classes_are_not_compared(tmp_path):
    data = draw_data(tmp_path / "data", count=1)
    (data / "gloomy").mkdir()
    other = copy_bundle(tmp_path / "other", biases=(0.0, 0.0))
    manifest = load_bundle(other).manifest
    write_manifest(other, replace(manifest, classes=("happy", "gloomy")))

    with pytest.raises(ConfigError, match="compare bundles of the same classes"):
        evaluate.main(["default", str(other), str(data)], standalone_mode=False)


def draw_one_class(folder: Path) -> None:
    (folder / "happy").mkdir(parents=True)
    draw_photo().save(folder / "happy" / "0.png")


def draw_foreign_class(folder: Path) -> None:
    draw_data(folder, count=1)
    (folder / "sad").rename(folder / "gloomy")


def write_notes(folder: Path) -> None:
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        (folder / label / "notes.txt").write_text("no picture")


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (draw_one_class, "one class folder, happy"),
        (draw_foreign_class, "has no pictures of sad, but .* knows happy, sad"),
        (write_notes, "none of its 2 files could be read"),
    ],
)
def test_data_that_does_not_fit_the_bundle_is_refused_in_one_line(tmp_path, prepare, sentence):
    prepare(tmp_path / "data")

    with pytest.raises(ConfigError, match=sentence) as refusal:
        evaluate.main(["default", str(tmp_path / "data")], standalone_mode=False)

    assert "\n" not in str(refusal.value)


def test_a_missing_bundle_is_named(tmp_path):
    data = draw_data(tmp_path / "data", count=1)

    with pytest.raises(BundleError, match=r"nowhere/manifest\.json: is not there"):
        evaluate.main([str(tmp_path / "nowhere"), str(data)], standalone_mode=False)


def test_more_than_two_bundles_are_wrong_use(tmp_path):
    with pytest.raises(click.UsageError, match="3 bundles"):
        evaluate.main(["a", "b", "c", str(tmp_path)], standalone_mode=False)


def predict(paths: Sequence[Path], limits: Limits) -> list[JobResult[ImagePredictions]]:
    return list(run_batch(BundlesTask((BUILT_IN_BUNDLE,)), paths, limits, processes=2))


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_predicted(tmp_path):
    slow, quick = tmp_path / "slow.png", tmp_path / "quick.png"
    Image.new("L", (12_000, 12_000)).save(slow)
    Image.new("L", (64, 64)).save(quick)

    (timed_out,) = predict([slow], replace(Limits(), decode_seconds=0.01))
    (predicted,) = predict([quick], Limits())

    assert isinstance(timed_out, Refused)
    assert timed_out.reason is Reason.DECODE_TIMEOUT
    assert isinstance(predicted, Completed)


def test_a_file_that_kills_its_process_twice_is_skipped_and_the_rest_are_predicted(
    tmp_path, monkeypatch, caplog
):
    data = draw_data(tmp_path / "data", count=2)
    paths = sorted(data.glob("*/*.jpg"))
    # Python reads this module at the start of each child process.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'worker.pool.process' in sys.orig_argv:\n"
        "    import worker.inference.decode as decode\n"
        "    decode_photo = decode.decode_photo\n"
        "    def decode_or_die(data, **limits):\n"
        f"        if len(data) == {paths[1].stat().st_size}:\n"
        "            os.abort()\n"
        "        return decode_photo(data, **limits)\n"
        "    decode.decode_photo = decode_or_die\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    reports: list[SkippedFile | None] = []

    evaluation = evaluate_bundles([BUILT_IN_BUNDLE], data, Limits(), reports.append, say=print)

    (skipped,) = evaluation.skipped
    assert (skipped.path, skipped.reason) == (paths[1], Reason.DECODER_CRASHED)
    assert list(evaluation.paths) == [path for path in paths if path != paths[1]]
    assert reports == [None, skipped, None, None]
    assert [getattr(record, "event", None) for record in caplog.records].count("process_ended") == 2
