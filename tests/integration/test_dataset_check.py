"""`moodsort dataset check` on folders of drawn pictures."""

import json
import os
import re
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.drawing import encoded, photo_bytes
from trainer.cli.dataset import check
from trainer.data.audit.set_aside import SetAsideFailed, set_aside
from trainer.data.class_folders import ClassFile, Split, find_classes
from trainer.data.dataset import read_dataset
from trainer.data.near_duplicates import group_near_duplicates
from trainer.training.configuration import TrainingConfig
from worker.errors import ConfigError
from worker.inference.bundle import InputSpec


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def drawn(seed: int) -> Image.Image:
    """Draw a picture like no other: patches of colour under a fine grain."""
    draw = np.random.default_rng(seed)
    patches = Image.fromarray(draw.integers(0, 256, (7, 9, 3), np.uint8))
    smooth = np.asarray(patches.resize((120, 90), Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((smooth + draw.normal(0, 20, smooth.shape)).clip(0, 255).astype(np.uint8))


def fill(folder: Path, first: int, count: int = 5) -> list[Path]:
    return [
        put(folder / f"{seed}.jpg", encoded(drawn(seed), "JPEG", quality=92))
        for seed in range(first, first + count)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give two classes in which nothing is wrong."""
    fill(tmp_path / "data" / "happy", first=0)
    fill(tmp_path / "data" / "sad", first=100)
    return tmp_path / "data"


def run(*arguments: object) -> int:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    status: int = check.main(words, standalone_mode=False)
    return status


def findings(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, object]]:
    capsys.readouterr()
    run(*arguments, "--format", "json")
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


def tree(folder: Path) -> dict[str, bytes]:
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
    assert findings(capsys, data) == []


def test_copies_in_every_disguise_are_near_duplicates(data, capsys):
    for seed, disguise in enumerate(("recoded", "resized", "mirrored")):
        picture = drawn(seed)
        if disguise == "resized":
            picture = picture.resize((100, 75))
        elif disguise == "mirrored":
            picture = ImageOps.mirror(picture)
        put(data / "happy" / f"{disguise}.jpg", encoded(picture, "JPEG", quality=60))

    found = findings(capsys, data)

    pairs = [[Path(path).name for path in row["paths"]] for row in found]
    assert pairs == [["0.jpg", "recoded.jpg"], ["1.jpg", "resized.jpg"], ["2.jpg", "mirrored.jpg"]]
    assert {row["kind"] for row in found} == {"near_duplicate"}
    assert run(data) == 0


def test_what_is_beyond_doubt_is_moved_aside_and_nothing_is_lost_or_changed(data, tmp_path, capsys):
    copy = put(data / "happy" / "deep" / "copy.jpg", (data / "happy" / "0.jpg").read_bytes())
    torn = put(data / "sad" / "torn.jpg", photo_bytes()[:200])
    both = put(data / "sad" / "both.jpg", (data / "happy" / "1.jpg").read_bytes())
    put(tmp_path / "data-set-aside" / "sad" / "torn.jpg", b"of an earlier time")
    before = tree(tmp_path)

    assert run(data) == 1
    assert run(data, "--fix") == 1  # one file in two classes is for a person to decide

    moved = {
        "data/happy/deep/copy.jpg": "data-set-aside/happy/deep/copy.jpg",
        "data/sad/torn.jpg": "data-set-aside/sad/torn (2).jpg",
    }
    assert tree(tmp_path) == {moved.get(name, name): content for name, content in before.items()}
    said = capsys.readouterr().err
    assert f"moved {copy} to" in said
    assert f"moved {torn} to" in said
    both.unlink()
    assert run(data, "--fix") == 0


def test_of_copies_in_several_parts_the_one_of_the_test_stays(tmp_path):
    for part, first in (("train", 0), ("val", 20), ("test", 40)):
        fill(tmp_path / "data" / part / "happy", first)
        fill(tmp_path / "data" / part / "sad", first + 100)
    test = tmp_path / "data" / "test" / "happy" / "40.jpg"
    copy = put(tmp_path / "data" / "train" / "happy" / "copy.jpg", test.read_bytes())

    assert run(tmp_path / "data") == 1
    assert run(tmp_path / "data", "--fix") == 0

    assert test.exists()
    assert not copy.exists()
    assert (tmp_path / "data-set-aside" / "train" / "happy" / "copy.jpg").exists()


def test_twins_across_given_parts_are_found_and_their_share_is_told(tmp_path, capsys):
    for part, first in (("train", 0), ("test", 40)):
        fill(tmp_path / "data" / part / "happy", first)
        fill(tmp_path / "data" / part / "sad", first + 100)
    mirrored = ImageOps.mirror(drawn(100))
    put(tmp_path / "data" / "test" / "sad" / "twin.png", encoded(mirrored, "PNG"))

    (found,) = findings(capsys, tmp_path / "data")
    run(tmp_path / "data")

    assert found["kind"] == "near_across_parts"
    assert "leakage: 1 of 11 pictures in test/ (9.1%)" in capsys.readouterr().err


def test_links_and_files_that_two_paths_lead_to_are_never_moved(data):
    original = data / "happy" / "0.jpg"
    (data / "happy" / "a link.jpg").symlink_to(original)
    (data / "happy" / "dangling.jpg").symlink_to(data / "nowhere")
    before = tree(data)

    run(data, data, "--fix")

    assert tree(data) == before
    assert (data / "happy" / "dangling.jpg").is_symlink()


def test_a_pipe_among_the_pictures_does_not_stop_the_check(data, capsys):
    os.mkfifo(data / "sad" / "pipe.jpg")

    (found,) = findings(capsys, data, "--fix")

    assert found["detail"] == "it is no regular file"
    assert (data / "sad" / "pipe.jpg").exists()


def test_files_are_moved_where_the_file_system_has_no_links(data, tmp_path, monkeypatch):
    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    torn = put(data / "sad" / "torn.jpg", b"\xff\xd8\xff torn")
    put(tmp_path / "data-set-aside" / "sad" / "torn.jpg", b"earlier")

    assert run(data, "--fix") == 0

    assert not torn.exists()
    assert (tmp_path / "data-set-aside" / "sad" / "torn (2).jpg").read_bytes() == b"\xff\xd8\xff torn"
    assert (tmp_path / "data-set-aside" / "sad" / "torn.jpg").read_bytes() == b"earlier"


def test_a_file_that_cannot_be_moved_stays_and_is_named_in_one_line(data, tmp_path):
    put(tmp_path / "data-set-aside", b"a file in the way")
    torn = put(data / "sad" / "torn.jpg", b"torn")

    with pytest.raises(SetAsideFailed, match=r"torn\.jpg: cannot be moved to .*; it stays") as failure:
        list(set_aside([(ClassFile(torn, data, "sad", None), "torn")]))

    assert "\n" not in str(failure.value)
    assert torn.read_bytes() == b"torn"


def test_the_page_is_one_file_in_which_no_name_is_markup(data, tmp_path):
    name = "<img src=x onerror=alert(1)>\u202e\x1b[31m.jpg"
    put(data / "happy" / name, (data / "happy" / "0.jpg").read_bytes())
    put(data / "sad" / os.fsdecode(b"<b>\xff.jpg"), b"no picture")
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
    for place in (data / "happy" / "0.jpg", tmp_path / "folder.html", tmp_path / "nowhere" / "page.html"):
        before = tree(data)
        with pytest.raises(ConfigError, match="give --page another name"):
            run(data, "--page", place)
        assert tree(data) == before


def test_the_table_has_a_line_for_each_kind_with_count_and_example(data, capsys):
    for number in range(3):
        put(data / "sad" / f"{number}.txt", b"no picture")

    run(data)

    line = next(line for line in capsys.readouterr().out.splitlines() if "unreadable files" in line)
    assert re.search(r"unreadable files +3 +beyond doubt +.*0\.txt: nothing in it looks like", line)


def test_all_unreadable_is_found_rather_than_refused(tmp_path, capsys):
    for label in ("happy", "sad"):
        put(tmp_path / "data" / label / "notes.txt", b"no picture")

    found = findings(capsys, tmp_path / "data", "--labels")

    assert [row["kind"] for row in found] == ["unreadable", "unreadable", "few_pictures", "few_pictures"]


def test_folders_without_two_classes_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "one" / "happy", first=0, count=1)
    file = put(tmp_path / "file", b"")
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

    with pytest.raises(ConfigError, match=r"pip install 'moodsort\[train\]'"):
        run(data, "--labels")


def test_parts_are_told_from_classes_by_what_is_in_them(tmp_path):
    divided, trains, lone = tmp_path / "divided", tmp_path / "trains", tmp_path / "lone"
    for part in ("train", "validation", "test"):
        fill(divided / part / "happy", first=0, count=1)
        fill(divided / part / "sad", first=10, count=1)
    fill(trains / "train", first=0, count=1)
    fill(trains / "tram", first=10, count=1)
    fill(lone / "train" / "happy", first=0, count=1)
    fill(lone / "train" / "sad", first=10, count=1)

    def parts(folder: Path) -> dict[str, list[Split | None]]:
        return {name: [file.split for file in files] for name, files in find_classes([folder]).items()}

    each = [Split.TEST, Split.TRAIN, Split.VALID]
    assert parts(divided) == {"happy": each, "sad": each}
    assert parts(trains) == {"train": [None], "tram": [None]}
    assert parts(lone) == {"happy": [Split.TRAIN], "sad": [Split.TRAIN]}


def test_a_folder_beside_given_parts_is_refused_rather_than_taken_for_a_class(tmp_path):
    for folder in ("train/happy", "train/sad", "test/happy", "test/sad", "unlabelled"):
        (tmp_path / folder).mkdir(parents=True)

    with pytest.raises(ConfigError, match="beside the given parts there is unlabelled"):
        find_classes([tmp_path])


def test_training_reads_parts_paths_and_pixels_in_one_order(data, tmp_path):
    put(data / "happy" / "0a.txt", b"no picture")
    recipe = TrainingConfig((data,), tmp_path / "out", "drawn", InputSpec(24, 16, "rgb", "stretch"), "a test")

    dataset = read_dataset(recipe, lambda text: None)

    assert dataset.pixels.shape == (10, 16, 24, 3)
    assert [unread.path.name for unread in dataset.unreadable] == ["0a.txt"]
    assert [path.parent.name for path in dataset.paths] == [
        dataset.classes[label] for label in dataset.labels
    ]
    for path, pixels in zip(dataset.paths, dataset.pixels, strict=True):
        expected = drawn(int(path.stem)).resize((24, 16))
        assert abs(pixels.astype(int) - expected).mean() < 8
    groups = group_near_duplicates(dataset.bits, dataset.mirrored_bits, dataset.hashes)
    assert len(set(groups.tolist())) == 10
