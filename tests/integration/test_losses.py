"""What training shows and pulls towards, computed in one process: TensorFlow's threads outlive a test."""

from typing import Any

import pytest

from tests.computation import compute

pytestmark = pytest.mark.timeout(120)

COMPUTE = """
import json
import numpy as np
import tensorflow as tf
from trainer.detection.boxes import Annotations, make_no_boxes
from trainer.detection.loss import compute_detection_loss
from trainer.detection.targets import make_targets
from trainer.models.classifiers import NetworkPlan, build_network
from trainer.models.detector_network import build_detector
from trainer.training.augmentation import draw_negatives
from trainer.training.batches import BatchConfig, ClassifierBatches
from trainer.training.losses import make_classification_loss
from worker.inference.manifest import InputSpec

values = {}

def make_seed(step):
    return tf.constant([3, step], tf.int32)

# Negatives.
negatives = draw_negatives(400, (24, 32, 3), make_seed(1)).numpy()
values["shape"], values["dtype"] = list(negatives.shape), str(negatives.dtype)
values["same"] = bool((negatives == draw_negatives(400, (24, 32, 3), make_seed(1)).numpy()).all())
values["different"] = bool((negatives != draw_negatives(400, (24, 32, 3), make_seed(2)).numpy()).any())
values["grey"] = list(draw_negatives(5, (24, 32, 1), make_seed(1)).numpy().shape)
values["none"] = list(draw_negatives(0, (24, 32, 3), make_seed(1)).numpy().shape)
spread = negatives.std(axis=(1, 2)).max(axis=1)
values["flat"], values["busy"] = float((spread < 1).mean()), float((spread > 20).mean())
brightness = negatives.mean(axis=(1, 2, 3))
values["dark"], values["bright"] = float((brightness < 25).mean()), float((brightness > 230).mean())

# Batches.
pixels = np.random.default_rng(0).integers(0, 256, (12, 24, 32, 3), np.uint8)
labels = np.arange(12) % 3

def make_batch(negatives, augmented, step=0, upside_down=0):
    config = BatchConfig(6, 3, augmented, negatives, upside_down, threads=1)
    batches = ClassifierBatches(pixels, labels, np.arange(12), config)
    return [tensor.numpy() for tensor in next(batches.iterate(step))]

batch, targets = make_batch(2, True, 1)
values["batch"] = [list(batch.shape), targets.tolist()[6:], sorted(set(targets.tolist()[:6]))]
values["batch_negatives"] = bool((batch[6:] == draw_negatives(2, (24, 32, 3), make_seed(1)).numpy()).all())
values["batch_positives"] = bool((batch[:6] == make_batch(0, True, 1)[0]).all())
batch, targets = make_batch(1, True, 1, upside_down=2)
values["upside_down"] = [targets.tolist()[6:], bool((batch[7:] == batch[4:6, ::-1]).all())]
values["batch_without_negatives"] = list(make_batch(0, True)[0].shape)
values["batch_without_augmentation"] = list(make_batch(2, False)[0].shape)

# The loss of a classifier.
compute_loss = make_classification_loss(np.array([2.0, 0.5, 1.0], np.float32), 0.1)

def compute_gradient(logits, label):
    logits = tf.constant([logits], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss, _ = compute_loss(logits, tf.constant([label], tf.int64))
    return [float(loss), tape.gradient(loss, logits)[0].numpy().tolist()]

values["unsure"], values["sure"] = compute_gradient([1.0, 1.0, 1.0], 3), compute_gradient([5.0, 0.0, 0.0], 3)
values["of_a_class"] = compute_gradient([0.0, 0.0, 0.0], 1)
logits = tf.constant([[9, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], tf.float32)
values["accuracy"] = float(compute_loss(logits, tf.constant([0, 1, 3, 3], tf.int64))[1])

# The loss of a detector.
face = np.array([[60, 68, 40]], np.float32)
ignore_region = np.array([[100, 20, 16]], np.float32)
targets = make_targets(Annotations(face, ignore_region), 128)[None]
heat = targets[..., :1].clip(1e-6, 1 - 1e-6)
perfect = np.concatenate([np.log(heat / (1 - heat)), targets[..., 3:]], axis=3)

def compute(heatmap, targets=targets):
    return [float(value) for value in compute_detection_loss(tf.constant(heatmap), tf.constant(targets))]

values["perfect"] = compute(perfect)
values["missed"] = compute(np.where(heat >= 0.999, -9, perfect).astype(np.float32))
false_positive, ignored, moved = perfect.copy(), perfect.copy(), perfect.copy()
false_positive[0, 14, 2, 0] = 9
ignored[0, 2, 12, 0] = 9
moved[..., 1] += 2.5
values["false_positive"], values["ignored"], values["moved"] = map(compute, (false_positive, ignored, moved))
no_targets = make_targets(Annotations(make_no_boxes(), make_no_boxes()), 128)[None]
values["empty"] = compute(np.full_like(perfect, -9), no_targets)

# Networks.
medium = build_network(NetworkPlan(InputSpec(48, 48, "grey", "stretch"), 3, 0), "medium")
values["medium"] = [medium.count_params(), list(medium(np.zeros((2, 48, 48, 1), np.uint8)).shape)]
heatmaps = build_detector(128, 0)(pixels.repeat(6, 1)[:2, :128].repeat(4, 2)).numpy()
values["detector"] = [list(heatmaps.shape), float((1 / (1 + np.exp(-heatmaps[..., 0]))).mean())]
print(json.dumps(values))
"""


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return compute(COMPUTE)


