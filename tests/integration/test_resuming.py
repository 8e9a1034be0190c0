"""A training that is killed and resumed comes to the same weights, in processes as people run them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn_predictions import run_both_ways
from tests.patience import scale
from trainer.cli.train import train
from trainer.training.checkpoint import find_checkpoint_folder
from worker.errors import MoodsortError
from worker.inference.bundle import load_bundle

TRAIN = """
import sys
from worker.cli import main
main()
"""


def make_command(data: Path, out: Path, *options: object) -> list[str]:
    arguments = ["train", data, "--out", out, "--threads", 1, "--epochs", 3, "--input-size", 32, *options]
    return [sys.executable, "-c", TRAIN, *map(str, arguments)]


def draw_two_classes(folder: Path) -> Path:
    for channel, label in enumerate(("red", "green")):
        (folder / label).mkdir(parents=True)
        for seed in range(40):
            coarse = np.random.default_rng((channel, seed)).integers(0, 180, (6, 6, 3))
            coarse[..., channel] += 70
            picture = Image.fromarray(coarse.astype(np.uint8)).resize((40, 40), Image.Resampling.BICUBIC)
            picture.save(folder / label / f"{seed}.png")
    return folder


@pytest.fixture(autouse=True)
def _children_hear_sigint() -> Iterator[None]:
    """Undo what a shell does to a suite in its background: it has SIGINT ignored, which children inherit."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=scale(100), check=False)


def stop_after_epoch(number: int, command: list[str], stop: signal.Signals) -> tuple[int, str]:
    """Send the signal once the epoch's line is out: the next has begun, or is about to."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if line.startswith(f"epoch {number}:"):
                child.send_signal(stop)
                break
        message = child.stderr.read()
        return child.wait(), message


@pytest.mark.timeout(200)
def test_a_training_that_is_stopped_killed_and_resumed_comes_to_the_weights_of_an_uninterrupted_one(tmp_path):
    data = draw_two_classes(tmp_path / "data")
    uninterrupted = run(make_command(data, tmp_path / "uninterrupted"))
    assert uninterrupted.returncode == 0, uninterrupted.stderr
    assert "Traceback" not in uninterrupted.stderr

    out = tmp_path / "bundle"
    status, message = stop_after_epoch(1, make_command(data, out), signal.SIGINT)
    assert status == 130
    assert message == "stopped; the same command resumes after the last complete epoch\n"
    status, _ = stop_after_epoch(2, make_command(data, out), signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not out.exists()
    assert find_checkpoint_folder(out).is_dir()

    resumed = run(make_command(data, out))
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming after epoch" in resumed.stdout
    assert "epoch 1:" not in resumed.stdout
    assert not find_checkpoint_folder(out).exists()
    versions = {load_bundle(folder).manifest.version for folder in (out, tmp_path / "uninterrupted")}
    assert len(versions) == 1


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the tutorial's network for two epochs, on `data` beside it."""
    folder = tmp_path_factory.mktemp("tutorial")
    data, out = draw_two_classes(folder / "data"), folder / "bundle"
    result = run(make_command(data, out, "--epochs", "2", "--network", "tutorial"))
    assert result.returncode == 0, result.stderr
    return out


@pytest.mark.timeout(200)
def test_a_time_budget_that_starting_alone_uses_up_still_gives_a_bundle_of_one_step(tmp_path):
    data, out = draw_two_classes(tmp_path / "data"), tmp_path / "bundle"
    result = run(make_command(data, out, "--time-budget", "0.01s"))
    assert result.returncode == 0, result.stderr
    assert "stopped after 1 of " in result.stdout
    assert load_bundle(out).manifest.metrics


@pytest.mark.timeout(200)
def test_a_bundle_is_trained_further(tutorial, tmp_path):
    data, out = tutorial.parent / "data", Path(shutil.copytree(tutorial, tmp_path / "bundle"))
    options = ("--start-from", out, "--force", "--tensorboard", tmp_path / "events")
    further = run(make_command(data, out, *map(str, options)))
    assert further.returncode == 0, further.stderr
    assert load_bundle(out).manifest.version != load_bundle(tutorial).manifest.version
    assert len(list((tmp_path / "events").iterdir())) == 1


@pytest.mark.timeout(200)
def test_the_tutorials_bundle_has_no_flip_test_time_augmentation(tutorial):
    straight, mirrored = run_both_ways(tutorial)
    assert np.abs(straight - mirrored).max() > 0.01 * np.ptp(straight)


def test_options_that_do_not_go_together_are_refused_before_tensorflow_starts(tmp_path):
    data = draw_two_classes(tmp_path / "data")
    refused = {
        ("--new-head",): "--new-head goes with --start-from",
        ("--weights", "imagenet"): "there are none for the network small",
        ("--network", "mobilenet_v3_small", "--weights", tmp_path / "none.h5"): "is no file",
        ("--start-from", tmp_path): "manifest.json: is not there",
    }
    for options, sentence in refused.items():
        with pytest.raises(MoodsortError, match=sentence) as refusal:
            train.main([*map(str, (data, "--out", tmp_path / "bundle", *options))], standalone_mode=False)
        assert "\n" not in str(refusal.value)
