"""What a report tells of: how a bundle was made and what it answered, in plain arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.metrics import LabeledPredictions
from worker.inference.bundle import Metric
from worker.inference.decode import Pixels

if TYPE_CHECKING:  # at run time it would import TensorFlow, which a report of `evaluate` does without
    from trainer.training.progress import Epoch

Heat = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StudyPictures:
    """The pictures that a report may show; they are the user's, and a shipped bundle has none of them.

    `draw_samples` is uint8 (M, height, width, 1 or 3), some training pictures, `sample_labels` int64 (M,) their
    classes. `augmented` is uint8 (K, height, width, 1 or 3), training pictures as augmentation varies
    them, or None. `test` takes places among the study's `test` answers, int64 (B,), and gives these
    pictures, uint8 (B, height, width, 1 or 3); `test_names` are the file names of all. `explain` takes
    uint8 (B, height, width, 1 or 3) and int64 (B,) classes and gives how much each place spoke for the
    class, float32 (B, height, width), 0–1; None where the network cannot be looked into.
    """

    samples: Pixels
    sample_labels: NDArray[np.int64]
    augmented: Pixels | None
    test: Callable[[NDArray[np.int64]], Pixels]
    test_names: tuple[str, ...]
    explain: Callable[[Pixels, NDArray[np.int64]], Heat] | None


@dataclass(frozen=True, slots=True)
class Study:
    """All that a report shows.

    `about_test` is the sentence that says what the test pictures are and are not. `fingerprint` is the
    training data's, `training_pictures` their number. `epochs` is empty where training was not watched, and
    `best_epoch` None. `pictures` None leaves every picture of the data out.
    """

    title: str
    classes: tuple[str, ...]
    command: str
    fingerprint: str
    training_pictures: int
    about_test: str
    temperature: float
    validation: LabeledPredictions | None
    test: LabeledPredictions
    metrics: tuple[Metric, ...]
    epochs: tuple["Epoch", ...]
    best_epoch: int | None
    pictures: StudyPictures | None
