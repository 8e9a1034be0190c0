"""Run the networks of a bundle on a picture, and turn their outputs into a prediction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.inference.bundle import Bundle
from worker.inference.decode import Picture
from worker.inference.detector import Detection
from worker.inference.fusion import (
    RawOutputs,
    average_logits,
    calibrate_logits,
    compute_background_share,
    fuse_logits,
)
from worker.inference.network import Network, Outputs
from worker.inference.prediction import FacePrediction, Prediction
from worker.inference.preprocess import SourceImage
from worker.inference.tiles import detect_faces


class Predictor:
    """A bundle that is loaded and ready to predict."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the bundle's networks. Raises BundleError where one cannot be loaded."""
        self._manifest = manifest = bundle.manifest
        self._networks = [Network(bundle.folder, spec, len(manifest.classes)) for spec in manifest.networks]
        self._face_networks = [network for network in self._networks if network.spec.reads == "face"]
        self._scene_networks = [network for network in self._networks if network.spec.reads == "scene"]

    def predict(self, picture: Picture) -> Prediction:
        """Predict the label of an upright picture."""
        outputs = self.run_networks(picture)
        (probabilities,) = self._calibrate(fuse_logits(outputs, self._manifest.fusion)[np.newaxis])
        label = _choose_label(probabilities)
        faces = self._predict_faces(picture, outputs)
        return Prediction(label, probabilities[label], probabilities, faces)

    def run_networks(self, picture: Picture) -> RawOutputs:
        """Run every network on an upright picture."""
        image = SourceImage.from_pixels(picture.pixels)
        height, width, _ = picture.pixels.shape
        scene = _run_all(self._scene_networks, image)
        detections = self._detect(scene, image)
        crops = (
            image.crop(detection.left, detection.top, detection.right, detection.bottom)
            for detection in detections
        )
        faces = [average_logits(_list_logits(_run_all(self._face_networks, crop))) for crop in crops]
        scene_logits = average_logits(_list_logits(scene))
        return RawOutputs(
            detections,
            np.array(faces, np.float32).reshape(-1, len(scene_logits)),
            scene_logits,
            compute_background_share(detections, width, height),
        )

    def self_test(self) -> None:
        """Run every network's golden inputs. Raises BundleError where an output is not the golden one."""
        for network in self._networks:
            network.self_test()

    def _detect(self, scene: Sequence[Outputs], image: SourceImage) -> tuple[Detection, ...]:
        if self._manifest.detection is None:
            return ()
        detector = self._scene_networks[0]  # the network with the heatmap comes first in a manifest
        return detect_faces(detector, image, scene[0]["heatmap"], self._manifest.detection)

    def _predict_faces(self, picture: Picture, outputs: RawOutputs) -> tuple[FacePrediction, ...] | None:
        if self._manifest.fusion is None:
            return None
        height, width, _ = picture.pixels.shape
        x_scale, y_scale = picture.width / width, picture.height / height
        # Weighted as in the fusion: the temperature was fitted to logits of that size.
        logits = np.float32(self._manifest.fusion.face_weight) * outputs.face_logits
        return tuple(
            FacePrediction(
                detection.left * x_scale,
                detection.top * y_scale,
                (detection.right - detection.left) * x_scale,
                (detection.bottom - detection.top) * y_scale,
                detection.score,
                _choose_label(probabilities),
                probabilities,
            )
            for detection, probabilities in zip(outputs.detections, self._calibrate(logits), strict=True)
        )

    def _calibrate(self, logits: NDArray[np.float32]) -> list[dict[str, float]]:
        """Return the probabilities of each row of float32 (N, classes), by class."""
        probabilities = calibrate_logits(logits, self._manifest.calibration)
        return [dict(zip(self._manifest.classes, row, strict=True)) for row in probabilities.tolist()]


def _choose_label(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)


def _run_all(networks: Sequence[Network], image: SourceImage) -> list[Outputs]:
    inputs = image.resize_all([network.spec.input for network in networks])
    return [network.run(pixels) for network, pixels in zip(networks, inputs, strict=True)]


def _list_logits(outputs: Sequence[Outputs]) -> list[NDArray[np.float32]]:
    return [output["logits"] for output in outputs if "logits" in output]
