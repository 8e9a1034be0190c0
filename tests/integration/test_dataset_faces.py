"""`moodsort dataset faces` on drawn photos, with a detector that finds what was drawn."""

import json
import os
from pathlib import Path

import click
import pytest

from tests.dangling_links import replace_by_dangling_links
from tests.drawn_faces import SquareDetector, draw_photo, list_files, write_picture, write_split_photos
from tests.scene_bundle import make_scene_bundle
from trainer.cli.dataset import dataset
from trainer.data.class_folders import Split
from worker.config import BUILT_IN_BUNDLE
from worker.errors import ConfigError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_split_photos(tmp_path / "photos")


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is loaded as the detector of squares."""
    monkeypatch.setattr("trainer.pipelines.crop_faces.load_detector", lambda folder: SquareDetector())
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "detector.json").write_text("{}")
    return tmp_path / "detector"


def run_faces(*arguments: object) -> None:
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in arguments]
    dataset.main(["faces", *words], standalone_mode=False)


def test_the_command_counts_photos_and_faces_by_class_and_split(data, detector, tmp_path, capsys):
    (data / "train" / "sad" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")

    run_faces(data, "--detector", detector, "--out", tmp_path / "out", "--format", "json")

    output = capsys.readouterr()
    rows = json.loads(output.out)
    row = {"photos": 2, "with_faces": 1, "whole": 0, "faces": 2, "filtered": 0}
    assert rows == [{"class": label, "split": split} | row for label in ("happy", "sad") for split in Split]
    assert "torn.jpg: it begins as a picture" in output.err
    assert "12 faces of 12 photos, 6 of which show any" in output.err
    assert "1 files as unreadable" in output.err
    assert "warning" not in output.err
    assert len(list_files(tmp_path / "out")) == 12


def test_a_bundle_filters_faces_by_the_least_probability(data, detector, tmp_path):
    bundle = make_scene_bundle(tmp_path / "bundle")
    arguments = (data, "--detector", detector, "--filter-with", bundle, "--min-probability")

    run_faces(*arguments, "0", "--out", tmp_path / "lenient")
    run_faces(*arguments, "100%", "--out", tmp_path / "strict")

    assert len(list_files(tmp_path / "lenient")) == 12
    assert {Path(name).parts[0] for name in list_files(tmp_path / "strict")} == {"valid", "test"}
    with pytest.raises(ConfigError, match="no face to crop in 12 pictures"):
        run_faces(*arguments, "100%", "--out", tmp_path / "none", "--filter-all-splits")


def test_photos_that_are_not_split_are_cropped_with_a_warning_in_one_line(data, detector, tmp_path, capsys):
    run_faces(data / "train", data / "test", "--detector", detector, "--out", tmp_path / "out")

    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning"))
    assert "dataset split" in warning
    assert list_files(tmp_path / "out")[:2] == ["happy/test/two-1.png", "happy/test/two-2.png"]


def test_photos_of_which_most_cannot_be_read_are_not_cropped(data, detector, tmp_path):
    replace_by_dangling_links(data)

    with pytest.raises(ConfigError, match="8 of 12 pictures cannot be read, the first") as refusal:
        run_faces(data, "--detector", detector, "--out", tmp_path / "out")

    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_done_is_refused_in_one_line_with_status_2_and_leaves_nothing(
    data, detector, tmp_path
):
    strange = tmp_path / "strange"
    faceless = tmp_path / "faceless"
    for number, label in enumerate(("happy", "sad")):
        write_picture(faceless / label / "a.png", draw_photo(seed=number))
        write_picture(strange / f"{label}der" / "a.png", draw_photo((5, 5, 40), seed=number))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    free = ("--out", tmp_path / "new" / "crops")
    bundle = make_scene_bundle(tmp_path.with_name(f"{tmp_path.name}-bundle"))
    for arguments, sentence in (
        ((data, "--detector", tmp_path / "nowhere", *free), r"is not a detector; make one by"),
        ((data, "--detector", detector, "--out", tmp_path / "out"), r"is there already"),
        ((data, "--detector", detector, "--out", data / "crops"), r"is in .*photos"),
        ((faceless, "--detector", detector, *free), r"faceless: no face to crop in 2 pictures"),
        (
            (strange, "--detector", detector, *free, "--filter-with", bundle),
            r"knows happy, sad, not DATA's class",
        ),
        (
            (data, "--detector", detector, *free, "--filter-with", BUILT_IN_BUNDLE),
            r"detects faces itself; --filter-with takes a bundle of one face classifier",
        ),
    ):
        with pytest.raises(ConfigError, match=sentence) as refusal:
            run_faces(*arguments)
        assert "\n" not in str(refusal.value)
        assert refusal.value.exit_status == 2
    for arguments in (("--min-probability", "30%"), ("--filter-all-splits",)):
        with pytest.raises(click.UsageError, match="go with --filter-with"):
            run_faces(data, "--detector", detector, *free, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "detector",
        "faceless",
        "out",
        "photos",
        "strange",
    ]
    assert list_files(tmp_path / "out") == ["notes"]
