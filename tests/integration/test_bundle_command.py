"""`moodsort compose` on drawn photos: three parts become one bundle, or one line says why not."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.drawing import encoded
from tests.face_networks import FACE_SIDE, GREEN, HAPPY, SAD, Parts, draw_people, take_apart
from tests.home import Home
from trainer.data.class_folders import Split
from worker.cli import moodsort
from worker.inference.bundle import Calibration, load_bundle, write_manifest
from worker.inference.predictor import Predictor

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the parts

COLOURS = {"happy": HAPPY, "sad": SAD}


def draw_photos(folder: Path, parts: tuple[str, ...] = tuple(Split)) -> Path:
    """Draw photos whose faces show their class, on grounds that rarely do, and some without faces."""
    for seed, part in enumerate(parts):
        for label, colour in COLOURS.items():
            here = folder / part / label
            here.mkdir(parents=True)
            for number in range(8):
                ground = (0, (10 if (label == "happy") is (number % 4 == 0) else 100) + seed, number)
                faces = [(16 * number, 96, colour), (320, 16 * number, colour)][: 1 + number % 2]
                (here / f"{number}.png").write_bytes(encoded(draw_people(*faces, ground=ground), "PNG"))
            for number in range(4):
                ground = (0, 100 if label == "happy" else 10, 20 * number + seed)
                (here / f"none-{number}.png").write_bytes(encoded(draw_people(ground=ground), "PNG"))
    return folder


@pytest.fixture(scope="module")
def made(face_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return take_apart(face_bundle, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("data") / "photos")


def command(data: Path, parts: Parts, out: Path) -> list[str]:
    places = ["--finder", parts.finder, "--face", parts.face, "--whole", parts.whole, "--out", out]
    return ["compose", *map(str, [data, *places])]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from worker.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def done(
    made: Parts, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Compose, in a process as people do it."""
    out = tmp_path_factory.mktemp("out") / "people"
    return out, run(*command(photos, made, out), "--most", "3")


def test_the_parts_become_one_bundle_whose_weights_prefer_what_is_right(done, made):
    out, process = done
    assert process.returncode == 0, process.stderr
    bundle = load_bundle(out)
    Predictor(bundle).self_test()
    manifest, finder = bundle.manifest, json.loads((made.finder / "finder.json").read_text())
    assert manifest.name == "people"
    assert [stage.title for stage in manifest.stages] == ["whole finder", "face reader", "whole reader"]
    assert manifest.faces is not None
    assert (manifest.faces.least_score, manifest.faces.most) == (finder["least_score"], 3)
    assert manifest.faces.face > 0.7
    assert manifest.faces.face + manifest.faces.whole == pytest.approx(1)
    assert manifest.max_side == finder["max_side"]
    assert finder["command"] in manifest.command
    assert sorted(path.name for path in out.parent.iterdir()) == ["people"]


def test_it_says_what_each_part_brings_and_measures_on_the_test_part(done):
    out, process = done
    assert [line.split(" | ")[0] for line in process.stderr.splitlines() if line.startswith("|")][2:] == [
        "| the whole picture alone",
        "| the largest face, else the whole picture",
        "| all faces by area and score, else the whole picture",
        "| faces and the whole picture together",
        "| the same, with the decision threshold",
    ]
    assert "looking at 24 pictures of valid/" in process.stderr
    assert "INFO" not in process.stderr
    metrics = {(each.name, each.label): each for each in load_bundle(out).manifest.metrics}
    accuracy = metrics["accuracy", None]
    assert (accuracy.value, accuracy.pictures, accuracy.test_set) == (1, 24, "held-out test split")
    assert accuracy.low < 1
    assert metrics["faces_found", None].test_set == "drawn photos"
    assert "accuracy: 100.0% (" in process.stdout


def test_classify_judges_with_it(done, home: Home):
    out, _ = done
    home.configure(model={"bundle": str(out), "processes": 1})
    home.drop("sad.png", encoded(draw_people((64, 96, SAD), (320, 160, SAD), ground=GREEN), "PNG"))
    home.drop("nobody.png", encoded(draw_people(ground=GREEN), "PNG"))

    process = home.run_command("classify", home.inbox, "--format", "json")

    assert (process.returncode, process.stderr) == (0, "")
    rows = {Path(row["path"]).name: row for row in json.loads(process.stdout)}
    assert (rows["sad.png"]["label"], len(rows["sad.png"]["faces"])) == ("sad", 2)
    assert {tuple(face["box"][2:]) for face in rows["sad.png"]["faces"]} == {(FACE_SIDE, FACE_SIDE)}
    assert (rows["nobody.png"]["label"], rows["nobody.png"]["faces"]) == ("happy", [])


