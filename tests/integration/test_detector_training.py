"""A finder that is trained on drawn squares, in processes: TensorFlow's threads would outlive a test."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.bright_squares import EPOCHS, draw_data, draw_photo, mark
from trainer.detection.boxes import compute_iou
from trainer.detection.detector_folder import FaceDetectorNetwork, load_detector
from trainer.training.checkpoint import find_checkpoint_folder
from worker.cli import moodsort
from worker.errors import ConfigError
from worker.inference.bundle import InputSpec, load_bundle
from worker.inference.detector import Detection

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]

REFUSED = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.bright_squares import mark, order_of
from trainer.pipelines.train_detector import build_finder
from trainer.detection.boxes import Marks, no_squares
from trainer.training.progress import Progress
from worker.errors import ConfigError

data, out = map(Path, sys.argv[1:])
order = order_of(data, out)
nothing = lambda pixels: Marks(no_squares(), no_squares())
for order, teacher in (
    (replace(order, photos=(data / "photos" / "train",)), mark),
    (order, nothing),
    (replace(order, faces=(data / "torn",)), mark),
):
    try:
        build_finder(order, Progress(lambda line: None, lambda epoch: None), teacher)
    except ConfigError as error:
        print(error)
print(sorted(path.name for path in out.parent.iterdir()))
"""


def command(data: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "tests.bright_squares", str(data), str(out)]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False)


def kill_after_epoch(number: int, arguments: list[str]) -> None:
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(f"epoch {number} of {EPOCHS}:"):
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a finder whose training nothing disturbed."""
    out = tmp_path_factory.mktemp("out") / "finder"
    done = run(command(data, out))
    assert done.returncode == 0, done.stderr
    assert f"epoch {EPOCHS} of {EPOCHS}: loss " in done.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == ["finder"]
    return out


@pytest.fixture
def finder(trained: Path) -> FaceDetectorNetwork:
    return load_detector(trained)


def square_of(box: Detection) -> list[float]:
    return [(box.left + box.right) / 2, (box.top + box.bottom) / 2, box.side]


def test_it_finds_squares_that_it_has_not_seen(finder):
    shown = hits = finds = 0
    for seed in range(20_000, 20_080):
        pixels = draw_photo(seed)
        true = mark(pixels).faces
        found = np.array([square_of(box) for box in finder.find(pixels)], np.float32).reshape(-1, 3)
        shown += len(true)
        finds += len(found)
        hits += int((compute_iou(true, found) >= 0.5).sum())
    assert shown == 60
    assert hits >= 48
    assert finds - hits <= 15


def test_the_manifest_tells_what_it_was_measured_on_and_passes_its_self_test(finder):
    manifest = finder.manifest
    finder.network.self_test()
    assert 0.1 <= manifest.least_score <= 0.9
    assert manifest.max_side == 96
    assert manifest.training_data.pictures == 206
    found, confirmed, alarms = manifest.metrics
    assert (found.name, confirmed.name, alarms.name) == ("faces_found", "finds_confirmed", "false_alarms")
    assert alarms.pictures == 12
    for metric in manifest.metrics:
        assert metric.low <= metric.value <= metric.high
        assert metric.test_set == "photos held out for validation"


def test_a_finder_reads_squares_of_the_side_asked_for_whatever_it_learnt_from(finder):
    assert finder.manifest.stage.input == InputSpec(128, 128, "rgb", "letterbox")  # it learnt from 96


def test_a_reader_of_whole_pictures_begins_with_the_finder_that_is_left_beside_the_shipped_one(
    data, trained, tmp_path
):
    assert {"finder.json", "finder.keras", "finder.tflite"} <= {path.name for path in trained.iterdir()}
    words = ["train", data / "photos" / "train", "--network", "trunk", "--weights", trained / "finder.keras"]
    options = ["--input-size", "64", "--epochs", "1", "--allow-leakage", "--out", tmp_path / "whole"]
    main = "from worker.cli import main; main()"
    done = run([sys.executable, "-c", main, *map(str, [*words, *options])])
    assert done.returncode == 0, done.stderr
    assert load_bundle(tmp_path / "whole").manifest.stages[-1].input == InputSpec(64, 64, "rgb", "stretch")


def test_a_training_that_is_killed_goes_on_to_the_weights_of_an_undisturbed_one(data, trained, tmp_path):
    out = tmp_path / "finder"
    kill_after_epoch(2, command(data, out))
    assert not out.exists()
    assert find_checkpoint_folder(out).is_dir()

    resumed = run(command(data, out))

    assert resumed.returncode == 0, resumed.stderr
    assert "going on after epoch" in resumed.stdout
    assert f"epoch 1 of {EPOCHS}:" not in resumed.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["finder"]
    hashes = {load_detector(folder).manifest.stage.sha256 for folder in (out, trained)}
    assert len(hashes) == 1


def test_what_nothing_can_be_learnt_from_is_refused_by_one_line(data, tmp_path):
    for label in ("one", "other"):
        (data / "torn" / label).mkdir(parents=True)
        (data / "torn" / label / "0.png").write_bytes(b"no picture")

    done = run([sys.executable, "-c", REFUSED, str(data), str(tmp_path / "finder")])

    assert done.stdout.splitlines() == [
        "the photos are not divided into train and valid; `moodsort dataset split` divides them",
        "the teacher finds no face in the photos of train/; name photos of people",
        f"{data / 'torn'}: no picture to learn from; name pictures that are one face each",
        "[]",
    ]


def test_a_place_that_is_taken_and_a_teacher_that_is_none_are_refused_before_tensorflow_starts(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr("trainer.cli.detector.start_tensorflow", lambda: pytest.fail("it was started"))
    (tmp_path / "teacher.onnx").write_text("no network")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes").write_text("mine")
    words = ["finder", "train", data / "photos", "--faces", data / "faces", "--teacher"]
    for out, sentence in (("taken", "taken: is there already"), ("new", "teacher.onnx: is no face detector")):
        arguments = [*words, tmp_path / "teacher.onnx", "--out", tmp_path / out]
        result = CliRunner().invoke(moodsort, [*map(str, arguments)], standalone_mode=False)
        assert isinstance(result.exception, ConfigError)
        assert sentence in str(result.exception)
        assert "\n" not in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "teacher.onnx"]


def test_a_side_that_is_no_multiple_of_32_is_wrong_use(data, tmp_path):
    (tmp_path / "teacher.onnx").touch()
    words = ["finder", "train", data / "photos", "--faces", data / "faces", "--reads", "100"]
    arguments = [*words, "--teacher", tmp_path / "teacher.onnx", "--out", tmp_path / "finder"]
    result = CliRunner().invoke(moodsort, [*map(str, arguments)])
    assert result.exit_code == 2
    assert "Invalid value for --reads: 100 is no multiple of 32" in result.output
