"""moodsort classify as a person runs it: a child process over drawn photos."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.drawing import draw_jpeg
from tests.patience import scale

FIELDS = ["path", "label", "confidence", "probabilities", "faces", "reason", "detail"]


def moodsort(
    folder: Path, *arguments: str | bytes | Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from worker.cli import main; main()", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MOODSORT_")}
    environment |= variables
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=scale(50), check=False
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(["c.jpg", "a.jpg", "album/b.jpg", os.fsdecode(b"f\xfcr.jpg")]):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(draw_jpeg(number))
    (folder / "diary.jpg").write_text("Dear diary", encoding="utf-8")
    (folder / "empty.jpg").touch()
    (folder / "half.jpg").write_bytes(draw_jpeg()[:500])
    (folder / ".hidden.jpg").write_bytes(draw_jpeg())
    os.mkfifo(folder / "fifo.jpg")
    (folder / "link.jpg").symlink_to("a.jpg")
    return folder


@pytest.fixture(scope="module")
def rows(photos: Path) -> list[dict[str, Any]]:
    """Give the rows for the whole folder."""
    done = moodsort(photos, "classify", ".", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    table: list[dict[str, Any]] = json.loads(done.stdout)
    return table


def test_a_folder_is_walked_in_order_and_what_is_no_photo_is_left_out(rows: list[dict[str, Any]]) -> None:
    assert [row["path"] for row in rows] == [
        "a.jpg",
        "album/b.jpg",
        "c.jpg",
        "diary.jpg",
        "empty.jpg",
        r"f\xfcr.jpg",
        "half.jpg",
    ]


def test_every_row_has_every_field(rows: list[dict[str, Any]]) -> None:
    assert all(list(row) == FIELDS for row in rows)


def test_a_photo_has_a_label_whose_confidence_is_its_probability(rows: list[dict[str, Any]]) -> None:
    classified = [row for row in rows if row["label"]]
    assert len(classified) == 4
    for row in classified:
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["confidence"] == row["probabilities"][row["label"]]
        assert row["reason"] is row["detail"] is None


def test_what_has_no_prediction_has_a_reason_and_no_label(rows: list[dict[str, Any]]) -> None:
    refused = {row["path"]: row for row in rows if row["reason"]}
    assert {path: row["reason"] for path, row in refused.items()} == {
        "diary.jpg": "not_an_image",
        "empty.jpg": "empty",
        "half.jpg": "damaged",
    }
    for row in refused.values():
        assert row["label"] is row["confidence"] is row["probabilities"] is None
        assert row["detail"]


def test_nothing_is_moved_or_recorded(photos: Path, rows: list[dict[str, Any]]) -> None:
    assert not (photos / "photos").exists()
    assert not (photos / "moodsort.db").exists()
    assert (photos / "c.jpg").read_bytes() == draw_jpeg(0)


def test_paths_are_printed_as_they_were_named_and_in_their_order(photos: Path) -> None:
    names = ["link.jpg", "c.jpg", "./album/b.jpg", "c.jpg", os.fsdecode(b"f\xfcr.jpg"), "fifo.jpg"]
    done = moodsort(photos, "classify", *map(os.fsencode, names), "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in rows] == [
        "link.jpg",
        "c.jpg",
        "album/b.jpg",
        "c.jpg",
        r"f\xfcr.jpg",
        "fifo.jpg",
    ]
    assert rows[1] == rows[3]
    assert rows[5]["reason"] == "unreadable"


def test_csv_has_a_heading_and_a_row_for_each(photos: Path) -> None:
    done = moodsort(photos, "classify", "a.jpg", "empty.jpg", "--format", "csv")
    heading, classified, refused = csv.reader(io.StringIO(done.stdout))
    assert heading == FIELDS
    assert classified[0] == "a.jpg"
    assert json.loads(classified[3]).keys() == {"happy", "sad"}
    assert refused[1:6] == ["", "", "", "", "empty"]


def test_a_table_names_each_photo(photos: Path) -> None:
    done = moodsort(photos, "classify", "a.jpg", "empty.jpg")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any("a.jpg" in line for line in lines)
    assert any("empty.jpg" in line and "the file has 0" in line for line in lines)


def test_an_empty_folder_gives_an_empty_list(tmp_path: Path) -> None:
    done = moodsort(tmp_path, "classify", ".", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["classify", "none.jpg"], "none.jpg"),
        (["classify"], "PATHS"),
        (["classify", "-c", "none.toml", "."], "none.toml: there is no such file"),
        (["classify", ".", "--format", "xml"], "xml"),
    ],
    ids=["missing path", "no path", "missing configuration", "unknown format"],
)
def test_wrong_use_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], problem: str) -> None:
    done = moodsort(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("moodsort: ")
    assert problem in line


def test_a_bundle_that_is_not_there_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[model]\nbundle = "nowhere"', encoding="utf-8")
    done = moodsort(tmp_path, "classify", ".")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "nowhere/manifest.json: is not there; name a bundle's folder in model.bundle" in line


def test_tensorflow_is_never_imported() -> None:
    code = "import sys, worker.cli.classify, worker.pool.process; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scale(50)
    )
    assert not {"tensorflow", "keras", "trainer"} & set(done.stdout.split())


@pytest.mark.parametrize("output_format", ["table", "json", "csv"])
def test_a_name_that_the_encoding_of_the_output_lacks_stops_no_listing(
    tmp_path: Path, output_format: str
) -> None:
    (tmp_path / "Crémieux.txt").write_bytes(b"no picture")
    arguments = ("classify", "Crémieux.txt", "--format", output_format)
    process = moodsort(tmp_path, *arguments, PYTHONIOENCODING="ascii")
    assert process.returncode == 0, process.stderr
    assert "not_an_image" in process.stdout
    assert "mieux.txt" in process.stdout
