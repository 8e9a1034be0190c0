"""A detector that is trained on drawn squares, in processes: TensorFlow's threads would outlive a test."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.bright_squares import EPOCHS, annotate, draw_data, draw_photo
from tests.dangling_links import replace_by_dangling_links
from tests.patience import scale
from trainer.detection.boxes import compute_iou
from trainer.detection.detector_folder import TrainedDetector, load_detector
from trainer.training.checkpoint import find_checkpoint_folder
from worker.cli import moodsort
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle
from worker.inference.detector import Detection
from worker.inference.manifest import InputSpec

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]

REFUSED = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.bright_squares import annotate, make_config
from trainer.detection.boxes import Annotations, make_no_boxes
from trainer.pipelines.train_detector import train_detector
from trainer.training.progress import Progress
from worker.errors import ConfigError

data, out = map(Path, sys.argv[1:])
config = make_config(data, out)
annotate_nothing = lambda pixels: Annotations(make_no_boxes(), make_no_boxes())
for config, teacher in (
    (replace(config, photos=(data / "photos" / "train",)), annotate),
    (config, annotate_nothing),
    (replace(config, faces=(data / "torn",)), annotate),
    (replace(config, photos=(data / "dangling",)), annotate),
):
    try:
        train_detector(config, Progress(lambda line: None, lambda epoch: None), teacher)
    except ConfigError as error:
        print(error)
print(sorted(path.name for path in out.parent.iterdir()))
"""

FINGERPRINTS = """
import sys
from pathlib import Path
import numpy as np
from tests.bright_squares import annotate, make_config
from trainer.detection.boxes import Annotations
from trainer.pipelines.train_detector import read_data

def annotate_otherwise(pixels):
    annotations = annotate(pixels)
    return Annotations(annotations.faces, np.array([[8, 8, 8]], np.float32))

config = make_config(Path(sys.argv[1]), Path("nowhere"))
for teacher in (annotate, annotate, annotate_otherwise):
    print(read_data(config, teacher, lambda line: None).describe().fingerprint)
"""


COMMAND = """
import trainer.detection.teacher
from tests.bright_squares import annotate
from worker.cli import main

class DrawnTeacher:
    def __init__(self, file):
        self.annotate = annotate

trainer.detection.teacher.Teacher = DrawnTeacher
main()
"""


def make_command(data: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "tests.bright_squares", str(data), str(out)]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=scale(140), check=False)


