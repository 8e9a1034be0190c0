"""`moodsort bundle` on drawn photos: three networks become one bundle, or one line says why not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.dangling_links import replace_by_dangling_links
from tests.drawing import encode_image
from tests.face_networks import FACE_SIDE, GREEN, HAPPY, SAD, Parts, draw_people, take_apart
from tests.home import Home
from tests.patience import scale
from trainer.data.class_folders import Split
from trainer.detection.detector_folder import load_detector
from worker.cli import moodsort
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle, write_manifest
from worker.inference.manifest import DetectionSettings, make_temperature_calibration
from worker.inference.predictor import Predictor

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the networks

COLOURS = {"happy": HAPPY, "sad": SAD}


def draw_photos(folder: Path, splits: Sequence[Split] = tuple(Split)) -> Path:
    """Draw photos whose faces show their class, on grounds that rarely do, and some without faces."""
    for seed, split in enumerate(splits):
        for label, colour in COLOURS.items():
            class_folder = folder / split / label
            class_folder.mkdir(parents=True)
            for number in range(8):
                ground = (0, (10 if (label == "happy") is (number % 4 == 0) else 100) + seed, number)
                faces = [(16 * number, 96, colour), (320, 16 * number, colour)][: 1 + number % 2]
                (class_folder / f"{number}.png").write_bytes(
                    encode_image(draw_people(*faces, ground=ground), "PNG")
                )
            for number in range(4):
                ground = (0, 100 if label == "happy" else 10, 20 * number + seed)
                (class_folder / f"none-{number}.png").write_bytes(
                    encode_image(draw_people(ground=ground), "PNG")
                )
    return folder


@pytest.fixture(scope="module")
def parts(face_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return take_apart(face_bundle, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("data") / "photos")


def make_command(data: Path, parts: Parts, out: Path) -> list[str]:
    options = ["--detector", parts.detector, "--face-classifier", parts.face]
    options += ["--scene-classifier", parts.scene, "--out", out]
    return ["bundle", *map(str, [data, *options])]


def run_moodsort(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from worker.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=scale(60),
        check=False,
    )


@pytest.fixture(scope="module")
def bundle_and_process(
    parts: Parts, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own; return the bundle's folder, and how the process ended."""
    out = tmp_path_factory.mktemp("out") / "people"
    return out, run_moodsort(*make_command(photos, parts, out), "--max-faces", "3")


def test_a_bundle_that_is_there_is_replaced_by_force_alone(bundle_and_process, parts, photos):
    out, _ = bundle_and_process
    with pytest.raises(ConfigError, match="is a bundle already; give --out another name, or --force"):
        moodsort.main(make_command(photos, parts, out), standalone_mode=False)


def test_three_networks_become_one_bundle_whose_fusion_prefers_the_classifier_that_is_right(
    bundle_and_process, parts
):
    out, process = bundle_and_process
    assert process.returncode == 0, process.stderr
    bundle = load_bundle(out)
    Predictor(bundle).self_test()
    manifest, detector = bundle.manifest, load_detector(parts.detector).manifest
    assert manifest.name == "people"
    assert [(network.title, network.file, network.golden.file) for network in manifest.networks] == [
        ("face detector", "detector.tflite", "detector.golden.npz"),
        ("face classifier", "face.tflite", "face.golden.npz"),
        ("scene classifier", "scene.tflite", "scene.golden.npz"),
    ]
    assert manifest.detection == DetectionSettings(detector.score_threshold, max_faces=3)
    assert manifest.fusion is not None
    assert manifest.fusion.face_weight > 0.7
    assert manifest.fusion.face_weight + manifest.fusion.scene_weight == pytest.approx(1)
    assert manifest.max_side == detector.max_side
    assert detector.command in manifest.command
    assert sorted(path.name for path in out.parent.iterdir()) == ["people"]


