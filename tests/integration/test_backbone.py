"""A reader of whole pictures that begins with a finder's trunk; TensorFlow's threads would outlive a test."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainer.cli.train import train
from worker.errors import ConfigError

pytestmark = pytest.mark.timeout(150)

ROOT = Path(__file__).parents[2]

COMPUTE = """
import json, sys
from pathlib import Path
import keras
import numpy as np
from trainer.models.detector_network import LEVELS, finder_network, reading
from trainer.models.classifiers import Plan, WeightsUnavailable, build_network
from worker.inference.bundle import InputSpec

folder = Path(sys.argv[1])
plan = Plan(InputSpec(64, 64, "rgb", "stretch"), classes=3, seed=0)
draw = np.random.default_rng(0)
pixels = draw.integers(0, 256, (2, 64, 64, 3), np.uint8)

finder = finder_network(96, seed=5)
finder.set_weights([draw.uniform(0.1, 0.9, each.shape) * 0.1 for each in finder.get_weights()])
finder.save(folder / "finder.keras")
build_network(plan, "small").save(folder / "small.keras")
(folder / "text.keras").write_text("no network")
(folder / "torn.keras").write_bytes((folder / "finder.keras").read_bytes()[:5000])

def levels(network):
    seen = keras.Model(network.inputs, [network.get_layer(name).output for name in LEVELS])
    return [level.numpy() for level in seen(pixels)]

told = {}
begun, fresh = (build_network(plan, "trunk", weights) for weights in (str(folder / "finder.keras"), "none"))
wanted = levels(reading(finder, 64))
told["begun"] = [bool(np.ptp(a) > 0 and np.allclose(a, b)) for a, b in zip(levels(begun), wanted)]
told["fresh"] = [bool(np.allclose(a, b)) for a, b in zip(levels(fresh), wanted)]
told["answers"] = [list(network(pixels).shape) for network in (begun, fresh)]
told["parameters"] = begun.count_params()
told["refused"] = {}
for name in ("text", "torn", "small"):
    try:
        build_network(plan, "trunk", str(folder / f"{name}.keras"))
    except WeightsUnavailable as error:
        told["refused"][name] = str(error)
print(json.dumps(told))
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run("-c", COMPUTE, tmp_path_factory.mktemp("networks"))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for seed, label in enumerate(("happy", "sad") * 6):
        (folder / label).mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((48, 48)).save(folder / label / f"{seed}.png")
    return folder


def test_it_sees_at_each_level_what_the_finder_sees_that_it_begins_with_whatever_side_both_read(told):
    assert told["begun"] == [True] * 4


def test_without_weights_it_begins_with_nothing_of_a_finder(told):
    assert told["fresh"] == [False] * 4


def test_it_answers_for_each_class_and_has_under_six_hundred_thousand_parameters(told):
    assert told["answers"] == [[2, 3], [2, 3]]
    assert 300_000 < told["parameters"] < 600_000


@pytest.mark.parametrize("name", ["text", "torn", "small"])
def test_a_file_that_is_no_finder_is_refused_by_one_line_that_names_it(told, name):
    line = told["refused"][name]
    assert f"{name}.keras: cannot be taken as weights of this network (" in line
    assert "\n" not in line


def test_a_training_that_would_begin_with_no_finder_ends_as_after_any_error_and_leaves_nothing(
    data, tmp_path
):
    (tmp_path / "notes.keras").write_text("no network")
    words = ["train", data, "--network", "trunk", "--weights", tmp_path / "notes.keras"]
    main = "from worker.cli import main; main()"
    done = run("-c", main, *words, "--input-size", "32", "--epochs", "1", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"moodsort: {tmp_path / 'notes.keras'}: cannot be taken")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "notes.keras"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--input-size", "100"),
            "--network trunk reads --colour rgb, and an --input-size that is a multiple of 32",
        ),
        (
            ("--colour", "grey"),
            "--network trunk reads --colour rgb, and an --input-size that is a multiple of 32",
        ),
        (("--weights", "imagenet"), "--weights imagenet: is no file; give none or the file's path"),
        (("--weights", "finder"), "--weights finder: is no file; give none or the file's path"),
    ],
)
def test_what_a_trunk_cannot_be_is_wrong_use_before_tensorflow_starts(
    data, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.setattr("trainer.cli.train.start_tensorflow", lambda: pytest.fail("it was started"))
    arguments = [data, "--network", "trunk", *options, "--out", tmp_path / "out"]
    with pytest.raises(ConfigError) as refusal:
        train.main([*map(str, arguments)], standalone_mode=False)
    assert (str(refusal.value), refusal.value.exit_status) == (sentence, 2)
