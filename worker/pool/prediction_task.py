"""The task of predicting the labels of photos with one bundle."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from worker.config import Limits
from worker.inference.prediction import FacePrediction, Prediction

Side = Annotated[int, msgspec.Meta(ge=1, le=(1 << 31) - 1)]
"""In pixels; more does not fit in the columns of the log."""


class PhotoResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prediction for a photo, and the photo's size in pixels, upright."""

    width: Side
    height: Side
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
        from worker.inference.warmup import warm_up_decoders

        bundle = load_bundle(self.bundle_folder)
        predictor = Predictor(bundle)
        predictor.self_test()
        warm_up_decoders()
        max_side = bundle.manifest.max_side

        def predict(data: bytes) -> PhotoResult:
            picture = decode_photo(data, max_pixels=limits.max_pixels, max_side=max_side)
            return PhotoResult(picture.width, picture.height, predictor.predict(picture))

        return predict

    def make_decoder(self) -> Callable[[bytes], PhotoResult]:
        """Return the function that reads a result and checks that its labels are the bundle's."""
        from worker.inference.bundle import read_manifest

        classes = frozenset(read_manifest(self.bundle_folder).classes)
        decoder = msgspec.msgpack.Decoder(PhotoResult)

        def decode(data: bytes) -> PhotoResult:
            result = decoder.decode(data)
            check_labels(result.prediction, classes)
            return result

        return decode


def check_labels(prediction: Prediction, classes: Set[str]) -> None:
    """Raise ValueError where a prediction has other labels: a label becomes the name of a folder."""
    sources: list[Prediction | FacePrediction] = [prediction, *(prediction.faces or ())]
    if any(source.label not in classes or source.probabilities.keys() != classes for source in sources):
        raise ValueError("it names a label that the bundle does not have")
