"""`moodsort verify`: what is wrong between the log and the files, both ways."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.home import Home
from worker.cli import moodsort
from worker.daemon import verification
from worker.errors import MoodsortError, Reason
from worker.fileio import identify_path
from worker.inference.prediction import Prediction
from worker.store import Arrival, Content, Decision, Store, open_store
from worker.store.times import parse_time

NOW = parse_time("2026-03-01T12:00:00.000Z")


class Shelf:
    """Photos that were filed, in the log and on the disk."""

    def __init__(self, home: Home, store: Store) -> None:
        self.home = home
        self.store = store
        self.model_id = store.use_model("small", "aaa", ["happy", "sad"], [], NOW)

    def file(self, name: str, data: bytes, reason: Reason | None = None) -> Path:
        path = self.home.root / name
        self.put(name, data)
        identity = identify_path(path)
        assert identity is not None
        content = Content(hashlib.sha256(data).hexdigest(), len(data), None, None)
        prediction = None if reason else Prediction("happy", 0.9, {"happy": 0.9, "sad": 0.1}, faces=None)
        with self.store.begin_turn() as turn:
            (photo_id,) = turn.take_on([Arrival(Path("inbox") / name, len(data), NOW)])
            assert photo_id is not None
            folder = Path(name).parts[0]
            decision = Decision(
                photo_id, folder, Path(name), content, prediction, reason, reason, NOW, identity.remember()
            )
            turn.decide(decision, self.model_id)
            turn.record_filed(photo_id, identity.remember(), NOW)
        return path

    def put(self, name: str, data: bytes) -> Path:
        path = self.home.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def verify(self, *options: str) -> list[tuple[str, int | None, str]]:
        result = CliRunner().invoke(
            moodsort,
            ["verify", "--config", str(self.home.config), "--format", "json", *options],
            standalone_mode=False,
        )
        if result.exception is not None:
            raise result.exception
        self.rows: list[dict[str, Any]] = json.loads(result.stdout)
        self.status = result.return_value
        return [(row["kind"], row["photo_id"], row["path"]) for row in self.rows]

    def count_statuses(self) -> Counter[str]:
        return self.home.count_statuses()


@pytest.fixture(params=["sqlite", "postgres"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    home = Home(tmp_path, url)
    store = open_store(home.database_url)
    yield Shelf(home, store)
    store.close()


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_SLICE_PHOTOS", 2)


def test_a_log_and_its_files_agree(shelf: Shelf) -> None:
    for number in range(5):
        shelf.file(f"happy/beach/{number}.jpg", b"%d" % number)
    shelf.file("quarantine/a.txt", b"no photo", Reason.NOT_AN_IMAGE)
    assert shelf.verify() == []
    assert shelf.status == 0


def test_each_thing_that_is_wrong_is_listed_with_what_would_mend_it(shelf: Shelf) -> None:
    shelf.file("happy/right.jpg", b"right")
    shelf.file("happy/gone.jpg", b"gone").unlink()
    shelf.file("happy/longer.jpg", b"short").write_bytes(b"longer")
    shelf.file("happy/rotten.jpg", b"1234567").write_bytes(b"1234568")
    shelf.put("sad/mine.jpg", b"mine")
    shelf.put("sad/.moodsort-1.part", b"on its way")
    shelf.put("sad/right.jpg.xmp", b"a companion")
    assert shelf.verify() == [
        ("missing", 2, "happy/gone.jpg"),
        ("changed", 3, "happy/longer.jpg"),
        ("changed", 4, "happy/rotten.jpg"),
        ("unknown", None, "sad/mine.jpg"),
    ]
    assert shelf.status == 1
    assert all(row["remedy"] for row in shelf.rows)


def test_without_hashing_a_change_of_the_same_size_is_not_seen(shelf: Shelf) -> None:
    shelf.file("happy/rotten.jpg", b"1234567").write_bytes(b"1234568")
    assert shelf.verify("--quick") == []
    assert shelf.verify() == [("changed", 1, "happy/rotten.jpg")]


@pytest.mark.parametrize("options", [(), ("--quick",)])
def test_a_photo_that_was_moved_by_hand_is_found_by_its_identity(
    shelf: Shelf, options: tuple[str, ...]
) -> None:
    path = shelf.file("happy/a.jpg", b"photo")
    (shelf.home.root / "sad").mkdir()
    path.rename(shelf.home.root / "sad/b.jpg")
    assert shelf.verify(*options) == [("moved", 1, "happy/a.jpg")]
    assert shelf.rows[0]["detail"] == "it is at sad/b.jpg"


def test_a_photo_that_was_copied_away_is_found_by_its_hash(shelf: Shelf) -> None:
    path = shelf.file("happy/a.jpg", b"photo")
    shelf.put("sad/other.jpg", b"other")
    shelf.put("sad/b.jpg", b"photo")
    path.unlink()
    assert shelf.verify() == [("moved", 1, "happy/a.jpg"), ("unknown", None, "sad/other.jpg")]


def test_two_photos_that_were_swapped_are_both_found(shelf: Shelf) -> None:
    first, second = shelf.file("happy/1.jpg", b"first"), shelf.file("happy/2.jpg", b"2nd..")
    first.write_bytes(b"2nd..")
    second.write_bytes(b"first")
    assert shelf.verify() == [("moved", 1, "happy/1.jpg"), ("moved", 2, "happy/2.jpg")]


def test_a_name_that_a_newer_photo_has_taken_over_leaves_the_older_one_missing(shelf: Shelf) -> None:
    shelf.file("happy/a.jpg", b"older").unlink()
    shelf.file("happy/a.jpg", b"newer")
    assert shelf.verify() == [("missing", 1, "happy/a.jpg")]


def test_what_is_missing_or_there_again_is_only_marked_on_request(shelf: Shelf) -> None:
    path = shelf.file("happy/a.jpg", b"photo")
    shelf.file("happy/b.jpg", b"stays")
    path.unlink()
    shelf.verify()
    assert shelf.count_statuses() == {"filed": 2}
    assert shelf.verify("--mark") == [("missing", 1, "happy/a.jpg")]
    assert shelf.status == 0
    assert shelf.count_statuses() == {"filed": 1, "missing": 1}
    assert shelf.verify() == []
    shelf.put("happy/a.jpg", b"photo")
    assert shelf.verify() == [("returned", 1, "happy/a.jpg")]
    assert shelf.verify("--mark") == [("returned", 1, "happy/a.jpg")]
    assert shelf.count_statuses() == {"filed": 2}


def test_photos_whose_folder_is_gone_are_never_marked(shelf: Shelf) -> None:
    shelf.file("happy/a.jpg", b"photo").unlink()
    (shelf.home.root / "happy").rmdir()
    assert shelf.verify("--mark") == [("folder_gone", 1, "happy/a.jpg")]
    assert shelf.count_statuses() == {"filed": 1}


def test_no_link_below_the_root_is_followed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.file("happy/trip/a.jpg", b"photo")
    (shelf.home.root / "happy/trip").rename(tmp_path / "elsewhere")
    (shelf.home.root / "happy/trip").symlink_to(tmp_path / "elsewhere")
    assert shelf.verify("--mark") == [("unreadable", 1, "happy/trip/a.jpg")]
    assert shelf.status == 1


def test_a_name_that_is_not_utf8_is_compared_byte_for_byte(shelf: Shelf) -> None:
    name = os.fsdecode(b"happy/\xff.jpg")
    shelf.file(name, b"photo")
    assert shelf.verify() == []


def test_a_photo_on_its_way_is_not_taken_for_an_unknown_file(shelf: Shelf) -> None:
    shelf.file("happy/a.jpg", b"photo")
    with shelf.store.begin_turn() as turn:
        (photo_id,) = turn.take_on([Arrival(Path("inbox/b.jpg"), 5, NOW)])
        assert photo_id is not None
        content = Content("ab" * 32, 5, None, None)
        prediction = Prediction("happy", 0.9, {"happy": 0.9, "sad": 0.1}, faces=None)
        decision = Decision(
            photo_id, "happy", Path("happy/b.jpg"), content, prediction, None, None, NOW, None
        )
        turn.decide(decision, shelf.model_id)
    shelf.put("happy/b.jpg", b"photo")
    assert shelf.verify() == []


def test_a_root_that_is_not_there_is_one_line(shelf: Shelf) -> None:
    (shelf.home.root / "inbox").rmdir()
    shelf.home.root.rmdir()
    with pytest.raises(MoodsortError, match=r"cannot be read .*; check folders.root"):
        shelf.verify()