def test_the_same_seed_draws_the_same_negatives(values):
    assert (values["shape"], values["dtype"]) == ([400, 24, 32, 3], "uint8")
    assert values["same"]
    assert values["different"]
    assert values["grey"] == [5, 24, 32, 1]
    assert values["none"] == [0, 24, 32, 3]


def test_many_negatives_are_flat_and_many_are_not_and_some_are_all_but_black_or_white(values):
    assert 0.2 < values["flat"] < 0.7
    assert values["busy"] > 0.2
    assert values["dark"] > 0.04
    assert values["bright"] > 0.04


def test_negatives_are_added_to_each_batch_under_the_number_after_the_last_class(values):
    assert values["batch"] == [[8, 24, 32, 3], [3, 3], [0, 1, 2]]
    assert values["batch_negatives"]
    assert values["batch_positives"]  # the pictures of the classes are those of a batch without negatives


def test_pictures_upside_down_are_negatives(values):
    assert values["upside_down"] == [[3, 3, 3], True]


def test_negatives_are_added_only_with_augmentation_and_where_they_are_asked_for(values):
    assert values["batch_without_negatives"] == [6, 24, 32, 3]
    assert values["batch_without_augmentation"] == [6, 24, 32, 3]


def test_a_negative_pulls_towards_equal_probabilities(values):
    loss_of_equal, gradient = values["unsure"]
    assert gradient == pytest.approx([0, 0, 0], abs=1e-6)
    loss_of_sure, gradient = values["sure"]
    assert loss_of_sure > loss_of_equal
    assert gradient[0] > 0.5
    assert gradient[1] == pytest.approx(gradient[2])
    assert gradient[1] < 0


def test_a_picture_of_a_class_pulls_towards_it_with_the_weight_of_the_class(values):
    loss, gradient = values["of_a_class"]
    assert loss == pytest.approx(0.5 * 1.0986, abs=1e-4)
    assert gradient[1] < 0 < gradient[0]


def test_accuracy_is_that_of_pictures_of_a_class(values):
    assert values["accuracy"] == 0.5


def test_a_detector_that_predicts_its_targets_has_nothing_left_to_learn(values):
    loss, iou = values["perfect"]
    assert iou == pytest.approx(1, abs=1e-3)
    assert loss < 0.2
    assert values["empty"][0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("fault", ["missed", "false_positive", "moved"])
def test_a_face_that_is_missed_predicted_elsewhere_or_not_there_costs_a_detector(values, fault):
    assert values[fault][0] > values["perfect"][0] + 1


def test_what_a_detector_predicts_in_an_ignore_region_costs_it_nothing(values):
    assert values["ignored"] == values["perfect"]


def test_a_box_that_is_moved_has_a_lower_iou(values):
    assert values["moved"][1] < 0.6


def test_medium_has_under_seven_hundred_thousand_parameters_and_a_logit_for_each_class(values):
    parameters, shape = values["medium"]
    assert 400_000 < parameters < 700_000
    assert shape == [2, 3]


def test_a_detector_has_a_heatmap_of_stride_8_and_begins_with_hardly_a_face(values):
    shape, mean_score = values["detector"]
    assert shape == [2, 16, 16, 4]
    assert mean_score < 0.1
