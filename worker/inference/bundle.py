"""The contract between trainer and worker: what a bundle holds, read without defaults and checked by hash."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from worker.errors import BundleError
from worker.paths import NAME_MAX
from worker.tables import Problems, Range, read_table

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 2

FINDER_CELL = 8
"""The side in input pixels of a cell of the finder's map."""

_WHOLE = 2**31

_FINDER, _FACE_READER, _WHOLE_READER = ("finder", "whole"), ("reader", "face"), ("reader", "whole")
"""The roles and views that the stages of a bundle may have, in their order."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The pixels that a model stage reads.

    `resize` is "stretch" (to width × height whatever the shape) or "letterbox" (the whole picture, grey
    bars beside it).
    """

    width: int
    height: int
    colour: Literal["rgb", "grey"]
    resize: Literal["stretch", "letterbox"]


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and expected answers with which a worker tests a stage before it judges a photo.

    `file` is an .npz with `inputs` uint8 (N, height, width, channels) and `answers` float32 (N, …), the
    latter as the stage gives them.
    """

    file: str
    sha256: str
    tolerance: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Stage:
    """One network of a bundle: what it is for, which part of the picture it reads, and its file.

    The network takes uint8 (1, height, width, 1 or 3), 0–255 (scaling is inside the graph).
    A reader gives float32 (1, classes) logits in the order of the manifest's classes, of the whole picture
    or of one face that is cut from it.
    A finder gives float32 (1, height / 8, width / 8, 4): for each cell of 8 × 8 input pixels the logit that a
    face's centre lies in it, dx, dy, and the log of its side. The face is the square around
    ((column + 0.5 + dx) · 8, (row + 0.5 + dy) · 8) with sides of 8 · exp(log side), in input pixels. Its
    input is in colour and letterboxed, with sides that are multiples of 8.
    """

    role: Literal["finder", "reader"]
    view: Literal["whole", "face"]
    file: str
    sha256: str
    input: InputSpec
    golden: Golden

    @property
    def title(self) -> str:
        """What people call it, as "face reader"."""
        return f"{self.view} {self.role}"


@dataclass(frozen=True, slots=True)
class Faces:
    """How faces are found, and what they count beside the whole picture.

    A cell of the finder's map that is less sure than `least_score` is no face; of the faces found the `most`
    largest are read. `fused` adds `face` times the mean of their logits, each weighted by its area and the
    cube of the finder's score, to `whole` times the whole picture's, weighted by the share of the picture
    that is around the faces; and `alone` times the whole picture's as far as none of the finds may be a face.
    """

    least_score: Annotated[float, Range(0, 1)]
    most: Annotated[int, Range(1, 1000)]
    face: Annotated[float, Range(0, 1e3)]
    whole: Annotated[float, Range(0, 1e3)]
    alone: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities: softmax(logits / temperature) (Guo et al. 2017)."""

    method: Literal["temperature"]
    temperature: Annotated[float, Range(1e-3, 1e3)]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the bundle was trained on: a SHA-256 over the hashes and labels of its pictures."""

    fingerprint: str
    pictures: Annotated[int, Range(0, _WHOLE)]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure, its 95 % interval, and the pictures it was measured on; `label` None is all classes."""

    name: str
    label: str | None
    value: float
    low: float
    high: float
    test_set: str
    pictures: Annotated[int, Range(0, _WHOLE)]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a worker needs to know of a bundle.

    `version` is the first 12 hex digits of a SHA-256 over the stages' hashes. `working_side` is the longest
    side in pixels of the picture that stages look at. `decision_threshold` is the probability of the
    first of two classes from which on it is the label; None takes the most probable class.
    `stages` are readers of the whole picture alone, `faces` being None; or a finder, readers of faces and
    readers of the whole picture, in this order. What several readers of one view say is averaged.
    """

    format_version: int
    name: str
    version: str
    classes: tuple[str, ...]
    working_side: Annotated[int, Range(16, 8192)]
    stages: tuple[Stage, ...]
    faces: Faces | None
    calibration: Calibration
    decision_threshold: Annotated[float, Range(0, 1)] | None
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
    table = _json(path)
    _check_format(path, table)
    manifest = read_table(Manifest, table, problems)
    if manifest is None:
        raise BundleError("\n".join(f"{path}: {problem}; train it again" for problem in problems))
    for problem in _contradictions(manifest):
        raise BundleError(f"{path}: {problem}; train it again")
    for stage in manifest.stages:
        _check_hash(folder / stage.file, stage.sha256)
        _check_hash(folder / stage.golden.file, stage.golden.sha256)
    return Bundle(folder, manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the bundle's folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def weights_version(stages: tuple[Stage, ...]) -> str:
    """Return the version that the stages' files give a bundle: 12 hex digits."""
    return hashlib.sha256("".join(stage.sha256 for stage in stages).encode()).hexdigest()[:12]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{path}: is not there; name a bundle's folder in model.bundle") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check model.bundle") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); copy the bundle again") from error


