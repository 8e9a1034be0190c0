"""A network becomes a bundle, in a process of its own: TensorFlow's threads would outlive a test."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.patience import scale
from trainer.export.golden import draw_golden_inputs, run_network
from trainer.export.interchange import EXPORT_FORMATS, check_exports
from trainer.export.variants import Conversion, Variant, choose_smallest
from worker.errors import BundleError, ConfigError
from worker.fileio import hash_file
from worker.inference.bundle import load_bundle
from worker.inference.manifest import InputSpec, Manifest, OutputSpec
from worker.inference.network import Network
from worker.inference.predictor import Predictor

SPEC = InputSpec(32, 24, "rgb", "stretch")

EXPORT = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
from pathlib import Path
sys.path.insert(0, sys.argv[1])
out = Path(sys.argv[2])
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tests.drawing import draw_pixels
from tests.integration.test_export import SPEC
from trainer.export.golden import draw_golden_inputs
from trainer.export.interchange import EXPORT_FORMATS, write_exports
from trainer.export.litert import convert
from trainer.export.bundle_files import (
    ExportConfig, ExportNetworks, ExportPictures, TrainingResults, write_bundle, write_smallest_conversion
)
from trainer.models.classifiers import add_flip_tta
from trainer.data.atomic_directory import prepare_directory
from worker.inference.manifest import TrainingData
from worker.errors import BundleError

keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
inputs = keras.Input((24, 32, 3), dtype="uint8", name="pixels")
x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
for filters in (16, 32):
    x = layers.Conv2D(filters, 3, 2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    scale, shift, mean, variance = (
        generator.uniform(*bounds, filters) for bounds in ((0.5, 1.5), (-0.2, 0.2), (-0.3, 0.3), (0.3, 1.5))
    )
    network = keras.Model(inputs, x)
    network.layers[-1].set_weights([scale, shift, mean, variance])
    x = layers.ReLU()(x)
x = layers.GlobalAveragePooling2D()(x)
trained = keras.Model(inputs, layers.Dense(3, kernel_initializer="he_normal", name="logits")(x))
network = add_flip_tta(trained)

pixels = np.stack([draw_pixels(seed, (32, 24)) for seed in range(64)])
labels = np.asarray(network(pixels, training=False)).argmax(axis=1)
pictures = ExportPictures(pixels, pixels, labels)
results = TrainingResults(("a", "b", "c"), 1.0, TrainingData("fingerprint", 64), ())

print("converting", file=sys.stderr, flush=True)
variants = out / "variants"
variants.mkdir()
for variant, content in convert(network, pixels, print).items():
    (variants / f"{variant}.tflite").write_bytes(content)
again = convert(network, pixels, print)
print("converted", file=sys.stderr, flush=True)
assert all((variants / f"{variant}.tflite").read_bytes() == content for variant, content in again.items())
golden = draw_golden_inputs(SPEC, 0)
straight, mirrored = (trained(pixels, training=False).numpy() for pixels in (golden, golden[:, :, ::-1]))
np.savez(
    variants / "keras.npz",
    inputs=golden,
    logits=network(golden, training=False).numpy(),
    straight=straight,
    mirrored=mirrored,
)

bundle = out / "bundle"
for folder, margin, formats, keep_keras in (
    (bundle, 0.1, ("onnx", "saved_model"), True),
    (out / "plain", 0.0, (), False),
):
    config = ExportConfig("drawn", SPEC, 320, 0, margin, formats, keep_keras, "a test")
    with prepare_directory(folder) as draft:
        conversion = write_smallest_conversion(draft, network, config, ("a", "b", "c"), pictures, print)
        write_bundle(draft, ExportNetworks(trained, network), config, results, conversion, print)

model = keras.saving.load_model(bundle / "model.keras", compile=False)
saved_model = tf.saved_model.load(bundle / "export" / "saved_model")
np.savez(
    variants / "written.npz",
    keras=model(golden, training=False).numpy(),
    **{f"saved_model_{count}": saved_model.serve(golden[:count]).numpy() for count in (1, 3, 8)},
)

import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    with prepare_directory(bundle) as draft:
        network.save(draft / "model.keras")
except BundleError as error:
    (out / "refusal").write_text(str(error))
for format in EXPORT_FORMATS:
    try:
        write_exports(out / format, network, (format,), golden, np.asarray(network(golden, training=False)))
    except (BundleError, OSError) as error:
        (out / f"refusal of {format}").write_text(str(error))
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What one process of TensorFlow wrote, and what it printed."""

    folder: Path
    output: str
    noise: str

    def load_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return golden inputs and the logits that Keras gave for them in that process."""
        with np.load(self.folder / "variants" / f"{name}.npz") as arrays:
            return dict(arrays)

    def load_network(self, variant: Variant) -> Network:
        """Load a conversion as the worker loads it."""
        path = self.folder / "variants" / f"{variant}.tflite"
        (spec,) = load_bundle(self.folder / "bundle").manifest.networks
        return Network(path.parent, replace(spec, file=path.name, sha256=hash_file(path)), classes=3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-c", EXPORT, str(Path(__file__).parents[2]), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scale(110), check=False)
    assert done.returncode == 0, done.stderr
    return Exported(folder, done.stdout, done.stderr)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("variant", "tolerance"),
    [
        (Variant.FLOAT32, 1e-3),
        (Variant.FLOAT16, 1e-2),
        (Variant.DYNAMIC_RANGE, 0.1),
        (Variant.INT8, 0.2),
    ],
)
def test_every_variant_runs_in_the_worker_and_gives_the_mean_logits_of_a_picture_and_its_mirror_image(
    exported, variant, tolerance
):
    keras = exported.load_arrays("keras")
    inputs, expected = keras["inputs"], (keras["straight"] + keras["mirrored"]) / 2

    logits = run_network(exported.load_network(variant), inputs)["logits"]

    assert np.abs(expected).max() > 0.3
    assert np.abs(logits - expected).max() <= tolerance


@pytest.mark.parametrize("variant", Variant)
def test_every_variant_gives_the_same_logits_for_a_picture_and_its_mirror_image(exported, variant):
    network, inputs = exported.load_network(variant), exported.load_arrays("keras")["inputs"]
    straight, mirrored = (run_network(network, pixels)["logits"] for pixels in (inputs, inputs[:, :, ::-1]))
    assert mirrored == pytest.approx(straight, abs=5e-3)


def test_flip_averaging_gives_the_mean_logits_and_model_keras_is_as_it_was_trained(exported):
    keras = exported.load_arrays("keras")
    straight, mirrored = keras["straight"], keras["mirrored"]
    assert np.abs(straight - mirrored).max() > 0.03
    assert keras["logits"] == pytest.approx((straight + mirrored) / 2, abs=1e-5)
    assert exported.load_arrays("written")["keras"] == pytest.approx(straight, abs=1e-5)


def list_accuracies(manifest: Manifest) -> dict[str, float]:
    return {metric.name.removeprefix("accuracy_"): metric.value for metric in manifest.metrics}


@pytest.mark.parametrize(("name", "margin"), [("bundle", 0.1), ("plain", 0.0)])
def test_the_bundle_has_only_the_smallest_network_within_the_margin(exported, name, margin):
    bundle = load_bundle(exported.folder / name)
    Predictor(bundle).self_test()
    accuracies = list_accuracies(bundle.manifest)
    assert accuracies.pop("margin") == margin
    assert set(accuracies) == {variant.value for variant in Variant}
    candidates = [
        Conversion(
            variant,
            (exported.folder / "variants" / f"{variant}.tflite").stat().st_size,
            round(accuracies[variant] * 64),
            64,
            0.0,
            1.0,
        )
        for variant in Variant
    ]

    choice = choose_smallest(candidates, margin).variant

    assert [path.name for path in bundle.folder.glob("*.tflite")] == [f"scene.{choice}.tflite"]
    assert f"* {choice}" in exported.output
    assert sorted(path.suffix for path in bundle.folder.iterdir() if path.is_file()) == (
        [".json", ".keras", ".npz", ".tflite"] if name == "bundle" else [".json", ".npz", ".tflite"]
    )


def test_files_that_the_manifest_does_not_name_are_ignored(exported):
    folder = exported.folder / "bundle"
    assert "model.keras" not in (folder / "manifest.json").read_text()
    assert (folder / "export" / "saved_model" / "saved_model.pb").is_file()

    Predictor(load_bundle(folder)).self_test()


def test_onnx_gives_the_logits_of_keras_for_batches_of_any_size(exported):
    run = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
with np.load(sys.argv[2]) as arrays:
    for count in (1, 3, 8):
        logits = session.run(None, {"pixels": arrays["inputs"][:count]})[0]
        assert logits.shape == (count, 3)
        assert np.abs(logits - arrays["logits"][:count]).max() < 1e-3
"""
    folder = exported.folder
    network = folder / "bundle" / "export" / "network.onnx"
    command = [sys.executable, "-c", run, str(network), str(folder / "variants" / "keras.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scale(50), check=False)

    assert done.returncode == 0, done.stderr


def test_a_saved_model_gives_the_logits_of_keras_for_batches_of_any_size(exported):
    expected, written = exported.load_arrays("keras")["logits"], exported.load_arrays("written")
    for count in (1, 3, 8):
        assert written[f"saved_model_{count}"] == pytest.approx(expected[:count], abs=1e-3)


def test_golden_outputs_that_differ_by_more_than_the_tolerance_are_refused(exported):
    bundle = load_bundle(exported.folder / "bundle")
    (spec,) = bundle.manifest.networks
    (output,) = spec.outputs
    assert 0.05 <= output.tolerance < 0.5

    golden = replace(spec.golden, file="../variants/keras.npz")
    strict = replace(spec, golden=golden, outputs=(OutputSpec("logits", 0.0),))
    with pytest.raises(BundleError, match='its output "logits" differs from the golden one'):
        Network(bundle.folder, strict, classes=3).self_test()


def test_a_file_that_the_disk_has_no_room_for_is_one_line_and_the_earlier_bundle_stays(exported):
    refusal = (exported.folder / "refusal").read_text()

    assert "bundle: cannot be written (" in refusal
    assert "\n" not in refusal
    for name in EXPORT_FORMATS:
        assert "\n" not in (exported.folder / f"refusal of {name}").read_text()
    Predictor(load_bundle(exported.folder / "bundle")).self_test()
    assert not [path for path in exported.folder.iterdir() if path.name.startswith(".")]


def test_what_the_converters_print_is_held_back(exported):
    _, during = exported.noise.split("converting\n")
    assert during.startswith("converted\n")


def test_onnx_without_its_libraries_is_refused_with_what_installs_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    check_exports(("saved_model",))
    with pytest.raises(ConfigError, match=r"pipx install --force '\.\[onnx\]'") as refusal:
        check_exports(("onnx",))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("colour", "channels"), [("rgb", 3), ("grey", 1)])
def test_golden_inputs_come_from_the_seed_in_the_shape_of_the_network(colour, channels):
    spec = InputSpec(20, 16, colour, "stretch")

    first, same, different = (draw_golden_inputs(spec, seed) for seed in (1, 1, 2))

    assert first.shape == (8, 16, 20, channels)
    assert first.dtype == np.uint8
    assert (first == same).all()
    assert (first != different).any()
