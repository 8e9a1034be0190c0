"""`moodsort run --once --dry-run`: it lists what a run would do, and changes nothing."""

import csv
import io
import json
from typing import Any

import pytest

from tests.drawing import draw_jpeg
from tests.home import Home


def list_proposals(home: Home) -> dict[str, dict[str, Any]]:
    """Return the rows of a dry run by their paths; fail where it changes anything below the home."""
    before = {path: path.lstat().st_mtime_ns for path in home.folder.rglob("*")}
    completed = home.run_command("run", "--once", "--dry-run", "--format", "json")
    assert completed.returncode == 0, completed.stderr
    assert {path: path.lstat().st_mtime_ns for path in home.folder.rglob("*")} == before
    return {row["path"]: row for row in json.loads(completed.stdout)}


def test_a_dry_run_says_what_the_run_after_it_does(home: Home) -> None:
    home.drop_photos(3)
    home.drop("below/broken.jpg", b"this is no picture")
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/1.jpg", draw_jpeg(9))
    proposals = list_proposals(home)
    home.run_once()
    assert {path: row["destination"] for path, row in proposals.items()} == {
        str(row.source): str(row.path) for row in home.read_rows()
    }
    assert {path: row["reason"] for path, row in proposals.items()} == {
        str(row.source): row.reason for row in home.read_rows()
    }
    assert proposals["inbox/1.jpg"]["destination"].endswith("/1 (2).jpg")
    assert proposals["inbox/0.jpg"]["destination"] == f"{proposals['inbox/0.jpg']['label']}/0.jpg"
    assert 0.5 <= proposals["inbox/0.jpg"]["confidence"] <= 1
    assert proposals["inbox/below/broken.jpg"]["reason"] == "not_an_image"
    home.check_promises()


def test_two_photos_are_never_promised_one_name(home: Home) -> None:
    home.configure(model={"min_confidence": 1.0})
    home.drop("a.jpg", draw_jpeg(1))
    home.drop("a (2).jpg", draw_jpeg(2))
    home.add_bystander("review/a.jpg", draw_jpeg(9))
    destinations = {path: row["destination"] for path, row in list_proposals(home).items()}
    assert destinations == {"inbox/a (2).jpg": "review/a (2).jpg", "inbox/a.jpg": "review/a (3).jpg"}


def test_a_file_that_somebody_is_writing_is_left_where_it_is(home: Home) -> None:
    with (home.inbox / "slow.jpg").open("wb") as file:
        file.write(draw_jpeg(1)[:100])
        file.flush()
        row = list_proposals(home)["inbox/slow.jpg"]
    assert (row["destination"], row["detail"]) == (None, "it is still being written")


def test_a_dry_run_works_beside_a_worker(home: Home) -> None:
    with home.watch() as worker:
        assert list_proposals(home) == {}
        assert worker.end() == 0


def test_a_dry_run_makes_no_folder_and_no_database(home: Home) -> None:
    home.inbox.rmdir()
    home.root.rmdir()
    completed = home.run_command("run", "--once", "--dry-run")
    assert (completed.returncode, completed.stdout) == (0, "")
    assert completed.stderr == "the inbox is empty\n"
    assert list(home.folder.iterdir()) == [home.config]


def test_the_list_comes_in_any_format(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    table = home.run_command("run", "--once", "--dry-run").stdout
    assert table.splitlines()[0].split("\t")[:3] == ["path", "destination", "label"]
    printed = home.run_command("run", "--once", "--dry-run", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(printed))
    assert row["path"] == "inbox/a.jpg"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--dry-run"], "--dry-run lists what is in the inbox now; add --once"),
        (["--once", "--format", "csv"], "--format is that of the list of --dry-run; add --once --dry-run"),
    ],
)
def test_options_that_do_not_go_together_are_refused(home: Home, options: list[str], error: str) -> None:
    completed = home.run_command("run", *options)
    assert completed.returncode == 2
    assert error in completed.stderr


def test_a_configuration_that_a_run_would_refuse_is_refused(home: Home) -> None:
    home.configure(folders={"review": "happy"})
    completed = home.run_command("run", "--once", "--dry-run")
    assert completed.returncode == 2
    assert "has a class of that name; rename it" in completed.stderr
