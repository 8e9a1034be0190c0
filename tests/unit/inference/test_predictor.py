"""The label and the confidence that calibrated logits stand for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import Bundle, load_bundle
from worker.inference.decode import Picture
from worker.inference.fusion import RawOutputs
from worker.inference.manifest import Calibration
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor


class StubPredictor(Predictor):
    """A predictor whose scene classifier always gives the same logits, and whose detector no face."""

    def __init__(self, bundle: Bundle, scene_logits: NDArray[np.float32]) -> None:
        super().__init__(bundle)
        self._scene_logits = scene_logits

    def run_networks(self, picture: Picture) -> RawOutputs:
        return RawOutputs((), np.empty((0, 2), np.float32), self._scene_logits)


def predict(
    logits: list[float], temperature: float = 1.0, biases: tuple[float, float] = (0.0, 0.0)
) -> Prediction:
    bundle = load_bundle(BUILT_IN_BUNDLE)
    assert bundle.manifest.fusion is not None
    manifest = replace(
        bundle.manifest,
        calibration=Calibration("temperature", temperature, biases),
        fusion=replace(bundle.manifest.fusion, no_face_weight=1.0),
    )
    predictor = StubPredictor(replace(bundle, manifest=manifest), np.array(logits, np.float32))
    return predictor.predict(Picture(np.zeros((8, 8, 3), np.uint8), 8, 8))


@pytest.mark.parametrize(("bias", "label"), [(0.0, "happy"), (-0.5, "happy"), (-0.6, "sad"), (-5.0, "sad")])
def test_biases_move_the_decision_threshold(bias: float, label: str) -> None:
    assert predict([float(np.log(3)), 0.0], biases=(bias, -bias)).label == label  # log(3) is 1.0986


@given(
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    st.floats(0.05, 20),
    st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
)
def test_the_confidence_is_the_probability_of_the_label_and_never_under_a_half(
    logits: tuple[float, float], temperature: float, biases: tuple[float, float]
) -> None:
    prediction = predict(list(logits), temperature, biases)
    assert prediction.confidence == prediction.probabilities[prediction.label] >= 0.5
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)


def test_a_temperature_changes_the_confidence_and_not_the_label() -> None:
    cold, hot = (predict([2.0, 0.0], temperature) for temperature in (0.5, 2.0))
    assert cold.label == hot.label
    assert cold.confidence > hot.confidence > 0.5
