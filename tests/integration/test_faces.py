"""A bundle that finds faces, reads each, and reads the whole picture: from the photo to the log."""

import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.drawing import encoded, photo_bytes
from tests.face_networks import FACE_SIDE, FACES, GREEN, HAPPY, SAD, draw_people
from tests.home import Home
from trainer.cli.train import _start_input
from trainer.export.golden import draw_golden_inputs, measure_tolerance
from trainer.pipelines.evaluate import evaluate_bundles
from trainer.report.evaluation_study import make_evaluation_study
from worker.cli import moodsort
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import hash_file, load_bundle, write_manifest
from worker.inference.decode import Picture, decode_photo
from worker.inference.network import Network
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor, fuse_logits, softmax
from worker.store.read_connection import open_read_connection

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the bundle

PEOPLE = draw_people((64, 96, HAPPY), (320, 160, HAPPY), (320, 32, SAD))


@pytest.fixture
def judge(face_bundle: Path) -> Predictor:
    return Predictor(load_bundle(face_bundle))


def pictured(image: Image.Image, times: int = 1) -> Picture:
    return Picture(np.asarray(image), image.width * times, image.height * times)


def box_of(verdict: Prediction, place: int) -> tuple[float, ...]:
    face = (verdict.faces or ())[place]
    return face.left, face.top, face.width, face.height


def test_every_face_is_found_where_it_is_and_read(judge: Predictor) -> None:
    verdict = judge.predict(pictured(PEOPLE))
    assert verdict.faces is not None
    assert sorted(box_of(verdict, place) for place in range(3)) == [
        (64, 96, FACE_SIDE, FACE_SIDE),
        (320, 32, FACE_SIDE, FACE_SIDE),
        (320, 160, FACE_SIDE, FACE_SIDE),
    ]
    labels = {(face.left, face.top): face.label for face in verdict.faces}
    assert labels == {(64, 96): "happy", (320, 160): "happy", (320, 32): "sad"}
    for face in verdict.faces:
        assert sum(face.scores.values()) == pytest.approx(1)
        assert face.scores[face.label] > 0.99
        assert 0.5 <= face.score <= 1


def test_boxes_are_told_in_pixels_of_the_photo(judge: Predictor) -> None:
    small, large = (judge.predict(pictured(draw_people((64, 96, HAPPY)), times)) for times in (1, 7))
    assert box_of(small, 0) == (64, 96, FACE_SIDE, FACE_SIDE)
    assert box_of(large, 0) == (7 * 64, 7 * 96, 7 * FACE_SIDE, 7 * FACE_SIDE)


def test_a_verdict_is_made_of_the_evidence(judge: Predictor, face_bundle: Path) -> None:
    picture = pictured(PEOPLE)
    evidence = judge.run_networks(picture)
    assert evidence.face_logits.shape == (3, 2)
    assert evidence.whole_logits.shape == (2,)
    assert evidence.face_logits.dtype == evidence.whole_logits.dtype == np.float32
    area = PEOPLE.width * PEOPLE.height
    assert evidence.around == pytest.approx(1 - sum(box.side**2 * box.score for box in evidence.boxes) / area)
    whole = FACES.whole * evidence.around * evidence.whole_logits
    logits = FACES.face * evidence.face_logits.mean(axis=0) + whole
    assert fuse_logits(evidence, FACES) == pytest.approx(logits)
    scores = dict(zip(("happy", "sad"), softmax(logits), strict=True))
    assert judge.predict(picture).scores == pytest.approx(scores)


def test_a_face_outweighs_what_is_around_it(judge: Predictor) -> None:
    assert judge.predict(pictured(draw_people((64, 96, SAD), ground=GREEN))).label == "sad"
    assert judge.predict(pictured(draw_people(ground=GREEN))).label == "happy"


def test_where_there_is_no_face_the_whole_picture_is_judged(judge: Predictor) -> None:
    picture = pictured(draw_people(ground=GREEN))
    evidence, verdict = judge.run_networks(picture), judge.predict(picture)
    assert verdict.faces == ()
    assert evidence.face_logits.shape == (0, 2)
    assert verdict.scores["happy"] == pytest.approx(softmax(evidence.whole_logits)[0])


