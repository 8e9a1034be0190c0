"""Where a judged photo goes, and what the log says of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.config import Config, Folders, ModelConfig
from worker.daemon.planner import Photo, choose_folder, plan_move
from worker.errors import Reason
from worker.fileio import FileIdentity
from worker.inference.prediction import Prediction
from worker.pool.protocol import FileRead, Judged, Refused

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
READ = FileRead(FileIdentity(1, 2, 333, 4), "a" * 64)
CONFIG = Config(folders=Folders(root="/nowhere/photos"), model=ModelConfig(min_confidence=0.6))
PHOTO = Photo(7, Path("/nowhere/photos/inbox/beach/a.jpg"), 300)


def judged(confidence: float) -> Judged:
    scores = {"happy": confidence, "sad": 1 - confidence}
    return Judged(7, READ, 40, 30, Prediction("happy", confidence, scores, None))


def refused(*, is_read: bool = True) -> Refused:
    return Refused(7, READ if is_read else None, Reason.DAMAGED, "it is cut off")


@pytest.mark.parametrize(
    ("confidence", "folder"), [(0.9, "happy"), (0.6, "happy"), (0.5999, "review"), (0.0, "review")]
)
def test_a_photo_under_min_confidence_goes_to_review(confidence: float, folder: str) -> None:
    assert choose_folder(judged(confidence), CONFIG) == folder


def test_without_min_confidence_nothing_goes_to_review() -> None:
    assert choose_folder(judged(0.0), replace(CONFIG, model=ModelConfig())) == "happy"


def test_what_could_not_be_judged_goes_to_quarantine() -> None:
    assert choose_folder(refused(), CONFIG) == "quarantine"


def test_folders_below_the_inbox_are_kept_below_the_label() -> None:
    leg, decision = plan_move(PHOTO, judged(0.9), CONFIG, set(), AT)
    assert leg.destination == Path("/nowhere/photos/happy/beach/a.jpg")
    assert decision.destination == Path("happy/beach/a.jpg")


def test_photos_of_one_batch_never_share_a_destination() -> None:
    reserved: set[Path] = set()
    names = []
    for _ in range(3):
        leg, _ = plan_move(PHOTO, judged(0.9), CONFIG, reserved, AT)
        reserved.add(leg.destination)
        names.append(leg.destination.name)
    assert names == ["a.jpg", "a (2).jpg", "a (3).jpg"]


def test_a_decision_says_what_was_judged_and_how() -> None:
    leg, decision = plan_move(PHOTO, judged(0.9), CONFIG, set(), AT)
    assert (decision.content.sha256, decision.content.size_bytes) == (READ.sha256, 333)
    assert (decision.content.width, decision.content.height) == (40, 30)
    assert decision.reason is None
    assert leg.identity == READ.identity
    assert leg.told["label"] == "happy"


def test_a_refusal_says_why_and_keeps_the_hash() -> None:
    leg, decision = plan_move(PHOTO, refused(), CONFIG, set(), AT)
    assert (decision.reason, decision.detail) == (Reason.DAMAGED, "it is cut off")
    assert decision.content.sha256 == READ.sha256
    assert decision.prediction is None
    assert leg.told["reason"] == "damaged"


def test_a_file_that_could_not_be_read_has_no_hash_and_the_size_that_was_seen() -> None:
    leg, decision = plan_move(PHOTO, refused(is_read=False), CONFIG, set(), AT)
    assert (decision.content.sha256, decision.content.size_bytes) == (None, 300)
    assert leg.identity is None


def test_each_further_try_waits_longer_up_to_a_minute() -> None:
    photo = replace(PHOTO)
    waits = []
    for _ in range(9):
        photo.back_off(1000.0)
        waits.append(photo.not_before - 1000.0)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 60.0
