"""`moodsort dataset check` on folders of drawn pictures."""

import json
import os
import re
from pathlib import Path

import click
import pytest
from PIL import ImageOps

from tests.distinct_pictures import draw_distinct_picture, fill_folder, write_file
from tests.drawing import draw_jpeg, encode_image
from trainer.cli.dataset import check
from trainer.data.audit.set_aside import SetAsideFailed, set_aside
from trainer.data.class_folders import ClassFile
from worker.errors import ConfigError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give two classes in which nothing is wrong."""
    fill_folder(tmp_path / "data" / "happy", first=0)
    fill_folder(tmp_path / "data" / "sad", first=100)
    return tmp_path / "data"


def run(*arguments: object) -> int:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    status: int = check.main(words, standalone_mode=False)
    return status


def list_findings(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, object]]:
    capsys.readouterr()
    run(*arguments, "--format", "json")
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_good_folders_have_no_findings_and_status_0(data, capsys):
    assert run(data) == 0

    captured = capsys.readouterr()
    assert "nothing found" in captured.out
    assert "10 pictures (5 happy, 5 sad)" in captured.err
    assert list_findings(capsys, data) == []


def test_copies_in_every_disguise_are_near_duplicates(data, capsys):
    for seed, disguise in enumerate(("reencoded", "resized", "mirrored")):
        picture = draw_distinct_picture(seed)
        if disguise == "resized":
            picture = picture.resize((100, 75))
        elif disguise == "mirrored":
            picture = ImageOps.mirror(picture)
        write_file(data / "happy" / f"{disguise}.jpg", encode_image(picture, "JPEG", quality=60))

    findings = list_findings(capsys, data)

    pairs = [[Path(path).name for path in finding["paths"]] for finding in findings]
    assert pairs == [["0.jpg", "reencoded.jpg"], ["1.jpg", "resized.jpg"], ["2.jpg", "mirrored.jpg"]]
    assert {finding["kind"] for finding in findings} == {"near_duplicate"}
    assert run(data) == 0


def test_what_is_beyond_doubt_is_moved_aside_and_nothing_is_lost_or_changed(data, tmp_path, capsys):
    copy = write_file(data / "happy" / "deep" / "copy.jpg", (data / "happy" / "0.jpg").read_bytes())
    torn = write_file(data / "sad" / "torn.jpg", draw_jpeg()[:200])
    both = write_file(data / "sad" / "both.jpg", (data / "happy" / "1.jpg").read_bytes())
    write_file(tmp_path / "data-set-aside" / "sad" / "torn.jpg", b"of an earlier time")
    before = read_tree(tmp_path)

    assert run(data) == 1
    assert run(data, "--fix") == 1  # one file in two classes is for a person to decide

    new_names = {
        "data/happy/deep/copy.jpg": "data-set-aside/happy/deep/copy.jpg",
        "data/sad/torn.jpg": "data-set-aside/sad/torn (2).jpg",
    }
    assert read_tree(tmp_path) == {new_names.get(name, name): content for name, content in before.items()}
    messages = capsys.readouterr().err
    assert f"moved {copy} to" in messages
    assert f"moved {torn} to" in messages
    both.unlink()
    assert run(data, "--fix") == 0


def test_of_copies_in_several_splits_the_one_of_the_test_stays(tmp_path):
    for split, first in (("train", 0), ("val", 20), ("test", 40)):
        fill_folder(tmp_path / "data" / split / "happy", first)
        fill_folder(tmp_path / "data" / split / "sad", first + 100)
    test = tmp_path / "data" / "test" / "happy" / "40.jpg"
    copy = write_file(tmp_path / "data" / "train" / "happy" / "copy.jpg", test.read_bytes())

    assert run(tmp_path / "data") == 1
    assert run(tmp_path / "data", "--fix") == 0

    assert test.exists()
    assert not copy.exists()
    assert (tmp_path / "data-set-aside" / "train" / "happy" / "copy.jpg").exists()


def test_near_duplicates_across_given_splits_are_found_and_their_share_is_printed(tmp_path, capsys):
    for split, first in (("train", 0), ("test", 40)):
        fill_folder(tmp_path / "data" / split / "happy", first)
        fill_folder(tmp_path / "data" / split / "sad", first + 100)
    mirrored = ImageOps.mirror(draw_distinct_picture(100))
    write_file(tmp_path / "data" / "test" / "sad" / "mirrored.png", encode_image(mirrored, "PNG"))

    (finding,) = list_findings(capsys, tmp_path / "data")
    run(tmp_path / "data")

    assert finding["kind"] == "near_across_splits"
    assert "leakage: 1 of 11 pictures in test/ (9.1%)" in capsys.readouterr().err


def test_links_and_files_that_two_paths_lead_to_are_never_moved(data):
    original = data / "happy" / "0.jpg"
    (data / "happy" / "a link.jpg").symlink_to(original)
    (data / "happy" / "dangling.jpg").symlink_to(data / "nowhere")
    before = read_tree(data)

    run(data, data, "--fix")

    assert read_tree(data) == before
    assert (data / "happy" / "dangling.jpg").is_symlink()


def test_a_pipe_among_the_pictures_does_not_stop_the_check(data, capsys):
    os.mkfifo(data / "sad" / "pipe.jpg")

    (finding,) = list_findings(capsys, data, "--fix")

    assert finding["detail"] == "it is not a regular file"
    assert (data / "sad" / "pipe.jpg").exists()


def test_files_are_moved_where_the_file_system_has_no_links(data, tmp_path, monkeypatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    torn = write_file(data / "sad" / "torn.jpg", b"\xff\xd8\xff torn")
    write_file(tmp_path / "data-set-aside" / "sad" / "torn.jpg", b"earlier")

    assert run(data, "--fix") == 0

    assert not torn.exists()
    assert (tmp_path / "data-set-aside" / "sad" / "torn (2).jpg").read_bytes() == b"\xff\xd8\xff torn"
    assert (tmp_path / "data-set-aside" / "sad" / "torn.jpg").read_bytes() == b"earlier"


def test_a_file_that_cannot_be_moved_stays_and_is_named_in_one_line(data, tmp_path):
    write_file(tmp_path / "data-set-aside", b"a file in the way")
    torn = write_file(data / "sad" / "torn.jpg", b"torn")

    with pytest.raises(SetAsideFailed, match=r"torn\.jpg: cannot be moved to .*; it stays") as failure:
        list(set_aside([(ClassFile(torn, data, "sad", None), "torn")]))

    assert "\n" not in str(failure.value)
    assert torn.read_bytes() == b"torn"


def test_the_page_is_one_file_in_which_no_name_is_markup(data, tmp_path):
    name = "<img src=x onerror=alert(1)>\u202e\x1b[31m.jpg"
    write_file(data / "happy" / name, (data / "happy" / "0.jpg").read_bytes())
    write_file(data / "sad" / os.fsdecode(b"<b>\xff.jpg"), b"no picture")
    page = tmp_path / "page.html"

    assert run(data, "--page", page) == 1

    text = page.read_text("utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;\\u202e\\x1b[31m.jpg" in text
    assert "&lt;b&gt;\\xff.jpg" in text
    assert text.count('src="data:image/jpeg;base64,') == 2
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "prefers-color-scheme: dark" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "page.html"]


def test_a_page_never_takes_the_place_of_a_picture_or_a_folder(data, tmp_path):
    (tmp_path / "folder.html").mkdir()
    for page in (data / "happy" / "0.jpg", tmp_path / "folder.html", tmp_path / "nowhere" / "page.html"):
        before = read_tree(data)
        with pytest.raises(ConfigError, match="give --page another name"):
            run(data, "--page", page)
        assert read_tree(data) == before


def test_the_table_has_a_line_for_each_kind_with_count_and_example(data, capsys):
    for number in range(3):
        write_file(data / "sad" / f"{number}.txt", b"no picture")

    run(data)

    line = next(line for line in capsys.readouterr().out.splitlines() if "unreadable files" in line)
    assert re.search(r"unreadable files\t3\tbeyond doubt\t.*0\.txt: nothing in it looks like", line)


def test_all_unreadable_is_found_rather_than_refused(tmp_path, capsys):
    for label in ("happy", "sad"):
        write_file(tmp_path / "data" / label / "notes.txt", b"no picture")

    findings = list_findings(capsys, tmp_path / "data", "--labels")

    assert [finding["kind"] for finding in findings] == [
        "unreadable",
        "unreadable",
        "few_pictures",
        "few_pictures",
    ]


def test_folders_without_two_classes_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    fill_folder(tmp_path / "one" / "happy", first=0, count=1)
    file = write_file(tmp_path / "file", b"")
    sentences = {"empty": "no class folders", "one": "one class folder, happy", "file": "is not a folder"}

    for name, sentence in sentences.items():
        with pytest.raises(ConfigError, match=sentence) as refusal:
            run(tmp_path / name)
        assert "\n" not in str(refusal.value)
    assert file.exists()
    with pytest.raises(click.UsageError):
        run()


def test_missing_libraries_are_named_with_the_command_that_installs_them(data, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r"pipx install --force '\.\[train\]'"):
        run(data, "--labels")
