"""The folder of a trained detector: network, golden outputs, and the manifest that a bundle is made by."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from worker.errors import BundleError
from worker.inference.bundle import check_hashes
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.inference.manifest import DetectionSettings, Metric, NetworkSpec, TrainingData
from worker.inference.network import Network
from worker.inference.preprocess import SourceImage
from worker.inference.tiles import detect_faces
from worker.tables import Problems, Range, read_table

MANIFEST_NAME = "detector.json"
NETWORK_FILE = "detector.tflite"
KERAS_FILE = "detector.keras"
"""What `moodsort train --network backbone --weights` begins with."""

_MAX_FACES = 1000
"""More than any photo shows: how many are classified is decided by the bundle."""


@dataclass(frozen=True, slots=True)
class DetectorManifest:
    """What a bundle needs to know of a detector.

    `score_threshold` is the one with the best F3 on held-out photos, `max_side` that to which photos are
    reduced before, in pixels.
    """

    network: NetworkSpec
    max_side: Annotated[int, Range(16, 8192)]
    score_threshold: Annotated[float, Range(0, 1)]
    training_data: TrainingData
    metrics: tuple[Metric, ...]
    libraries: dict[str, str]
    command: str
    created_at: str


class TrainedDetector:
    """A detector that is loaded and ready to run."""

    def __init__(self, folder: Path, manifest: DetectorManifest) -> None:
        """Load the network. Raises BundleError where LiteRT refuses it."""
        self.manifest = manifest
        self.max_side = manifest.max_side
        self.network = Network(folder, manifest.network, classes=0)

    def detect(self, pixels: Pixels, score_threshold: float | None = None) -> tuple[Detection, ...]:
        """Detect faces in a picture, uint8 (H, W, 3), decoded to `max_side`, the largest first."""
        threshold = self.manifest.score_threshold if score_threshold is None else score_threshold
        image = SourceImage.from_pixels(pixels)
        (whole,) = image.resize_all([self.manifest.network.input])
        heatmap = self.network.run(whole)["heatmap"]
        return detect_faces(self.network, image, heatmap, DetectionSettings(threshold, _MAX_FACES))


def load_detector(folder: Path) -> TrainedDetector:
    """Load a detector's folder. Raises BundleError naming the file and the remedy."""
    path = folder / MANIFEST_NAME
    try:
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); make it with `moodsort detector train`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); train the detector again") from error
    problems = Problems()
    manifest = read_table(DetectorManifest, table, problems)
    if manifest is None:
        raise BundleError("\n".join(f"{path}: {problem}; train the detector again" for problem in problems))
    check_hashes(folder, manifest.network, "train the detector again")
    return TrainedDetector(folder, manifest)


def write_detector_manifest(folder: Path, manifest: DetectorManifest) -> None:
    """Write the manifest into a detector's folder. Raises OSError."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
