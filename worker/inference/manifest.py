"""What a manifest says of a bundle: the contract between trainer and worker."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from worker.tables import Range

HEATMAP_STRIDE = 8
"""Input pixels, across and down, that one position of the heatmap stands for."""

_INT_MAX = 2**31


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The pixels that a network takes.

    `resize` is "stretch" (to width × height, whatever the picture's shape) or "letterbox" (the picture in its
    own shape, between grey bars).
    """

    width: int
    height: int
    colour: Literal["rgb", "grey"]
    resize: Literal["stretch", "letterbox"]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a network, and by how much it may differ from the golden output, in its own unit.

    "logits" is float32 (1, classes) in the order of the manifest's classes. "heatmap" is float32
    (1, height / 8, width / 8, 4): for each position, which stands for 8 × 8 input pixels, the logit that the
    centre of a face lies in it, dx, dy, and the log of the face's side. The face is the square around
    ((column + 0.5 + dx) · 8, (row + 0.5 + dy) · 8) with sides of 8 · exp(log side), in input pixels.
    """

    kind: Literal["heatmap", "logits"]
    tolerance: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and expected outputs with which a worker tests a network before it predicts.

    `file` is an .npz with `inputs`, uint8 (N, height, width, channels), and for each output an array named
    by its kind, float32 (N, …), as the network gives it.
    """

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """One network of a bundle: whether it reads the scene or a face, its outputs, and its file.

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
        """Its name in sentences, as "face classifier"."""
        titles = {"heatmap": "face detector", "logits": f"{self.reads} classifier"}
        return " and ".join(titles[output.kind] for output in self.outputs) or "network without outputs"

    def has_output(self, kind: str) -> bool:
        """Tell whether one of its outputs is of the kind."""
        return any(output.kind == kind for output in self.outputs)


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """Which detections count: those with the threshold's score or a higher one, the largest first."""

    score_threshold: Annotated[float, Range(0, 1)]
    max_faces: Annotated[int, Range(1, 1000)]


@dataclass(frozen=True, slots=True)
class Fusion:
    """The weights of faces and scene in the logits of a picture.

    `fuse_logits` adds `face_weight` times the mean of the faces' logits, each weighted by its area and the
    cube of its score, to `scene_weight` times the scene's, weighted by the share of the picture that is
    background; and `no_face_weight` times the scene's as far as none of the detections may be a face.
    """

    face_weight: Annotated[float, Range(0, 1e3)]
    scene_weight: Annotated[float, Range(0, 1e3)]
    no_face_weight: Annotated[float, Range(0, 1e3)]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities: softmax(logits / temperature + biases).

    This is bias-corrected temperature scaling (Alexandari et al. 2020); the label is the most probable class.
    `biases` has one for each class, in the order of the manifest's classes. They make up for classes that the
    networks prefer, so they are where the decision threshold is: of two classes the first is the label if
    its logit is higher by at least temperature * (biases[1] - biases[0]).
    """

    method: Literal["temperature"]
    temperature: Annotated[float, Range(1e-3, 1e3)]
    biases: tuple[Annotated[float, Range(-10, 10)], ...]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the bundle was trained on: a SHA-256 over the hashes and labels of its pictures."""

    fingerprint: str
    pictures: Annotated[int, Range(0, _INT_MAX)]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, its 95 % interval, and what it was measured on; `label` None stands for all classes."""

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
    side in pixels of the picture that the networks read, as `decode_photo` takes it. `networks` are scene
    classifiers alone, `detection` and `fusion` being None; or the one that gives the heatmap, face
    classifiers and scene classifiers, in this order. The logits of several networks that read the same are
    averaged.
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


def make_temperature_calibration(temperature: float, classes: int) -> Calibration:
    """Return a calibration by the temperature alone."""
    return Calibration("temperature", temperature, (0.0,) * classes)


def derive_version(networks: tuple[NetworkSpec, ...]) -> str:
    """Return the version that the networks' files give a bundle: 12 hex digits."""
    return hashlib.sha256("".join(network.sha256 for network in networks).encode()).hexdigest()[:12]
