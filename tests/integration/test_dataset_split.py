"""`moodsort dataset split` on folders of drawn pictures."""

import json
import os
from collections import Counter
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image, ImageOps
from trainer.evaluation.judging import Limits

from tests.drawing import encoded
from trainer.cli.dataset import dataset
from trainer.data.class_folders import Split, find_classes
from trainer.pipelines.evaluate import evaluate_bundles
from worker.errors import ConfigError

BUILT_IN = Path(__file__).parents[2] / "worker" / "bundles" / "default"


def drawn(seed: int) -> Image.Image:
    """Draw a picture like no other: patches of colour under a fine grain."""
    draw = np.random.default_rng(seed)
    patches = Image.fromarray(draw.integers(0, 256, (7, 9, 3), np.uint8))
    smooth = np.asarray(patches.resize((60, 45), Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((smooth + draw.normal(0, 20, smooth.shape)).clip(0, 255).astype(np.uint8))


def put(path: Path, picture: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture, "JPEG", quality=90))
    return path


def fill(data: Path, first: int = 0, count: int = 20) -> Path:
    for number, label in enumerate(("happy", "sad")):
        for place in range(count):
            put(data / label / f"{place:05}.jpg", drawn(first + 1000 * number + place))
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give two classes of twenty pictures."""
    return fill(tmp_path / "photos")


def split(*arguments: object) -> None:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    dataset.main(["split", *words], standalone_mode=False)


def names(out: Path) -> dict[str, str]:
    """Return which file each link leads to."""
    return {
        os.fspath(path.relative_to(out)): os.fspath(path.readlink())
        for path in sorted(out.rglob("*"))
        if path.is_symlink()
    }


def counts(out: Path) -> Counter[tuple[str, Split | None]]:
    return Counter((file.label, file.split) for files in find_classes([out]).values() for file in files)


def test_every_picture_is_linked_in_one_part_and_stays_where_it_is(data, tmp_path, capsys):
    before = {path: path.read_bytes() for path in data.rglob("*.jpg")}

    split(data, "--out", tmp_path / "out", "--format", "json")

    assert {path: path.read_bytes() for path in data.rglob("*.jpg")} == before
    assert sorted(map(Path, names(tmp_path / "out").values())) == sorted(before)
    assert counts(tmp_path / "out") == {
        (label, part): 16 if part is Split.TRAIN else 2 for label in ("happy", "sad") for part in Split
    }
    assert json.loads(capsys.readouterr().out) == [
        {"class": label, "train": 16, "valid": 2, "test": 2} for label in ("happy", "sad")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


def test_near_duplicates_stay_in_one_part(data, tmp_path):
    for place in range(20):
        put(data / "happy" / f"{place:05}-mirrored.jpg", ImageOps.mirror(drawn(place)))

    split(data, "--out", tmp_path / "out")

    places = [Path(name) for name in names(tmp_path / "out") if "happy" in name]
    part_of = {path.name: path.parts[0] for path in places}
    assert len(part_of) == 40
    for place in range(20):
        assert part_of[f"{place:05}.jpg"] == part_of[f"{place:05}-mirrored.jpg"]


def test_the_same_seed_divides_alike_and_another_does_not(data, tmp_path):
    for out, seed in (("first", 3), ("again", 3), ("other", 4)):
        split(data, "--out", tmp_path / out, "--seed", seed)

    assert names(tmp_path / "first") == names(tmp_path / "again")
    assert names(tmp_path / "first") != names(tmp_path / "other")


def test_sources_whose_files_share_names_do_not_meet(data, tmp_path):
    other = fill(tmp_path / "more" / "photos", first=100)

    split(data, other, "--out", tmp_path / "out")

    made = names(tmp_path / "out")
    assert len(made) == 80
    assert {Path(name).parent.name for name in made} == {"photos", "photos (2)"}
    assert all(("photos (2)" in name) == (str(other) in target) for name, target in made.items())


def test_a_share_of_nothing_leaves_the_part_out(data, tmp_path):
    split(data, "--out", tmp_path / "out", "--valid-share", "25%", "--test-share", "0")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "valid"]
    assert counts(tmp_path / "out")["sad", Split.VALID] == 5


def test_given_parts_stay_and_a_near_duplicate_of_a_test_picture_joins_it(tmp_path, capsys):
    given = tmp_path / "given"
    fill(given / "train", first=0)
    fill(given / "test", first=100, count=4)
    loose = fill(tmp_path / "loose", first=200)
    put(loose / "happy" / "twin.jpg", ImageOps.mirror(drawn(100)))

    split(given, loose, "--out", tmp_path / "out", "--valid-share", "10%")

    targets = {target: Path(name).parts[0] for name, target in names(tmp_path / "out").items()}
    for part in ("train", "test"):
        assert {targets[str(path)] for path in (given / part).rglob("*.jpg")} == {part}
    assert targets[str(loose / "happy" / "twin.jpg")] == "test"
    assert Counter(targets[str(path)] for path in loose.rglob("*/0*.jpg")) == {
        "train": 32,
        "valid": 4,
        "test": 4,
    }
    assert "leakage" not in capsys.readouterr().err


def test_what_cannot_be_read_is_left_out_and_named(data, tmp_path, capsys):
    torn = data / "sad" / "torn\x1b.jpg"
    torn.write_bytes(b"\xff\xd8\xff torn")
    os.mkfifo(data / "sad" / "pipe.jpg")

    split(data, "--out", tmp_path / "out")

    said = capsys.readouterr().err
    assert "torn\\x1b.jpg: it begins as a picture" in said
    assert "pipe.jpg: it is no regular file" in said
    assert "40 pictures, 40 of them different, 2 left out" in said
    assert len(names(tmp_path / "out")) == 40


def test_a_bundle_is_evaluated_on_the_test_part_through_the_links(data, tmp_path):
    split(data, "--out", tmp_path / "out")

    trials = evaluate_bundles([BUILT_IN], tmp_path / "out", lambda outcome: None, Limits())

    assert trials.split is Split.TEST
    assert len(trials.paths) == 4
    assert trials.unjudged == ()


def test_an_empty_folder_is_filled_and_anything_else_is_refused_untouched(data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")

    for name in ("full", "full/notes", "link", "bundle"):
        with pytest.raises(ConfigError, match="is there already; give --out another name") as refusal:
            split(data, "--out", tmp_path / name)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ConfigError, match=r"is in .*photos; give --out a name outside of it"):
        split(data, "--out", data / "divided")
    split(data, "--out", tmp_path / "empty")

    assert (tmp_path / "full" / "notes").read_text() == "mine"
    assert len(names(tmp_path / "empty")) == 40


def test_shares_that_cannot_be_meant_are_refused(data, tmp_path):
    for arguments, sentence in (
        (("--valid-share", "60%", "--test-share", "40%"), "leave nothing to train on"),
        (("--valid-share", "0", "--test-share", "0"), "there is nothing to divide"),
        (("--test-share", "0.1"), "may be 0.1% or 10%"),
        (("--test-share", "much"), "is no percentage"),
        (("--test-share", "120"), "is no percentage"),
    ):
        with pytest.raises(click.UsageError, match=sentence):
            split(data, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_too_few_pictures_of_a_class_are_refused_by_its_name(tmp_path):
    data = fill(tmp_path / "photos", count=2)

    with pytest.raises(ConfigError, match="class happy has 2 readable pictures"):
        split(data, "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()
