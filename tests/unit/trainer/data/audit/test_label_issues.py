from dataclasses import replace

import numpy as np

from tests.unit.trainer.examined_images import make_picture
from trainer.data.audit.label_issues import find_label_issues, predict_out_of_fold


def draw_stripes(seed: int, upright: bool) -> np.ndarray:
    generator = np.random.default_rng(seed)
    wave = 60 * np.sin(np.arange(48) / generator.uniform(1.2, 2.0) + generator.uniform(0, 6))
    stripes = np.broadcast_to(wave if upright else wave[:, None], (48, 48))
    grey = 128 + stripes + generator.normal(0, 8, (48, 48))
    return np.repeat(grey[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8)


def test_labels_that_the_other_pictures_contradict_come_first():
    labels = np.arange(120) % 2
    views = [draw_stripes(number, upright=bool(label)) for number, label in enumerate(labels)]
    pictures = [replace(make_picture(str(number)), view=view) for number, view in enumerate(views)]
    wrong = [7, 40, 83]
    labels[wrong] = 1 - labels[wrong]

    result = find_label_issues(pictures, labels, np.arange(120))

    assert result is not None
    assert sorted(issue.position for issue in result.issues[:3]) == wrong
    assert all(issue.likely == 1 - labels[issue.position] for issue in result.issues)
    assert result.recall > 0.9


def test_a_near_duplicate_does_not_vouch_for_a_label():
    generator = np.random.default_rng(0)
    copies, singles = np.repeat(np.arange(24), 12), np.arange(288)
    labels = copies % 2
    noise = generator.normal(0, 1, (24, 120)).astype(np.float32)[copies]

    def measure_accuracy(groups: np.ndarray) -> float:
        return float((predict_out_of_fold(noise, labels, groups).argmax(axis=1) == labels).mean())

    assert measure_accuracy(singles) > 0.8  # by heart
    assert measure_accuracy(copies) < 0.7


def test_nothing_is_said_of_the_labels_of_a_handful_of_pictures():
    pictures = [make_picture(str(number)) for number in range(24)]

    assert find_label_issues(pictures, np.array([0] * 20 + [1] * 4), np.arange(24)) is None
    assert find_label_issues(pictures, np.arange(24) % 2, np.arange(24) // 8) is None


def test_a_model_that_guesses_finds_no_wrong_label():
    pictures = [make_picture(str(number), drawing=number) for number in range(60)]

    result = find_label_issues(pictures, np.arange(60) // 2 % 2, np.arange(60))

    assert result is not None
    assert result.recall < 0.6
    assert result.issues == ()
    assert "no label looks wrong" in str(result)
