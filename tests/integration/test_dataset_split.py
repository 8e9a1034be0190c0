"""`moodsort dataset split` on folders of drawn pictures."""

import json
import os
from collections import Counter
from pathlib import Path

import click
import pytest
from PIL import ImageOps

from tests.dangling_links import replace_by_dangling_links
from tests.distinct_pictures import draw_distinct_picture, write_file
from tests.drawing import encode_image
from trainer.cli.dataset import dataset
from trainer.data.class_folders import Split, find_classes
from trainer.pipelines.evaluate import evaluate_bundles
from worker.config import BUILT_IN_BUNDLE, Limits
from worker.errors import ConfigError


def draw_jpeg(seed: int, *, mirror: bool = False) -> bytes:
    picture = draw_distinct_picture(seed, size=(60, 45))
    return encode_image(ImageOps.mirror(picture) if mirror else picture, "JPEG", quality=90)


def fill_classes(data: Path, first: int = 0, count: int = 20) -> Path:
    for offset, label in ((0, "happy"), (1000, "sad")):
        for number in range(count):
            write_file(data / label / f"{number:05}.jpg", draw_jpeg(first + offset + number))
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give two classes of twenty pictures."""
    return fill_classes(tmp_path / "photos")


def run_split(*arguments: object) -> None:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    dataset.main(["split", *words], standalone_mode=False)


def list_links(out: Path) -> dict[str, str]:
    """Return which file each link leads to."""
    return {
        os.fspath(path.relative_to(out)): os.fspath(path.readlink())
        for path in sorted(out.rglob("*"))
        if path.is_symlink()
    }


def count_files(out: Path) -> Counter[tuple[str, Split | None]]:
    return Counter((file.label, file.split) for files in find_classes([out]).values() for file in files)


def test_every_picture_is_linked_in_one_split_and_stays_where_it_is(data, tmp_path, capsys):
    before = {path: path.read_bytes() for path in data.rglob("*.jpg")}

    run_split(data, "--out", tmp_path / "out", "--format", "json")

    assert {path: path.read_bytes() for path in data.rglob("*.jpg")} == before
    assert sorted(map(Path, list_links(tmp_path / "out").values())) == sorted(before)
    assert count_files(tmp_path / "out") == {
        (label, split): 16 if split is Split.TRAIN else 2 for label in ("happy", "sad") for split in Split
    }
    assert json.loads(capsys.readouterr().out) == [
        {"class": label, "train": 16, "valid": 2, "test": 2} for label in ("happy", "sad")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_near_duplicates_stay_in_one_split(data, tmp_path):
    for number in range(20):
        write_file(data / "happy" / f"{number:05}-mirrored.jpg", draw_jpeg(number, mirror=True))

    run_split(data, "--out", tmp_path / "out")

    links = [Path(name) for name in list_links(tmp_path / "out") if "happy" in name]
    split_by_name = {link.name: link.parts[0] for link in links}
    assert len(split_by_name) == 40
    for number in range(20):
        assert split_by_name[f"{number:05}.jpg"] == split_by_name[f"{number:05}-mirrored.jpg"]


def test_the_same_seed_splits_alike_and_another_does_not(data, tmp_path):
    for out, seed in (("first", 3), ("again", 3), ("other", 4)):
        run_split(data, "--out", tmp_path / out, "--seed", seed)

    assert list_links(tmp_path / "first") == list_links(tmp_path / "again")
    assert list_links(tmp_path / "first") != list_links(tmp_path / "other")


def test_sources_whose_files_share_names_do_not_meet(data, tmp_path):
    more = fill_classes(tmp_path / "more" / "photos", first=100)

    run_split(data, more, "--out", tmp_path / "out")

    links = list_links(tmp_path / "out")
    assert len(links) == 80
    assert {Path(name).parent.name for name in links} == {"photos", "photos (2)"}
    assert all(("photos (2)" in name) == (str(more) in target) for name, target in links.items())


def test_a_share_of_nothing_leaves_the_split_out(data, tmp_path):
    run_split(data, "--out", tmp_path / "out", "--valid-share", "25%", "--test-share", "0")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "valid"]
    assert count_files(tmp_path / "out")["sad", Split.VALID] == 5


def test_given_splits_stay_and_a_near_duplicate_of_a_test_picture_joins_it(tmp_path, capsys):
    split_data = tmp_path / "given"
    fill_classes(split_data / "train", first=0)
    fill_classes(split_data / "test", first=100, count=4)
    loose = fill_classes(tmp_path / "loose", first=200)
    write_file(loose / "happy" / "mirrored.jpg", draw_jpeg(100, mirror=True))

    run_split(split_data, loose, "--out", tmp_path / "out", "--valid-share", "10%")

    split_by_target = {target: Path(name).parts[0] for name, target in list_links(tmp_path / "out").items()}
    for split in ("train", "test"):
        assert {split_by_target[str(path)] for path in (split_data / split).rglob("*.jpg")} == {split}
    assert split_by_target[str(loose / "happy" / "mirrored.jpg")] == "test"
    assert Counter(split_by_target[str(path)] for path in loose.rglob("*/0*.jpg")) == {
        "train": 32,
        "valid": 4,
        "test": 4,
    }
    assert "leakage" not in capsys.readouterr().err


def test_what_cannot_be_read_is_left_out_and_named(data, tmp_path, capsys):
    torn = data / "sad" / "torn\x1b.jpg"
    torn.write_bytes(b"\xff\xd8\xff torn")
    os.mkfifo(data / "sad" / "pipe.jpg")

    run_split(data, "--out", tmp_path / "out")

    messages = capsys.readouterr().err
    assert "torn\\x1b.jpg: it begins as a picture" in messages
    assert "pipe.jpg: it is not a regular file" in messages
    assert "40 pictures, 40 of them different, 2 left out" in messages
    assert len(list_links(tmp_path / "out")) == 40


def test_a_bundle_is_evaluated_on_the_test_split_through_the_links(data, tmp_path):
    run_split(data, "--out", tmp_path / "out")

    evaluation = evaluate_bundles(
        [BUILT_IN_BUNDLE], tmp_path / "out", Limits(), lambda skipped: None, say=print
    )

    assert evaluation.split is Split.TEST
    assert len(evaluation.paths) == 4
    assert evaluation.skipped == ()


def test_an_empty_folder_is_filled_and_anything_else_is_refused_untouched(data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")

    for name in ("full", "full/notes", "link", "bundle"):
        with pytest.raises(ConfigError, match="is there already; give --out another name") as refusal:
            run_split(data, "--out", tmp_path / name)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ConfigError, match=r"is in .*photos; give --out a name outside of it"):
        run_split(data, "--out", data / "split")
    run_split(data, "--out", tmp_path / "empty")

    assert (tmp_path / "full" / "notes").read_text() == "mine"
    assert len(list_links(tmp_path / "empty")) == 40


def test_shares_that_cannot_be_meant_are_refused(data, tmp_path):
    for arguments, sentence in (
        (("--valid-share", "60%", "--test-share", "40%"), "leave nothing to train on"),
        (("--valid-share", "0", "--test-share", "0"), "there is nothing to split"),
        (("--test-share", "0.1"), "may be 0.1% or 10%"),
        (("--test-share", "much"), "is not a percentage"),
        (("--test-share", "120"), "is not a percentage"),
    ):
        with pytest.raises(click.UsageError, match=sentence):
            run_split(data, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_data_of_which_most_cannot_be_read_is_not_split(data, tmp_path):
    replace_by_dangling_links(data)

    with pytest.raises(ConfigError, match=r"26 of 40 pictures cannot be read, the first .*00001\.jpg"):
        run_split(data, "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_too_few_pictures_of_a_class_are_refused_by_its_name(tmp_path):
    data = fill_classes(tmp_path / "photos", count=2)

    with pytest.raises(ConfigError, match="class happy has 2 readable pictures"):
        run_split(data, "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()
