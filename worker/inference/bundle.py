"""The contract between trainer and worker: what a bundle holds, read without defaults and checked by hash."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from worker.errors import BundleError
from worker.fileio import hash_file
from worker.paths import NAME_MAX
from worker.tables import Problems, Range, read_table

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 3

HEATMAP_STRIDE = 8
"""The side in input pixels of what one position of the heatmap stands for."""

_INT_MAX = 2**31


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The pixels that a network takes.

    `resize` is "stretch" (to width × height whatever the shape) or "letterbox" (the whole picture, grey
    bars beside it).
    """

    width: int
    height: int
    colour: Literal["rgb", "grey"]
    resize: Literal["stretch", "letterbox"]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a network, and how far it may be off on the golden inputs, in the output's own unit.

    "logits" is float32 (1, classes) in the order of the manifest's classes. "heatmap" is float32
    (1, height / 8, width / 8, 4): for each position, which stands for 8 × 8 input pixels, the logit that the
    centre of a face lies in it, dx, dy, and the log of the face's side. The face is the square around
    ((column + 0.5 + dx) · 8, (row + 0.5 + dy) · 8) with sides of 8 · exp(log side), in input pixels.
    """

    kind: Literal["heatmap", "logits"]
    tolerance: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and expected outputs with which a worker tests a network before it predicts anything.

    `file` is an .npz with `inputs`, uint8 (N, height, width, channels), and for each output an array named
    by its kind, float32 (N, …), as the network gives it.
    """

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """One network of a bundle: whether it reads the whole scene or one face, what it gives, and its file.

    It takes uint8 (1, height, width, 1 or 3), 0–255 (scaling is inside the graph). One that gives a heatmap
    reads the scene, in colour and letterboxed, with sides that are multiples of 8. A network may give both
    outputs.
    """

    reads: Literal["scene", "face"]
    outputs: tuple[OutputSpec, ...]
    file: str
    sha256: str
    input: InputSpec
    golden: Golden

    @property
    def title(self) -> str:
        """What people call it, as "face classifier"."""
        titles = {"heatmap": "face detector", "logits": f"{self.reads} classifier"}
        return " and ".join(titles[output.kind] for output in self.outputs)

    def gives(self, kind: str) -> bool:
        """Tell whether one of its outputs is of this kind."""
        return any(output.kind == kind for output in self.outputs)


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """Which positions of the heatmap are faces: those from the threshold on, the largest first."""

    score_threshold: Annotated[float, Range(0, 1)]
    max_faces: Annotated[int, Range(1, 1000)]


@dataclass(frozen=True, slots=True)
class Fusion:
    """What the logits of faces count beside those of the scene.

    `fuse_logits` adds `face_weight` times the mean of the faces' logits, each weighted by its area and the
    cube of its score, to `scene_weight` times the scene's, weighted by the share of the picture that is
    background; and `no_face_weight` times the scene's as far as none of the detections may be a face.
    """

    face_weight: Annotated[float, Range(0, 1e3)]
    scene_weight: Annotated[float, Range(0, 1e3)]
    no_face_weight: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities: softmax(logits / temperature) (Guo et al. 2017).

    `decision_threshold` is the probability of the first of two classes from which on it is the label; None
    takes the most probable class.
    """

    method: Literal["temperature"]
    temperature: Annotated[float, Range(1e-3, 1e3)]
    decision_threshold: Annotated[float, Range(0, 1)] | None


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the bundle was trained on: a SHA-256 over the hashes and labels of its pictures."""

    fingerprint: str
    pictures: Annotated[int, Range(0, _INT_MAX)]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure, its 95 % interval, and the pictures it was measured on; `label` None is all classes."""

    name: str
    label: str | None
    value: float
    low: float
    high: float
    test_set: str
    pictures: Annotated[int, Range(0, _INT_MAX)]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a worker needs to know of a bundle.

    `version` is the first 12 hex digits of a SHA-256 over the networks' hashes. `max_side` is the longest
    side in pixels of the picture that the networks read. `networks` are scene classifiers alone, `detection`
    and `fusion` being None; or the one that gives the heatmap, face classifiers and scene classifiers, in
    this order. The logits of several networks that read the same are averaged.
    """

    format_version: int
    name: str
    version: str
    classes: tuple[str, ...]
    max_side: Annotated[int, Range(16, 8192)]
    networks: tuple[NetworkSpec, ...]
    detection: DetectionSettings | None
    fusion: Fusion | None
    calibration: Calibration
    training_data: TrainingData
    metrics: tuple[Metric, ...]
    libraries: dict[str, str]
    command: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose manifest and hashes hold."""

    folder: Path
    manifest: Manifest


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest and check the hash of every file that it names.

    Raises BundleError naming the file, the field and the remedy.
    """
    path = folder / MANIFEST_NAME
    problems = Problems()
    table = _read_json(path)
    _check_format(path, table)
    manifest = read_table(Manifest, table, problems)
    if manifest is None:
        raise BundleError("\n".join(f"{path}: {problem}; train it again" for problem in problems))
    for problem in _find_contradictions(manifest):
        raise BundleError(f"{path}: {problem}; train it again")
    for network in manifest.networks:
        _check_hash(folder / network.file, network.sha256)
        _check_hash(folder / network.golden.file, network.golden.sha256)
    return Bundle(folder, manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the bundle's folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def derive_version(networks: tuple[NetworkSpec, ...]) -> str:
    """Return the version that the networks' files give a bundle: 12 hex digits."""
    return hashlib.sha256("".join(network.sha256 for network in networks).encode()).hexdigest()[:12]


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{path}: is not there; name a bundle's folder in model.bundle") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check model.bundle") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); copy the bundle again") from error


def _check_format(path: Path, table: object) -> None:
    version = table.get("format_version") if isinstance(table, dict) else None
    if type(version) is int and version != FORMAT_VERSION:  # anything else is reported with the other fields
        remedy = "upgrade moodsort" if version > FORMAT_VERSION else "train it again"
        raise BundleError(
            f"{path}: format_version is {version}, this moodsort reads {FORMAT_VERSION}; {remedy}"
        )


def _find_contradictions(manifest: Manifest) -> list[str]:
    problems = []
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes):
        problems.append(f"classes is {list(classes)!r}, but takes two or more different names")
    if not all(map(_is_folder_name, classes)):
        problems.append(f"classes is {list(classes)!r}, but each has to serve as a folder's name")
    problems += _check_networks(manifest)
    if manifest.calibration.decision_threshold is not None and len(classes) != 2:
        problems.append("calibration.decision_threshold takes two classes")
    if manifest.version != derive_version(manifest.networks):
        problems.append("version is not the hash of the weights")
    return problems


