"""A bundle that detects faces, classifies each, and classifies the scene: from the photo to the log."""

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

from tests.drawing import draw_jpeg, encode_image
from tests.face_networks import DETECTION, FACE_SIDE, FUSION, GREEN, HAPPY, SAD, draw_people
from tests.home import Home
from tests.patience import scale
from trainer.cli.train import train
from trainer.export.golden import draw_golden_inputs, measure_tolerances, run_network
from trainer.pipelines.evaluate import evaluate_bundles
from trainer.report.evaluation_study import make_evaluation_study
from worker.cli import moodsort
from worker.config import Limits
from worker.errors import BundleError, ConfigError
from worker.fileio import hash_file
from worker.inference.bundle import load_bundle, write_manifest
from worker.inference.decode import Picture, decode_photo
from worker.inference.fusion import fuse_logits, softmax
from worker.inference.network import Network
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor
from worker.store.read_connection import open_read_connection

pytestmark = pytest.mark.timeout(150)  # the first test waits for TensorFlow to make the bundle

PEOPLE = draw_people((64, 96, HAPPY), (320, 160, HAPPY), (320, 32, SAD))


@pytest.fixture
def predictor(face_bundle: Path) -> Predictor:
    return Predictor(load_bundle(face_bundle))


def make_picture(image: Image.Image, scale: int = 1) -> Picture:
    """Make a picture as decoded from a photo that is larger by the scale."""
    return Picture(np.asarray(image), image.width * scale, image.height * scale)


def get_box(prediction: Prediction, index: int) -> tuple[float, ...]:
    face = (prediction.faces or ())[index]
    return face.left, face.top, face.width, face.height


def test_every_face_is_detected_where_it_is_and_classified(predictor: Predictor) -> None:
    prediction = predictor.predict(make_picture(PEOPLE))
    assert prediction.faces is not None
    assert sorted(get_box(prediction, index) for index in range(3)) == [
        (64, 96, FACE_SIDE, FACE_SIDE),
        (320, 32, FACE_SIDE, FACE_SIDE),
        (320, 160, FACE_SIDE, FACE_SIDE),
    ]
    labels = {(face.left, face.top): face.label for face in prediction.faces}
    assert labels == {(64, 96): "happy", (320, 160): "happy", (320, 32): "sad"}
    for face in prediction.faces:
        assert sum(face.probabilities.values()) == pytest.approx(1)
        assert face.probabilities[face.label] > 0.99
        assert 0.5 <= face.score <= 1


def test_bounding_boxes_are_in_pixels_of_the_photo(predictor: Predictor) -> None:
    small, large = (predictor.predict(make_picture(draw_people((64, 96, HAPPY)), scale)) for scale in (1, 7))
    assert get_box(small, 0) == (64, 96, FACE_SIDE, FACE_SIDE)
    assert get_box(large, 0) == (7 * 64, 7 * 96, 7 * FACE_SIDE, 7 * FACE_SIDE)


def test_a_prediction_is_fused_from_the_raw_outputs(predictor: Predictor) -> None:
    picture = make_picture(PEOPLE)
    outputs = predictor.run_networks(picture)
    assert outputs.face_logits.shape == (3, 2)
    assert outputs.scene_logits.shape == (2,)
    assert outputs.face_logits.dtype == outputs.scene_logits.dtype == np.float32
    area = PEOPLE.width * PEOPLE.height
    covered = sum(detection.side**2 * detection.score for detection in outputs.detections)
    assert outputs.background_share == pytest.approx(1 - covered / area)
    scene = FUSION.scene_weight * outputs.background_share * outputs.scene_logits
    logits = FUSION.face_weight * outputs.face_logits.mean(axis=0) + scene
    assert fuse_logits(outputs, FUSION) == pytest.approx(logits)
    probabilities = dict(zip(("happy", "sad"), softmax(logits), strict=True))
    assert predictor.predict(picture).probabilities == pytest.approx(probabilities)


def test_a_face_outweighs_the_scene_around_it(predictor: Predictor) -> None:
    assert predictor.predict(make_picture(draw_people((64, 96, SAD), ground=GREEN))).label == "sad"
    assert predictor.predict(make_picture(draw_people(ground=GREEN))).label == "happy"


