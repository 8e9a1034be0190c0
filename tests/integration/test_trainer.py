"""The training loop with a small network, in a process: TensorFlow's threads would outlive a test."""

from typing import Any

import pytest

from tests.computation import compute

pytestmark = pytest.mark.timeout(120)

COMPUTE = """
import json, sys, time
from dataclasses import replace
from itertools import count
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf
from trainer.training.hyperparameters import TUTORIAL_HYPERPARAMETERS
from trainer.training.progress import Progress, ValidationMetrics
from trainer.training.runtime import configure_tensorflow
from trainer.training.time_limit import TimeLimit
from trainer.training.trainer import Trainer, TrainerConfig

configure_tensorflow(1)
folder = Path(sys.argv[1])
sentences, steps = [], []
hyperparameters = replace(TUTORIAL_HYPERPARAMETERS, peak_learning_rate=0.1)

def build():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

def compute_loss(predictions, targets):
    loss = tf.reduce_mean((predictions - targets) ** 2)
    return loss, tf.exp(-loss)

def make_batches(first):
    steps.append(first)
    for step in count(first):
        inputs = np.random.default_rng(step).random((4, 2), np.float32)
        yield inputs, inputs.sum(axis=1, keepdims=True)

def make_trainer(name, validate=None, batches=make_batches, clock=time.monotonic, **settings):
    config = TrainerConfig(folder / name, steps_per_epoch=5, fingerprint=name, **settings)
    return Trainer(build, hyperparameters, compute_loss, batches, config, validate, clock)

def fit(*arguments, **settings):
    progress = Progress(sentences.append, epochs.append, reported.append)
    return make_trainer(*arguments, **settings).fit(progress)

def list_weights(trained):
    return [weights.tolist() for weights in trained.network.get_weights()]

values = {}
epochs, reported = [], []

# Early stopping: the second of the scripted validations is the best.
recalls, weights_by_epoch = iter([0.5, 0.9, 0.7, 0.6, 0.8]), []
def validate(predict):
    weights_by_epoch.append(float(predict(np.ones((1, 2), np.float32))[0, 0]))
    loss = 0.9 if len(weights_by_epoch) == 2 else 1.0
    return ValidationMetrics(loss, accuracy=0.5, mean_recall=next(recalls))
trained = fit("stopped", validate, epochs=9, patience=2)
values["stopped"] = [trained.best.number, len(trained.history), sentences[-1]]
prediction = float(trained.network(np.ones((1, 2), np.float32))[0, 0])
values["best_weights"] = [prediction, weights_by_epoch[1], weights_by_epoch[-1]]

# Without validation the last epoch is the best, and every step is reported.
epochs.clear(), reported.clear()
trained = fit("uninterrupted", epochs=3, score_name="IoU")
values["uninterrupted"] = [trained.best.number, [epoch.number for epoch in epochs], sentences[-1]]
values["validation"] = [epoch.validation for epoch in epochs]
values["steps"] = [len(reported), reported[-1].progress, {step.score_name for step in reported} == {"IoU"}]
values["loss_falls"] = epochs[-1].loss < epochs[0].loss
values["weights"] = list_weights(trained)

# A training that is interrupted in its second epoch, and resumed.
def interrupt(first):
    for number, batch in enumerate(make_batches(first)):
        if number == 7:
            raise KeyboardInterrupt
        yield batch
try:
    fit("resumed", batches=interrupt, epochs=3, score_name="IoU")
except KeyboardInterrupt:
    pass
steps.clear(), sentences.clear()
trained = fit("resumed", epochs=3, score_name="IoU")
values["resumed"] = [list(steps), sentences[0].split(";")[0], list_weights(trained) == values["weights"]]
steps.clear(), sentences.clear()
trained = fit("resumed", epochs=3, score_name="IoU")
values["finished"] = [list(steps), list_weights(trained) == values["weights"]]
steps.clear(), sentences.clear()
fit("resumed", epochs=3, score_name="IoU", fresh=True)
values["fresh"] = [list(steps), [line for line in sentences if "resuming" in line]]

# A time limit, by a clock that goes on by 9 s in the first step, 2 s in the others and 3 s in a validation.
def fit_within(name, seconds):
    now = 0.0
    def make_slow_batches(first):
        nonlocal now
        for number, batch in enumerate(make_batches(first)):
            now += 2.0 if number else 9.0
            yield batch
    def validate_slowly(predict):
        nonlocal now
        now += 3.0
        return ValidationMetrics(1.0, accuracy=0.5, mean_recall=0.5)
    limit = TimeLimit(seconds, estimate_closing=lambda pace: 4 * pace.first_step)
    steps.clear(), reported.clear()
    trained = fit(
        name, validate_slowly, make_slow_batches, lambda: now, epochs=100, time_limit=limit
    )
    return [now, len(reported), len(trained.history), sentences[-1]]
values["timed"] = fit_within("timed", 100.0)
values["too_short"] = fit_within("too_short", 1.0)
print(json.dumps(values))
"""


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compute(COMPUTE, tmp_path_factory.mktemp("trainer"))


def test_a_training_without_progress_stops_after_its_patience(values):
    assert values["stopped"] == [2, 4, "stopped early: no progress for 2 epochs (--patience)"]


def test_the_trained_network_has_the_weights_of_the_best_epoch(values):
    trained, best, last = values["best_weights"]
    assert trained == best != last


def test_without_validation_a_training_runs_to_its_end_and_keeps_the_last_epoch(values):
    assert values["uninterrupted"] == [3, [1, 2, 3], "trained for all 3 epochs"]
    assert values["validation"] == [None] * 3
    assert values["loss_falls"]


def test_every_step_is_reported_with_the_name_of_its_score(values):
    assert values["steps"] == [15, 1.0, True]


def test_an_interrupted_training_resumes_after_its_last_complete_epoch_to_the_same_weights(values):
    assert values["resumed"] == [[5], "resuming after epoch 1 of an earlier run", True]


def test_a_training_that_was_finished_before_is_not_repeated(values):
    assert values["finished"] == [[], True]


def test_a_fresh_training_starts_over(values):
    assert values["fresh"] == [[0], []]


def test_a_time_limit_ends_a_training_so_that_what_follows_ends_in_time(values):
    seconds, steps, epochs, sentence = values["timed"]
    assert 100 - 2 - 3 < seconds + 4 * 9 <= 100
    assert 6 + 9 + 2 * (steps - 1) + 3 * epochs == seconds
    assert sentence == f"stopped after {steps} of 500 steps to finish within the time budget"


def test_a_time_limit_that_is_too_short_leaves_one_step(values):
    _, steps, epochs, sentence = values["too_short"]
    assert (steps, epochs) == (1, 1)
    assert sentence.startswith("stopped after 1 of 500 steps")
