"""A network becomes a bundle, in a process of its own: TensorFlow's threads would outlive a test."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.export.golden import draw_golden_inputs, run_all
from trainer.export.interchange import EXPORT_FORMATS, check_exports
from trainer.export.variants import Conversion, Variant, choose_smallest
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import InputSpec, Manifest, hash_file, load_bundle
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
from trainer.export.golden import golden_inputs
from trainer.export.interchange import EXPORT_FORMATS, write_exports
from trainer.export.litert import convert
from trainer.export.bundle_files import Findings, Networks, Pictures, keep_smallest, write_bundle
from trainer.models.classifiers import reading_both_ways
from trainer.data.atomic_directory import prepared_folder
from trainer.training.configuration import Recipe
from worker.inference.bundle import TrainingData
from worker.errors import BundleError

keras.utils.set_random_seed(0)
draw = np.random.default_rng(0)
inputs = keras.Input((24, 32, 3), dtype="uint8", name="pixels")
x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
for filters in (16, 32):
    x = layers.Conv2D(filters, 3, 2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    scale, shift, mean, variance = (
        draw.uniform(low, high, filters) for low, high in ((0.5, 1.5), (-0.2, 0.2), (-0.3, 0.3), (0.3, 1.5))
    )
    network = keras.Model(inputs, x)
    network.layers[-1].set_weights([scale, shift, mean, variance])
    x = layers.ReLU()(x)
x = layers.GlobalAveragePooling2D()(x)
learnt = keras.Model(inputs, layers.Dense(3, kernel_initializer="he_normal", name="logits")(x))
network = reading_both_ways(learnt)

pixels = np.stack([draw_pixels(seed, (32, 24)) for seed in range(64)])
labels = np.asarray(network(pixels, training=False)).argmax(axis=1)
pictures = Pictures(pixels, pixels, labels)
findings = Findings(("a", "b", "c"), 1.0, TrainingData("fingerprint", 64), ())

print("converting", file=sys.stderr, flush=True)
variants = out / "variants"
variants.mkdir()
for variant, content in convert(network, pixels, print).items():
    (variants / f"{variant}.tflite").write_bytes(content)
again = convert(network, pixels, print)
print("converted", file=sys.stderr, flush=True)
assert all((variants / f"{variant}.tflite").read_bytes() == content for variant, content in again.items())
golden = golden_inputs(SPEC, 0)
straight, mirrored = (learnt(pixels, training=False).numpy() for pixels in (golden, golden[:, :, ::-1]))
np.savez(
    variants / "keras.npz",
    inputs=golden,
    learnt=straight,
    mirrored=mirrored,
    answers=network(golden, training=False).numpy(),
)

recipe = Recipe((out,), out / "bundle", "drawn", SPEC, "a test", margin=0.1, exports=("onnx", "saved_model"))
for chosen in (
    recipe,
    Recipe((out,), out / "plain", "drawn", SPEC, "a test", margin=0.0, keep_keras=False),
):
    with prepared_folder(chosen.out) as draft:
        kept = keep_smallest(draft, network, chosen, ("a", "b", "c"), pictures, print)
        write_bundle(draft, Networks(learnt, network), chosen, findings, kept, print)

kept = keras.saving.load_model(recipe.out / "model.keras", compile=False)
served = tf.saved_model.load(recipe.out / "export" / "saved_model")
np.savez(
    variants / "written.npz",
    keras=kept(golden, training=False).numpy(),
    **{f"saved_model_{count}": served.serve(golden[:count]).numpy() for count in (1, 3, 8)},
)

import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    with prepared_folder(recipe.out) as draft:
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

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Give the golden inputs and what was answered to them in that process."""
        with np.load(self.folder / "variants" / f"{name}.npz") as arrays:
            return dict(arrays)

    def network(self, variant: Variant) -> Network:
        """Load a conversion as the worker loads it."""
        path = self.folder / "variants" / f"{variant}.tflite"
        (stage,) = load_bundle(self.folder / "bundle").manifest.stages
        return Network(path.parent, replace(stage, file=path.name, sha256=hash_file(path)), classes=3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-c", EXPORT, str(Path(__file__).parents[2]), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
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
def test_every_variant_runs_in_the_worker_and_answers_the_mean_of_a_picture_and_its_mirror_image(
    exported, variant, tolerance
):
    keras = exported.arrays("keras")
    inputs, expected = keras["inputs"], (keras["learnt"] + keras["mirrored"]) / 2

    found = run_all(exported.network(variant), inputs)

    assert np.abs(expected).max() > 0.3
    assert np.abs(found - expected).max() <= tolerance


@pytest.mark.parametrize("variant", Variant)
def test_every_variant_answers_the_same_to_a_picture_and_to_its_mirror_image(exported, variant):
    network, inputs = exported.network(variant), exported.arrays("keras")["inputs"]
    assert run_all(network, inputs[:, :, ::-1]) == pytest.approx(run_all(network, inputs), abs=5e-3)


def test_a_network_that_reads_both_ways_answers_the_mean_and_model_keras_is_as_it_was_learnt(exported):
    found = exported.arrays("keras")
    learnt, mirrored = found["learnt"], found["mirrored"]
    assert np.abs(learnt - mirrored).max() > 0.03
    assert found["answers"] == pytest.approx((learnt + mirrored) / 2, abs=1e-5)
    assert exported.arrays("written")["keras"] == pytest.approx(learnt, abs=1e-5)


def accuracies(manifest: Manifest) -> dict[str, float]:
    return {found.name.removeprefix("accuracy_"): found.value for found in manifest.metrics}


@pytest.mark.parametrize(("name", "margin"), [("bundle", 0.1), ("plain", 0.0)])
def test_the_bundle_has_the_smallest_network_within_the_margin_alone(exported, name, margin):
    bundle = load_bundle(exported.folder / name)
    Predictor(bundle).self_test()
    found = accuracies(bundle.manifest)
    assert found.pop("margin") == margin
    assert set(found) == {variant.value for variant in Variant}
    candidates = [
        Conversion(
            variant,
            (exported.folder / "variants" / f"{variant}.tflite").stat().st_size,
            round(found[variant] * 64),
            64,
            0.0,
            1.0,
        )
        for variant in Variant
    ]

    kept = choose_smallest(candidates, margin).variant

    assert [path.name for path in bundle.folder.glob("*.tflite")] == [f"reader.{kept}.tflite"]
    assert f"* {kept}" in exported.output
    assert sorted(path.suffix for path in bundle.folder.iterdir() if path.is_file()) == (
        [".json", ".keras", ".npz", ".tflite"] if name == "bundle" else [".json", ".npz", ".tflite"]
    )


def test_files_that_the_manifest_does_not_name_are_no_matter(exported):
    folder = exported.folder / "bundle"
    named = json.loads((folder / "manifest.json").read_text())
    assert "model.keras" not in json.dumps(named)
    assert (folder / "export" / "saved_model" / "saved_model.pb").is_file()

    Predictor(load_bundle(folder)).self_test()


def test_onnx_answers_as_keras_to_batches_of_any_size(exported):
    run = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
with np.load(sys.argv[2]) as arrays:
    for count in (1, 3, 8):
        found = session.run(None, {"pixels": arrays["inputs"][:count]})[0]
        assert found.shape == (count, 3)
        assert np.abs(found - arrays["answers"][:count]).max() < 1e-3
"""
    folder = exported.folder
    network = folder / "bundle" / "export" / "network.onnx"
    command = [sys.executable, "-c", run, str(network), str(folder / "variants" / "keras.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)

    assert done.returncode == 0, done.stderr


def test_a_saved_model_answers_as_keras_to_batches_of_any_size(exported):
    expected, written = exported.arrays("keras")["answers"], exported.arrays("written")
    for count in (1, 3, 8):
        assert written[f"saved_model_{count}"] == pytest.approx(expected[:count], abs=1e-3)


def test_golden_answers_that_differ_by_more_than_the_tolerance_are_refused(exported):
    bundle = load_bundle(exported.folder / "bundle")
    (stage,) = bundle.manifest.stages
    assert 0.05 <= stage.golden.tolerance < 0.5

    strict = replace(stage, golden=replace(stage.golden, file="../variants/keras.npz", tolerance=0.0))
    with pytest.raises(BundleError, match="logits differ from the golden ones"):
        Network(bundle.folder, strict, classes=3).self_test()


def test_a_file_that_the_disk_has_no_room_for_is_one_line_and_the_earlier_bundle_stays(exported):
    refusal = (exported.folder / "refusal").read_text()

    assert "bundle: cannot be written (" in refusal
    assert "\n" not in refusal
    for name in EXPORT_FORMATS:
        assert "\n" not in (exported.folder / f"refusal of {name}").read_text()
    Predictor(load_bundle(exported.folder / "bundle")).self_test()
    assert not [path for path in exported.folder.iterdir() if path.name.startswith(".")]


def test_the_converters_noise_is_held_back(exported):
    _, during = exported.noise.split("converting\n")
    assert during.startswith("converted\n")


def test_onnx_without_its_libraries_is_refused_with_what_installs_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    check_exports(("saved_model",))
    with pytest.raises(ConfigError, match=r"pip install 'moodsort\[onnx\]'") as refusal:
        check_exports(("onnx",))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("colour", "channels"), [("rgb", 3), ("grey", 1)])
def test_golden_inputs_come_from_the_seed_in_the_shape_of_the_network(colour, channels):
    spec = InputSpec(20, 16, colour, "stretch")

    first, same, other = (draw_golden_inputs(spec, seed) for seed in (1, 1, 2))

    assert first.shape == (8, 16, 20, channels)
    assert first.dtype == np.uint8
    assert (first == same).all()
    assert (first != other).any()
