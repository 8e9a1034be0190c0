"""How metrics are written for a model card."""

from dataclasses import replace

import pytest

from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_tables import (
    EMPTY_CELL,
    describe_pictures,
    format_accuracy_section,
    format_cell,
    format_robustness_section,
    format_table,
    list_difference_cells,
)
from tests.face_networks import DETECTION
from tests.scene_bundle import make_scene_bundle
from tests.unit.bench.folder_predictions import (
    CLASSES,
    draw_calibrated,
    make_folder,
    make_prediction,
    make_predictions,
)
from trainer.data.class_folders import Split
from trainer.evaluation.comparison import PairedComparison
from worker.errors import Reason
from worker.inference.bundle import Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_scene_bundle(tmp_path_factory.mktemp("bundles") / "one"))


@pytest.fixture(scope="module")
def face_bundle(bundle: Bundle) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, detection=DETECTION))


def read_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column is called `heading`, without its heading."""
    lines = iter(text.splitlines())
    while not next(lines).startswith(f"| {heading} "):
        pass
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_columns_of_a_table_line_up_in_plain_text() -> None:
    assert format_table(("metric", "value"), [("accuracy", "9.0 %"), ("recall", "100.0 %")]) == (
        "| metric   |   value |\n| -------- | ------: |\n| accuracy |   9.0 % |\n| recall   | 100.0 % |"
    )


def test_a_name_cannot_break_a_table() -> None:
    assert format_cell("a|b\nc") == "a\\|b\\nc"


def test_every_metric_has_its_interval_and_its_number_of_pictures(bundle: Bundle) -> None:
    labels, correct = [0] * 12 + [1] * 8, [True] * 9 + [False] * 3 + [True] * 8
    text = format_accuracy_section(bundle, make_folder(make_predictions([0.9] * 20, labels, correct)))
    rows = {
        name: (value, interval, pictures) for name, value, interval, pictures in read_rows(text, "metric")
    }
    assert {name: (value, pictures) for name, (value, _, pictures) in rows.items()} == {
        "accuracy": ("85.0 %", "20"),
        "recall of happy": ("75.0 %", "12"),
        "precision of happy": ("100.0 %", "9"),
        "recall of sad": ("100.0 %", "8"),
        "precision of sad": ("72.7 %", "11"),
        "calibration error": ("0.050", "20"),
        "accuracy of the surest 80 %": ("85.0 %", "20"),
    }
    assert all(" to " in interval for _, interval, _ in rows.values())


def test_only_a_bundle_that_detects_faces_is_measured_by_them(bundle: Bundle, face_bundle: Bundle) -> None:
    predictions = [make_prediction(), make_prediction(30), make_prediction(40, 20)]
    folder = make_folder(draw_calibrated(3), predictions=predictions)
    assert "faces detected" not in format_accuracy_section(bundle, folder)
    text = format_accuracy_section(face_bundle, folder)
    assert [row[:2] for row in read_rows(text, "faces detected")] == [
        ["none", "1"],
        ["1", "1"],
        ["2 or 3", "1"],
        ["4 and more", "0"],
    ]
    assert read_rows(text, "faces detected")[3][2:] == [EMPTY_CELL] * 4
    assert [row[1] for row in read_rows(text, "side of the largest face")] == ["0", "2", "0", "0"]


def test_every_change_has_a_row_and_a_description(bundle: Bundle) -> None:
    versions = [draw_calibrated(40) for _ in ("as it is", *CHANGES)]
    text = format_robustness_section(bundle, make_folder(*versions))
    rows = read_rows(text, "pictures")
    assert [row[0] for row in rows] == ["as they are", *(change.name for change in CHANGES)]
    assert rows[0][3:6] == [EMPTY_CELL] * 3
    assert {tuple(row[3:6:2]) for row in rows[1:]} == {("+0.0", "1.000")}
    assert all(f"- {change.name}: {change.description}" in text for change in CHANGES)


@pytest.mark.parametrize(
    ("p_value", "written"), [(0.0004, "under 0.001"), (0.001, "0.001"), (0.25, "0.250"), (1, "1.000")]
)
def test_a_difference_is_written_in_points_with_its_sign(p_value: float, written: str) -> None:
    comparison = PairedComparison(9, 4, p_value, gain=-0.05, low=-0.12, high=0.02)
    assert list_difference_cells(comparison) == ("-5.0", "-12.0 to +2.0", written)


def test_files_that_could_not_be_read_are_counted_by_their_reasons() -> None:
    predictions = make_predictions([0.9] * 3, [0, 0, 1], [True] * 3)
    skipped = [Reason.DAMAGED, Reason.EMPTY, Reason.DAMAGED]
    assert describe_pictures(make_folder(predictions), CLASSES) == (
        "3 pictures (2 happy, 1 sad). Every file could be read."
    )
    assert describe_pictures(make_folder(predictions, skipped=skipped), CLASSES) == (
        "3 pictures (2 happy, 1 sad). 3 files could not be read: 2 `damaged`, 1 `empty`."
    )


def test_a_split_and_a_sample_are_described() -> None:
    folder = make_folder(make_predictions([0.9] * 2, [0, 1], [True] * 2))
    assert describe_pictures(replace(folder, split=Split.TEST, files=50), CLASSES).startswith(
        "2 pictures (1 happy, 1 sad), of the test split, a random sample of 2 of 50."
    )
