"""A start that cannot succeed is refused before any photo is touched, in one line with the remedy."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from tests.home import Home
from worker.config import BUILT_IN_BUNDLE
from worker.store.sqlite import sqlite3


def mistype_a_key(home: Home) -> None:
    home.configure(model={"min_confidense": 0.5})


def put_a_file_where_the_inbox_is(home: Home) -> None:
    home.configure(folders={"inbox": "in"})
    (home.root / "in").write_bytes(b"a file")


def put_a_file_where_a_label_folder_is(home: Home) -> None:
    (home.root / "happy").write_bytes(b"a file")


def make_a_link_of_the_label_folder(home: Home) -> None:
    (home.folder / "disk").mkdir()
    (home.root / "happy").symlink_to(home.folder / "disk")


def make_a_link_of_the_review_folder(home: Home) -> None:
    (home.folder / "disk").mkdir()
    (home.root / "review").symlink_to(home.folder / "disk")


def put_the_database_below_a_file(home: Home) -> None:
    (home.folder / "file").write_bytes(b"a file")
    home.configure(database={"url": f"sqlite:///{home.folder}/file/moodsort.db"})


def name_a_folder_as_database(home: Home) -> None:
    (home.folder / "folder").mkdir()
    home.configure(database={"url": f"sqlite:///{home.folder}/folder"})


def name_another_file_as_database(home: Home) -> None:
    home.database.write_bytes(b"this is no database" * 99)


def make_the_database_newer(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")


def flip_a_byte_of_the_bundle(home: Home) -> None:
    bundle = home.folder / "bundle"
    shutil.copytree(BUILT_IN_BUNDLE, bundle)
    weights = next(bundle.glob("*.tflite"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    home.configure(model={"bundle": str(bundle)})


def make_the_bundle_newer(home: Home) -> None:
    bundle = home.folder / "bundle"
    shutil.copytree(BUILT_IN_BUNDLE, bundle)
    manifest = bundle / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    home.configure(model={"bundle": str(bundle)})


@pytest.mark.parametrize(
    ("spoil", "status", "subject", "remedy"),
    [
        (mistype_a_key, 2, "config.toml", "min_confidence"),
        (put_a_file_where_the_inbox_is, 2, "photos/in", "move the file away or change folders.inbox"),
        (put_a_file_where_a_label_folder_is, 1, "photos/happy", "move it away"),
        (make_a_link_of_the_label_folder, 1, "photos/happy: is a symbolic link", "mount"),
        (make_a_link_of_the_review_folder, 2, "photos/review: is a symbolic link", "change folders.review"),
        (put_the_database_below_a_file, 2, "moodsort.db", "check its folder"),
        (name_a_folder_as_database, 1, "folder", "check that its folder is there and writable"),
        (name_another_file_as_database, 1, "moodsort.db", "name another file in database.url"),
        (make_the_database_newer, 1, "moodsort.db", "upgrade moodsort"),
        (flip_a_byte_of_the_bundle, 1, ".tflite", "copy the bundle again"),
        (make_the_bundle_newer, 1, "manifest.json", "upgrade moodsort"),
    ],
)
def test_a_start_is_refused_in_one_line_and_no_photo_is_touched(
    home: Home, spoil: Callable[[Home], None], status: int, subject: str, remedy: str
) -> None:
    path = home.drop("a.jpg", draw_jpeg(1))
    spoil(home)
    completed = home.run_command("run", "--once")
    assert completed.returncode == status
    (line,) = completed.stderr.splitlines()
    assert line.startswith("moodsort: ")
    assert subject in line
    assert remedy in line
    assert completed.stdout == ""
    assert path.read_bytes() == draw_jpeg(1)
    assert [copy for copy in home.root.rglob("*.jpg") if copy != path] == []


def test_the_built_in_labels_are_those_that_these_tests_rely_on() -> None:
    manifest = json.loads((Path(BUILT_IN_BUNDLE) / "manifest.json").read_text())
    assert set(manifest["classes"]) == {"happy", "sad"}