def kill_after_epoch(number: int, command: list[str]) -> None:
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(f"epoch {number}:"):
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def detector_folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a detector whose training nothing interrupted."""
    out = tmp_path_factory.mktemp("out") / "detector"
    result = run(make_command(data, out))
    assert result.returncode == 0, result.stderr
    assert f"epoch {EPOCHS}: loss " in result.stdout
    assert ", IoU " in result.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == ["detector"]
    return out


@pytest.fixture
def detector(detector_folder: Path) -> TrainedDetector:
    return load_detector(detector_folder)


def make_box(detection: Detection) -> list[float]:
    return [
        (detection.left + detection.right) / 2,
        (detection.top + detection.bottom) / 2,
        detection.side,
    ]


def test_it_detects_squares_that_it_was_not_trained_on(detector):
    faces = matches = detections = 0
    for seed in range(20_000, 20_080):
        pixels = draw_photo(seed)
        true_boxes = annotate(pixels).faces
        boxes = np.array([make_box(face) for face in detector.detect(pixels)], np.float32).reshape(-1, 3)
        faces += len(true_boxes)
        detections += len(boxes)
        matches += int((compute_iou(true_boxes, boxes) >= 0.5).sum())
    assert faces == 60
    assert matches >= 48
    assert detections - matches <= 15


def test_the_manifest_says_what_the_detector_was_measured_on_and_it_passes_its_self_test(detector):
    manifest = detector.manifest
    detector.network.self_test()
    assert 0.1 <= manifest.score_threshold <= 0.9
    assert manifest.max_side == 96
    assert manifest.training_data.pictures == 206
    recall, precision, false_positives = manifest.metrics
    assert recall.name == "detection_recall"
    assert precision.name == "detection_precision"
    assert false_positives.name == "false_positive_pictures"
    assert false_positives.pictures == 12
    for metric in manifest.metrics:
        assert metric.low <= metric.value <= metric.high
        assert metric.test_set == "photos held out for validation"


def test_a_detector_reads_the_size_asked_for_whatever_size_it_was_trained_on(detector):
    assert detector.manifest.network.input == InputSpec(128, 128, "rgb", "letterbox")  # it was trained on 96


def test_a_scene_classifier_begins_with_the_detector_whose_keras_file_lies_beside_its_network(
    data, detector_folder, tmp_path
):
    assert {path.name for path in detector_folder.iterdir()} == {
        "detector.json",
        "detector.keras",
        "detector.tflite",
        "golden.npz",
    }
    network = ["--network", "backbone", "--weights", detector_folder / "detector.keras"]
    options = ["--input-size", "64", "--epochs", "1", "--allow-leakage", "--out", tmp_path / "scene"]
    arguments = ["train", data / "photos" / "train", *network, *options]
    main = "from worker.cli import main; main()"
    result = run([sys.executable, "-c", main, *map(str, arguments)])
    assert result.returncode == 0, result.stderr
    (spec,) = load_bundle(tmp_path / "scene").manifest.networks
    assert spec.input == InputSpec(64, 64, "rgb", "stretch")


def test_the_command_trains_as_its_options_say_and_prints_the_metrics(data, tmp_path):
    (tmp_path / "teacher.onnx").touch()
    arguments = ["detector", "train", data / "photos", "--faces", data / "faces"]
    arguments += ["--teacher", tmp_path / "teacher.onnx", "--out", tmp_path / "detector"]
    options = ["--train-size", 192, "--input-size", 96, "--epochs", 1, "--threads", 2]

    result = run([sys.executable, "-c", COMMAND, *map(str, [*arguments, *options])])

    assert result.returncode == 0, result.stderr
    assert "epoch 1: loss " in result.stdout
    assert "detection_recall: " in result.stdout
    manifest = load_detector(tmp_path / "detector").manifest
    assert (manifest.network.input.width, manifest.max_side) == (96, 640)
    assert "--train-size 192" in manifest.command


def test_a_training_that_is_killed_and_resumed_comes_to_the_weights_of_an_uninterrupted_one(
    data, detector_folder, tmp_path
):
    out = tmp_path / "detector"
    kill_after_epoch(2, make_command(data, out))
    assert not out.exists()
    assert find_checkpoint_folder(out).is_dir()

    result = run(make_command(data, out))

    assert result.returncode == 0, result.stderr
    assert "resuming after epoch" in result.stdout
    assert "epoch 1:" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["detector"]
    hashes = {load_detector(folder).manifest.network.sha256 for folder in (out, detector_folder)}
    assert len(hashes) == 1


def test_the_fingerprint_of_the_data_covers_what_it_is_annotated_with(data):
    result = run([sys.executable, "-c", FINGERPRINTS, str(data)])

    assert result.returncode == 0, result.stderr
    fingerprint, same, different = result.stdout.splitlines()
    assert fingerprint == same != different


def test_data_that_nothing_can_be_learned_from_is_refused_by_one_line(data, tmp_path):
    for label in ("one", "other"):
        (data / "torn" / label).mkdir(parents=True)
        (data / "torn" / label / "0.png").write_bytes(b"no picture")
    replace_by_dangling_links(shutil.copytree(data / "photos", data / "dangling"))

    result = run([sys.executable, "-c", REFUSED, str(data), str(tmp_path / "detector")])

    assert result.stdout.splitlines() == [
        "the photos are not split into train and valid; `moodsort dataset split` splits them",
        "the teacher detects no face in the photos of train/; name photos of people",
        f"{data / 'torn'}: no picture can be read; name pictures that are one face each",
        f"133 of 200 pictures cannot be read, the first {data / 'dangling/train/one/10.png'}: "
        "it is a link to ../unmounted/10.png, where nothing is; "
        "restore them, or take them out of the folders",
        "[]",
    ]


def run_detector_train(data: Path, teacher: Path, *options: object) -> Exception | None:
    arguments = ["detector", "train", data / "photos", "--faces", data / "faces", "--teacher", teacher]
    command = [str(argument) for argument in (*arguments, *options)]
    return CliRunner().invoke(moodsort, command, standalone_mode=False).exception


def test_wrong_options_are_refused_by_one_line_before_tensorflow_starts(data, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.cli.detector.start_tensorflow", lambda: pytest.fail("it was started"))
    teacher, taken = tmp_path / "teacher.onnx", tmp_path / "taken"
    teacher.write_text("no network")
    taken.mkdir()
    (taken / "notes").write_text("mine")
    refusals = {
        ("--out", taken): "taken: is there already",
        ("--out", tmp_path / "new"): "teacher.onnx: is no face detector",
        ("--out", tmp_path / "new", "--input-size", 100): "--input-size 100: is no multiple of 32; give 128",
    }
    for options, sentence in refusals.items():
        error = run_detector_train(data, teacher, *options)
        assert isinstance(error, ConfigError)
        assert sentence in str(error)
        assert "\n" not in str(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "teacher.onnx"]