@pytest.mark.parametrize("size", [(640, 480), (640, 21), (21, 640), (8, 8), (1, 1)], ids=str)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)], ids=["black", "white"])
def test_a_picture_of_any_shape_has_a_verdict(
    judge: Predictor, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    verdict = judge.predict(pictured(Image.new("RGB", size, colour)))
    assert sum(verdict.scores.values()) == pytest.approx(1)
    assert verdict.faces is not None
    for face in verdict.faces:
        assert 0 <= face.left <= face.left + face.width <= size[0]
        assert 0 <= face.top <= face.top + face.height <= size[1]


def test_of_many_faces_the_most_that_the_manifest_says_are_read(judge: Predictor) -> None:
    crowd = draw_people(*((left, top, SAD) for left in range(0, 512, 96) for top in range(0, 384, 96)))
    assert len(judge.predict(pictured(crowd)).faces or ()) == FACES.most


# What is wrong with a bundle of several stages.


@pytest.fixture
def copied(face_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(face_bundle, tmp_path / "copied"))


def change_stage(folder: Path, place: int, **changes: Any) -> None:
    manifest = load_bundle(folder).manifest
    stages = list(manifest.stages)
    stages[place] = replace(stages[place], **changes)
    write_manifest(folder, replace(manifest, stages=tuple(stages)))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_self_test_runs_every_stage(copied: Path, place: int) -> None:
    stage = load_bundle(copied).manifest.stages[place]
    Predictor(load_bundle(copied)).self_test()
    path = copied / stage.golden.file
    with np.load(path) as arrays:
        inputs, answers = arrays["inputs"], arrays["answers"]
    np.savez(path, inputs=inputs, answers=answers + 1)
    golden = replace(stage.golden, sha256=hash_file(path))
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["stages"][place]["golden"]["sha256"] = golden.sha256
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        BundleError, match=rf"{stage.file}: (logits|answers) differ from the golden ones by 1 "
    ):
        Predictor(load_bundle(copied)).self_test()


def test_a_finder_of_another_shape_than_the_manifest_says_is_refused(copied: Path) -> None:
    spec = load_bundle(copied).manifest.stages[0].input
    change_stage(copied, 0, input=replace(spec, width=spec.width + 8))
    with pytest.raises(
        BundleError, match=r"takes uint8 \(1, 192, 256, 3\) and gives float32 \(1, 24, 32, 4\)"
    ):
        Predictor(load_bundle(copied))


def test_a_finders_golden_answers_leave_room_for_another_processor(face_bundle: Path) -> None:
    stage = load_bundle(face_bundle).manifest.stages[0]
    network = Network(face_bundle, stage, classes=2)
    inputs = draw_golden_inputs(stage.input, 0)
    assert inputs.shape == (4, 192, 256, 3)
    answers = np.stack([network.run(pixels) for pixels in inputs])
    assert answers.shape == (4, 24, 32, 4)
    assert 0.05 <= measure_tolerance(network.path, inputs, answers) == stage.golden.tolerance < 1


# In the commands.


def use(home: Home, bundle: Path) -> Home:
    return home.configure(model={"bundle": str(bundle), "processes": 1})


def test_faces_are_recorded_with_the_prediction(home: Home, face_bundle: Path) -> None:
    use(home, face_bundle).drop("people.png", encoded(PEOPLE, "PNG"))
    home.drop("nobody.png", encoded(draw_people(ground=GREEN), "PNG"))
    home.run_once()
    home.check_promises()
    with open_read_connection(home.database_url) as reader:
        rows = reader.query(
            "SELECT name, faces FROM predictions JOIN photos ON photos.id = photo_id ORDER BY name"
        )
    faces = {name: json.loads(found) for name, found in rows}
    assert faces["nobody.png"] == []
    assert len(faces["people.png"]) == 3
    for face in faces["people.png"]:
        assert face.keys() == {"box", "score", "label", "scores"}
        assert face["box"][2:] == [FACE_SIDE, FACE_SIDE]


def classified(home: Home, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return home.run_command("classify", *arguments)


@pytest.fixture
def photo(home: Home, face_bundle: Path) -> Path:
    use(home, face_bundle)
    path = home.folder / "people.png"
    PEOPLE.save(path)
    return path


def test_classify_tells_faces_in_json_and_csv_and_keeps_them_out_of_the_table(
    home: Home, photo: Path
) -> None:
    (row,) = json.loads(classified(home, photo, "--format", "json").stdout)
    heading, cells = csv.reader(io.StringIO(classified(home, photo, "--format", "csv").stdout))
    assert json.loads(dict(zip(heading, cells, strict=True))["faces"]) == row["faces"]
    assert [face["label"] for face in row["faces"]].count("happy") == 2
    assert {tuple(face["box"]) for face in row["faces"]} >= {(64.0, 96.0, 80.0, 80.0)}
    assert "score" not in classified(home, photo).stdout


def test_a_drawing_shows_the_faces_and_the_verdict(home: Home, photo: Path) -> None:
    before = photo.read_bytes()
    for name in ("drawn.jpg", "drawn.PNG"):
        out = home.folder / name
        done = classified(home, photo, "--draw", out)
        assert (done.returncode, done.stderr) == (0, "")
        assert "happy" in done.stdout
        with Image.open(out) as image:
            assert image.format == ("PNG" if name.endswith("PNG") else "JPEG")
            assert image.width == PEOPLE.width
            assert image.height > PEOPLE.height
    assert photo.read_bytes() == before


def draws_refused(home: Home, *arguments: str | Path, status: int = 2) -> str:
    done = classified(home, *arguments)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert status == 1 or done.stdout == ""
    return line


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("there.jpg", "there.jpg: is there already; remove it, or give another name"),
        ("dangling.png", "dangling.png: is there already"),
        ("nowhere/out.jpg", "nowhere: is not a folder; make it"),
        ("out.gif", "out.gif: is not named as a picture; end it in .jpg, .jpeg, .png"),
        ("out", "out: is not named as a picture"),
    ],
)
def test_a_place_that_cannot_be_drawn_to_is_refused_before_anything_is_judged(
    home: Home, photo: Path, name: str, told: str
) -> None:
    (home.folder / "there.jpg").write_bytes(b"mine")
    (home.folder / "dangling.png").symlink_to("nothing")
    assert told in draws_refused(home, photo, "--draw", home.folder / name)
    assert (home.folder / "there.jpg").read_bytes() == b"mine"


