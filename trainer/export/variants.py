"""Choose among the conversions of one network: the smallest that is as accurate as it has to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.inference.manifest import Metric
from worker.stats import wilson_interval

VALIDATION_SET = "validation split"


class Variant(StrEnum):
    """How a network's weights are stored, and what it computes with; the first is the reference."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    """Weights of 16 bits, arithmetic of 32."""
    DYNAMIC_RANGE = "dynamic_range"
    """Weights of 8 bits, activations rounded to 8 bits by each picture's own range."""
    INT8 = "int8"
    """Weights and activations of 8 bits, by the ranges in a representative dataset."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one conversion does, run as the worker runs it on `total` validation pictures.

    `correct` counts the pictures that it classifies correctly. `largest_difference` is that of its logits
    from float32's, NaN where they are not numbers; `milliseconds` is the median for one picture on one
    thread.
    """

    variant: Variant
    size_bytes: int
    correct: int
    total: int
    largest_difference: float
    milliseconds: float

    @property
    def accuracy(self) -> float:
        """The share of validation pictures that are classified correctly, 0 to 1."""
        return self.correct / self.total


def choose_smallest(candidates: Sequence[Conversion], margin: float) -> Conversion:
    """Return the smallest candidate whose accuracy is at most `margin` (0.005: half a point) below float32's.

    Of two of equal size it is the more accurate one. One whose logits are not numbers is never chosen.
    """
    (reference,) = (candidate for candidate in candidates if candidate.variant is Variant.FLOAT32)
    # In pictures, and with room for rounding: a margin of 0.1 of ten pictures is one picture.
    max_lost = margin * reference.total + 1e-9
    acceptable = [
        candidate
        for candidate in candidates
        if candidate is reference
        or (
            reference.correct - candidate.correct <= max_lost
            and candidate.largest_difference < float("inf")  # False for NaN as well
        )
    ]
    return min(acceptable, key=lambda candidate: (candidate.size_bytes, -candidate.correct))


def make_variant_metrics(candidates: Sequence[Conversion], margin: float) -> tuple[Metric, ...]:
    """Return what the manifest records of the choice: every candidate's accuracy, and the margin."""
    metrics = []
    for candidate in candidates:
        low, high = wilson_interval(candidate.correct, candidate.total)
        name = f"accuracy_{candidate.variant}"
        metrics.append(Metric(name, None, candidate.accuracy, low, high, VALIDATION_SET, candidate.total))
    total = candidates[0].total
    return (*metrics, Metric("accuracy_margin", None, margin, margin, margin, VALIDATION_SET, total))


def format_table(candidates: Sequence[Conversion], choice: Conversion, margin: float) -> str:
    """Return the candidates in lines of equal width, the choice starred, and a sentence below."""
    lines = ["  network              bytes  accuracy  ms a picture  largest logit difference"]
    lines += [
        f"{'*' if candidate is choice else ' '} {candidate.variant:<13}{candidate.size_bytes:>13,}"
        f"{candidate.accuracy:>10.1%}{candidate.milliseconds:>14.2f}{candidate.largest_difference:>26.4f}"
        for candidate in candidates
    ]
    lines.append(
        f"kept {choice.variant}, the smallest that is at most {100 * margin:g} points less accurate than "
        f"float32 on {choice.total} validation pictures"
    )
    return "\n".join(lines)
