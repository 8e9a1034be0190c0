"""The task of classifying photos with one bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.config import Limits
from worker.inference.bundle import load_bundle
from worker.inference.decode import decode_photo
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """A prediction, and the size of the whole photo, upright."""

    width: int
    height: int
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class PredictionTask:
    """Decode photos and predict their labels."""

    bundle_folder: Path

    def load(self, limits: Limits) -> Callable[[bytes], PhotoResult]:
        """Load the bundle and run its self-test. Raises BundleError."""
        bundle = load_bundle(self.bundle_folder)
        predictor = Predictor(bundle)
        predictor.self_test()
        max_side = bundle.manifest.max_side

        def predict(data: bytes) -> PhotoResult:
            picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            return PhotoResult(picture.width, picture.height, predictor.predict(picture))

        return predict
