"""A finder as it lies on disk between its training and the bundle that it goes into."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from worker.errors import BundleError
from worker.inference.bundle import Faces, Metric, Stage, TrainingData, file_sha256
from worker.inference.decode import Pixels
from worker.inference.detector import Box, found
from worker.inference.network import Network
from worker.inference.preprocess import fit
from worker.tables import Problems, Range, read_table

MANIFEST_NAME = "finder.json"
NETWORK_FILE = "finder.tflite"
KERAS_FILE = "finder.keras"
"""What `moodsort train --network trunk --weights` begins with."""

COARSEST = 32
"""Pixels of the input on a side of a cell of a finder's coarsest level."""

_MOST = 1000


@dataclass(frozen=True, slots=True)
class FinderManifest:
    """What a bundle needs to know of a finder; `least_score` is the one of the best F3 on held-out photos."""

    stage: Stage
    working_side: Annotated[int, Range(16, 8192)]
    least_score: Annotated[float, Range(0, 1)]
    training_data: TrainingData
    metrics: tuple[Metric, ...]
    libraries: dict[str, str]
    command: str
    created_at: str


class LoadedFinder:
    """A finder that is ready to run."""

    def __init__(self, folder: Path, manifest: FinderManifest) -> None:
        self.manifest = manifest
        self.working_side = manifest.working_side
        self.network = Network(folder, manifest.stage, classes=0)
        self._faces = Faces(least_score=manifest.least_score, most=_MOST, face=1.0, whole=0.0, alone=1.0)

    def find(self, pixels: Pixels, least_score: float | None = None) -> tuple[Box, ...]:
        """Find faces in a picture, uint8 (H, W, 3) of at most the working side, the largest first."""
        faces = self._faces if least_score is None else replace(self._faces, least_score=least_score)
        spec = self.manifest.stage.input
        height, width = pixels.shape[:2]
        return found(self.network.run(fit(pixels, spec)), faces, spec, width, height)


def load_finder(folder: Path) -> LoadedFinder:
    """Load a finder's folder. Raises BundleError naming the file and the remedy."""
    path = folder / MANIFEST_NAME
    try:
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}); make it by `moodsort finder train`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); train the finder again") from error
    problems = Problems()
    manifest = read_table(FinderManifest, table, problems)
    if manifest is None:
        raise BundleError("\n".join(f"{path}: {problem}; train the finder again" for problem in problems))
    for file, sha256 in (
        (manifest.stage.file, manifest.stage.sha256),
        (manifest.stage.golden.file, manifest.stage.golden.sha256),
    ):
        _check_hash(folder / file, sha256)
    return LoadedFinder(folder, manifest)


def _check_hash(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); train the finder again") from error
    if found != expected:
        raise BundleError(f"{path}: its SHA-256 is not the manifest's; train the finder again")


def write_finder(folder: Path, manifest: FinderManifest) -> None:
    """Write the manifest into a finder's folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