def test_where_there_is_no_face_the_scene_is_classified(predictor: Predictor) -> None:
    picture = make_picture(draw_people(ground=GREEN))
    outputs, prediction = predictor.run_networks(picture), predictor.predict(picture)
    assert prediction.faces == ()
    assert outputs.face_logits.shape == (0, 2)
    assert prediction.probabilities["happy"] == pytest.approx(softmax(outputs.scene_logits)[0])


@pytest.mark.parametrize("size", [(640, 480), (640, 21), (21, 640), (8, 8), (1, 1)], ids=str)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)], ids=["black", "white"])
def test_a_picture_of_any_shape_has_a_prediction(
    predictor: Predictor, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    prediction = predictor.predict(make_picture(Image.new("RGB", size, colour)))
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.faces is not None
    for face in prediction.faces:
        assert 0 <= face.left <= face.left + face.width <= size[0]
        assert 0 <= face.top <= face.top + face.height <= size[1]


def test_of_many_faces_no_more_are_classified_than_the_manifest_says(predictor: Predictor) -> None:
    crowd = draw_people(*((left, top, SAD) for left in range(0, 512, 96) for top in range(0, 384, 96)))
    assert len(predictor.predict(make_picture(crowd)).faces or ()) == DETECTION.max_faces


# What is wrong with a bundle of several networks.


@pytest.fixture
def copied(face_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(face_bundle, tmp_path / "copied"))


def change_network(folder: Path, index: int, **changes: Any) -> None:
    manifest = load_bundle(folder).manifest
    networks = list(manifest.networks)
    networks[index] = replace(networks[index], **changes)
    write_manifest(folder, replace(manifest, networks=tuple(networks)))


@pytest.mark.parametrize(("index", "kind"), [(0, "heatmap"), (1, "logits"), (2, "logits")])
def test_the_self_test_runs_every_network(copied: Path, index: int, kind: str) -> None:
    network = load_bundle(copied).manifest.networks[index]
    Predictor(load_bundle(copied)).self_test()
    path = copied / network.golden.file
    with np.load(path) as arrays:
        inputs, golden = arrays["inputs"], arrays[kind]
    np.savez(path, **{"inputs": inputs, kind: golden + 1})
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["networks"][index]["golden"]["sha256"] = hash_file(path)
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        BundleError, match=rf'{network.file}: its output "{kind}" differs from the golden one by 1 '
    ):
        Predictor(load_bundle(copied)).self_test()


def test_a_detector_of_another_input_than_the_manifest_says_is_refused(copied: Path) -> None:
    spec = load_bundle(copied).manifest.networks[0].input
    change_network(copied, 0, input=replace(spec, width=spec.width + 8))
    with pytest.raises(
        BundleError,
        match=r"takes uint8 \(1, 192, 256, 3\), the manifest says uint8 \(1, 192, 264, 3\); train",
    ):
        Predictor(load_bundle(copied))


def test_a_detector_of_another_output_than_the_manifest_says_is_refused(copied: Path) -> None:
    scene = load_bundle(copied).manifest.networks[2]
    detector = load_bundle(copied).manifest.networks[0]
    with pytest.raises(
        BundleError,
        match=r"gives float32 \(1, 24, 32, 4\), the manifest says float32 \(1, 2\); train it again",
    ):
        Network(copied, replace(detector, outputs=scene.outputs), classes=2)


def test_the_tolerance_of_a_heatmap_leaves_room_for_another_processor(face_bundle: Path) -> None:
    spec = load_bundle(face_bundle).manifest.networks[0]
    network = Network(face_bundle, spec, classes=2)
    inputs = draw_golden_inputs(spec.input, 0)
    assert inputs.shape == (4, 192, 256, 3)
    outputs = run_network(network, inputs)
    assert {kind: array.shape for kind, array in outputs.items()} == {"heatmap": (4, 24, 32, 4)}
    tolerances = measure_tolerances(network.path, inputs, outputs)
    assert tolerances == {output.kind: output.tolerance for output in spec.outputs}
    assert 0.05 <= tolerances["heatmap"] < 1


# In the commands.


def configure(home: Home, bundle: Path) -> Home:
    return home.configure(model={"bundle": str(bundle), "processes": 1})


