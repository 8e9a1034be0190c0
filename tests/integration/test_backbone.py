"""A scene classifier that begins with a detector's backbone; TensorFlow's threads would outlive a test."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.patience import scale
from trainer.cli.train import train
from worker.errors import ConfigError

pytestmark = pytest.mark.timeout(150)

ROOT = Path(__file__).parents[2]

COMPUTE = """
import json, sys
from pathlib import Path
import keras
import numpy as np
from trainer.models.classifiers import NetworkPlan, WeightsUnavailable, build_network
from trainer.models.detector_network import LEVELS, build_detector, resize_detector
from worker.inference.manifest import InputSpec

folder = Path(sys.argv[1])
plan = NetworkPlan(InputSpec(64, 64, "rgb", "stretch"), classes=3, seed=0)
draw = np.random.default_rng(0)
pixels = draw.integers(0, 256, (2, 64, 64, 3), np.uint8)

detector = build_detector(96, seed=5)
detector.set_weights([draw.uniform(0.1, 0.9, weights.shape) * 0.1 for weights in detector.get_weights()])
detector.save(folder / "detector.keras")
build_network(plan, "small").save(folder / "small.keras")
(folder / "text.keras").write_text("no network")
(folder / "torn.keras").write_bytes((folder / "detector.keras").read_bytes()[:5000])

def compute_levels(network):
    backbone = keras.Model(network.inputs, [network.get_layer(name).output for name in LEVELS])
    return [level.numpy() for level in backbone(pixels)]

values = {}
pretrained = build_network(plan, "backbone", str(folder / "detector.keras"))
untrained = build_network(plan, "backbone", "none")
expected = compute_levels(resize_detector(detector, 64))
values["pretrained"] = [
    bool(np.ptp(level) > 0 and np.allclose(level, expected_level))
    for level, expected_level in zip(compute_levels(pretrained), expected)
]
values["untrained"] = [
    bool(np.allclose(level, expected_level))
    for level, expected_level in zip(compute_levels(untrained), expected)
]
values["shapes"] = [list(network(pixels).shape) for network in (pretrained, untrained)]
values["parameters"] = pretrained.count_params()
values["refusals"] = {}
for name in ("text", "torn", "small"):
    try:
        build_network(plan, "backbone", str(folder / f"{name}.keras"))
    except WeightsUnavailable as error:
        values["refusals"][name] = str(error)
print(json.dumps(values))
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=scale(120),
        check=False,
    )


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    result = run("-c", COMPUTE, tmp_path_factory.mktemp("networks"))
    assert result.returncode == 0, result.stderr
    computed: dict[str, Any] = json.loads(result.stdout)
    return computed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for seed, label in enumerate(("happy", "sad") * 6):
        (folder / label).mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((48, 48)).save(folder / label / f"{seed}.png")
    return folder


def test_each_level_of_the_backbone_gives_what_the_detectors_gives_whatever_side_both_read(values):
    assert values["pretrained"] == [True] * 4


def test_without_weights_it_begins_with_nothing_of_a_detector(values):
    assert values["untrained"] == [False] * 4


def test_it_has_a_logit_for_each_class_and_under_six_hundred_thousand_parameters(values):
    assert values["shapes"] == [[2, 3], [2, 3]]
    assert 300_000 < values["parameters"] < 600_000


@pytest.mark.parametrize("name", ["text", "torn", "small"])
def test_a_file_that_is_no_detector_is_refused_by_one_line_that_names_it(values, name):
    line = values["refusals"][name]
    assert f"{name}.keras: is no file of weights for this network (" in line
    assert "\n" not in line


def test_a_training_with_wrong_weights_ends_as_after_any_error_and_leaves_nothing(data, tmp_path):
    (tmp_path / "notes.keras").write_text("no network")
    arguments = ["train", data, "--network", "backbone", "--weights", tmp_path / "notes.keras"]
    main = "from worker.cli import main; main()"
    result = run("-c", main, *arguments, "--input-size", "32", "--epochs", "1", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"moodsort: {tmp_path / 'notes.keras'}: is no file of weights"
    )
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "notes.keras"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--input-size", "100"),
            "--network backbone reads --colour rgb, and an --input-size that is a multiple of 32",
        ),
        (
            ("--colour", "grey"),
            "--network backbone reads --colour rgb, and an --input-size that is a multiple of 32",
        ),
        (("--weights", "imagenet"), "--weights imagenet: is no file; give none or the file's path"),
        (("--weights", "detector"), "--weights detector: is no file; give none or the file's path"),
    ],
)
def test_what_a_backbone_cannot_be_is_wrong_use_before_tensorflow_starts(
    data, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.setattr("trainer.cli.train.start_tensorflow", lambda: pytest.fail("it was started"))
    arguments = [data, "--network", "backbone", *options, "--out", tmp_path / "out"]
    with pytest.raises(ConfigError) as refusal:
        train.main([*map(str, arguments)], standalone_mode=False)
    assert (str(refusal.value), refusal.value.exit_status) == (sentence, 2)
