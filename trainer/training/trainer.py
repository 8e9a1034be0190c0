"""Run a training from its beginning, or from where an earlier run was stopped, to its end."""

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.data.splits import SplitIndices
from trainer.models.architectures import (
    IMAGENET,
    NO_WEIGHTS,
    choose_batch_size,
    choose_epochs,
    choose_patience,
)
from trainer.models.classifiers import MODEL_FILE, NetworkPlan, build_network, load_network
from trainer.training.batches import Batches
from trainer.training.checkpoint import Checkpoints, TrainingState, Weights, discard_training, fingerprint_run
from trainer.training.configuration import TrainingConfig
from trainer.training.failures import Diverged
from trainer.training.progress import Epoch, Progress, Step
from trainer.training.schedule import Span, compute_learning_rate
from trainer.training.tensorboard import Board
from trainer.training.train_step import Learner, compute_class_weights, make_classification_loss
from worker.fileio import hash_file
from worker.inference.decode import Pixels
from worker.paths import format_path

Logits = NDArray[np.float32]

_BATCH = 256
"""Of pictures that are only looked at."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The network with the averaged weights of its best epoch, and how it came to them."""

    network: keras.Model
    best: Epoch
    history: tuple[Epoch, ...]


def train_network(
    recipe: TrainingConfig,
    dataset: Dataset,
    splits: SplitIndices,
    progress: Progress,
    seconds: float | None = None,
) -> Trained:
    """Train, and return the epoch with the best mean recall on the validation pictures.

    `seconds` is the time that there is, above 0; None has no limit. Each epoch's end is kept in a hidden
    folder beside the bundle's place, from which the same call goes on. Raises Diverged when the loss is no
    longer a number, CheckpointLost where the disk refuses.
    """
    _prepare_tensorflow(recipe.threads)
    recipe = resolve_config(recipe, len(splits.training))
    course = ClassifierTraining(recipe, dataset, splits, seconds)
    checkpoints = Checkpoints(recipe.out, _fingerprint(recipe, dataset, splits))
    if recipe.fresh:
        discard_training(recipe.out)
    count = course.learner.network.count_params()
    begun = f"{format_path(recipe.start_from)} further" if recipe.start_from else recipe.network
    progress.say(f"training {begun}, {count:,} parameters, on {len(splits.training)} pictures")
    if state := checkpoints.load():
        course.restore(state)
        progress.say(f"going on after epoch {len(state.history)} of an earlier run; --fresh begins anew")
    elif checkpoints.holds_another():
        progress.say(
            f"{checkpoints.folder}: another training, with other pictures or options, is left as it is"
        )
    board = Board(recipe.tensorboard)
    while not course.ended():
        epoch = course.run_epoch(progress)
        checkpoints.save(course.state())
        progress.on_epoch(epoch)
        board.write(epoch)
    progress.say(course.ending())
    return course.trained()


class ClassifierTraining:
    """A training as far as it has come."""

    def __init__(
        self, recipe: TrainingConfig, dataset: Dataset, splits: SplitIndices, seconds: float | None
    ) -> None:
        assert recipe.batch_size is not None
        assert recipe.epochs is not None
        assert recipe.patience is not None
        self._began = time.monotonic()
        labels = dataset.labels[splits.training]
        self.learner = Learner(
            lambda: _build_network(recipe, len(dataset.classes)),
            recipe.hyperparameters,
            make_classification_loss(
                compute_class_weights(labels, len(dataset.classes), recipe.hyperparameters.class_balance),
                recipe.hyperparameters.label_smoothing,
            ),
        )
        self._recipe, self._patience, self._epochs = recipe, recipe.patience, recipe.epochs
        self._validation = dataset.pixels[splits.validation], dataset.labels[splits.validation]
        self._feed = Batches(
            dataset.pixels,
            dataset.labels,
            splits.training,
            recipe.batch_size,
            recipe.seed,
            nothings=round(recipe.hyperparameters.nothing_share * recipe.batch_size),
            upside_down=round(recipe.hyperparameters.upside_down_share * recipe.batch_size),
        )
        self._batches: Any = None
        self._span = Span(recipe.epochs * self._feed.steps_per_epoch, seconds)
        self._steps = 0
        self._progress = 0.0
        self._earlier_seconds = 0.0
        self._history: tuple[Epoch, ...] = ()
        self._best: tuple[int, Weights] = (0, [])
        averaged = self.learner.averaged
        self._judge = tf.function(lambda batch: averaged(batch, training=False), reduce_retracing=True)

    def ended(self) -> bool:
        """Say whether the steps or the time are used up, or nothing has got better for long enough."""
        stale = len(self._history) - _find_last_progress(self._history)
        return self._progress >= 1 or stale >= self._patience

    def ending(self) -> str:
        """Say why it has ended."""
        if self._progress < 1:
            return f"stopped early: nothing got better for {self._patience} epochs (--patience)"
        if self._steps < self._span.steps:
            return f"stopped after {self._steps} of {self._span.steps} steps: the time budget is used up"
        return f"trained for all {self._epochs} epochs"

    def run_epoch(self, progress: Progress) -> Epoch:
        """Show every training picture once, as far as the time goes. Raises Diverged."""
        started, number = time.monotonic(), len(self._history) + 1
        loss = accuracy = 0.0
        progress_before = self._progress
        for count in range(1, self._feed.steps_per_epoch + 1):
            self._progress = self._span.progress(self._steps, self._seconds())
            if count > 1 and self._progress >= 1:
                break
            learnt = self.learner.learn(*self._next(), step=self._steps, progress=self._progress)
            if not np.isfinite(learnt.loss):
                raise Diverged(
                    f"the loss of epoch {number} is {learnt.loss}; train again with another --seed"
                )
            self._steps += 1
            loss += (learnt.loss - loss) / count
            accuracy += (learnt.accuracy - accuracy) / count
            self._tell(progress, number, loss, accuracy, started, progress_before)
        self._progress = self._span.progress(self._steps, self._seconds())
        return self._closed(number, loss, accuracy, started)

    def state(self) -> TrainingState:
        """Return what a checkpoint keeps."""
        learner, averaged, optimizer = self.learner.variables()
        number, best = self._best
        return TrainingState(
            self._steps,
            self._seconds(),
            self._progress,
            self._history,
            number,
            learner,
            averaged,
            optimizer,
            best,
        )

    def restore(self, state: TrainingState) -> None:
        """Go back to what a checkpoint kept."""
        self.learner.restore(state)
        self._steps, self._progress, self._history = state.steps, state.progress, state.history
        self._earlier_seconds, self._best = state.seconds, (state.best_number, state.best)

    def trained(self) -> Trained:
        """Return the best epoch's network."""
        number, weights = self._best
        self.learner.averaged.set_weights(weights)
        return Trained(self.learner.averaged, self._history[number - 1], self._history)

    def _closed(self, number: int, loss: float, accuracy: float, started: float) -> Epoch:
        pixels, labels = self._validation
        logits = _compute_logits(self._judge, pixels)
        rate = compute_learning_rate(self._recipe.hyperparameters, self._progress)
        seconds = time.monotonic() - started
        epoch = Epoch(number, loss, accuracy, *_compute_metrics(logits, labels), rate, seconds)
        self._history = (*self._history, epoch)
        if find_best_epoch(self._history) == number:
            self._best = number, self.learner.averaged.get_weights()
        return epoch

    def _next(self) -> tuple[Any, Any]:
        if self._batches is None:
            self._batches = self._feed.batches(
                self._steps, varied=self._recipe.hyperparameters.augmented, threads=self._recipe.threads
            )
        batch: tuple[Any, Any] = next(self._batches)
        return batch

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._began

    def _tell(
        self, progress: Progress, number: int, loss: float, accuracy: float, started: float, before: float
    ) -> None:
        share = self._span.progress(self._steps, self._seconds())
        pace = (share - before) / (time.monotonic() - started)
        left = (1 - share) / pace if pace > 0 else None
        progress.on_step(Step(number, self._epochs, loss, accuracy, share, left))