def test_it_prints_an_ablation_and_measures_on_the_test_split(bundle_and_process):
    out, process = bundle_and_process
    assert [line.split(" | ")[0] for line in process.stderr.splitlines() if line.startswith("|")][2:] == [
        "| the scene alone",
        "| the largest face, else the scene",
        "| all faces by area and score, else the scene",
        "| faces and scene together",
        "| the same, with the biases",
    ]
    assert "reading 24 pictures of valid/" in process.stderr
    assert "INFO" not in process.stderr
    metrics = {(metric.name, metric.label): metric for metric in load_bundle(out).manifest.metrics}
    accuracy = metrics["accuracy", None]
    assert (accuracy.value, accuracy.pictures, accuracy.test_set) == (1, 24, "held-out test split")
    assert accuracy.low < 1
    assert metrics["detection_recall", None].test_set == "drawn photos"
    assert "accuracy: 100.0% (" in process.stdout


def test_classify_predicts_with_it(bundle_and_process, home: Home):
    out, _ = bundle_and_process
    home.configure(model={"bundle": str(out), "processes": 1})
    home.drop("sad.png", encode_image(draw_people((64, 96, SAD), (320, 160, SAD), ground=GREEN), "PNG"))
    home.drop("nobody.png", encode_image(draw_people(ground=GREEN), "PNG"))

    process = home.run_command("classify", home.inbox, "--format", "json")

    assert (process.returncode, process.stderr) == (0, "")
    rows = {Path(row["path"]).name: row for row in json.loads(process.stdout)}
    assert (rows["sad.png"]["label"], len(rows["sad.png"]["faces"])) == ("sad", 2)
    assert {tuple(face["box"][2:]) for face in rows["sad.png"]["faces"]} == {(FACE_SIDE, FACE_SIDE)}
    assert (rows["nobody.png"]["label"], rows["nobody.png"]["faces"]) == ("happy", [])


def test_where_every_picture_has_a_face_the_scene_alone_weighs_what_its_classifier_says(
    parts, photos, tmp_path
):
    data = Path(shutil.copytree(photos, tmp_path / "photos"))
    for path in data.rglob("none-*.png"):
        path.unlink()
    scene = change_manifest(parts.scene, tmp_path, calibration=make_temperature_calibration(2.5, 2))

    process = run_moodsort(*make_command(data, replace(parts, scene=scene), tmp_path / "out"))

    assert process.returncode == 0, process.stderr
    manifest = load_bundle(tmp_path / "out").manifest
    assert manifest.fusion is not None
    # Not exactly: no detection is a face for sure.
    assert manifest.fusion.no_face_weight / manifest.calibration.temperature == pytest.approx(0.4, rel=0.01)


def test_several_classifiers_of_faces_and_scenes_are_numbered(parts, photos, tmp_path):
    more = ["--face-classifier", parts.face, "--scene-classifier", parts.scene]

    process = run_moodsort(*make_command(photos, parts, tmp_path / "out"), *more)

    assert process.returncode == 0, process.stderr
    bundle = load_bundle(tmp_path / "out")
    names = ["detector", "face-1", "face-2", "scene-1", "scene-2"]
    assert [network.file for network in bundle.manifest.networks] == [f"{name}.tflite" for name in names]
    assert {path.name for path in bundle.folder.iterdir()} == (
        {"manifest.json"} | {f"{name}.{kind}" for name in names for kind in ("tflite", "golden.npz")}
    )
    Predictor(bundle).self_test()


# What does not go together. These run in this process, because TensorFlow has no part in them.


def change_manifest(bundle: Path, folder: Path, **changes: Any) -> Path:
    """Copy a bundle into the folder and change fields of its manifest."""
    copy = Path(shutil.copytree(bundle, folder / bundle.name))
    write_manifest(copy, replace(load_bundle(copy).manifest, **changes))
    return copy


