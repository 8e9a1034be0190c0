"""Measure what a prediction costs: bytes on the disk, and milliseconds of one core, step by step."""

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.accuracy_tables import format_cell, format_table
from worker.config import Limits
from worker.errors import BadPhoto, ConfigError
from worker.fileio import silence_stderr
from worker.inference.bundle import Bundle
from worker.inference.decode import Picture, Pixels, decode_photo
from worker.inference.detector import Detection, crop_face, decode_detections
from worker.inference.manifest import NetworkSpec
from worker.inference.network import Network
from worker.inference.predictor import Predictor
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

RUNS = 100

_WARM_UPS = 5

_SIDE = 1000
"""Of the picture that is drawn: a megapixel."""

_FACE_DIVISOR = 4
"""Where no face is detected, a square of this part of the shorter side stands for one."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of one core for each step, the median of its runs.

    `networks` are by the networks' files. `prediction` is everything that is done with one decoded picture,
    in which `faces` were detected. `size` is its width and height in the file.
    """

    size: tuple[int, int]
    faces: int
    prediction: float
    decoding: float
    networks: dict[str, float]
    runs: int


def draw_faceless(side: int = _SIDE) -> bytes:
    """Draw a JPEG of light, shade and grain without a face."""
    generator = np.random.default_rng(0)
    light = Image.fromarray(generator.integers(60, 200, (4, 4, 3), np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = np.asarray(light, np.float64) + generator.normal(0, 6, (side, side, 1))
    file = io.BytesIO()
    Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def measure_costs(bundle: Bundle, data: bytes, runs: int = RUNS) -> Costs:
    """Time every step on one picture. Raises BadPhoto where it cannot be read."""
    manifest, limits = bundle.manifest, Limits()

    def decode() -> Picture:
        return decode_photo(data, max_pixels=limits.max_pixels, max_side=manifest.max_side)

    picture = decode()
    with silence_stderr():
        predictor = Predictor(bundle)
        networks = [Network(bundle.folder, spec, len(manifest.classes)) for spec in manifest.networks]
        detections = predictor.run_networks(picture).detections
    face = detections[0] if detections else _make_central_box(picture.pixels)
    steps: dict[str, Callable[[], object]] = {
        "prediction": lambda: predictor.predict(picture),
        "decoding": decode,
    }
    steps |= {network.spec.file: _make_step(network, bundle, picture.pixels, face) for network in networks}
    medians = _measure_medians(steps, runs)
    return Costs(
        size=(picture.width, picture.height),
        faces=len(detections),
        prediction=medians.pop("prediction"),
        decoding=medians.pop("decoding"),
        networks=medians,
        runs=runs,
    )


def format_cost_section(bundle: Bundle, photo: Path | None, runs: int = RUNS) -> str:
    """Measure what the bundle costs, and return it as Markdown.

    Raises ConfigError where the photo cannot be read.
    """
    try:
        costs = measure_costs(bundle, draw_faceless() if photo is None else photo.read_bytes(), runs)
    except (BadPhoto, OSError) as error:
        raise ConfigError(f"{photo}: cannot be read ({error}); name another photo") from error
    source = "A picture drawn by code, without a face" if photo is None else format_cell(format_path(photo))
    return "\n\n".join(
        [
            "### Cost",
            _format_sizes(bundle),
            "The size of each network's file; 1 MB is 1,000,000 bytes.",
            _format_times(bundle, costs),
            f"{source}, {costs.size[0]} × {costs.size[1]} pixels, in one process on {_name_processor()}: the "
            f"median processor time of {costs.runs} runs, after {_WARM_UPS} that do not count, the steps in "
            f"turn. A step begins with resizing the picture to the network's input.{_describe_faces(bundle)}",
        ]
    )


def _describe_faces(bundle: Bundle) -> str:
    if bundle.manifest.detection is None:
        return ""
    return f" Every further face, up to {bundle.manifest.detection.max_faces}, costs as much as one."


def _format_sizes(bundle: Bundle) -> str:
    sizes = [(spec.title, (bundle.folder / spec.file).stat().st_size) for spec in bundle.manifest.networks]
    if len(sizes) > 1:
        sizes.append(("together", sum(size for _, size in sizes)))
    return format_table(("network", "MB"), [(name, f"{size / 1e6:.2f}") for name, size in sizes])


def _format_times(bundle: Bundle, costs: Costs) -> str:
    rows = [(_name_step(spec), costs.networks[spec.file]) for spec in bundle.manifest.networks]
    if bundle.manifest.detection is None:
        rows.append(("the prediction, in all", costs.prediction))
    else:
        rows.append(("with one face, the sum of these", sum(costs.networks.values())))
        rows.append((f"the prediction, in all; {_count_faces(costs.faces)} detected", costs.prediction))
    rows.append(("decoding the picture before, not included above", costs.decoding))
    return format_table(("step", "ms of one core"), [(name, f"{value:.2f}") for name, value in rows])


def _count_faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count or 'no'} faces"


def _name_step(spec: NetworkSpec) -> str:
    return f"{spec.title}, one face" if spec.reads == "face" else spec.title


def _make_step(network: Network, bundle: Bundle, pixels: Pixels, face: Detection) -> Callable[[], object]:
    spec, settings = network.spec.input, bundle.manifest.detection
    height, width, _ = pixels.shape
    if network.spec.reads == "face":
        return lambda: network.run(resize_to_input(crop_face(pixels, face), spec))
    if network.spec.has_output("heatmap") and settings is not None:
        return lambda: decode_detections(
            network.run(resize_to_input(pixels, spec))["heatmap"], settings, spec, width, height
        )
    return lambda: network.run(resize_to_input(pixels, spec))


def _make_central_box(pixels: Pixels) -> Detection:
    height, width, _ = pixels.shape
    side = max(1, min(height, width) // _FACE_DIVISOR)
    left, top = (width - side) // 2, (height - side) // 2
    return Detection(left, top, left + side, top + side, 1.0)


def _measure_medians(steps: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return the median milliseconds of each step; steps take turns, so that all find the same processor."""
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(_WARM_UPS + runs):
        for name, run in steps.items():
            started = time.process_time()
            run()
            samples[name].append(1000 * (time.process_time() - started))
    return {name: statistics.median(times[_WARM_UPS:]) for name, times in samples.items()}


def _name_processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return "an unnamed processor"
