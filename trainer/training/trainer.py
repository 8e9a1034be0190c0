"""The training loop: train a network epoch by epoch, from scratch or from an earlier run's checkpoint."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.training.batches import BatchFactory
from trainer.training.checkpoint import Checkpoints, TrainingState, Weights, discard_training
from trainer.training.early_stopping import EarlyStopping, find_best_epoch
from trainer.training.failures import Diverged
from trainer.training.hyperparameters import Hyperparameters
from trainer.training.interrupts import hold_interrupts
from trainer.training.losses import LossFunction
from trainer.training.progress import Epoch, Progress, Step, ValidationMetrics
from trainer.training.schedule import TrainingBudget, compute_learning_rate
from trainer.training.tensorboard import TensorBoard
from trainer.training.time_limit import Pace, TimeLimit
from trainer.training.train_step import StepResult, TrainStep
from trainer.training.validation import Validate


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """How long a training runs, and where it keeps its state.

    `out` is what the pipeline makes, beside which the checkpoints are; `fingerprint` tells the checkpoint of
    this training from those of others, and `fresh` discards them all. `patience` None has no early stopping,
    `time_limit` None no limit. `score_name` says what the score of the loss function is. `tensorboard` is
    the folder of the event files.
    """

    out: Path
    epochs: int
    steps_per_epoch: int
    fingerprint: str
    patience: int | None = None
    time_limit: TimeLimit | None = None
    fresh: bool = False
    score_name: str = "accuracy"
    tensorboard: Path | None = None


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """The network with the EMA weights of its best epoch, and all epochs."""

    network: keras.Model
    best: Epoch
    history: tuple[Epoch, ...]


class Trainer:
    """A training as far as it has come."""

    def __init__(
        self,
        build: Callable[[], keras.Model],
        hyperparameters: Hyperparameters,
        loss: LossFunction,
        batches: BatchFactory,
        config: TrainerConfig,
        validate: Validate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build the network. Without `validate` the last epoch is the best; `clock` tells seconds."""
        self._clock = clock
        self._started = clock()
        self._config = config
        self._hyperparameters = hyperparameters
        self._train_step = TrainStep(build, hyperparameters, loss)
        self._make_batches = batches
        self._batches: Iterator[tuple[Any, Any]] | None = None
        self._validate = validate
        ema = self._train_step.ema.network
        # Compiled once; the last batch of a validation is smaller, and would be compiled for itself.
        self._predict = tf.function(lambda inputs: ema(inputs, training=False), reduce_retracing=True)
        self._budget = TrainingBudget(config.epochs * config.steps_per_epoch, config.time_limit)
        self._early_stopping = EarlyStopping(config.patience)
        self._checkpoints = Checkpoints(config.out, config.fingerprint)
        self._pace = Pace()
        self._steps = 0
        self._progress = 0.0
        self._earlier_seconds = 0.0
        self._history: tuple[Epoch, ...] = ()
        self._best_weights: Weights = []

    def count_parameters(self) -> int:
        """Count the network's parameters."""
        return int(self._train_step.network.count_params())

    def fit(self, progress: Progress) -> TrainedNetwork:
        """Train to the end, with a checkpoint after each epoch, and return the best epoch's network.

        Raises Diverged when the loss is no longer a number, CheckpointLost where the disk refuses.
        """
        self._resume(progress.say)
        if self._config.time_limit is not None:
            self._time_validation()
        tensorboard = TensorBoard(self._config.tensorboard)
        # Asked before each epoch: a run that is resumed may have been interrupted after its last one.
        while self._progress < 1 and not self._early_stopping.should_stop(self._history):
            epoch = self.run_epoch(progress)
            # Saved first: an epoch that a person has read of is not lost by an interruption.
            self._checkpoints.save(self._make_state())
            progress.on_epoch(epoch)
            tensorboard.write(epoch)
        progress.say(self._explain_end())
        network = self._train_step.ema.network
        network.set_weights(self._best_weights)
        return TrainedNetwork(network, find_best_epoch(self._history), self._history)

    def run_epoch(self, progress: Progress) -> Epoch:
        """Show every training picture once, as far as the time budget goes. Raises Diverged."""
        started, number = self._clock(), len(self._history) + 1
        loss = score = 0.0
        progress_before = self._progress
        for count in range(1, self._config.steps_per_epoch + 1):
            self._progress = self._compute_progress()
            # At least one step: an epoch of none would have neither loss nor anything new to validate.
            if count > 1 and self._progress >= 1:
                break
            result = self._run_step()
            # At every step: weights that are no numbers must not come into a checkpoint.
            if not np.isfinite(result.loss):
                raise Diverged(
                    f"the loss of epoch {number} is {result.loss}; train again with another --seed"
                )
            self._steps += 1
            # Running means, because a time budget may end the epoch at any step.
            loss += (result.loss - loss) / count
            score += (result.score - score) / count
            progress.on_step(self._describe_step(number, loss, score, started, progress_before))
        self._progress = self._compute_progress()
        return self._finish_epoch(number, loss, score, started)

    def _run_step(self) -> StepResult:
        started = self._clock()
        with hold_interrupts():
            result = self._train_step.run(*self._next_batch(), step=self._steps, progress=self._progress)
        seconds = self._clock() - started
        if self._pace.first_step:
            self._pace = replace(self._pace, step=seconds)
        else:
            self._pace = replace(self._pace, first_step=seconds)
        return result

    def _describe_step(
        self, epoch: int, loss: float, score: float, started: float, progress_before: float
    ) -> Step:
        config, progress = self._config, self._compute_progress()
        pace = (progress - progress_before) / (self._clock() - started)
        seconds_left = (1 - progress) / pace if pace > 0 else None
        return Step(epoch, config.epochs, loss, score, progress, seconds_left, config.score_name)

    def _resume(self, say: Callable[[str], None]) -> None:
        if self._config.fresh:
            discard_training(self._config.out)
        folder = self._checkpoints.folder
        if state := self._checkpoints.load():
            self._restore(state)
            say(
                f"resuming after epoch {len(state.history)} of an earlier run; to start over, remove {folder}"
            )
        elif self._checkpoints.has_other_runs():
            say(f"{folder}: another training, with other pictures or options, is left as it is")

    def _restore(self, state: TrainingState) -> None:
        self._train_step.restore(state)
        self._steps, self._progress, self._history = state.steps, state.progress, state.history
        self._earlier_seconds, self._best_weights = state.seconds, state.best

    def _make_state(self) -> TrainingState:
        network, ema, optimizer = self._train_step.copy_variables()
        return TrainingState(
            steps=self._steps,
            seconds=self._measure_seconds(),
            progress=self._progress,
            history=self._history,
            network=network,
            ema=ema,
            optimizer=optimizer,
            best=self._best_weights,
        )

    def _finish_epoch(self, number: int, loss: float, score: float, started: float) -> Epoch:
        validation = self._run_validation()
        epoch = Epoch(
            number,
            loss,
            score,
            compute_learning_rate(self._hyperparameters, self._progress),
            self._clock() - started,
            validation,
            self._config.score_name,
        )
        self._history = (*self._history, epoch)
        if find_best_epoch(self._history) is epoch:
            self._best_weights = self._train_step.ema.network.get_weights()
        return epoch

    def _time_validation(self) -> None:
        """Take the time of a validation before the first epoch, which may be the last."""
        for _ in range(2):  # the first one is compiled
            self._run_validation()

    def _run_validation(self) -> ValidationMetrics | None:
        if self._validate is None:
            return None
        started = self._clock()
        with hold_interrupts():
            metrics = self._validate(self._predict)
        self._pace = replace(self._pace, validation=self._clock() - started)
        return metrics

    def _next_batch(self) -> tuple[Any, Any]:
        if self._batches is None:  # not before a checkpoint has said with which step to begin
            self._batches = self._make_batches(self._steps)
        return next(self._batches)

    def _compute_progress(self) -> float:
        return self._budget.compute_progress(self._steps, self._measure_seconds(), self._pace)

    def _measure_seconds(self) -> float:
        return self._earlier_seconds + self._clock() - self._started

    def _explain_end(self) -> str:
        if self._progress < 1:
            return f"stopped early: no progress for {self._config.patience} epochs (--patience)"
        if self._steps < self._budget.steps:
            return (
                f"stopped after {self._steps} of {self._budget.steps} steps to finish within the time budget"
            )
        return f"trained for all {self._config.epochs} epochs"