def read_refusal(*arguments: str | Path) -> str:
    """Run a command that is refused, as `main` does, and return the line that it ends with."""
    result: Result = CliRunner().invoke(moodsort, [*map(str, arguments)], standalone_mode=False)
    error = result.exception
    assert error is not None
    assert getattr(error, "exit_status", None) == 2, repr(error)
    assert "\n" not in str(error)
    return str(error)


def test_classifiers_of_different_classes_are_refused(parts, photos, tmp_path):
    scene = change_manifest(parts.scene, tmp_path, classes=("angry", "happy"))
    line = read_refusal(*make_command(photos, replace(parts, scene=scene), tmp_path / "out"))
    assert "scene: knows angry, happy," in line
    assert "face happy, sad; name classifiers of the same classes" in line


def test_a_bundle_of_several_networks_is_no_classifier(bundle_and_process, parts, photos, tmp_path):
    out, _ = bundle_and_process
    for wrong_parts in (replace(parts, face=out), replace(parts, scene=out)):
        line = read_refusal(*make_command(photos, wrong_parts, tmp_path / "out"))
        assert "people: has several networks; name a bundle of one classifier" in line


def test_data_without_splits_is_refused(parts, photos, tmp_path):
    line = read_refusal(*make_command(photos / "train", parts, tmp_path / "out"))
    assert line == "DATA has no valid/ split to fit the weights to; `moodsort dataset split` makes one"


def test_data_of_other_classes_is_refused(parts, tmp_path):
    data = draw_photos(tmp_path / "photos")
    for split in Split:
        (data / split / "sad").rename(data / split / "tired")
    line = read_refusal(*make_command(data, parts, tmp_path / "out"))
    assert "DATA has the classes happy, tired, the classifiers know happy, sad; name folders" in line


def test_a_split_in_which_nothing_can_be_read_is_refused(parts, tmp_path):
    data = draw_photos(tmp_path / "photos", (Split.TRAIN, Split.VALID))
    for path in (data / "valid").rglob("*.png"):
        path.write_bytes(b"no picture")
    line = read_refusal(*make_command(data, parts, tmp_path / "out"))
    assert line == "no picture of valid/ can be read; put pictures into it"


def test_a_split_of_which_most_cannot_be_read_is_refused(parts, tmp_path):
    data = draw_photos(tmp_path / "photos", (Split.TRAIN, Split.VALID))
    replace_by_dangling_links(data / "valid")
    line = read_refusal(*make_command(data, parts, tmp_path / "out"))
    assert "16 of 24 pictures cannot be read, the first" in line
    assert not (tmp_path / "out").exists()


def test_what_is_refused_leaves_nothing_behind(parts, photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    assert "is a folder of something else, not a bundle" in read_refusal(
        *make_command(photos, parts, tmp_path / "out")
    )
    read_refusal(*make_command(photos / "train", parts, tmp_path / "new" / "bundle"))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "notes"]


@pytest.mark.parametrize("words", [("bundle",), ("detector",), ("detector", "train")])
def test_the_commands_print_their_help_without_tensorflow(words):
    code = (
        "import atexit, sys\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'cv2', 'ai_edge_litert'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from worker.cli import main\nmain()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"],
        capture_output=True,
        text=True,
        timeout=scale(60),
        check=False,
    )
    assert process.returncode == 0
    assert process.stdout.startswith(f"Usage: -c {' '.join(words)} ")
    assert process.stderr == "[]\n"


def test_a_missing_library_is_named_with_its_extra(monkeypatch, photos, tmp_path):
    (tmp_path / "teacher.onnx").touch()
    installed = {"scipy", "tensorflow", "keras"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in installed else None)
    line = read_refusal(
        "detector",
        "train",
        photos,
        *("--faces", photos, "--teacher", tmp_path / "teacher.onnx", "--out", tmp_path / "detector"),
    )
    assert line.startswith("detector train needs cv2, not installed; ")
    assert line.endswith("pipx install --force '.[detector]'")
