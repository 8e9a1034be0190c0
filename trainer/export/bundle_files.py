"""Write the files of a bundle: the LiteRT network, golden answers, manifest, and copies for others."""

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.data.splits import Indices
from trainer.export.golden import draw_golden_inputs, run_network, write_golden
from trainer.export.interchange import EXPORT_FOLDER, write_exports
from trainer.export.litert import convert, silence_converter
from trainer.export.variants import Conversion, Variant, choose_smallest, format_table, make_variant_metrics
from trainer.training.configuration import TrainingConfig
from worker.errors import BundleError
from worker.fileio import hash_file
from worker.inference.bundle import (
    FORMAT_VERSION,
    Calibration,
    Golden,
    Manifest,
    Metric,
    NetworkSpec,
    OutputSpec,
    TrainingData,
    derive_version,
    write_manifest,
)
from worker.inference.decode import Pixels
from worker.inference.network import Network

KERAS_FILE = "model.keras"
_GOLDEN_FILE = "golden.npz"

_CALIBRATION_PICTURES = 256
"""For int8's ranges; LiteRT's own guide asks for a few hundred."""

_FLOAT_TOLERANCE = 1e-3
"""Between the logits of Keras and of LiteRT in float32, in logits or as a share of the largest above 1."""

_LIBRARIES = ("ai-edge-litert", "keras", "numpy", "pillow", "tensorflow")


@dataclass(frozen=True, slots=True)
class TrainingResults:
    """What training found out that the manifest records."""

    classes: tuple[str, ...]
    temperature: float
    training_data: TrainingData
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class ExportNetworks:
    """A network as it was learnt, to be trained further, and as it judges."""

    learnt: keras.Model
    judging: keras.Model


@dataclass(frozen=True, slots=True)
class ExportPictures:
    """What the conversions are made and chosen by.

    `calibration` are pictures of the training split as they are, and `validation` those of the validation
    split, uint8 (N, H, W, C); `labels` int64 (N,) belong to the latter.
    """

    calibration: Pixels
    validation: Pixels
    labels: NDArray[np.int64]


def choose_representative_dataset(training: Indices) -> Indices:
    """Take evenly spaced positions, at most 256, of all classes because pictures lie class by class."""
    count = min(_CALIBRATION_PICTURES, len(training))
    return training[np.linspace(0, len(training) - 1, count).astype(np.int64)]


@dataclass(frozen=True, slots=True)
class ChosenConversion:
    """The conversion that goes into the bundle, as the worker runs it, and what it was chosen from.

    `validation` are its logits of the validation pictures, float32 (N, classes).
    """

    variant: Variant
    network: Network
    validation: NDArray[np.float32]
    candidates: tuple[Conversion, ...]

    def logits(self, pictures: Pixels) -> NDArray[np.float32]:
        """Judge pictures, uint8 (N, H, W, C), as the worker will: float32 (N, classes) logits."""
        return run_network(self.network, pictures)["logits"]


def keep_smallest(
    folder: Path,
    network: keras.Model,
    recipe: TrainingConfig,
    classes: tuple[str, ...],
    pictures: ExportPictures,
    say: Callable[[str], None],
) -> ChosenConversion:
    """Convert the network and leave in the folder the smallest conversion within the recipe's margin.

    Raises BundleError where LiteRT answers otherwise than Keras, OSError where the disk refuses.
    """
    say("converting to LiteRT")
    networks = {}
    for variant, content in convert(network, pictures.calibration, say).items():
        path = folder / _name_file(variant)
        path.write_bytes(content)
        with silence_converter():
            networks[variant] = Network(folder, _describe_network(path, recipe), len(classes))
    _check_float(network, networks[Variant.FLOAT32], recipe)

    timed = {variant: _time_network(each, pictures.validation) for variant, each in networks.items()}
    expected, _ = timed[Variant.FLOAT32]
    candidates = tuple(
        Conversion(
            variant,
            (folder / _name_file(variant)).stat().st_size,
            int(np.count_nonzero(logits.argmax(axis=1) == pictures.labels)),
            len(logits),
            float(np.abs(logits - expected).max()),
            milliseconds,
        )
        for variant, (logits, milliseconds) in timed.items()
    )
    kept = choose_smallest(candidates, recipe.margin)
    say(format_table(candidates, kept, recipe.margin))
    for variant in networks.keys() - {kept.variant}:
        networks[variant].path.unlink()
    return ChosenConversion(kept.variant, networks[kept.variant], timed[kept.variant][0], candidates)


def write_bundle(
    folder: Path,
    networks: ExportNetworks,
    recipe: TrainingConfig,
    findings: TrainingResults,
    kept: ChosenConversion,
    say: Callable[[str], None],
) -> Manifest:
    """Write what a bundle has beside its network into the folder and return the manifest.

    Raises BundleError where an export answers otherwise than Keras, OSError where the disk refuses.
    """
    inputs = draw_golden_inputs(recipe.input, recipe.seed)
    if recipe.keep_keras:
        networks.learnt.save(folder / KERAS_FILE)
        size = (folder / KERAS_FILE).stat().st_size
        say(f"{KERAS_FILE}, to train further: {size:,} bytes (--no-keras leaves it out)")
    expected = np.asarray(networks.judging(inputs, training=False))
    write_exports(folder / EXPORT_FOLDER, networks.judging, recipe.exports, inputs, expected)

    spec = write_golden(folder / _GOLDEN_FILE, kept.network, recipe.seed)
    metrics = (*findings.metrics, *make_variant_metrics(kept.candidates, recipe.margin))
    manifest = _make_manifest(spec, recipe, replace(findings, metrics=metrics))
    write_manifest(folder, manifest)
    return manifest


def _time_network(network: Network, pictures: Iterable[Pixels]) -> tuple[NDArray[np.float32], float]:
    logits, seconds = [], []
    for pixels in pictures:
        started = time.perf_counter()
        logits.append(network.run(pixels)["logits"])
        seconds.append(time.perf_counter() - started)
    return np.stack(logits), 1e3 * float(np.median(seconds))


def _check_float(network: keras.Model, converted: Network, recipe: TrainingConfig) -> None:
    inputs = draw_golden_inputs(recipe.input, recipe.seed)
    trained = np.asarray(network(inputs, training=False))
    worst = float(np.abs(run_network(converted, inputs)["logits"] - trained).max())
    if not worst <= _FLOAT_TOLERANCE * max(1.0, float(np.abs(trained).max())):
        raise BundleError(
            f"LiteRT's logits differ from the trained network's by {worst:.4g}; "
            "install the versions that moodsort[train] names"
        )


def _name_file(variant: Variant) -> str:
    return f"scene.{variant}.tflite"


def _describe_network(network: Path, recipe: TrainingConfig) -> NetworkSpec:
    """Describe the network, as yet without golden outputs."""
    output = OutputSpec("logits", 0.0)
    golden = Golden(_GOLDEN_FILE, "")
    return NetworkSpec("scene", (output,), network.name, hash_file(network), recipe.input, golden)


def _make_manifest(network: NetworkSpec, recipe: TrainingConfig, findings: TrainingResults) -> Manifest:
    libraries = {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    return Manifest(
        format_version=FORMAT_VERSION,
        name=recipe.name,
        version=derive_version((network,)),
        classes=findings.classes,
        max_side=recipe.max_side,
        networks=(network,),
        detection=None,
        fusion=None,
        calibration=Calibration("temperature", findings.temperature, None),
        training_data=findings.training_data,
        metrics=findings.metrics,
        libraries=libraries,
        command=recipe.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
