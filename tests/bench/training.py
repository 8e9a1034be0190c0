"""Compare an epoch of `moodsort train` with the same network and augmentation in Keras' own layers.

`python -m tests.bench.training DATA`: DATA holds one folder for each class. Each side runs in a process of
its own, so that its memory is its own, and they take turns, epoch by epoch, so that what else the machine
does falls on both.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from worker.inference.bundle import InputSpec

_TURNS = 4
"""Of each side; the first compiles, and is not counted."""

_BATCH = 64
_HELD_OUT = 0.1

_GOAL_RATIO = 0.5
_GOAL_BYTES = 2.5e9


def main() -> None:
    """Compare (`DATA`), or be one of the sides (`moodsort DATA`, `keras DATA`)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    match sys.argv[1:]:
        case [data] if not data.startswith("-"):
            _compare(Path(data))
        case ["moodsort", data]:
            _answer(*_our_epochs(Path(data)))
        case ["keras", data]:
            _answer(*_keras_epochs(Path(data)))
        case _:
            sys.exit("usage: python -m tests.bench.training DATA")


def _compare(data: Path) -> None:
    found: dict[str, list[dict[str, float]]] = {"moodsort": [], "keras": []}
    with _side("moodsort", data) as ours, _side("keras", data) as theirs:
        for turn in range(_TURNS):
            for name, ask in (("moodsort", ours), ("keras", theirs)):
                answer = ask()
                click.echo(f"{name:9} epoch {turn + 1}: {answer['seconds']:6.1f} s")
                found[name].append(answer)
    pace = {
        name: statistics.median(turn["seconds"] / turn["pictures"] for turn in turns[1:])
        for name, turns in found.items()
    }
    for name, turns in found.items():
        peak = turns[-1]["peak_bytes"] / 1e9
        click.echo(f"{name:9} {1000 * pace[name]:.2f} ms a picture, {peak:.2f} GB at the most")
    ratio, peak = pace["moodsort"] / pace["keras"], found["moodsort"][-1]["peak_bytes"]
    click.echo(
        f"ratio {ratio:.2f} (goal {_GOAL_RATIO}), memory {peak / 1e9:.2f} GB (goal {_GOAL_BYTES / 1e9})"
    )
    sys.exit(ratio > _GOAL_RATIO or peak > _GOAL_BYTES)


@contextmanager
def _side(name: str, data: Path) -> Iterator[Callable[[], dict[str, float]]]:
    command = [sys.executable, "-m", "tests.bench.training", name, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        asked, answered = child.stdin, child.stdout

        def ask() -> dict[str, float]:
            asked.write("epoch\n")
            asked.flush()
            for line in answered:
                if line.startswith("{"):
                    answer: dict[str, float] = json.loads(line)
                    return answer
            sys.exit(f"{name} ended before its epoch did")

        yield ask
        asked.close()


def _answer(epoch: Callable[[], object], pictures: int) -> None:
    for _ in sys.stdin:
        started = time.monotonic()
        epoch()
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        click.echo(json.dumps({"seconds": seconds, "pictures": pictures, "peak_bytes": peak}))
        sys.stdout.flush()


def _input(data: Path) -> InputSpec:
    from trainer.data.class_folders import find_classes
    from trainer.models.architectures import choose_input

    return choose_input(
        "small", None, None, [f.path for files in find_classes([data]).values() for f in files]
    )


def _our_epochs(data: Path) -> tuple[Callable[[], object], int]:
    from trainer.data.dataset import read_dataset
    from trainer.data.splits import split_groups
    from trainer.training.configuration import TrainingConfig
    from trainer.training.progress import Progress
    from trainer.training.trainer import ClassifierTraining, resolve_config

    place = Path(tempfile.gettempdir(), "never-written")
    recipe = TrainingConfig(
        (data,), place, "bench", _input(data), "bench", held_out=_HELD_OUT, batch_size=_BATCH
    )
    dataset = read_dataset(
        recipe.folders,
        recipe.input,
        max_side=recipe.max_side,
        max_pixels=recipe.max_pixels,
        say=lambda sentence: None,
    )
    each_alone = range(len(dataset.labels))
    splits = split_groups(
        dataset.labels, _positions(each_alone), dataset.classes, recipe.held_out, recipe.seed
    )
    course = ClassifierTraining(resolve_config(recipe, len(splits.training)), dataset, splits, None)
    progress = Progress(lambda text: None, lambda epoch: None)
    return lambda: course.run_epoch(progress), len(splits.training)


def _positions(numbers: range) -> Any:
    import numpy as np

    return np.array(numbers, np.int64)


def _keras_epochs(data: Path) -> tuple[Callable[[], object], int]:
    import keras
    import tensorflow as tf

    from trainer.models.classifiers import NetworkPlan, build_network

    spec = _input(data)
    colour = {"rgb": "rgb", "grey": "grayscale"}[spec.colour]
    training, validation = keras.utils.image_dataset_from_directory(
        data,
        color_mode=colour,
        batch_size=_BATCH,
        image_size=(spec.height, spec.width),
        seed=0,
        validation_split=_HELD_OUT,
        subset="both",
    )
    pictures = len(training.file_paths)
    classes = len(training.class_names)
    augmentation = _augmentation(spec.colour)

    def vary(pixels: Any, labels: Any) -> tuple[Any, Any]:
        return _compressed(augmentation(pixels, training=True)), labels

    varied = training.map(vary, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    network = build_network(NetworkPlan(spec, classes, 0))
    network.compile(
        optimizer=keras.optimizers.AdamW(2e-3, weight_decay=0.02, global_clipnorm=5.0, use_ema=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return lambda: network.fit(
        varied, validation_data=validation.prefetch(tf.data.AUTOTUNE), epochs=1, verbose=0
    ), pictures


def _augmentation(colour: str) -> Any:
    """Return what `trainer.training.augmentation` does, in Keras' layers and of the same strength."""
    from keras import Sequential, layers

    used = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(15 / 360),
        layers.RandomZoom((-0.35, 0.2), (-0.35, 0.2)),
        layers.RandomTranslation(0.12, 0.12),
        layers.RandomContrast(0.4),
        layers.RandomBrightness(0.15),
        layers.RandomGaussianBlur(0.25, kernel_size=5, sigma=1.0),
        layers.RandomErasing(0.5, scale=(0.01, 0.16)),
    ]
    if colour == "rgb":
        used += [layers.RandomGrayscale(0.25), layers.RandomColorJitter(saturation_factor=0.15)]
    return Sequential(used)


def _compressed(pixels: Any) -> Any:
    """Send a quarter of the batch through JPEG, for which Keras has no layer."""
    import tensorflow as tf

    def one(picture: Any) -> Any:
        stored = tf.image.random_jpeg_quality(tf.cast(picture, tf.uint8), 20, 80)
        return tf.cast(stored, tf.float32)

    quarter = tf.shape(pixels)[0] // 4
    return tf.concat([tf.map_fn(one, pixels[:quarter]), pixels[quarter:]], axis=0)


if __name__ == "__main__":
    main()
