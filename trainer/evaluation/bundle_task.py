"""The task of a child process that predicts the labels of images with several bundles."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainer.data.near_duplicates import Bits, hash_differences
from worker.config import Limits
from worker.inference.bundle import load_bundle
from worker.inference.decode import Picture, decode_photo
from worker.inference.prediction import Prediction
from worker.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class ImagePredictions:
    """Several predictions for one image, and the hashes that tell whether another image is a near-duplicate.

    `bits` and `mirror_bits` are the difference hashes of the image and of its mirror image, uint64 (8,).
    """

    bits: Bits
    mirror_bits: Bits
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
        sides = [bundle.manifest.max_side for bundle in bundles]

        def predict(data: bytes) -> ImagePredictions:
            # Bundles that read pictures of the same size share the decoding, the dearest step of all.
            pictures: dict[int, Picture] = {
                side: decode_photo(data, max_pixels=limits.max_pixels, max_side=side) for side in set(sides)
            }
            predictions = tuple(
                predictor.predict(pictures[side]) for predictor, side in zip(predictors, sides, strict=True)
            )
            return ImagePredictions(*hash_differences(pictures[sides[0]].pixels), predictions)

        return predict