def test_where_every_picture_has_a_face_the_whole_picture_alone_counts_as_its_reader_says(
    made, photos, tmp_path
):
    data = Path(shutil.copytree(photos, tmp_path / "photos"))
    for path in data.rglob("none-*.png"):
        path.unlink()
    whole = Path(shutil.copytree(made.whole, tmp_path / "whole"))
    write_manifest(whole, replace(load_bundle(whole).manifest, calibration=Calibration("temperature", 2.5)))

    process = run(*command(data, replace(made, whole=whole), tmp_path / "out"))

    assert process.returncode == 0, process.stderr
    manifest = load_bundle(tmp_path / "out").manifest
    assert manifest.faces is not None
    # Not exactly: no find is a face for sure.
    assert manifest.faces.alone / manifest.calibration.temperature == pytest.approx(1 / 2.5, rel=0.01)


# What does not go together. In this process: TensorFlow has no part in it.


def refused(*arguments: str | Path) -> str:
    """Run the command in vain, as `main` does, and return the line that it ends with."""
    result: Result = CliRunner().invoke(moodsort, [*map(str, arguments)], standalone_mode=False)
    error = result.exception
    assert error is not None
    assert getattr(error, "exit_status", None) == 2, repr(error)
    assert "\n" not in str(error)
    return str(error)


def test_readers_of_different_classes_are_refused(made, photos, tmp_path):
    whole = Path(shutil.copytree(made.whole, tmp_path / "whole"))
    write_manifest(whole, replace(load_bundle(whole).manifest, classes=("angry", "happy")))
    line = refused(*command(photos, replace(made, whole=whole), tmp_path / "out"))
    assert "whole: knows angry, happy," in line
    assert "face happy, sad; compose readers of the same classes" in line


def test_a_composed_bundle_is_no_part(done, made, photos, tmp_path):
    for parts in (replace(made, face=done[0]), replace(made, whole=done[0])):
        line = refused(*command(photos, parts, tmp_path / "out"))
        assert "people: is composed itself; name a bundle of one reader" in line


def test_undivided_data_is_refused(made, photos, tmp_path):
    line = refused(*command(photos / "train", made, tmp_path / "out"))
    assert line == "DATA has no valid/ part to weigh the parts by; `moodsort dataset split` makes one"


def test_data_of_other_classes_is_refused(made, tmp_path):
    data = draw_photos(tmp_path / "photos")
    for part in Split:
        (data / part / "sad").rename(data / part / "tired")
    line = refused(*command(data, made, tmp_path / "out"))
    assert "DATA has the classes happy, tired, the readers know happy, sad; name folders" in line


def test_a_part_in_which_nothing_can_be_read_is_refused(made, tmp_path):
    data = draw_photos(tmp_path / "photos", (Split.TRAIN, Split.VALID))
    for path in (data / "valid").rglob("*.png"):
        path.write_bytes(b"no picture")
    line = refused(*command(data, made, tmp_path / "out"))
    assert line == "no picture of valid/ can be read; put pictures into it"


def test_what_is_refused_leaves_nothing_behind(made, photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    assert "is a folder of something else, not a bundle" in refused(*command(photos, made, tmp_path / "out"))
    refused(*command(photos / "train", made, tmp_path / "new" / "bundle"))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "notes"]


@pytest.mark.parametrize("words", [("compose",), ("finder",), ("finder", "train")])
def test_the_commands_tell_what_they_take_without_tensorflow(words):
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
        timeout=60,
        check=False,
    )
    assert process.returncode == 0
    assert process.stdout.startswith(f"Usage: -c {' '.join(words)} ")
    assert process.stderr == "[]\n"


def test_a_missing_library_is_told_with_its_extra(monkeypatch, photos, tmp_path):
    (tmp_path / "teacher.onnx").touch()
    found = {"scipy", "tensorflow", "keras"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in found else None)
    line = refused(
        "finder",
        "train",
        photos,
        *("--faces", photos, "--teacher", tmp_path / "teacher.onnx", "--out", tmp_path / "finder"),
    )
    assert line == "finder train needs cv2, not installed: pip install 'moodsort[finder]'"
