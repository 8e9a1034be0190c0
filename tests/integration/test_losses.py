"""What training is shown and pulled towards, computed in one process: TensorFlow's threads outlive a test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)

COMPUTE = """
import json
import numpy as np
import tensorflow as tf
from trainer.training.augmentation import nothings
from trainer.models.detector_network import finder_network
from trainer.detection.loss import finding_objective
from trainer.detection.boxes import Marks, no_squares
from trainer.detection.targets import targets
from trainer.models.classifiers import Plan, build_network
from trainer.training.batches import Feed
from trainer.training.train_step import classifying_objective
from worker.inference.bundle import InputSpec

told = {}

def seed(number):
    return tf.constant([3, number], tf.int32)

# Pictures of nothing.
drawn = nothings(400, (24, 32, 3), seed(1)).numpy()
told["shape"], told["dtype"] = list(drawn.shape), str(drawn.dtype)
told["same"] = bool((drawn == nothings(400, (24, 32, 3), seed(1)).numpy()).all())
told["others"] = bool((drawn != nothings(400, (24, 32, 3), seed(2)).numpy()).any())
told["grey"] = list(nothings(5, (24, 32, 1), seed(1)).numpy().shape)
told["none"] = list(nothings(0, (24, 32, 3), seed(1)).numpy().shape)
spread = drawn.std(axis=(1, 2)).max(axis=1)
told["flat"], told["busy"] = float((spread < 1).mean()), float((spread > 20).mean())
light = drawn.mean(axis=(1, 2, 3))
told["dark"], told["bright"] = float((light < 25).mean()), float((light > 230).mean())

# What is fed.
pixels = np.random.default_rng(0).integers(0, 256, (12, 24, 32, 3), np.uint8)
labels = np.arange(12) % 3

def fed(count, varied, step=0, upside_down=0):
    feed = Feed(
        pixels, labels, np.arange(12), batch_size=6, seed=3, nothings=count, upside_down=upside_down
    )
    shown, wanted = next(feed.batches(step, varied=varied, threads=1))
    return shown.numpy(), wanted.numpy()

shown, wanted = fed(2, True, 1)
told["fed"] = [list(shown.shape), wanted.tolist()[6:], sorted(set(wanted.tolist()[:6]))]
told["fed_nothing"] = bool((shown[6:] == nothings(2, (24, 32, 3), seed(1)).numpy()).all())
told["fed_first"] = bool((shown[:6] == fed(0, True, 1)[0]).all())
turned, wanted = fed(1, True, 1, upside_down=2)
told["fed_upside_down"] = [wanted.tolist()[6:], bool((turned[7:] == turned[4:6, ::-1]).all())]
told["fed_without"] = list(fed(0, True)[0].shape)
told["fed_unvaried"] = list(fed(2, False)[0].shape)

# What is right of a picture of nothing.
objective = classifying_objective(np.array([2.0, 0.5, 1.0], np.float32), 0.1)

