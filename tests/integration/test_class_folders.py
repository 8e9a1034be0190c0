"""Class folders as people make them, found and read into a dataset."""

from pathlib import Path

import pytest

from tests.distinct_pictures import draw_distinct_picture, fill_folder, write_file
from trainer.data.class_folders import Split, find_classes
from trainer.data.dataset import read_dataset
from trainer.data.near_duplicates import group_near_duplicates
from worker.errors import ConfigError
from worker.inference.manifest import InputSpec


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give two classes in which nothing is wrong."""
    fill_folder(tmp_path / "data" / "happy", first=0)
    fill_folder(tmp_path / "data" / "sad", first=100)
    return tmp_path / "data"


def test_splits_are_distinguished_from_classes_by_what_is_in_them(tmp_path):
    split, trains, lone = tmp_path / "split", tmp_path / "trains", tmp_path / "lone"
    for name in ("train", "validation", "test"):
        fill_folder(split / name / "happy", first=0, count=1)
        fill_folder(split / name / "sad", first=10, count=1)
    fill_folder(trains / "train", first=0, count=1)
    fill_folder(trains / "tram", first=10, count=1)
    fill_folder(lone / "train" / "happy", first=0, count=1)
    fill_folder(lone / "train" / "sad", first=10, count=1)

    def list_splits(folder: Path) -> dict[str, list[Split | None]]:
        return {name: [file.split for file in files] for name, files in find_classes([folder]).items()}

    all_splits = [Split.TEST, Split.TRAIN, Split.VALID]
    assert list_splits(split) == {"happy": all_splits, "sad": all_splits}
    assert list_splits(trains) == {"train": [None], "tram": [None]}
    assert list_splits(lone) == {"happy": [Split.TRAIN], "sad": [Split.TRAIN]}


def test_a_folder_beside_given_splits_is_refused_rather_than_taken_for_a_class(tmp_path):
    for folder in ("train/happy", "train/sad", "test/happy", "test/sad", "unlabelled"):
        (tmp_path / folder).mkdir(parents=True)

    with pytest.raises(ConfigError, match="beside its splits there is unlabelled"):
        find_classes([tmp_path])


def test_training_reads_splits_paths_and_pixels_in_one_order(data):
    write_file(data / "happy" / "0a.txt", b"no picture")
    spec = InputSpec(24, 16, "rgb", "stretch")

    dataset = read_dataset((data,), spec, max_side=320, max_pixels=10**8, say=lambda sentence: None)

    assert dataset.pixels.shape == (10, 16, 24, 3)
    assert [file.path.name for file in dataset.unreadable] == ["0a.txt"]
    assert [path.parent.name for path in dataset.paths] == [
        dataset.classes[label] for label in dataset.labels
    ]
    for path, pixels in zip(dataset.paths, dataset.pixels, strict=True):
        expected = draw_distinct_picture(int(path.stem)).resize((24, 16))
        assert abs(pixels.astype(int) - expected).mean() < 8
    groups = group_near_duplicates(dataset.bits, dataset.mirror_bits, dataset.hashes)
    assert len(set(groups.tolist())) == 10
