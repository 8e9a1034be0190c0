"""Where a photo goes, and what the log says of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.config import Config, Folders, ModelConfig
from worker.daemon.planner import Photo, choose_folder, plan_move
from worker.errors import Reason
from worker.fileio import FileIdentity
from worker.inference.prediction import FacePrediction, Prediction
from worker.pool.prediction_task import PhotoResult
from worker.pool.protocol import Completed, Refused, SourceFile

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOURCE = SourceFile(FileIdentity(1, 2, 333, 4, 5), "a" * 64)
CONFIG = Config(folders=Folders(root="/nowhere/photos"), model=ModelConfig(min_confidence=0.6))
PHOTO = Photo(7, Path("/nowhere/photos/inbox/beach/a.jpg"), 300)


FACE = FacePrediction(0.0, 0.0, 9.0, 9.0, 0.9, "happy", {"happy": 0.9, "sad": 0.1})


def make_completed(
    confidence: float, faces: tuple[FacePrediction, ...] | None = None
) -> Completed[PhotoResult]:
    probabilities = {"happy": confidence, "sad": 1 - confidence}
    prediction = Prediction("happy", confidence, probabilities, faces)
    return Completed(7, SOURCE, 0.1, PhotoResult(40, 30, prediction))


def make_refused(*, is_read: bool = True) -> Refused:
    return Refused(7, SOURCE if is_read else None, Reason.DAMAGED, "it is cut off")


@pytest.mark.parametrize(
    ("confidence", "folder"), [(0.9, "happy"), (0.6, "happy"), (0.5999, "review"), (0.0, "review")]
)
def test_a_photo_under_min_confidence_goes_to_review(confidence: float, folder: str) -> None:
    assert choose_folder(make_completed(confidence), CONFIG) == folder


def test_without_min_confidence_nothing_goes_to_review() -> None:
    assert choose_folder(make_completed(0.0), replace(CONFIG, model=ModelConfig())) == "happy"


@pytest.mark.parametrize(
    ("no_face", "faces", "folder"),
    [
        ("review", (), "review"),
        ("review", (FACE,), "happy"),
        ("review", None, "happy"),  # of a bundle that does not detect faces
        ("judge", (), "happy"),
    ],
)
def test_a_photo_without_a_face_goes_to_review_if_the_configuration_says_so(
    no_face: Any, faces: tuple[FacePrediction, ...] | None, folder: str
) -> None:
    config = replace(CONFIG, model=ModelConfig(no_face=no_face))
    assert choose_folder(make_completed(0.9, faces), config) == folder


def test_a_photo_in_review_keeps_its_prediction_and_says_why_it_is_there() -> None:
    move, decision = plan_move(PHOTO, make_completed(0.55), CONFIG, set(), AT)
    assert decision.prediction is not None
    assert decision.reason is Reason.UNSURE
    assert decision.detail == "the confidence of happy is 0.550; model.min_confidence is 0.6"
    assert (move.log_fields["event"], move.log_fields["reason"]) == ("review", "unsure")


def test_no_face_is_the_reason_of_a_photo_that_is_unsure_as_well() -> None:
    config = replace(CONFIG, model=ModelConfig(min_confidence=0.6, no_face="review"))
    _, decision = plan_move(PHOTO, make_completed(0.55, ()), config, set(), AT)
    assert decision.reason is Reason.NO_FACE


def test_a_file_that_is_refused_goes_to_quarantine() -> None:
    assert choose_folder(make_refused(), CONFIG) == "quarantine"


def test_folders_below_the_inbox_are_kept_below_the_label() -> None:
    move, decision = plan_move(PHOTO, make_completed(0.9), CONFIG, set(), AT)
    assert move.destination == Path("/nowhere/photos/happy/beach/a.jpg")
    assert decision.destination == Path("happy/beach/a.jpg")


def test_photos_of_one_batch_never_share_a_destination() -> None:
    reserved: set[Path] = set()
    names = []
    for _ in range(3):
        move, _ = plan_move(PHOTO, make_completed(0.9), CONFIG, reserved, AT)
        reserved.add(move.destination)
        names.append(move.destination.name)
    assert names == ["a.jpg", "a (2).jpg", "a (3).jpg"]


def test_a_decision_says_which_content_was_predicted_and_how() -> None:
    move, decision = plan_move(PHOTO, make_completed(0.9), CONFIG, set(), AT)
    assert (decision.content.sha256, decision.content.size_bytes) == (SOURCE.sha256, 333)
    assert (decision.content.width, decision.content.height) == (40, 30)
    assert decision.reason is None
    assert move.identity == SOURCE.identity
    assert move.log_fields["label"] == "happy"


def test_a_refusal_says_why_and_keeps_the_hash() -> None:
    move, decision = plan_move(PHOTO, make_refused(), CONFIG, set(), AT)
    assert (decision.reason, decision.detail) == (Reason.DAMAGED, "it is cut off")
    assert decision.content.sha256 == SOURCE.sha256
    assert decision.prediction is None
    assert move.log_fields["reason"] == "damaged"


def test_a_file_that_could_not_be_read_has_no_hash_and_the_size_that_was_seen() -> None:
    move, decision = plan_move(PHOTO, make_refused(is_read=False), CONFIG, set(), AT)
    assert (decision.content.sha256, decision.content.size_bytes) == (None, 300)
    assert move.identity is None


def test_each_further_try_waits_longer_up_to_a_minute() -> None:
    photo = replace(PHOTO)
    waits = []
    for _ in range(9):
        photo.back_off(1000.0)
        waits.append(photo.not_before - 1000.0)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 60.0
    photo.back_off(1000.0, seconds=3600.0)
    assert photo.not_before == 4600.0
