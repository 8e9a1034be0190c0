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
    """The bundles' predictions for one image, in their order, and what tells whether another shows the same.

    `bits` and `mirror_bits` are its difference hash and its mirror image's, uint64 (8,).
    """

    bits: Bits
    mirror_bits: Bits
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class BundlesTask:
    """Decode images and predict their labels with every bundle."""

    folders: tuple[Path, ...]

    def load(self, limits: Limits) -> Callable[[bytes], ImagePredictions]:
        """Load the bundles and run their self-tests. Raises BundleError."""
        bundles = [load_bundle(folder) for folder in self.folders]
        predictors = [Predictor(bundle) for bundle in bundles]
        for predictor in predictors:
            predictor.self_test()
        sides = [bundle.manifest.max_side for bundle in bundles]

        def predict(data: bytes) -> ImagePredictions:
            pictures: dict[int, Picture] = {
                side: decode_photo(data, max_pixels=limits.max_pixels, max_side=side) for side in set(sides)
            }
            predictions = tuple(
                predictor.predict(pictures[side]) for predictor, side in zip(predictors, sides, strict=True)
            )
            return ImagePredictions(*hash_differences(pictures[sides[0]].pixels), predictions)

        return predict