def pull(logits, label):
    logits = tf.constant([logits], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss, _ = objective(logits, tf.constant([label], tf.int64))
    return [float(loss), tape.gradient(loss, logits)[0].numpy().tolist()]

told["unsure"], told["sure"] = pull([1.0, 1.0, 1.0], 3), pull([5.0, 0.0, 0.0], 3)
told["of_a_class"] = pull([0.0, 0.0, 0.0], 1)
logits = tf.constant([[9, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], tf.float32)
told["accuracy"] = float(objective(logits, tf.constant([0, 1, 3, 3], tf.int64))[1])

# A finder's answers.
square = np.array([[60, 68, 40]], np.float32)
doubt = np.array([[100, 20, 16]], np.float32)
wanted = targets(Marks(square, doubt), 128)[None]
heat = wanted[..., :1].clip(1e-6, 1 - 1e-6)
learnt = np.concatenate([np.log(heat / (1 - heat)), wanted[..., 3:]], axis=3)

def cost(answers, wanted=wanted):
    return [float(value) for value in finding_objective(tf.constant(answers), tf.constant(wanted))]

told["learnt"], told["missed"] = cost(learnt), cost(np.where(heat >= 0.999, -9, learnt).astype(np.float32))
alarmed, doubted, moved = learnt.copy(), learnt.copy(), learnt.copy()
alarmed[0, 14, 2, 0] = 9
doubted[0, 2, 12, 0] = 9
moved[..., 1] += 2.5
told["alarmed"], told["doubted"], told["moved"] = cost(alarmed), cost(doubted), cost(moved)
told["empty"] = cost(np.full_like(learnt, -9), targets(Marks(no_squares(), no_squares()), 128)[None])

# Networks.
medium = build_network(Plan(InputSpec(48, 48, "grey", "stretch"), 3, 0), "medium")
told["medium"] = [medium.count_params(), list(medium(np.zeros((2, 48, 48, 1), np.uint8)).shape)]
finder = finder_network(128, 0)
answers = finder(pixels.repeat(6, 1)[:2, :128].repeat(4, 2)).numpy()
told["finder"] = [list(answers.shape), float((1 / (1 + np.exp(-answers[..., 0]))).mean())]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", COMPUTE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_same_seed_draws_the_same_pictures_of_nothing(told):
    assert (told["shape"], told["dtype"]) == ([400, 24, 32, 3], "uint8")
    assert told["same"]
    assert told["others"]
    assert told["grey"] == [5, 24, 32, 1]
    assert told["none"] == [0, 24, 32, 3]


def test_many_pictures_of_nothing_are_flat_and_many_are_not_and_some_are_all_but_black_or_white(told):
    assert 0.2 < told["flat"] < 0.7
    assert told["busy"] > 0.2
    assert told["dark"] > 0.04
    assert told["bright"] > 0.04


def test_pictures_of_nothing_are_fed_beside_each_batch_under_the_number_after_the_last_class(told):
    assert told["fed"] == [[8, 24, 32, 3], [3, 3], [0, 1, 2]]
    assert told["fed_nothing"]
    assert told["fed_first"]  # the classes' pictures are those that are fed without them


def test_pictures_upside_down_are_fed_as_pictures_of_nothing(told):
    assert told["fed_upside_down"] == [[3, 3, 3], True]


def test_pictures_of_nothing_are_fed_only_where_pictures_are_varied_and_they_are_asked_for(told):
    assert told["fed_without"] == [6, 24, 32, 3]
    assert told["fed_unvaried"] == [6, 24, 32, 3]


def test_a_picture_of_nothing_pulls_towards_equal_chances(told):
    even, slopes = told["unsure"]
    assert slopes == pytest.approx([0, 0, 0], abs=1e-6)
    sure, slopes = told["sure"]
    assert sure > even
    assert slopes[0] > 0.5
    assert slopes[1] == pytest.approx(slopes[2])
    assert slopes[1] < 0


def test_a_picture_of_a_class_pulls_towards_it_with_the_weight_of_the_class(told):
    loss, slopes = told["of_a_class"]
    assert loss == pytest.approx(0.5 * 1.0986, abs=1e-4)
    assert slopes[1] < 0 < slopes[0]


def test_accuracy_is_that_of_pictures_of_a_class(told):
    assert told["accuracy"] == 0.5


def test_a_finder_that_answers_what_it_should_has_nothing_left_to_learn(told):
    loss, overlap = told["learnt"]
    assert overlap == pytest.approx(1, abs=1e-3)
    assert loss < 0.2
    assert told["empty"][0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("fault", ["missed", "alarmed", "moved"])
def test_a_face_that_is_missed_found_elsewhere_or_not_there_costs_a_finder(told, fault):
    assert told[fault][0] > told["learnt"][0] + 1


def test_what_a_finder_answers_where_there_may_be_a_face_costs_it_nothing(told):
    assert told["doubted"] == told["learnt"]


def test_a_finder_that_is_moved_overlaps_less(told):
    assert told["moved"][1] < 0.6


def test_medium_has_under_seven_hundred_thousand_parameters_and_answers_for_each_class(told):
    parameters, shape = told["medium"]
    assert 400_000 < parameters < 700_000
    assert shape == [2, 3]


def test_a_finder_answers_for_each_cell_and_begins_with_hardly_a_face(told):
    shape, chance = told["finder"]
    assert shape == [2, 16, 16, 4]
    assert chance < 0.1