def find_best_epoch(history: tuple[Epoch, ...]) -> int:
    """Return the number of the epoch of best mean recall; of equals the one of least validation loss."""
    return max(history, key=lambda epoch: (epoch.recall, -epoch.validation_loss)).number


def _find_last_progress(history: tuple[Epoch, ...]) -> int:
    """Return the number of the last epoch that brought a better recall or a lower validation loss."""
    if not history:
        return 0
    return max(find_best_epoch(history), min(history, key=lambda epoch: epoch.validation_loss).number)


def resolve_config(recipe: TrainingConfig, pictures: int) -> TrainingConfig:
    """Choose by the number of training pictures what the recipe leaves open."""
    epochs = recipe.epochs or choose_epochs(recipe.network, pictures)
    return replace(
        recipe,
        epochs=epochs,
        batch_size=min(pictures, recipe.batch_size or choose_batch_size(recipe.network, pictures)),
        patience=recipe.patience or choose_patience(epochs),
    )


def _build_network(recipe: TrainingConfig, classes: int) -> keras.Model:
    plan = NetworkPlan(recipe.input, classes, recipe.seed)
    if recipe.start_from is not None:
        return load_network(recipe.start_from, plan, new_head=recipe.new_head)
    return build_network(plan, recipe.network, recipe.weights)


def _fingerprint(recipe: TrainingConfig, dataset: Dataset, splits: SplitIndices) -> str:
    """Tell runs apart that would come to other weights."""
    unconcerned = (
        "out",
        "name",
        "command",
        "folders",
        "fresh",
        "tensorboard",
        "keep_keras",
        "pictures",
        "start_from",
        "leakage_limit",
        "exports",
        "margin",
    )
    chosen = {name: getattr(recipe, name) for name in recipe.__slots__ if name not in unconcerned}
    parts = [positions.tolist() for positions in (splits.training, splits.validation)]
    libraries = {name: version(name) for name in ("keras", "numpy", "tensorflow")}
    data = list(zip(dataset.hashes, dataset.labels.tolist(), strict=True))
    # By content, not by name: another bundle may be in its place when the run goes on.
    begun = [hash_file(path) for path in _list_initial_weights(recipe)]
    return fingerprint_run([chosen, begun, dataset.classes, data, parts, libraries])


def _list_initial_weights(recipe: TrainingConfig) -> list[Path]:
    if recipe.start_from is not None:
        return [recipe.start_from / MODEL_FILE]
    return [] if recipe.weights in (IMAGENET, NO_WEIGHTS) else [Path(recipe.weights)]


def _prepare_tensorflow(threads: int) -> None:
    if not threads:
        return
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if threads == 1:
        keras.utils.set_random_seed(0)
        tf.config.experimental.enable_op_determinism()


def _compute_logits(run: Any, pixels: Pixels) -> Logits:
    batches = [np.asarray(run(pixels[start : start + _BATCH])) for start in range(0, len(pixels), _BATCH)]
    return np.concatenate(batches)


def _compute_metrics(logits: Logits, labels: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return log loss, accuracy and mean recall."""
    right = logits.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    shifted = logits - logits.max(axis=1, keepdims=True)
    chances = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -chances[np.arange(len(labels)), labels].mean()
    return float(loss), float(right.mean()), float(np.mean(recalls))
