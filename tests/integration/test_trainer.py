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

def make_trainer(name, validate=None, batches=make_batches, **settings):
    config = TrainerConfig(folder / name, steps_per_epoch=5, fingerprint=name, **settings)
    return Trainer(build, hyperparameters, compute_loss, batches, config, validate)

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

# A time budget.
def make_slow_batches(first):
    for batch in make_batches(first):
        time.sleep(0.2)
        yield batch
trained = fit("timed", batches=make_slow_batches, epochs=100, seconds=3.0)
values["timed"] = [len(trained.history) < 5, sentences[-1]]
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


def test_a_time_budget_ends_a_training_between_two_steps(values):
    is_short, sentence = values["timed"]
    assert is_short
    assert sentence.endswith("of 500 steps: the time budget is used up")
