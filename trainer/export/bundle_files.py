"""Write the files of a bundle: the LiteRT network, golden outputs, the manifest, and exports for others."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping
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
from trainer.models.architectures import MODEL_FILE
from worker.errors import BundleError
from worker.fileio import hash_file
from worker.inference.bundle import FORMAT_VERSION, write_manifest
from worker.inference.decode import Pixels
from worker.inference.manifest import (
    Golden,
    InputSpec,
    Manifest,
    Metric,
    NetworkSpec,
    OutputSpec,
    TrainingData,
    derive_version,
    make_temperature_calibration,
)
from worker.inference.network import Network

_GOLDEN_FILE = "golden.npz"

_REPRESENTATIVE_PICTURES = 256
"""LiteRT's own guide asks for a few hundred."""

_FLOAT32_TOLERANCE = 1e-3
"""Between Keras' logits and LiteRT's in float32; a share of the largest logit where that is above 1."""

_LIBRARIES = ("ai-edge-litert", "keras", "numpy", "pillow", "tensorflow")


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """How a network is exported.

    `input` is what it takes, `max_side` the longest side in pixels of the pictures that it was trained on.
    `seed` draws the golden inputs. `margin` is the accuracy that a smaller conversion may lose, 0 to 1.
    `formats` are those of `EXPORT_FORMATS` to write beside the bundle's own, and `keep_keras` adds the Keras
    file. `name` and `command` go into the manifest.
    """

    name: str
    input: InputSpec
    max_side: int
    seed: int
    margin: float
    formats: tuple[str, ...]
    keep_keras: bool
    command: str


@dataclass(frozen=True, slots=True)
class TrainingResults:
    """What the manifest records of the training."""

    classes: tuple[str, ...]
    temperature: float
    training_data: TrainingData
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class ExportNetworks:
    """The network as it was trained, to be trained further, and as the bundle runs it."""

    trained: keras.Model
    inference: keras.Model


@dataclass(frozen=True, slots=True)
class ExportPictures:
    """The pictures that conversions are made and chosen with.

    `representative` are training pictures without augmentation and `validation` those of the validation
    split, each uint8 (N, H, W, C); `labels`, int64 (N,), belong to the latter.
    """

    representative: Pixels
    validation: Pixels
    labels: NDArray[np.int64]


def choose_representative_dataset(training: Indices) -> Indices:
    """Return at most 256 training pictures, evenly spaced: of all classes, which lie one after the other."""
    count = min(_REPRESENTATIVE_PICTURES, len(training))
    return training[np.linspace(0, len(training) - 1, count).astype(np.int64)]


@dataclass(frozen=True, slots=True)
class ChosenConversion:
    """The conversion that goes into the bundle, as the worker runs it, and all that it was chosen from.

    `validation_logits` are its logits for the validation pictures, float32 (N, classes).
    """

    variant: Variant
    network: Network
    validation_logits: NDArray[np.float32]
    candidates: tuple[Conversion, ...]

    def compute_logits(self, pictures: Pixels) -> NDArray[np.float32]:
        """Run on pictures, uint8 (N, H, W, C), as the worker does: float32 (N, classes)."""
        return run_network(self.network, pictures)["logits"]


def write_smallest_conversion(
    folder: Path,
    network: keras.Model,
    config: ExportConfig,
    classes: tuple[str, ...],
    pictures: ExportPictures,
    say: Callable[[str], None],
) -> ChosenConversion:
    """Convert the network, and leave the smallest conversion within the margin in the folder.

    Raises BundleError where LiteRT's logits are not those of Keras, OSError where the disk refuses.
    """
    say("converting to LiteRT")
    networks = {}
    for variant, content in convert(network, pictures.representative, say).items():
        path = folder / _name_file(variant)
        path.write_bytes(content)
        # LiteRT announces its delegate when it loads a network.
        with silence_converter():
            networks[variant] = Network(folder, _describe_network(path, config), len(classes))
    _check_float32(network, networks[Variant.FLOAT32], config)

    logits, candidates = _measure_conversions(networks, pictures)
    choice = choose_smallest(candidates, config.margin)
    say(format_table(candidates, choice, config.margin))
    for variant in networks.keys() - {choice.variant}:
        networks[variant].path.unlink()
    return ChosenConversion(choice.variant, networks[choice.variant], logits[choice.variant], candidates)


