"""`moodsort run --once`, as a person calls it: what is in the inbox is filed, and one line says so."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.drawing import build_pixel_bomb, draw_jpeg, draw_noise, draw_photo, encode_image
from tests.home import COMMAND, LONG_SECONDS, Home, read_summary, wait_until

_FORBIDDEN = ["numpy", "PIL", "cv2", "ai_edge_litert", "pillow_heif", "tensorflow", "keras", "trainer"]


def test_every_photo_is_filed_and_one_line_says_how_many(home: Home) -> None:
    home.drop_photos(3)
    completed = home.run_once()
    summary = read_summary(completed)
    assert re.match(r"3 photos in \d+\.\d s.*: \d \w+", summary["message"])
    assert (summary["photos"], summary["unfinished"], summary["left"]) == (3, 0, 0)
    home.check_promises()


def test_away_from_a_terminal_everything_is_a_json_line_on_standard_error(home: Home) -> None:
    home.drop_photos(2)
    home.drop("broken.jpg", b"this is no picture")
    completed = home.run_once()
    assert completed.stdout == ""
    events = [json.loads(line)["event"] for line in completed.stderr.splitlines()]
    assert sorted(events) == ["filed", "filed", "quarantined", "summary"]


def test_each_photo_has_one_line_in_the_log_of_the_run(home: Home) -> None:
    home.drop_photos(3)
    lines = home.run_once().stderr.splitlines()
    assert len(lines) == 4  # the last is the summary
    assert all('"event": "filed"' in line for line in lines[:3])


def test_an_empty_inbox_is_no_failure(home: Home) -> None:
    completed = home.run_once()
    assert re.fullmatch(r"0 photos in \d+\.\d s", read_summary(completed)["message"])
    assert len(completed.stderr.splitlines()) == 1


def test_the_counts_are_right_after_many_photos(home: Home) -> None:
    home.drop_photos(300)
    completed = home.run_once()
    folders = [row.folder for row in home.read_rows()]
    summary = read_summary(completed)
    counts = {name: int(count) for count, name in re.findall(r"(\d+) ([a-z]+)(?:,|$)", summary["message"])}
    assert counts == summary["folders"] == {name: folders.count(name) for name in set(folders)}
    assert sum(counts.values()) == summary["photos"] == 300
    home.check_promises()


def test_folders_below_the_inbox_are_kept_below_the_label_folder(home: Home) -> None:
    home.drop("2025/summer/a.jpg", draw_jpeg(1))
    home.run_once()
    (row,) = home.read_rows()
    assert row.path.parts[1:] == ("2025", "summer", "a.jpg")
    home.check_promises()


def test_a_photo_under_min_confidence_goes_to_review(home: Home) -> None:
    home.configure(model={"min_confidence": 1.0})
    home.drop("a.jpg", draw_jpeg(1))
    home.run_once()
    assert [(row.path, row.reason) for row in home.read_rows()] == [(Path("review/a.jpg"), "unsure")]
    home.check_promises()


@pytest.mark.parametrize(("no_face", "folders"), [("judge", {"happy", "sad"}), ("review", {"review"})])
def test_a_photo_without_a_face_goes_where_the_configuration_says(
    home: Home, no_face: str, folders: set[str]
) -> None:
    home.configure(model={"no_face": no_face})
    home.drop("plain.png", encode_image(Image.new("RGB", (80, 60), "grey"), "PNG"))
    home.run_once()
    (row,) = home.read_rows()
    assert row.path.parts[0] in folders
    assert row.reason == ("no_face" if no_face == "review" else None)
    home.check_promises()


def test_a_taken_name_gets_a_number_and_both_files_are_kept(home: Home) -> None:
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/a.jpg", draw_jpeg(9))
    home.drop("a.jpg", draw_jpeg(1))
    home.run_once()
    assert [row.path.name for row in home.read_rows()] == ["a (2).jpg"]
    home.check_promises()


def test_two_names_of_one_file_are_two_photos(home: Home) -> None:
    first = home.drop("a.jpg", draw_jpeg(1))
    (home.inbox / "b.jpg").hardlink_to(first)
    home.dropped[Path("inbox/b.jpg")] = draw_jpeg(1)
    home.run_once()
    home.check_promises()


def test_a_run_that_is_stopped_succeeds_and_the_next_files_the_rest(home: Home) -> None:
    home.drop_photos(200)
    popen = subprocess.Popen(
        [COMMAND, "run", "--once", "--config", home.config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=home.make_environment(),
    )
    wait_until(lambda: home.count_statuses()["filed"])
    popen.terminate()
    _, log = popen.communicate(timeout=LONG_SECONDS)
    assert popen.returncode == 0
    assert re.search(
        r"; stopped with (\d+|nothing) left in the inbox$", json.loads(log.splitlines()[-1])["message"]
    )
    home.run_once()
    home.check_promises()


def make_broken_png() -> bytes:
    data = bytearray(encode_image(draw_noise(3), "PNG"))
    data[data.index(b"IDAT") + 40] ^= 0xFF
    return bytes(data)


def test_each_file_that_cannot_be_read_is_quarantined_with_its_reason(home: Home) -> None:
    bad = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"this is no picture at all\n" * 9, "not_an_image"),
        "cut.jpg": (encode_image(draw_noise(4), "JPEG")[:-400], "damaged"),
        "chunk.png": (make_broken_png(), "damaged"),
        "bomb.png": (build_pixel_bomb(), "too_many_pixels"),
    }
    for name, (data, _) in bad.items():
        home.drop(name, data)
    home.drop_photos(3)
    home.run_once()
    quarantined = {row.source.name: row for row in home.read_rows() if row.status == "quarantined"}
    assert {name: row.reason for name, row in quarantined.items()} == {
        name: reason for name, (_, reason) in bad.items()
    }
    assert all(row.detail and "\n" not in row.detail for row in quarantined.values())
    assert {row.path.parts[0] for row in quarantined.values()} == {"quarantine"}
    home.check_promises()


def test_a_file_over_the_limit_of_bytes_is_quarantined(home: Home) -> None:
    home.configure(limits={"max_file_bytes": 100})
    home.drop("large.jpg", draw_jpeg(1))
    home.run_once()
    assert [row.reason for row in home.read_rows()] == ["too_many_bytes"]
    home.check_promises()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"caf\xe9.jpg", id="latin-1"),
        pytest.param(b"two\nlines.jpg", id="newline"),
        pytest.param(b"n" * 251 + b".jpg", id="255-bytes"),
        pytest.param(b"-rf.jpg", id="leading-dash"),
    ],
)
def test_a_photo_is_filed_whatever_its_name(home: Home, name: bytes) -> None:
    for label in ("happy", "sad"):
        home.add_bystander(f"{label}/{os.fsdecode(name)}", draw_jpeg(9))
    home.drop(name, draw_jpeg(1))
    home.run_once()
    home.check_promises()


def test_a_picture_is_recognised_by_its_content_and_not_by_its_name(home: Home) -> None:
    home.drop("really-a-png.jpg", encode_image(draw_photo(1), "PNG"))
    home.run_once()
    assert [row.status for row in home.read_rows()] == ["filed"]
    home.check_promises()


def test_what_is_not_a_regular_file_is_left_alone_with_one_line_each(home: Home) -> None:
    elsewhere = home.folder / "elsewhere.jpg"
    elsewhere.write_bytes(draw_jpeg(5))
    (home.inbox / "link.jpg").symlink_to(elsewhere)
    os.mkfifo(home.inbox / "fifo.jpg")
    os.mknod(home.inbox / "socket.jpg", 0o140600)
    (home.inbox / "folder.jpg").mkdir()
    home.drop("a.jpg", draw_jpeg(1))
    lines = home.run_once().stderr.splitlines()
    for name in ("link.jpg", "fifo.jpg", "socket.jpg", "folder.jpg"):
        assert os.path.lexists(home.inbox / name)
        assert len([line for line in lines if f"{name}" in line and "left_alone" in line]) == 1
    assert [row.source.name for row in home.read_rows()] == ["a.jpg"]
    assert elsewhere.read_bytes() == draw_jpeg(5)


def test_companions_are_left_in_the_inbox_when_their_photo_is_filed(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    companions = [home.inbox / name for name in ("a.jpg.xmp", "a.AAE", "a.MOV", "a.jpg.json")]
    for companion in companions:
        companion.write_bytes(b"about a.jpg")
    lines = home.run_once().stderr.splitlines()
    assert [line for line in lines if '"kind": "companion"' in line and '"count": 4' in line]
    assert all(companion.exists() for companion in companions)
    assert [(row.source.name, row.status) for row in home.read_rows()] == [("a.jpg", "filed")]


def test_a_file_that_somebody_is_writing_is_left_and_reported(home: Home) -> None:
    with (home.inbox / "slow.jpg").open("wb") as file:
        file.write(draw_jpeg(1)[:100])
        file.flush()
        completed = home.run_once()
    assert "1 photo still being written, left in the inbox" in read_summary(completed)["message"]
    assert home.read_rows() == []


@contextmanager
def open_terminal() -> Iterator[tuple[int, int]]:
    our_end, worker_end = pty.openpty()
    try:
        yield our_end, worker_end
    finally:
        os.close(our_end)


def read_screen(our_end: int) -> str:
    screen = b""
    while True:
        try:
            screen += os.read(our_end, 65536)
        except OSError:  # the other end is closed
            return screen.decode()


def test_a_terminal_shows_a_bar_and_then_the_summary_alone(home: Home) -> None:
    home.drop_photos(20)
    with open_terminal() as (our_end, worker_end):
        popen = subprocess.Popen(
            [COMMAND, "run", "--once", "--config", home.config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=worker_end,
            env=home.make_environment(TERM="xterm", COLUMNS="100"),
        )
        os.close(worker_end)
        screen = read_screen(our_end)
        printed, _ = popen.communicate(timeout=LONG_SECONDS)
    assert popen.returncode == 0
    assert "filing" in screen
    assert "20/20" in screen
    assert re.fullmatch(r"20 photos in [^\n]*\n", printed.decode())


def test_neither_the_trainer_nor_a_decoder_is_ever_in_the_worker_itself(home: Home) -> None:
    home.drop("a.jpg", draw_jpeg(1))
    script = (
        "import atexit, sys; from worker.cli import main; "
        f"atexit.register(lambda: print([name for name in {_FORBIDDEN} if name in sys.modules])); main()"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script, "run", "--once", "--config", home.config],
        capture_output=True,
        text=True,
        env=home.make_environment(),
        check=True,
        timeout=LONG_SECONDS,
    )
    assert completed.stdout.splitlines() == ["[]"]
    home.check_promises()
