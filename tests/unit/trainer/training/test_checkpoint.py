"""What a checkpoint promises, with plain arrays in place of a network."""

import errno
from dataclasses import fields, replace

import numpy as np
import pytest

from trainer.training.checkpoint import (
    CheckpointLost,
    Checkpoints,
    TrainingState,
    discard_training,
    find_checkpoint_folder,
    fingerprint_run,
)
from trainer.training.progress import Epoch


def state_after(epochs):
    draw = np.random.default_rng(epochs)

    def weights():
        return [draw.random((2, 3), np.float32), draw.integers(0, 9, 4), np.float32(draw.random())]

    history = tuple(Epoch(n, 1 / n, 0.5, 0.6, 0.7, 0.8, 1e-3, 2.5) for n in range(1, epochs + 1))
    return TrainingState(12 * epochs, 2.5, 0.1, history, 1, weights(), weights(), weights(), weights())


def assert_same(found, expected):
    for field in fields(TrainingState):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, list):
            assert len(mine) == len(theirs)
            for one, other in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(one, other)
                assert np.asarray(one).dtype == np.asarray(other).dtype
        else:
            assert mine == theirs


def refusing(file, state):
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_saved_is_loaded_to_the_bit(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")

    checkpoints.save(state_after(2))
    checkpoints.save(state_after(3))

    assert_same(checkpoints.load(), state_after(3))
    assert [path.name for path in tmp_path.iterdir()] == [".bundle.training"]
    assert len(list(checkpoints.folder.iterdir())) == 1


def test_a_full_disk_keeps_the_earlier_checkpoint_and_says_where_it_goes_on(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")
    checkpoints.save(state_after(2))

    with pytest.raises(
        CheckpointLost, match=r"No space left on device\); make room.*after the last whole epoch$"
    ):
        checkpoints.save(state_after(3), write=refusing)

    assert_same(checkpoints.load(), state_after(2))
    assert len(list(checkpoints.folder.iterdir())) == 1


def test_a_full_disk_leaves_nothing_half_written_at_the_first_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")

    with pytest.raises(CheckpointLost, match="from the beginning"):
        checkpoints.save(state_after(1), write=refusing)

    assert checkpoints.load() is None
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_a_history_says_where_it_goes_on(tmp_path):
    checkpoints = Checkpoints(tmp_path / "finder", "aa")
    checkpoints.save(replace(state_after(2), history=()))

    with pytest.raises(CheckpointLost, match=r"after the last whole epoch$"):
        checkpoints.save(replace(state_after(3), history=()), write=refusing)


def test_another_runs_checkpoint_is_neither_taken_nor_lost(tmp_path):
    theirs, ours = (Checkpoints(tmp_path / "bundle", fingerprint) for fingerprint in ("aa", "bb"))
    theirs.save(state_after(2))

    assert ours.load() is None
    assert ours.holds_another()
    ours.save(state_after(1))
    assert_same(theirs.load(), state_after(2))


@pytest.mark.parametrize("kept", [0, 10, 400])
def test_a_checkpoint_that_is_not_whole_is_not_taken(tmp_path, kept):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")
    checkpoints.save(state_after(2))
    (file,) = checkpoints.folder.iterdir()
    file.write_bytes(file.read_bytes()[:kept])

    assert checkpoints.load() is None


def test_nothing_is_left_when_the_training_is_discarded(tmp_path):
    out = tmp_path / "bundle"
    Checkpoints(out, "aa").save(state_after(2))
    Checkpoints(out, "bb").save(state_after(2))

    discard_training(out)
    discard_training(out)

    assert not find_checkpoint_folder(out).exists()


def test_runs_are_told_apart_by_what_decides_their_weights():
    method = replace(state_after(1), seconds=1.0).history

    assert fingerprint_run([1, method]) == fingerprint_run([1, method])
    assert fingerprint_run([1, method]) != fingerprint_run([2, method])