def write_bundle(
    folder: Path,
    networks: ExportNetworks,
    config: ExportConfig,
    results: TrainingResults,
    conversion: ChosenConversion,
    say: Callable[[str], None],
) -> Manifest:
    """Write everything but the network itself into the bundle's folder, and return the manifest.

    Raises BundleError where an export's logits are not those of Keras, OSError where the disk refuses.
    """
    inputs = draw_golden_inputs(config.input, config.seed)
    if config.keep_keras:
        networks.trained.save(folder / MODEL_FILE)
        size = (folder / MODEL_FILE).stat().st_size
        say(f"{MODEL_FILE}, to train further: {size:,} bytes (--no-keras leaves it out)")
    expected = np.asarray(networks.inference(inputs, training=False))
    write_exports(folder / EXPORT_FOLDER, networks.inference, config.formats, inputs, expected)

    spec = write_golden(folder / _GOLDEN_FILE, conversion.network, config.seed)
    metrics = (*results.metrics, *make_variant_metrics(conversion.candidates, config.margin))
    manifest = _make_manifest(spec, config, replace(results, metrics=metrics))
    write_manifest(folder, manifest)
    return manifest


def _measure_conversions(
    networks: Mapping[Variant, Network], pictures: ExportPictures
) -> tuple[dict[Variant, NDArray[np.float32]], tuple[Conversion, ...]]:
    """Run every conversion on the validation pictures: their logits, and how they do."""
    logits_by_variant, candidates = {}, []
    for variant, network in networks.items():
        logits, milliseconds = _time_network(network, pictures.validation)
        logits_by_variant[variant] = logits
        candidates.append(
            Conversion(
                variant,
                size_bytes=network.path.stat().st_size,
                correct=int(np.count_nonzero(logits.argmax(axis=1) == pictures.labels)),
                total=len(logits),
                largest_difference=float(np.abs(logits - logits_by_variant[Variant.FLOAT32]).max()),
                milliseconds=milliseconds,
            )
        )
    return logits_by_variant, tuple(candidates)


def _time_network(network: Network, pictures: Iterable[Pixels]) -> tuple[NDArray[np.float32], float]:
    """Return the logits of each picture, float32 (N, classes), and the median milliseconds for one."""
    logits, seconds = [], []
    for pixels in pictures:
        started = time.perf_counter()
        logits.append(network.run(pixels)["logits"])
        seconds.append(time.perf_counter() - started)
    return np.stack(logits), 1e3 * float(np.median(seconds))


def _check_float32(network: keras.Model, conversion: Network, config: ExportConfig) -> None:
    inputs = draw_golden_inputs(config.input, config.seed)
    expected = np.asarray(network(inputs, training=False))
    difference = float(np.abs(run_network(conversion, inputs)["logits"] - expected).max())
    # `not <=` rather than `>`, here and wherever logits are compared: NaN has to fail, too.
    if not difference <= _FLOAT32_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise BundleError(
            f"LiteRT's logits differ from the trained network's by {difference:.4g}; "
            "install the versions that moodsort[train] names"
        )


def _name_file(variant: Variant) -> str:
    return f"scene.{variant}.tflite"


def _describe_network(path: Path, config: ExportConfig) -> NetworkSpec:
    """Describe the network, as yet without tolerance and golden outputs, which it has to be run for."""
    output = OutputSpec("logits", 0.0)
    golden = Golden(_GOLDEN_FILE, "")
    return NetworkSpec("scene", (output,), path.name, hash_file(path), config.input, golden)


def _make_manifest(network: NetworkSpec, config: ExportConfig, results: TrainingResults) -> Manifest:
    libraries = {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    return Manifest(
        format_version=FORMAT_VERSION,
        name=config.name,
        version=derive_version((network,)),
        classes=results.classes,
        max_side=config.max_side,
        networks=(network,),
        detection=None,
        fusion=None,
        calibration=make_temperature_calibration(results.temperature, len(results.classes)),
        training_data=results.training_data,
        metrics=results.metrics,
        libraries=libraries,
        command=config.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
