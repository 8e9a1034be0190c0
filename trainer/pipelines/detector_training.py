"""Run a finder's training from its beginning, or from where an earlier run was stopped."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.detection.loss import compute_detection_loss
from trainer.detection.mosaics import Mosaics
from trainer.models.detector_network import build_detector
from trainer.training.checkpoint import Checkpoints, TrainingState, fingerprint_run
from trainer.training.configuration import Hyperparameters
from trainer.training.failures import Diverged
from trainer.training.progress import Progress, Step
from trainer.training.train_step import Learner
from worker.inference.decode import Pixels

HYPERPARAMETERS = Hyperparameters(
    peak_rate=2e-3, weight_decay=0.01, largest_gradient=5.0, average_decay=0.998
)

_BATCH = 32
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class DetectorTrainingConfig:
    """How a finder is trained: `side` in pixels of its square input, `epochs` of `steps` batches of 32."""

    out: Path
    side: int
    epochs: int
    steps: int
    seed: int
    threads: int
    fingerprint: str


def run_detector_training(
    recipe: DetectorTrainingConfig, canvases: Mosaics, progress: Progress
) -> keras.Model:
    """Train and return the network with the averaged weights of the last step.

    Each epoch's end is kept beside the finder's place, from which the same call goes on. Raises Diverged
    when the loss is no longer a number, CheckpointLost where the disk refuses.
    """
    if recipe.threads:
        tf.config.threading.set_intra_op_parallelism_threads(recipe.threads)
        tf.config.threading.set_inter_op_parallelism_threads(recipe.threads)
    learner = Learner(
        lambda: build_detector(recipe.side, recipe.seed), HYPERPARAMETERS, compute_detection_loss
    )
    checkpoints = Checkpoints(recipe.out, _fingerprint(recipe))
    steps, earlier = 0, 0.0
    if state := checkpoints.load():
        learner.restore(state)
        steps, earlier = state.steps, state.seconds
        progress.say(f"going on after epoch {steps // recipe.steps} of an earlier run")
    progress.say(f"training a finder of {learner.network.count_params():,} parameters")
    total = recipe.epochs * recipe.steps
    started = time.monotonic()
    loss = overlap = 0.0
    batches = _batches(canvases, steps, total)
    for step in range(steps, total):
        epoch, place = divmod(step, recipe.steps)
        pixels, wanted = next(batches)
        learnt = learner.learn(tf.constant(pixels), tf.constant(wanted), step=step, progress=step / total)
        if not np.isfinite(learnt.loss):
            raise Diverged(f"the loss of epoch {epoch + 1} is {learnt.loss}; train again with another --seed")
        loss += (learnt.loss - loss) / (place + 1)
        overlap += (learnt.accuracy - overlap) / (place + 1)
        spent = time.monotonic() - started
        left = spent / (step + 1 - steps) * (total - step - 1)
        progress.on_step(Step(epoch + 1, recipe.epochs, loss, overlap, (step + 1) / total, left, "overlap"))
        if place + 1 == recipe.steps:
            weights, averaged, optimizer = learner.variables()
            checkpoints.save(
                TrainingState(
                    step + 1, earlier + spent, (step + 1) / total, (), 0, weights, averaged, optimizer, []
                )
            )
            progress.say(
                f"epoch {epoch + 1} of {recipe.epochs}: loss {loss:.4f}, overlap {overlap:.1%}; "
                f"{spent:.0f} s, {left:.0f} s left"
            )
            loss = overlap = 0.0
    return learner.averaged


def _batches(canvases: Mosaics, first: int, end: int) -> Iterator[tuple[Pixels, NDArray[np.float32]]]:
    """Draw batches a few ahead of the step that needs them, in their order."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [
            pool.submit(canvases.batch, number, _BATCH) for number in range(first, min(first + _AHEAD, end))
        ]
        for number in range(first, end):
            if number + _AHEAD < end:
                waiting.append(pool.submit(canvases.batch, number + _AHEAD, _BATCH))
            yield waiting.pop(0).result()


def _fingerprint(recipe: DetectorTrainingConfig) -> str:
    libraries = {name: version(name) for name in ("keras", "numpy", "opencv-python-headless", "tensorflow")}
    settings = [recipe.side, recipe.epochs, recipe.steps, recipe.seed, recipe.threads, recipe.fingerprint]
    return fingerprint_run([settings, libraries])
