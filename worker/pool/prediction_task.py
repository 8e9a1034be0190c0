"""The task of predicting the labels of photos with one bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.config import Limits
from worker.inference.prediction import Prediction


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """The prediction for a photo, and the photo's size in pixels, upright."""

    width: int
    height: int
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class PredictionTask:
    """Decode photos and predict their labels."""

    bundle_folder: Path

    def load(self, limits: Limits) -> Callable[[bytes], PhotoResult]:
        """Load the bundle and run its self-test. Raises BundleError."""
        # Imported only in the child: the parent, which sends this task, would hold LiteRT, NumPy and decoders
        # in memory for nothing, and start later.
        from worker.inference.bundle import load_bundle
        from worker.inference.decode import decode_photo
        from worker.inference.predictor import Predictor

        bundle = load_bundle(self.bundle_folder)
        predictor = Predictor(bundle)
        predictor.self_test()
        max_side = bundle.manifest.max_side

        def predict(data: bytes) -> PhotoResult:
            picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            return PhotoResult(picture.width, picture.height, predictor.predict(picture))

        return predict
