"""Choose among the conversions of one network: the smallest that is as accurate as it has to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.inference.bundle import Metric
from worker.stats import wilson_interval

VALIDATION_SET = "validation split"


class Variant(StrEnum):
    """How a network's weights are stored, and what it computes with."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    """Weights of 16 bits, arithmetic of 32."""
    DYNAMIC_RANGE = "dynamic_range"
    """Weights of 8 bits, activations rounded to 8 bits by each picture's own range."""
    INT8 = "int8"
    """Weights and activations of 8 bits, by ranges that training pictures showed."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion as the worker runs it: `right` of `total` validation pictures.

    `largest_difference` is that of its logits there from float32's, NaN where they are not numbers;
    `milliseconds` is the median for one picture on one thread.
    """

    variant: Variant
    size_bytes: int
    right: int
    total: int
    largest_difference: float
    milliseconds: float

    @property
    def accuracy(self) -> float:
        """The share of validation pictures that are labelled rightly, 0 to 1."""
        return self.right / self.total


def choose_smallest(candidates: Sequence[Conversion], margin: float) -> Conversion:
    """Return the smallest candidate whose accuracy is at most `margin` (0.005: half a point) under float32's.

    Of two that are equally large the more accurate one. One whose logits are not numbers is never taken.
    """
    (reference,) = (found for found in candidates if found.variant is Variant.FLOAT32)
    # In pictures, and with room for rounding: a margin of 0.1 of ten pictures is one picture.
    lost = margin * reference.total + 1e-9
    fit = [
        found
        for found in candidates
        if found is reference
        or (reference.right - found.right <= lost and found.largest_difference < float("inf"))
    ]
    return min(fit, key=lambda found: (found.size_bytes, -found.right))


def make_variant_metrics(candidates: Sequence[Conversion], margin: float) -> tuple[Metric, ...]:
    """Return what the manifest keeps of the choice: every candidate's accuracy, and the margin."""
    metrics = []
    for found in candidates:
        low, high = wilson_interval(found.right, found.total)
        name = f"accuracy_{found.variant}"
        metrics.append(Metric(name, None, found.accuracy, low, high, VALIDATION_SET, found.total))
    total = candidates[0].total
    return (*metrics, Metric("accuracy_margin", None, margin, margin, margin, VALIDATION_SET, total))


def format_table(candidates: Sequence[Conversion], kept: Conversion, margin: float) -> str:
    """Show the candidates, the kept one marked, in lines of equal width and a sentence."""
    lines = ["  network              bytes  accuracy  ms a picture  largest logit difference"]
    lines += [
        f"{'*' if found is kept else ' '} {found.variant:<13}{found.size_bytes:>13,}{found.accuracy:>10.1%}"
        f"{found.milliseconds:>14.2f}{found.largest_difference:>26.4f}"
        for found in candidates
    ]
    lines.append(
        f"kept {kept.variant}, the smallest that is at most {100 * margin:g} points less accurate than "
        f"float32 on {kept.total} validation pictures"
    )
    return "\n".join(lines)
