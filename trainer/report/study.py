"""The data of a report: how a bundle was made and what it predicts, in plain arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import LabeledPredictions
from worker.inference.decode import Pixels
from worker.inference.manifest import Metric

if TYPE_CHECKING:  # at run time it would import TensorFlow, which a report of `evaluate` does without
    from trainer.training.progress import Epoch

Heat = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StudyPictures:
    """The pictures that a report may show: the user's own, of which a bundle to give away has none.

    `samples` is uint8 (M, height, width, 1 or 3), some of the training pictures or, where only a test is
    known, of those; `sample_labels`, int64 (M,), are their classes, and `about_samples` is the sentence above
    them. `augmented` is uint8 (K, height, width, 1 or 3), training pictures after
    augmentation, or None. `load_test` takes indices into the study's `test` predictions, int64 (B,), and
    returns these pictures, uint8 (B, height, width, 1 or 3); `test_names` are the file names of all of them.
    `explain` takes pictures, uint8 (B, height, width, 1 or 3), and classes, int64 (B,), and returns how much
    each pixel speaks for the class, float32 (B, height, width), 0–1; None where there is no Keras network.
    """

    samples: Pixels
    sample_labels: NDArray[np.int64]
    about_samples: str
    augmented: Pixels | None
    load_test: Callable[[NDArray[np.int64]], Pixels]
    test_names: tuple[str, ...]
    explain: Callable[[Pixels, NDArray[np.int64]], Heat] | None


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that a report shows.

    `about_test` is a sentence on where the test pictures come from. `fingerprint` is the data's,
    `about_counts` says how many pictures were for what. `epochs` is empty and `best_epoch` None
    where the training is not known. `pictures` None leaves every picture of the data out.
    """

    title: str
    classes: tuple[str, ...]
    command: str
    fingerprint: str
    about_counts: str
    about_test: str
    temperature: float
    validation: LabeledPredictions | None
    test: LabeledPredictions
    metrics: tuple[Metric, ...]
    epochs: tuple["Epoch", ...]
    best_epoch: int | None
    pictures: StudyPictures | None
