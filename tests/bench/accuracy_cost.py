"""What judging costs: bytes on the disk, and milliseconds of one core, stage by stage."""

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from trainer.evaluation.judging import Limits

from tests.bench.accuracy_tables import cell, table
from worker.errors import BadPhoto, ConfigError
from worker.fileio import silence_stderr
from worker.inference.bundle import Bundle, Stage
from worker.inference.decode import Picture, Pixels, decode_photo
from worker.inference.detector import Detection, crop_face, decode_detections
from worker.inference.network import Network
from worker.inference.predictor import Predictor
from worker.inference.preprocess import resize_to_input
from worker.paths import format_path

RUNS = 100

_WARM_UPS = 5

_SIDE = 1000
"""Of the picture that is drawn: a megapixel."""

_FACE_SHARE = 4
"""Where no face is found, a square that is this part of the shorter side stands for one."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of one core that each step took, the median of its runs.

    `stages` are by the stages' files; `judging` is all that becomes of one decoded picture, in which `faces`
    were found; `size` is its width and height in the file.
    """

    size: tuple[int, int]
    faces: int
    judging: float
    decoding: float
    stages: dict[str, float]
    runs: int


def draw_nothing(side: int = _SIDE) -> bytes:
    """Draw a JPEG of light, shade and grain in which there is nothing to find."""
    dice = np.random.default_rng(0)
    light = Image.fromarray(dice.integers(60, 200, (4, 4, 3), np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = np.asarray(light, np.float64) + dice.normal(0, 6, (side, side, 1))
    file = io.BytesIO()
    Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def measured_costs(bundle: Bundle, data: bytes, runs: int = RUNS) -> Costs:
    """Take the time of every step on one picture. Raises BadPhoto where it cannot be judged."""
    side, limits = bundle.manifest.max_side, Limits()

    def read() -> Picture:
        return decode_photo(data, max_pixels=limits.max_pixels, max_side=side)

    picture = read()
    with silence_stderr():
        judge = Predictor(bundle)
        networks = [
            Network(bundle.folder, stage, len(bundle.manifest.classes)) for stage in bundle.manifest.stages
        ]
        boxes = judge.run_networks(picture).boxes
    box = boxes[0] if boxes else _middle(picture.pixels)
    steps: dict[str, Callable[[], object]] = {"judging": lambda: judge.predict(picture), "decoding": read}
    steps |= {network.stage.file: _step(network, bundle, picture.pixels, box) for network in networks}
    medians = _medians(steps, runs)
    return Costs(
        size=(picture.width, picture.height),
        faces=len(boxes),
        judging=medians.pop("judging"),
        decoding=medians.pop("decoding"),
        stages=medians,
        runs=runs,
    )


def cost_section(bundle: Bundle, photo: Path | None, runs: int = RUNS) -> str:
    """Measure and write what the bundle costs. Raises ConfigError where the photo cannot be judged."""
    try:
        costs = measured_costs(bundle, draw_nothing() if photo is None else photo.read_bytes(), runs)
    except (BadPhoto, OSError) as error:
        raise ConfigError(f"{photo}: cannot be judged ({error}); name another photo") from error
    what = (
        "A picture drawn by code, with nothing to find in it" if photo is None else cell(format_path(photo))
    )
    return "\n\n".join(
        [
            "### Cost",
            _sizes(bundle),
            "The size of each network's file; 1 MB is 1,000,000 bytes.",
            _times(bundle, costs),
            f"{what}, {costs.size[0]} × {costs.size[1]} pixels, in one process on {_processor()}: the median "
            f"processor time of {costs.runs} runs, after {_WARM_UPS} that do not count, the steps in turn. A "
            f"step begins with fitting the picture to the network's input.{_further(bundle)}",
        ]
    )


def _further(bundle: Bundle) -> str:
    if bundle.manifest.faces is None:
        return ""
    return f" Every further face, up to {bundle.manifest.faces.most}, costs as much as one."


def _sizes(bundle: Bundle) -> str:
    sizes = [(stage.title, (bundle.folder / stage.file).stat().st_size) for stage in bundle.manifest.stages]
    if len(sizes) > 1:
        sizes.append(("together", sum(size for _, size in sizes)))
    return table(("network", "MB"), [(name, f"{size / 1e6:.2f}") for name, size in sizes])


def _times(bundle: Bundle, costs: Costs) -> str:
    rows = [(_step_name(stage), costs.stages[stage.file]) for stage in bundle.manifest.stages]
    if bundle.manifest.faces is None:
        rows.append(("judging the picture, in all", costs.judging))
    else:
        rows.append(("with one face, the sum of these", sum(costs.stages.values())))
        rows.append((f"judging the picture, in all; {_faces(costs.faces)} found", costs.judging))
    rows.append(("decoding it beforehand, not counted above", costs.decoding))
    return table(("step", "ms of one core"), [(name, f"{value:.2f}") for name, value in rows])


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count or 'no'} faces"


def _step_name(stage: Stage) -> str:
    return "face reader, one face" if stage.view == "face" else stage.title


def _step(network: Network, bundle: Bundle, pixels: Pixels, box: Detection) -> Callable[[], object]:
    spec, faces = network.stage.input, bundle.manifest.faces
    height, width, _ = pixels.shape
    if network.stage.view == "face":
        return lambda: network.run(resize_to_input(crop_face(pixels, box), spec))
    if network.stage.role == "finder" and faces is not None:
        return lambda: decode_detections(
            network.run(resize_to_input(pixels, spec)), faces, spec, width, height
        )
    return lambda: network.run(resize_to_input(pixels, spec))


def _middle(pixels: Pixels) -> Detection:
    height, width, _ = pixels.shape
    side = max(1, min(height, width) // _FACE_SHARE)
    left, top = (width - side) // 2, (height - side) // 2
    return Detection(left, top, left + side, top + side, 1.0)


def _medians(steps: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(_WARM_UPS + runs):
        for name, step in steps.items():
            began = time.process_time()
            step()
            samples[name].append(1000 * (time.process_time() - began))
    return {name: statistics.median(times[_WARM_UPS:]) for name, times in samples.items()}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return "an unnamed processor"
