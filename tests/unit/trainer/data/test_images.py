import hashlib
import os
import threading
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from trainer.data.class_folders import ClassFile
from trainer.data.images import DecodedFile, UnreadableFile, check_readable, read_images
from worker.errors import ConfigError, Reason


def make_files(folder: Path, count: int) -> list[ClassFile]:
    files = []
    for number in range(count):
        path = folder / f"{number:03}.jpg"
        path.write_bytes(draw_jpeg(seed=number, size=(48, 32)))
        files.append(ClassFile(path, folder, "happy", None))
    return files


def get_name(image: DecodedFile) -> str:
    return image.file.path.name


def test_results_come_in_the_order_of_the_files_with_the_unreadable_among_them(tmp_path):
    files = make_files(tmp_path, 40)
    files[7].path.write_bytes(b"")
    files[8].path.write_text("no picture")
    files[9].path.unlink()

    results = list(read_images(files, get_name, max_pixels=10**6, max_side=64))

    assert [result.path.name if isinstance(result, UnreadableFile) else result for result in results] == [
        file.path.name for file in files
    ]
    unreadable = [result for result in results if isinstance(result, UnreadableFile)]
    assert [file.reason for file in unreadable] == [Reason.EMPTY, Reason.NOT_AN_IMAGE, Reason.UNREADABLE]


def test_a_transform_gets_the_picture_and_the_hash_of_its_file(tmp_path):
    files = make_files(tmp_path, 1)

    (image,) = read_images(files, lambda image: image, max_pixels=10**6, max_side=24)

    assert isinstance(image, DecodedFile)
    assert image.file is files[0]
    assert image.sha256 == hashlib.sha256(files[0].path.read_bytes()).hexdigest()
    assert image.picture.pixels.shape == (16, 24, 3)
    assert (image.picture.width, image.picture.height) == (48, 32)


def test_pictures_of_too_many_pixels_are_not_read(tmp_path):
    (result,) = read_images(make_files(tmp_path, 1), get_name, max_pixels=48 * 32 - 1, max_side=64)

    assert isinstance(result, UnreadableFile)
    assert result.reason is Reason.TOO_MANY_PIXELS


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    file = ClassFile(tmp_path / "pipe.jpg", tmp_path, "happy", None)

    (result,) = read_images([file], get_name, max_pixels=10**6, max_side=64)

    assert isinstance(result, UnreadableFile)
    assert str(result) == f"{file.path}: it is not a regular file"


def test_a_link_that_leads_nowhere_is_called_that(tmp_path):
    (tmp_path / "0.jpg").symlink_to("gone.jpg")
    file = ClassFile(tmp_path / "0.jpg", tmp_path, "happy", None)

    (result,) = read_images([file], get_name, max_pixels=10**6, max_side=64)

    assert str(result) == f"{file.path}: it is a link to gone.jpg, where nothing is"


def make_unreadable(count: int, reason: Reason) -> list[UnreadableFile]:
    folder = Path("data")
    files = [ClassFile(folder / f"{number}.jpg", folder, "happy", None) for number in range(count)]
    return [UnreadableFile(file, reason, "it is damaged") for file in files]


def test_more_pictures_that_cannot_be_read_than_others_are_an_error_that_names_their_number_and_the_first():
    check_readable(make_unreadable(7, Reason.DAMAGED), files=14)
    with pytest.raises(
        ConfigError, match=r"8 of 14 pictures cannot be read, the first data/0\.jpg: it is damaged"
    ):
        check_readable(make_unreadable(8, Reason.DAMAGED), files=14)


def test_files_that_are_no_pictures_do_not_count_among_those_that_cannot_be_read():
    sidecars = make_unreadable(14, Reason.NOT_AN_IMAGE)
    check_readable(sidecars, files=20)
    with pytest.raises(ConfigError, match="4 of 6 pictures cannot be read"):
        check_readable([*sidecars, *make_unreadable(4, Reason.UNREADABLE)], files=20)


def test_no_more_files_are_read_ahead_than_a_few_for_each_thread(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    lock, names = threading.Lock(), []

    def note(image: DecodedFile) -> None:
        with lock:
            names.append(image.file.path.name)

    results = read_images(make_files(tmp_path, 40), note, max_pixels=10**6, max_side=64)
    next(results)
    results.close()

    assert 1 <= len(names) <= 8


def test_an_error_of_the_transform_reaches_whoever_reads(tmp_path):
    def fail(image: DecodedFile) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        list(read_images(make_files(tmp_path, 20), fail, max_pixels=10**6, max_side=64))


def test_no_name_can_play_tricks_on_a_terminal(tmp_path):
    path = tmp_path / "red\x1b[31m.jpg"
    path.write_bytes(b"")

    (result,) = read_images([ClassFile(path, tmp_path, "sad", None)], get_name, max_pixels=10**6, max_side=64)

    assert str(result).endswith("red\\x1b[31m.jpg: the file has 0 bytes")