def _check_networks(manifest: Manifest) -> list[str]:
    problems = []
    networks = manifest.networks
    if not _belong_together(networks):
        listed = ", ".join(network.title for network in networks) or "none"
        problems.append(
            f"networks has {listed}, but takes scene classifiers alone, or what gives the heatmap, face "
            "classifiers, scene classifiers"
        )
    else:
        problems += _check_detection(manifest)
    return problems + [problem for network in networks for problem in _check_heatmap_input(network)]


def _check_detection(manifest: Manifest) -> list[str]:
    has_detector = any(network.gives("heatmap") for network in manifest.networks)
    contradiction = (
        "null, but a network detects faces" if has_detector else "given, but no network detects faces"
    )
    settings = {"detection": manifest.detection, "fusion": manifest.fusion}
    return [f"{key} is {contradiction}" for key, value in settings.items() if has_detector is (value is None)]


def _check_heatmap_input(network: NetworkSpec) -> list[str]:
    spec = network.input
    fits = (spec.colour, spec.resize) == ("rgb", "letterbox") and not (
        spec.width % HEATMAP_STRIDE or spec.height % HEATMAP_STRIDE
    )
    if fits or not network.gives("heatmap"):
        return []
    return [
        f"the input of the {network.title} is {spec.width} × {spec.height}, {spec.colour}, {spec.resize}, "
        f"but takes multiples of {HEATMAP_STRIDE}, rgb, letterbox"
    ]


def _belong_together(networks: Sequence[NetworkSpec]) -> bool:
    if not all(_has_possible_outputs(network) for network in networks):
        return False
    ranks = [_rank(network) for network in networks]
    heatmaps, faces = ranks.count(0), ranks.count(1)
    classify_scene = any(network.reads == "scene" and network.gives("logits") for network in networks)
    return ranks == sorted(ranks) and classify_scene and heatmaps <= 1 and (heatmaps > 0) == (faces > 0)


def _has_possible_outputs(network: NetworkSpec) -> bool:
    kinds = [output.kind for output in network.outputs]
    possible = (["heatmap"], ["logits"], ["heatmap", "logits"]) if network.reads == "scene" else (["logits"],)
    return kinds in possible


def _rank(network: NetworkSpec) -> int:
    """Return the place of a network in the order of a manifest: heatmap, faces, scene."""
    if network.gives("heatmap"):
        return 0
    return 1 if network.reads == "face" else 2


def _is_folder_name(name: str) -> bool:
    # Half a surrogate pair, which JSON can spell, is not printable, and cannot be encoded.
    is_plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return is_plain and 0 < len(name.encode()) <= NAME_MAX


def _check_hash(path: Path, expected: str) -> None:
    try:
        sha256 = hash_file(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from error
    if sha256 != expected:
        raise BundleError(f"{path}: its SHA-256 is not the manifest's; copy the bundle again")