def test_a_drawing_takes_one_photo(home: Home, photo: Path) -> None:
    out = home.folder / "out.jpg"
    assert "--draw takes one photo, but 2 files are named" in draws_refused(home, photo, photo, "--draw", out)
    (home.folder / "empty").mkdir()
    assert "but 0 files" in draws_refused(home, home.folder / "empty", "--draw", out)
    assert not out.exists()


def test_of_what_cannot_be_judged_nothing_is_drawn(home: Home, photo: Path) -> None:
    torn, out = home.folder / "torn.jpg", home.folder / "out.jpg"
    torn.write_bytes(photo_bytes()[:500])
    line = draws_refused(home, torn, "--draw", out, status=1)
    assert "torn.jpg: could not be judged, so nothing is drawn; name another photo" in line
    assert not out.exists()


def test_a_drawing_that_the_disk_has_no_room_for_is_one_line_and_leaves_nothing(
    home: Home, photo: Path
) -> None:
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
from pathlib import Path
from worker.errors import MoodsortError
from worker.inference.overlay import write_drawing
from worker.inference.prediction import Verdict
try:
    photo, out = map(Path, sys.argv[1:])
    write_drawing(photo, Verdict("happy", 1.0, {"happy": 1.0}, ()), out, 10**9)
except MoodsortError as error:
    print(error, end="")
"""
    out = home.folder / "out.png"
    command = [sys.executable, "-c", code, str(photo), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == f"{out}: cannot be written (File too large); draw elsewhere"
    assert not out.exists()


def said(home: Home, *arguments: str | Path) -> str:
    command = [*map(str, arguments), "--config", str(home.config)]
    return CliRunner().invoke(moodsort, command, standalone_mode=False, catch_exceptions=False).output


def test_every_stage_is_shown_and_listed(home: Home, face_bundle: Path) -> None:
    use(home, face_bundle)
    shown = said(home, "model", "show")
    for part in (
        "whole finder",
        "256 × 192 rgb, letterbox",
        "face reader",
        "16 × 16 rgb, stretch",
        "faces.most",
    ):
        assert part in shown
    rows = json.loads(said(home, "model", "list", "--format", "json"))
    stages = {Path(row["folder"]): row["stages"] for row in rows}[face_bundle]
    assert stages[0] == {"role": "finder", "view": "whole", "reads": "256 × 192 rgb, letterbox"}
    assert [stage["view"] for stage in stages] == ["whole", "face", "whole"]
    assert "whole finder, face reader, whole reader" in said(home, "model", "list")
    assert (
        "(whole finder, face reader, whole reader) passes its self-test" in home.run_command("doctor").stdout
    )


# In the trainer.


def test_a_bundle_of_several_networks_is_not_trained_further(face_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="is made of several networks") as refused:
        _start_input(face_bundle, ("happy", "sad"), new_head=False)
    assert "\n" not in str(refused.value)


def test_a_bundle_that_finds_faces_is_tried_on_photos_as_the_worker_judges_them(
    face_bundle: Path, tmp_path: Path
) -> None:
    for label, colour in (("happy", HAPPY), ("sad", SAD)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(3):
            image = draw_people((16 * number, 96, colour), ground=(0, 20 * number, 0))
            image.save(tmp_path / "data" / label / f"{number}.png")
    trials = evaluate_bundles([face_bundle], tmp_path / "data", lambda outcome: None)
    (trial,) = trials.trials
    assert trial.answers.right().all()

    judge = Predictor(load_bundle(face_bundle))
    data = trials.paths[0].read_bytes()
    evidence = judge.run_networks(decode_photo(data, max_pixels=10**6, max_side=640))
    assert trial.answers.uncalibrated[0] == pytest.approx(softmax(fuse_logits(evidence, FACES)), abs=1e-6)
    study = make_evaluation_study(trials, tmp_path / "data", (), "a test", with_pictures=True)
    assert study.pictures is not None
    assert study.pictures.samples.shape == (6, 24, 24, 3)
