"""Compare an epoch of `moodsort train` with the same network and augmentation in Keras' own layers.

`python -m tests.bench.training DATA`: DATA holds one folder for each class. Each side runs in a process of
its own, so that its memory is its own, and they take turns, epoch by epoch, so that other load of the machine
falls on both.
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

from worker.inference.manifest import InputSpec

_EPOCHS = 4
"""Of each side; the first compiles, and is not counted."""

_BATCH_SIZE = 64
_HOLD_OUT_SHARE = 0.1

_MAX_RATIO = 0.5
_MAX_BYTES = 2.5e9


def main() -> None:
    """Compare (`DATA`), or be one of the sides (`moodsort DATA`, `keras DATA`)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    match sys.argv[1:]:
        case [data] if not data.startswith("-"):
            _compare(Path(data))
        case ["moodsort", data]:
            _serve(*_prepare_moodsort(Path(data)))
        case ["keras", data]:
            _serve(*_prepare_keras(Path(data)))
        case _:
            sys.exit("usage: python -m tests.bench.training DATA")


def _compare(data: Path) -> None:
    results: dict[str, list[dict[str, float]]] = {"moodsort": [], "keras": []}
    with _start_side("moodsort", data) as run_moodsort, _start_side("keras", data) as run_keras:
        for number in range(1, _EPOCHS + 1):
            for name, run_epoch in (("moodsort", run_moodsort), ("keras", run_keras)):
                result = run_epoch()
                click.echo(f"{name:9} epoch {number}: {result['seconds']:6.1f} s")
                results[name].append(result)
    pace = {
        name: statistics.median(result["seconds"] / result["pictures"] for result in epochs[1:])
        for name, epochs in results.items()
    }
    for name, epochs in results.items():
        peak = epochs[-1]["peak_bytes"] / 1e9
        click.echo(f"{name:9} {1000 * pace[name]:.2f} ms a picture, {peak:.2f} GB at most")
    ratio, peak = pace["moodsort"] / pace["keras"], results["moodsort"][-1]["peak_bytes"]
    click.echo(f"ratio {ratio:.2f} (goal {_MAX_RATIO}), memory {peak / 1e9:.2f} GB (goal {_MAX_BYTES / 1e9})")
    sys.exit(ratio > _MAX_RATIO or peak > _MAX_BYTES)


@contextmanager
def _start_side(name: str, data: Path) -> Iterator[Callable[[], dict[str, float]]]:
    """Start the process of one side; yield what runs an epoch there and returns its measurements."""
    command = [sys.executable, "-m", "tests.bench.training", name, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        requests, replies = child.stdin, child.stdout

        def run_epoch() -> dict[str, float]:
            requests.write("epoch\n")
            requests.flush()
            for line in replies:
                if line.startswith("{"):
                    result: dict[str, float] = json.loads(line)
                    return result
            sys.exit(f"{name} ended before its epoch did")

        yield run_epoch
        requests.close()


def _serve(run_epoch: Callable[[], object], pictures: int) -> None:
    """Run an epoch for each line of standard input, and print its measurements."""
    for _ in sys.stdin:
        started = time.monotonic()
        run_epoch()
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        click.echo(json.dumps({"seconds": seconds, "pictures": pictures, "peak_bytes": peak}))
        sys.stdout.flush()


# TensorFlow, and what imports it, is imported by the sides alone: the comparing process needs none.


def _choose_input(data: Path) -> InputSpec:
    from trainer.data.class_folders import find_classes
    from trainer.models.architectures import choose_input

    paths = [file.path for files in find_classes([data]).values() for file in files]
    return choose_input("small", None, None, paths)


def _prepare_moodsort(data: Path) -> tuple[Callable[[], object], int]:
    import numpy as np

    from trainer.data.dataset import read_dataset
    from trainer.data.splits import split_groups
    from trainer.pipelines.train_classifier import make_trainer
    from trainer.training.configuration import TrainingConfig
    from trainer.training.progress import Progress

    config = TrainingConfig(
        (data,),
        Path(tempfile.gettempdir(), "never-written"),
        "bench",
        _choose_input(data),
        "bench",
        hold_out_share=_HOLD_OUT_SHARE,
        batch_size=_BATCH_SIZE,
    )
    dataset = read_dataset(
        config.folders,
        config.input,
        max_side=config.max_side,
        max_pixels=config.max_pixels,
        say=lambda sentence: None,
    )
    groups = np.arange(len(dataset.labels))
    splits = split_groups(dataset.labels, groups, dataset.classes, config.hold_out_share, config.seed)
    trainer = make_trainer(config, dataset, splits, time_limit=None)
    progress = Progress(lambda sentence: None, lambda epoch: None)
    return lambda: trainer.run_epoch(progress), len(splits.training)


def _prepare_keras(data: Path) -> tuple[Callable[[], object], int]:
    import keras
    import tensorflow as tf

    from trainer.models.classifiers import NetworkPlan, build_network

    spec = _choose_input(data)
    colour = {"rgb": "rgb", "grey": "grayscale"}[spec.colour]
    training, validation = keras.utils.image_dataset_from_directory(
        data,
        color_mode=colour,
        batch_size=_BATCH_SIZE,
        image_size=(spec.height, spec.width),
        seed=0,
        validation_split=_HOLD_OUT_SHARE,
        subset="both",
    )
    pictures = len(training.file_paths)
    classes = len(training.class_names)
    layers = _make_augmentation(spec.colour)

    def augment(pixels: Any, labels: Any) -> tuple[Any, Any]:
        return _compress_some(layers(pixels, training=True)), labels

    augmented = training.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    network = build_network(NetworkPlan(spec, classes, 0))
    network.compile(
        optimizer=keras.optimizers.AdamW(2e-3, weight_decay=0.02, global_clipnorm=5.0, use_ema=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return lambda: network.fit(
        augmented, validation_data=validation.prefetch(tf.data.AUTOTUNE), epochs=1, verbose=0
    ), pictures


def _make_augmentation(colour: str) -> Any:
    """Return the augmentation of `trainer.training.augmentation` in Keras' layers, of the same strength."""
    from keras import Sequential, layers

    augmentation = [
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
        augmentation += [layers.RandomGrayscale(0.25), layers.RandomColorJitter(saturation_factor=0.15)]
    return Sequential(augmentation)


def _compress_some(pixels: Any) -> Any:
    """Send a quarter of the batch through JPEG, for which Keras has no layer."""
    import tensorflow as tf

    def compress(picture: Any) -> Any:
        compressed = tf.image.random_jpeg_quality(tf.cast(picture, tf.uint8), 20, 80)
        return tf.cast(compressed, tf.float32)

    quarter = tf.shape(pixels)[0] // 4
    return tf.concat([tf.map_fn(compress, pixels[:quarter]), pixels[quarter:]], axis=0)


if __name__ == "__main__":
    main()
