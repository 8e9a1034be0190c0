"""The benchmark of accuracy, on folders of pictures drawn by code."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.bench.accuracy import main
from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_cost import draw_faceless, measure_costs
from tests.bench.accuracy_predictions import predict_folder
from tests.drawing import draw_jpeg, encode_image
from tests.face_networks import GREEN, HAPPY, SAD, draw_people
from tests.scene_bundle import make_scene_bundle
from trainer.data.class_folders import Split
from trainer.evaluation.metrics import compute_metrics
from trainer.pipelines.evaluate import evaluate_bundles
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.inference.bundle import load_bundle

pytestmark = pytest.mark.timeout(150)  # the first test with faces waits for TensorFlow to make the bundle

RUNS = 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a folder with splits, whose test split has one file that is no picture and two of the same."""
    for split, seeds in (("train", range(4)), ("test", range(4, 16))):
        for seed in seeds:
            folder = tmp_path / "data" / split / ("happy", "sad")[seed % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{seed}.jpg").write_bytes(draw_jpeg(seed))
    (folder / "copy.jpg").write_bytes(draw_jpeg(15))
    (folder / "note.jpg").write_text("no picture")
    return tmp_path / "data"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Give a folder of one happy and one sad face, of a sad pair in green, and of nobody."""
    photos = {
        "happy/one": draw_people((64, 96, HAPPY)),
        "happy/nobody": draw_people(ground=GREEN),
        "sad/one": draw_people((64, 96, SAD)),
        "sad/pair": draw_people((64, 96, SAD), (320, 160, SAD), ground=GREEN),
    }
    for name, image in photos.items():
        path = tmp_path / "people" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image, "PNG"))
    return tmp_path / "people"


def run_benchmark(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["--processes", "1", *map(str, arguments)])


def test_the_metrics_agree_with_an_evaluation(data: Path) -> None:
    folder = predict_folder(load_bundle(BUILT_IN_BUNDLE), data, (), None, 1)
    evaluation = evaluate_bundles([BUILT_IN_BUNDLE], data, Limits(), lambda skipped: None, say=print)
    (evaluated,) = evaluation.bundles
    assert compute_metrics(folder.versions[0], ("happy", "sad"), "") == compute_metrics(
        evaluated.predictions, ("happy", "sad"), ""
    )
    assert folder.split is evaluation.split is Split.TEST
    assert folder.skipped == evaluation.skipped
    assert len(folder.skipped) == 1


def test_changed_pictures_are_the_same_ones_in_the_same_order(data: Path) -> None:
    folder = predict_folder(load_bundle(BUILT_IN_BUNDLE), data, CHANGES, None, 1)
    original, *changed = folder.versions
    assert len(changed) == len(CHANGES)
    for predictions in changed:
        assert predictions.labels.tolist() == original.labels.tolist()
        assert predictions.probabilities.tolist() != original.probabilities.tolist()


def test_a_sample_is_the_same_each_time(data: Path) -> None:
    first, second = (predict_folder(load_bundle(BUILT_IN_BUNDLE), data, (), 6, 1) for _ in range(2))
    assert first.versions[0].probabilities.tolist() == second.versions[0].probabilities.tolist()
    assert len(first.versions[0].labels) + len(first.skipped) == 6
    assert first.files == 14


def test_every_network_of_a_bundle_has_its_cost(face_bundle: Path) -> None:
    bundle = load_bundle(face_bundle)
    costs = measure_costs(bundle, encode_image(draw_people((64, 96, HAPPY), (320, 160, SAD)), "PNG"), RUNS)
    assert costs.networks.keys() == {network.file for network in bundle.manifest.networks}
    assert (costs.size, costs.faces) == ((512, 384), 2)
    assert all(value > 0 for value in (costs.prediction, costs.decoding, *costs.networks.values()))


def test_the_drawn_picture_to_measure_times_on_is_a_megapixel_without_faces(tmp_path: Path) -> None:
    costs = measure_costs(load_bundle(make_scene_bundle(tmp_path / "one")), draw_faceless(), RUNS)
    assert (costs.size, costs.faces) == ((1000, 1000), 0)
    assert costs.networks.keys() == {"scene.tflite"}


def test_one_command_prints_every_section(people: Path, face_bundle: Path) -> None:
    result = run_benchmark(
        face_bundle, people, "--robustness", people, "--photo", people / "sad" / "pair.png"
    )
    assert result.exit_code == 0, result.output
    headings = [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert headings[0].startswith("## drawn-faces, version ")
    assert headings[1:] == [f"### {people}", f"### Changed pictures: {people}", "### Cost"]
    assert "4 pictures (2 happy, 2 sad). Every file could be read." in result.stdout
    assert "; 2 faces detected " in result.stdout
    for row in ("| none ", "| 1 ", "| 2 or 3 ", "| 48 to 95 pixels "):
        assert row in result.stdout


def test_classes_that_the_bundle_does_not_know_are_refused_on_one_line(data: Path) -> None:
    (data / "test" / "sad").rename(data / "test" / "blue")
    result = run_benchmark("default", data)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert "knows happy, sad" in result.stderr


def test_a_photo_that_cannot_be_read_is_refused_on_one_line(data: Path) -> None:
    result = run_benchmark("default", "--photo", data / "test" / "sad" / "note.jpg")
    assert result.exit_code == 1
    assert "note.jpg: cannot be read (nothing in it looks like a picture)" in result.stderr