def _check_format(path: Path, table: object) -> None:
    found = table.get("format_version") if isinstance(table, dict) else None
    if type(found) is int and found != FORMAT_VERSION:  # what is no whole number is told with other fields
        remedy = "upgrade moodsort" if found > FORMAT_VERSION else "train it again"
        raise BundleError(
            f"{path}: format_version is {found}, this moodsort reads {FORMAT_VERSION}; {remedy}"
        )


def _contradictions(manifest: Manifest) -> list[str]:
    found = []
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes):
        found.append(f"classes is {list(classes)!r}, but takes two or more different names")
    if not all(map(_is_folder_name, classes)):
        found.append(f"classes is {list(classes)!r}, but each has to serve as a folder's name")
    found += _contradictions_of_stages(manifest)
    if manifest.decision_threshold is not None and len(classes) != 2:
        found.append("decision_threshold takes two classes")
    if manifest.version != weights_version(manifest.stages):
        found.append("version is not the hash of the weights")
    return found


def _contradictions_of_stages(manifest: Manifest) -> list[str]:
    found = []
    kinds = [(stage.role, stage.view) for stage in manifest.stages]
    if not _belong_together(kinds):
        has = ", ".join(stage.title for stage in manifest.stages) or "none"
        found.append(
            f"stages has {has}, but takes whole readers alone, or whole finder, face readers, whole readers"
        )
    elif (_FINDER in kinds) is (manifest.faces is None):
        found.append(
            "faces is null, but a stage finds faces"
            if manifest.faces is None
            else "faces is given, but no stage finds faces"
        )
    for stage in manifest.stages:
        spec = stage.input
        if stage.role == "finder" and (
            (spec.colour, spec.resize) != ("rgb", "letterbox")
            or spec.width % FINDER_CELL
            or spec.height % FINDER_CELL
        ):
            found.append(
                f"the finder's input is {spec.width} × {spec.height}, {spec.colour}, {spec.resize}, "
                f"but takes multiples of {FINDER_CELL}, rgb, letterbox"
            )
    return found


def _belong_together(kinds: Sequence[tuple[str, str]]) -> bool:
    finders, faces, wholes = (kinds.count(kind) for kind in (_FINDER, _FACE_READER, _WHOLE_READER))
    in_order = [_FINDER] * finders + [_FACE_READER] * faces + [_WHOLE_READER] * wholes
    return list(kinds) == in_order and wholes > 0 and finders <= 1 and (finders > 0) == (faces > 0)


def _is_folder_name(name: str) -> bool:
    # Half a surrogate pair, which JSON can spell, is not printable, and cannot be encoded.
    is_plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return is_plain and 0 < len(name.encode()) <= NAME_MAX


def _check_hash(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from error
    if found != expected:
        raise BundleError(f"{path}: its SHA-256 is not the manifest's; copy the bundle again")
