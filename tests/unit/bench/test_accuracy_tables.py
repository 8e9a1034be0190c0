"""How figures are written for a model card."""

from dataclasses import replace

import pytest

from tests.bench.accuracy_changes import CHANGES
from tests.bench.accuracy_tables import (
    NOTHING,
    accuracy_section,
    cell,
    difference_cells,
    judged_sentence,
    robustness_section,
    table,
)
from tests.face_networks import FACES
from tests.scene_bundle import make_scene_bundle
from tests.unit.bench.judged import CLASSES, answers, drawn_answers, seen, verdict
from trainer.data.class_folders import Split
from trainer.evaluation.comparison import PairedComparison
from worker.inference.bundle import Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_scene_bundle(tmp_path_factory.mktemp("bundles") / "one"))


@pytest.fixture(scope="module")
def face_bundle(bundle: Bundle) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, faces=FACES))


def rows_below(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column is called `heading`, without its heading."""
    lines = iter(text.splitlines())
    while not next(lines).startswith(f"| {heading} "):
        pass
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([each.strip() for each in line.strip("|").split("|")])
    return rows


def test_the_columns_of_a_table_line_up_in_plain_text() -> None:
    assert table(("figure", "value"), [("accuracy", "9.0 %"), ("recall", "100.0 %")]) == (
        "| figure   |   value |\n| -------- | ------: |\n| accuracy |   9.0 % |\n| recall   | 100.0 % |"
    )


def test_a_name_cannot_break_a_table() -> None:
    assert cell("a|b\nc") == "a\\|b\\nc"


def test_every_figure_has_its_interval_and_how_many_pictures_it_rests_on(bundle: Bundle) -> None:
    labels, right = [0] * 12 + [1] * 8, [True] * 9 + [False] * 3 + [True] * 8
    text = accuracy_section(bundle, seen(answers([0.9] * 20, labels, right)))
    rows = {
        name: (value, interval, pictures) for name, value, interval, pictures in rows_below(text, "figure")
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


def test_only_a_bundle_that_finds_faces_is_measured_by_them(bundle: Bundle, face_bundle: Bundle) -> None:
    judged = seen(drawn_answers(3), verdicts=[verdict(), verdict(30), verdict(40, 20)])
    assert "faces found" not in accuracy_section(bundle, judged)
    text = accuracy_section(face_bundle, judged)
    assert [row[:2] for row in rows_below(text, "faces found")] == [
        ["none", "1"],
        ["1", "1"],
        ["2 or 3", "1"],
        ["4 and more", "0"],
    ]
    assert rows_below(text, "faces found")[3][2:] == [NOTHING] * 4
    assert [row[1] for row in rows_below(text, "side of the largest face")] == ["0", "2", "0", "0"]


def test_every_change_has_a_row_and_says_what_it_is(bundle: Bundle) -> None:
    clean = drawn_answers(40)
    text = robustness_section(bundle, seen(clean, *(drawn_answers(40) for _ in CHANGES)))
    rows = rows_below(text, "pictures")
    assert [row[0] for row in rows] == ["as they are", *(change.name for change in CHANGES)]
    assert rows[0][3:6] == [NOTHING] * 3
    assert {tuple(row[3:6:2]) for row in rows[1:]} == {("+0.0", "1.000")}
    assert all(f"- {change.name}: {change.how}" in text for change in CHANGES)


@pytest.mark.parametrize(
    ("p_value", "written"), [(0.0004, "under 0.001"), (0.001, "0.001"), (0.25, "0.250"), (1, "1.000")]
)
def test_a_difference_is_written_in_points_with_its_sign(p_value: float, written: str) -> None:
    found = PairedComparison(9, 4, p_value, gain=-0.05, low=-0.12, high=0.02)
    assert difference_cells(found) == ("-5.0", "-12.0 to +2.0", written)


def test_what_could_not_be_judged_is_counted_by_its_reason() -> None:
    whole = answers([0.9] * 3, [0, 0, 1], [True] * 3)
    refused = ["damaged", "empty", "damaged"]
    assert judged_sentence(seen(whole), CLASSES) == (
        "3 pictures (2 happy, 1 sad). Every file could be judged."
    )
    assert judged_sentence(seen(whole, unjudged=refused), CLASSES) == (
        "3 pictures (2 happy, 1 sad). 3 files could not be judged: 2 `damaged`, 1 `empty`."
    )


def test_a_part_and_a_draw_are_told() -> None:
    judged = replace(seen(answers([0.9] * 2, [0, 1], [True] * 2)), split=Split.TEST, files=50)
    assert judged_sentence(judged, CLASSES).startswith(
        "2 pictures (1 happy, 1 sad), of the test part, a draw of 2 of 50."
    )
