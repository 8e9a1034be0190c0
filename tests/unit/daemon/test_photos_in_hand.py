"""Which photos of a worker are due, stuck, or under way."""

from pathlib import Path

from worker.daemon.photos_in_hand import PhotosInHand
from worker.daemon.planner import PendingMove, Photo


def make_photo(photo_id: int, size_bytes: int = 1, not_before: float = 0.0, tries: int = 0) -> Photo:
    return Photo(photo_id, Path(f"/photos/inbox/{photo_id}.jpg"), size_bytes, not_before, tries)


def make_move(photo: Photo) -> PendingMove:
    return PendingMove(photo, "happy", Path(f"/photos/happy/{photo.photo_id}.jpg"), None, {})


def test_a_photo_counts_once_wherever_it_is() -> None:
    photos = PhotosInHand()
    for photo_id in (1, 2):
        photos.add_pending(make_photo(photo_id))
    photos.start_prediction([photos.pending[1]])
    photos.moves.append(make_move(make_photo(3)))
    photos.gone.append(make_photo(4))
    assert len(photos) == 4
    assert list(photos.predicting) == [1]


def test_a_photo_that_backs_off_is_not_due_before_its_time() -> None:
    photos = PhotosInHand()
    photos.add_pending(make_photo(1, not_before=10.0, tries=1))
    photos.add_pending(make_photo(2))
    assert [photo.photo_id for photo in photos.list_due(9.0)] == [2]
    assert [photo.photo_id for photo in photos.list_due(10.0)] == [1, 2]
    assert photos.count_fresh() == 1
    assert photos.count_hindered() == 1


def test_a_move_that_backs_off_is_not_due_before_its_time() -> None:
    photos = PhotosInHand()
    photos.moves += [make_move(make_photo(1, not_before=10.0, tries=1)), make_move(make_photo(2))]
    assert list(photos.take_due_moves(9.0)) == [2]
    assert list(photos.take_due_moves(10.0)) == [1]
    assert photos.moves == []


def test_photos_are_stuck_once_each_has_been_hindered_three_times() -> None:
    photos = PhotosInHand()
    photos.add_pending(make_photo(1, tries=3))
    photos.moves.append(make_move(make_photo(2, tries=2)))
    assert not photos.is_stuck
    photos.moves[0].photo.tries = 3
    assert photos.is_stuck
    photos.gone.append(make_photo(3))
    assert not photos.is_stuck


def test_a_hindered_move_is_not_waited_for_when_stopping() -> None:
    photos = PhotosInHand()
    photos.moves.append(make_move(make_photo(1)))
    assert photos.has_batch
    photos.moves[0].photo.back_off(0.0)
    assert not photos.has_batch


def test_a_destination_is_reserved_until_its_photo_has_moved() -> None:
    photos = PhotosInHand()
    photos.moves.append(make_move(make_photo(1)))
    photos.readdressed.append(make_move(make_photo(2)))
    assert photos.list_reserved() == {Path("/photos/happy/1.jpg"), Path("/photos/happy/2.jpg")}


def test_after_a_transaction_retries_are_pending_and_readdressed_photos_have_to_move() -> None:
    photos = PhotosInHand()
    photos.retries.append(make_photo(1))
    photos.readdressed.append(make_move(make_photo(2)))
    photos.arrivals.append(make_move(make_photo(3)))
    photos.gone.append(make_photo(4))
    photos.advance_recorded([make_move(make_photo(5))], [make_photo(6)])
    assert [photo.photo_id for photo in photos.pending.values()] == [1, 6]
    assert [move.photo.photo_id for move in photos.moves] == [5, 2]
    assert len(photos) == 4