def test_faces_are_recorded_with_the_prediction(home: Home, face_bundle: Path) -> None:
    configure(home, face_bundle).drop("people.png", encode_image(PEOPLE, "PNG"))
    home.drop("nobody.png", encode_image(draw_people(ground=GREEN), "PNG"))
    home.run_once()
    home.check_promises()
    with open_read_connection(home.database_url) as reader:
        rows = reader.query(
            "SELECT name, faces FROM predictions JOIN photos ON photos.id = photo_id ORDER BY name"
        )
    faces_by_name = {name: json.loads(faces) for name, faces in rows}
    assert faces_by_name["nobody.png"] == []
    assert len(faces_by_name["people.png"]) == 3
    for face in faces_by_name["people.png"]:
        assert face.keys() == {"box", "score", "label", "probabilities"}
        assert face["box"][2:] == [FACE_SIDE, FACE_SIDE]


def classify(home: Home, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return home.run_command("classify", *arguments)


@pytest.fixture
def photo(home: Home, face_bundle: Path) -> Path:
    configure(home, face_bundle)
    path = home.folder / "people.png"
    PEOPLE.save(path)
    return path


def test_classify_prints_faces_in_json_and_csv_and_keeps_them_out_of_the_table(
    home: Home, photo: Path
) -> None:
    (row,) = json.loads(classify(home, photo, "--format", "json").stdout)
    heading, cells = csv.reader(io.StringIO(classify(home, photo, "--format", "csv").stdout))
    assert json.loads(dict(zip(heading, cells, strict=True))["faces"]) == row["faces"]
    assert [face["label"] for face in row["faces"]].count("happy") == 2
    assert {tuple(face["box"]) for face in row["faces"]} >= {(64.0, 96.0, 80.0, 80.0)}
    table = classify(home, photo).stdout
    assert "score" not in table
    assert "probabilities" not in table


def test_an_overlay_shows_the_faces_and_the_prediction(home: Home, photo: Path) -> None:
    before = photo.read_bytes()
    kinds = {"drawn.jpg": "JPEG", "drawn.PNG": "PNG", "drawn.webp": "WEBP", "drawn.avif": "AVIF"}
    kinds |= {"drawn.tif": "TIFF", "drawn.bmp": "BMP"}
    for name, kind in kinds.items():
        out = home.folder / name
        done = classify(home, photo, "--draw", out)
        assert (done.returncode, done.stderr) == (0, "")
        assert "happy" in done.stdout
        with Image.open(out) as image:
            assert image.format == kind
            assert image.width == PEOPLE.width
            assert image.height > PEOPLE.height
    assert photo.read_bytes() == before


def test_an_overlay_has_the_size_of_the_photo_in_its_file(home: Home) -> None:
    photo, out = home.folder / "large.png", home.folder / "drawn.png"
    PEOPLE.resize((5 * PEOPLE.width, 5 * PEOPLE.height)).save(photo)
    assert classify(home, photo, "--draw", out).returncode == 0
    with Image.open(out) as image:
        assert image.width == 5 * PEOPLE.width


def test_an_overlay_that_is_too_large_for_its_format_is_one_line_with_the_remedy(home: Home) -> None:
    photo, out = home.folder / "long.png", home.folder / "drawn.webp"
    Image.new("RGB", (16_400, 16)).save(photo)
    line = refuse_classify(home, photo, "--draw", out, status=1)
    assert "drawn.webp: WEBP does not hold 16400 × " in line
    assert line.endswith("pixels; name a .png")
    assert not out.exists()


def refuse_classify(home: Home, *arguments: str | Path, status: int = 2) -> str:
    """Return the one line with which the command is refused."""
    done = classify(home, *arguments)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert status == 1 or done.stdout == ""
    return line


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("there.jpg", "there.jpg: is there already; remove it, or give another name"),
        ("dangling.png", "dangling.png: is there already"),
        ("nowhere/out.jpg", "nowhere: is not a folder; make it"),
        ("out.gif", "out.gif: is not named as a picture; end it in .jpg, .jpeg, .png"),
        ("out", "out: is not named as a picture"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_refused_before_anything_is_classified(
    home: Home, photo: Path, name: str, problem: str
) -> None:
    (home.folder / "there.jpg").write_bytes(b"mine")
    (home.folder / "dangling.png").symlink_to("nothing")
    assert problem in refuse_classify(home, photo, "--draw", home.folder / name)
    assert (home.folder / "there.jpg").read_bytes() == b"mine"


def test_an_overlay_takes_one_photo(home: Home, photo: Path) -> None:
    out = home.folder / "out.jpg"
    line = refuse_classify(home, photo, photo, "--draw", out)
    assert "--draw takes one photo, but 2 files are named" in line
    (home.folder / "empty").mkdir()
    assert "but 0 files" in refuse_classify(home, home.folder / "empty", "--draw", out)
    assert not out.exists()


def test_of_what_has_no_prediction_nothing_is_drawn(home: Home, photo: Path) -> None:
    torn, out = home.folder / "torn.jpg", home.folder / "out.jpg"
    torn.write_bytes(draw_jpeg()[:500])
    line = refuse_classify(home, torn, "--draw", out, status=1)
    assert "torn.jpg: has no prediction, so nothing is drawn; name another photo" in line
    assert not out.exists()


def test_an_overlay_that_the_disk_has_no_room_for_is_one_line_and_leaves_nothing(
    home: Home, photo: Path
) -> None:
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
from pathlib import Path
from worker.errors import MoodsortError
from worker.inference.overlay import write_overlay
from worker.inference.prediction import Prediction
try:
    photo, out = map(Path, sys.argv[1:])
    write_overlay(photo, Prediction("happy", 1.0, {"happy": 1.0}, ()), out, 10**9)
except MoodsortError as error:
    print(error, end="")
"""
    out = home.folder / "out.png"
    command = [sys.executable, "-c", code, str(photo), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scale(50), check=True)
    assert done.stdout == f"{out}: cannot be written (File too large); draw elsewhere"
    assert not out.exists()


def run_command(home: Home, *arguments: str | Path) -> str:
    """Run a command in this process; return what it prints."""
    command = [*map(str, arguments), "--config", str(home.config)]
    return CliRunner().invoke(moodsort, command, standalone_mode=False, catch_exceptions=False).output


def test_every_network_is_shown_and_listed(home: Home, face_bundle: Path) -> None:
    configure(home, face_bundle)
    details = run_command(home, "model", "show")
    for text in (
        "face detector",
        "256 × 192 rgb, letterbox",
        "face classifier",
        "16 × 16 rgb, stretch",
        "detection.max_faces",
        "fusion.face_weight",
    ):
        assert text in details
    rows = json.loads(run_command(home, "model", "list", "--format", "json"))
    networks = {Path(row["folder"]): row["networks"] for row in rows}[face_bundle]
    assert networks[0] == {"network": "face detector", "reads": "256 × 192 rgb, letterbox"}
    titles = ["face detector", "face classifier", "scene classifier"]
    assert [network["network"] for network in networks] == titles
    assert ", ".join(titles) in run_command(home, "model", "list")
    assert f"({', '.join(titles)}) passes its self-test" in home.run_command("doctor").stdout


# In the trainer.


def test_a_bundle_of_several_networks_is_not_trained_further(face_bundle: Path, tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "photo.jpg").write_bytes(draw_jpeg())
    command = [tmp_path / "data", "--start-from", face_bundle, "--out", tmp_path / "bundle"]
    with pytest.raises(ConfigError, match="is made of several networks") as refused:
        CliRunner().invoke(train, [*map(str, command)], standalone_mode=False, catch_exceptions=False)
    assert "\n" not in str(refused.value)


def test_a_bundle_that_detects_faces_is_evaluated_on_photos_as_the_worker_classifies_them(
    face_bundle: Path, tmp_path: Path
) -> None:
    for label, colour in (("happy", HAPPY), ("sad", SAD)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(3):
            image = draw_people((16 * number, 96, colour), ground=(0, 20 * number, 0))
            image.save(tmp_path / "data" / label / f"{number}.png")
    evaluation = evaluate_bundles([face_bundle], tmp_path / "data", Limits(), lambda skipped: None, say=print)
    predictions = evaluation.bundles[0].predictions
    assert predictions.correct.all()

    data = evaluation.paths[0].read_bytes()
    picture = decode_photo(data, max_pixels=10**6, max_side=640)
    outputs = Predictor(load_bundle(face_bundle)).run_networks(picture)
    expected = softmax(fuse_logits(outputs, FUSION))
    assert predictions.uncalibrated[0] == pytest.approx(expected, abs=1e-6)
    study = make_evaluation_study(
        evaluation, 0, tmp_path / "data", (), "a test", Limits(), with_pictures=True
    )
    assert study.pictures is not None
    assert study.pictures.samples.shape == (6, 24, 24, 3)
