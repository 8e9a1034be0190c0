"""What a checkpoint promises, with plain arrays in place of a network."""

import errno
import os
from dataclasses import fields, replace
from functools import partial

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
from trainer.training.progress import Epoch, ValidationMetrics
from worker.fileio import replace_file


def make_state(epochs):
    draw = np.random.default_rng(epochs)

    def draw_weights():
        return [draw.random((2, 3), np.float32), draw.integers(0, 9, 4), np.float32(draw.random())]

    validation = ValidationMetrics(loss=0.6, accuracy=0.7, mean_recall=0.8)
    history = tuple(Epoch(n, 1 / n, 0.5, 1e-3, 2.5, validation) for n in range(1, epochs + 1))
    weights = {name: draw_weights() for name in ("network", "ema", "optimizer", "best")}
    return TrainingState(steps=12 * epochs, seconds=2.5, progress=0.1, history=history, **weights)


def assert_same(loaded, expected):
    for field in fields(TrainingState):
        value, expected_value = getattr(loaded, field.name), getattr(expected, field.name)
        if isinstance(expected_value, list):
            assert len(value) == len(expected_value)
            for array, expected_array in zip(value, expected_value, strict=True):
                np.testing.assert_array_equal(array, expected_array)
                assert np.asarray(array).dtype == np.asarray(expected_array).dtype
        else:
            assert value == expected_value


def raise_full_disk(*paths):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


write_to_full_disk = partial(replace_file, replace=raise_full_disk)


def test_a_saved_state_is_loaded_to_the_bit(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")

    checkpoints.save(make_state(2))
    checkpoints.save(make_state(3))

    assert_same(checkpoints.load(), make_state(3))
    assert [path.name for path in tmp_path.iterdir()] == [".bundle.training"]
    assert len(list(checkpoints.folder.iterdir())) == 1


def test_a_full_disk_keeps_the_earlier_checkpoint_and_says_where_training_resumes(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")
    checkpoints.save(make_state(2))

    with pytest.raises(
        CheckpointLost, match=r"No space left on device\); free some space.*after the last complete epoch$"
    ):
        checkpoints.save(make_state(3), write=write_to_full_disk)

    assert_same(checkpoints.load(), make_state(2))
    assert len(list(checkpoints.folder.iterdir())) == 1


def test_a_full_disk_leaves_nothing_half_written_at_the_first_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")

    with pytest.raises(CheckpointLost, match="from the beginning"):
        checkpoints.save(make_state(1), write=write_to_full_disk)

    assert checkpoints.load() is None
    assert list(tmp_path.iterdir()) == []


def test_epochs_without_validation_are_loaded_as_they_were_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "detector", "aa")
    state = make_state(2)
    history = tuple(replace(epoch, validation=None, score_name="IoU") for epoch in state.history)

    checkpoints.save(replace(state, history=history))

    assert checkpoints.load().history == history


def test_the_checkpoint_of_another_run_is_neither_loaded_nor_lost(tmp_path):
    other_run, checkpoints = (Checkpoints(tmp_path / "bundle", fingerprint) for fingerprint in ("aa", "bb"))
    other_run.save(make_state(2))

    assert checkpoints.load() is None
    assert checkpoints.has_other_runs()
    checkpoints.save(make_state(1))
    assert_same(other_run.load(), make_state(2))


@pytest.mark.parametrize("size", [0, 10, 400])
def test_a_torn_checkpoint_is_not_loaded(tmp_path, size):
    checkpoints = Checkpoints(tmp_path / "bundle", "aa")
    checkpoints.save(make_state(2))
    (file,) = checkpoints.folder.iterdir()
    file.write_bytes(file.read_bytes()[:size])

    assert checkpoints.load() is None


def test_nothing_is_left_when_the_training_is_discarded(tmp_path):
    out = tmp_path / "bundle"
    Checkpoints(out, "aa").save(make_state(2))
    Checkpoints(out, "bb").save(make_state(2))

    discard_training(out)
    discard_training(out)

    assert not find_checkpoint_folder(out).exists()


def test_runs_differ_by_what_decides_their_weights():
    history = make_state(1).history

    assert fingerprint_run([1, history]) == fingerprint_run([1, history])
    assert fingerprint_run([1, history]) != fingerprint_run([2, history])
