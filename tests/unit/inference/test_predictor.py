"""The label and the confidence that calibrated logits stand for."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.decode import Picture
from worker.inference.fusion import RawOutputs
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor


class StubPredictor(Predictor):
    """A predictor whose scene classifier always gives the same logits, and whose detector no face."""

    def __init__(self, bundle: Bundle, scene_logits: NDArray[np.float32]) -> None:
        super().__init__(bundle)
        self._scene_logits = scene_logits

    def run_networks(self, picture: Picture) -> RawOutputs:
        return RawOutputs((), np.empty((0, 2), np.float32), self._scene_logits)


def predict(logits: list[float], threshold: float | None, temperature: float = 1.0) -> Prediction:
    bundle = load_bundle(BUILT_IN_BUNDLE)
    assert bundle.manifest.fusion is not None
    manifest = replace(
        bundle.manifest,
        calibration=replace(
            bundle.manifest.calibration, temperature=temperature, decision_threshold=threshold
        ),
        fusion=replace(bundle.manifest.fusion, no_face_weight=1.0),
    )
    predictor = StubPredictor(replace(bundle, manifest=manifest), np.array(logits, np.float32))
    return predictor.predict(Picture(np.zeros((8, 8, 3), np.uint8), 8, 8))


@pytest.mark.parametrize(
    ("threshold", "label"), [(None, "happy"), (0.5, "happy"), (0.74, "happy"), (0.76, "sad"), (1.0, "sad")]
)
def test_the_first_class_is_the_label_from_the_decision_threshold_on(
    threshold: float | None, label: str
) -> None:
    prediction = predict([float(np.log(3)), 0.0], threshold)  # happy 0.75, sad 0.25
    assert prediction.label == label
    assert prediction.confidence == pytest.approx(0.75 if label == "happy" else 0.25)
    assert prediction.probabilities == pytest.approx({"happy": 0.75, "sad": 0.25})


def test_a_temperature_changes_the_confidence_and_not_the_label() -> None:
    cold, hot = (predict([2.0, 0.0], None, temperature) for temperature in (0.5, 2.0))
    assert cold.label == hot.label
    assert cold.confidence > hot.confidence > 0.5
