"""Two hundred kills while photos arrive; `python -m tests.faults.torture` makes as many as one likes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.drawing import draw_jpeg
from tests.faults.torture.audit import Auditor
from tests.faults.torture.record import Record, hash_content
from tests.home import PROJECT, Home
from tests.patience import scale

KILLS = 200


def run_torture(*arguments: object) -> None:
    command = [sys.executable, "-m", "tests.faults.torture", *map(str, arguments)]
    process = subprocess.run(
        command, capture_output=True, text=True, cwd=PROJECT, timeout=scale(280), check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.timeout(scale(300))
def test_no_photo_is_lost_by_kills_at_any_instant(tmp_path: Path) -> None:
    run_torture("--kills", KILLS, "--folder", tmp_path)


@pytest.mark.timeout(scale(300))
def test_no_photo_is_lost_by_kills_of_two_workers_that_share_an_inbox(
    tmp_path: Path, postgres_url: str
) -> None:
    run_torture("--kills", 20, "--folder", tmp_path, "--database", postgres_url, "--workers", 2)


@pytest.fixture
def record(home: Home) -> Record:
    """File a photo, a second one of the same content, and a damaged one; return the record of them."""
    photo = draw_jpeg(1)
    contents = {"a.jpg": photo, "b.jpg": photo, "c.jpg": draw_jpeg(2)[:-200]}
    record = Record(damaged={hash_content(contents["c.jpg"])})
    for name, data in contents.items():
        home.drop(name, data)
        record.files[hash_content(data)] += 1
    home.run_once()
    return record


def test_the_audit_sees_what_is_wrong(home: Home, record: Record) -> None:
    assert Auditor(home, record).audit().is_clean
    paths = {row.source.name: home.root / row.path for row in home.read_rows()}

    other_name = home.root / "happy" / "other.jpg"
    other_name.write_bytes(draw_jpeg(1))
    audit = Auditor(home, record).audit()
    assert (audit.duplicated, audit.files_without_row) == (1, 1)
    other_name.unlink()

    paths["a.jpg"].write_bytes(b"changed")
    audit = Auditor(home, record).audit()
    assert (audit.lost, audit.changed) == (1, 2)  # the file, and the hash in its row

    paths["a.jpg"].unlink()
    audit = Auditor(home, record).audit()
    assert (audit.lost, audit.rows_without_file) == (1, 1)

    record.damaged.clear()
    assert Auditor(home, record).audit().good_photos_quarantined == 1

    home.inbox.joinpath("left.jpg").write_bytes(draw_jpeg(1))
    assert Auditor(home, record).audit().manual_steps == 1
