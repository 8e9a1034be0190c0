"""How a network learns: every number that changes its weights, and sets of them for different networks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How a network learns.

    `peak_learning_rate` is AdamW's after the warm-up, `warmup_share` the share of all steps in which it
    rises to that, `final_share` the share of it that is left at the end of the cosine; 1 keeps it constant.
    `weight_decay` 0 uses Adam. Gradients are clipped to a global norm of `max_gradient_norm`; None does not
    clip. `ema_decay` is that of the moving average of the weights, which is validated and kept; 0 keeps the
    weights themselves. `class_balance` is the power of the inverse share by which each class is weighted: 1
    gives all classes the same weight, 0 all pictures. `negative_share` is how many negatives are added to
    each batch, as a share of it, and `upside_down_share` how many of the batch's own pictures upside down:
    for these no class is right (Hendrycks et al. 2019, "Outlier exposure").
    """

    peak_learning_rate: float = 2e-3
    warmup_share: float = 0.06
    final_share: float = 0.01
    weight_decay: float = 0.02
    max_gradient_norm: float | None = 5.0
    label_smoothing: float = 0.1
    ema_decay: float = 0.998
    class_balance: float = 1.0
    negative_share: float = 0.03
    upside_down_share: float = 0.03
    augmented: bool = True


TUTORIAL_HYPERPARAMETERS = Hyperparameters(
    peak_learning_rate=1e-3,
    warmup_share=0.0,
    final_share=1.0,
    weight_decay=0.0,
    max_gradient_norm=None,
    label_smoothing=0.0,
    ema_decay=0.0,
    class_balance=0.0,
    negative_share=0.0,
    upside_down_share=0.0,
    augmented=False,
)
"""Keras' own Adam and nothing beside it, as in the tutorials."""

BACKBONE_HYPERPARAMETERS = Hyperparameters(peak_learning_rate=1e-3, weight_decay=0.05, ema_decay=0.995)
"""For a detector's backbone, which knows faces and has to learn the rest."""

FINE_TUNING_HYPERPARAMETERS = Hyperparameters(peak_learning_rate=5e-4, weight_decay=0.005)
"""For a network that begins with weights: smaller steps, so that it keeps what it has learned."""

DETECTOR_HYPERPARAMETERS = Hyperparameters(
    peak_learning_rate=2e-3, weight_decay=0.01, max_gradient_norm=5.0, ema_decay=0.998
)
"""For a detector; what concerns classes and their pictures does not apply to it."""
