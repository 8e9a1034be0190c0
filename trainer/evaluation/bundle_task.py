"""The task of a child process that predicts the labels of images with several bundles."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from trainer.data.near_duplicates import hash_differences
from worker.config import Limits
from worker.inference.bundle import load_bundle, read_manifest
from worker.inference.decode import Picture, decode_photo
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor
from worker.inference.warmup import warm_up_decoders
from worker.pool.prediction_task import check_labels

HashBytes = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


@dataclass(frozen=True, slots=True)
class ImagePredictions:
    """Several predictions for one image, and the hashes that tell whether another image is a near-duplicate.

    `bits` and `mirror_bits` are the difference hashes of the image and of its mirror image, the bytes of
    uint64 (8,).
    """

    bits: HashBytes
    mirror_bits: HashBytes
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class BundlesTask:
    """Decode images and predict their labels with every bundle, in the order of the folders."""

    folders: tuple[Path, ...]

    def load(self, limits: Limits) -> Callable[[bytes], ImagePredictions]:
        """Load the bundles and run their self-tests. Raises BundleError."""
        bundles = [load_bundle(folder) for folder in self.folders]
        predictors = [Predictor(bundle) for bundle in bundles]
        for predictor in predictors:
            predictor.self_test()
        warm_up_decoders()
        sides = [bundle.manifest.max_side for bundle in bundles]

        def predict(data: bytes) -> ImagePredictions:
            # Bundles that read pictures of the same size share the decoding, the dearest step of all.
            pictures: dict[int, Picture] = {
                side: decode_photo(data, max_pixels=limits.max_pixels, max_side=side) for side in set(sides)
            }
            predictions = tuple(
                predictor.predict(pictures[side]) for predictor, side in zip(predictors, sides, strict=True)
            )
            bits, mirror_bits = hash_differences(pictures[sides[0]].pixels)
            return ImagePredictions(bits.tobytes(), mirror_bits.tobytes(), predictions)

        return predict

    def make_decoder(self) -> Callable[[bytes], ImagePredictions]:
        """Return the function that reads the predictions and checks that their labels are the bundles'."""
        classes = [frozenset(read_manifest(folder).classes) for folder in self.folders]
        decoder = msgspec.msgpack.Decoder(ImagePredictions)

        def decode(data: bytes) -> ImagePredictions:
            result = decoder.decode(data)
            for prediction, labels in zip(result.predictions, classes, strict=True):
                check_labels(prediction, labels)
            return result

        return decode
