"""The benchmark of accuracy, on folders of pictures drawn by code."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.bench.accuracy import main
from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_cost import draw_nothing, measured_costs
from tests.bench.accuracy_judging import see
from tests.drawing import encoded, photo_bytes
from tests.face_networks import GREEN, HAPPY, SAD, draw_people
from tests.scene_bundle import make_scene_bundle
from trainer.data.class_folders import Split
from trainer.evaluation.metrics import compute_metrics
from trainer.pipelines.evaluate import evaluate_bundles
from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import load_bundle

pytestmark = pytest.mark.timeout(150)  # the first test with faces waits for TensorFlow to make the bundle

RUNS = 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a divided folder, whose test part has one file that is no picture and two that show the same."""
    for part, seeds in (("train", range(4)), ("test", range(4, 16))):
        for seed in seeds:
            folder = tmp_path / "data" / part / ("happy", "sad")[seed % 2]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{seed}.jpg").write_bytes(photo_bytes(seed))
    (folder / "copy.jpg").write_bytes(photo_bytes(15))
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
        path.write_bytes(encoded(image, "PNG"))
    return tmp_path / "people"


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["--processes", "1", *map(str, arguments)])


def test_the_figures_agree_with_an_evaluation(data: Path) -> None:
    seen = see(load_bundle(BUILT_IN_BUNDLE), data, (), None, 1)
    trials = evaluate_bundles([BUILT_IN_BUNDLE], data, lambda outcome: None)
    (trial,) = trials.trials
    assert compute_metrics(seen.answers[0], ("happy", "sad"), "") == compute_metrics(
        trial.answers, ("happy", "sad"), ""
    )
    assert seen.split is trials.split is Split.TEST
    assert seen.unjudged == trials.unjudged
    assert len(seen.unjudged) == 1


def test_changed_pictures_are_the_same_ones_in_the_same_order(data: Path) -> None:
    seen = see(load_bundle(BUILT_IN_BUNDLE), data, CHANGES, None, 1)
    clean, *changed = seen.answers
    assert len(changed) == len(CHANGES)
    for answers in changed:
        assert answers.labels.tolist() == clean.labels.tolist()
        assert answers.probabilities.tolist() != clean.probabilities.tolist()


def test_a_draw_is_the_same_each_time(data: Path) -> None:
    first, second = (see(load_bundle(BUILT_IN_BUNDLE), data, (), 6, 1) for _ in range(2))
    assert first.answers[0].probabilities.tolist() == second.answers[0].probabilities.tolist()
    assert len(first.answers[0].labels) + len(first.unjudged) == 6
    assert first.files == 14


def test_every_stage_of_a_bundle_has_its_cost(face_bundle: Path) -> None:
    bundle = load_bundle(face_bundle)
    costs = measured_costs(bundle, encoded(draw_people((64, 96, HAPPY), (320, 160, SAD)), "PNG"), RUNS)
    assert costs.stages.keys() == {stage.file for stage in bundle.manifest.stages}
    assert (costs.size, costs.faces) == ((512, 384), 2)
    assert all(value > 0 for value in (costs.judging, costs.decoding, *costs.stages.values()))


def test_what_is_drawn_to_take_times_on_is_a_megapixel(tmp_path: Path) -> None:
    costs = measured_costs(load_bundle(make_scene_bundle(tmp_path / "one")), draw_nothing(), RUNS)
    assert (costs.size, costs.faces) == ((1000, 1000), 0)
    assert costs.stages.keys() == {"reader.tflite"}


def test_one_command_prints_every_section(people: Path, face_bundle: Path) -> None:
    done = bench(face_bundle, people, "--robustness", people, "--photo", people / "sad" / "pair.png")
    assert done.exit_code == 0, done.output
    headings = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert headings[0].startswith("## drawn-faces, version ")
    assert headings[1:] == [f"### {people}", f"### Changed pictures: {people}", "### Cost"]
    assert "4 pictures (2 happy, 2 sad). Every file could be judged." in done.stdout
    assert "; 2 faces found |" in done.stdout
    for row in ("| none ", "| 1 ", "| 2 or 3 ", "| 48 to 95 pixels "):
        assert row in done.stdout


def test_classes_that_the_bundle_does_not_know_are_refused_on_one_line(data: Path) -> None:
    (data / "test" / "sad").rename(data / "test" / "blue")
    done = bench("default", data)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "knows happy, sad" in done.stderr


def test_a_photo_that_cannot_be_judged_is_refused_on_one_line(data: Path) -> None:
    done = bench("default", "--photo", data / "test" / "sad" / "note.jpg")
    assert done.exit_code == 1
    assert "note.jpg: cannot be judged (nothing in it looks like a picture)" in done.stderr
