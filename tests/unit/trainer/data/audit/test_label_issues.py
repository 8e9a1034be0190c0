from dataclasses import replace

import numpy as np

from tests.unit.trainer.measured import picture
from trainer.data.audit.label_issues import find_label_issues, predict_out_of_fold


def stripes(seed: int, upright: bool) -> np.ndarray:
    draw = np.random.default_rng(seed)
    wave = 60 * np.sin(np.arange(48) / draw.uniform(1.2, 2.0) + draw.uniform(0, 6))
    flat = 128 + np.broadcast_to(wave if upright else wave[:, None], (48, 48)) + draw.normal(0, 8, (48, 48))
    return np.repeat(flat[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8)


def test_labels_that_the_other_pictures_contradict_are_doubted_first():
    labels = np.arange(120) % 2
    views = [stripes(number, upright=bool(label)) for number, label in enumerate(labels)]
    pictures = [replace(picture(str(n)), view=view) for n, view in enumerate(views)]
    wrong = [7, 40, 83]
    labels[wrong] = 1 - labels[wrong]

    doubts = find_label_issues(pictures, labels, np.arange(120))

    assert doubts is not None
    assert sorted(doubt.position for doubt in doubts.found[:3]) == wrong
    assert all(doubt.likely == 1 - labels[doubt.position] for doubt in doubts.found)
    assert doubts.recall > 0.9


def test_a_near_duplicate_does_not_vouch_for_a_label():
    draw = np.random.default_rng(0)
    copies, apart = np.repeat(np.arange(24), 12), np.arange(288)
    labels = copies % 2
    noise = draw.normal(0, 1, (24, 120)).astype(np.float32)[copies]

    def right(groups: np.ndarray) -> float:
        return float((predict_out_of_fold(noise, labels, groups).argmax(axis=1) == labels).mean())

    assert right(apart) > 0.8  # by heart
    assert right(copies) < 0.7


def test_nothing_is_said_of_the_labels_of_a_handful_of_pictures():
    pictures = [picture(str(number)) for number in range(24)]

    assert find_label_issues(pictures, np.array([0] * 20 + [1] * 4), np.arange(24)) is None
    assert find_label_issues(pictures, np.arange(24) % 2, np.arange(24) // 8) is None


def test_a_model_that_guesses_doubts_nothing():
    pictures = [picture(str(number), drawing=number) for number in range(60)]

    doubts = find_label_issues(pictures, np.arange(60) // 2 % 2, np.arange(60))

    assert doubts is not None
    assert doubts.recall < 0.6
    assert doubts.found == ()
    assert "no label is doubted" in str(doubts)
