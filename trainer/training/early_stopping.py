"""Find the best epoch of a training, and end the training when epochs no longer improve on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.training.progress import Epoch


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Ends a training after `patience` epochs without progress; None never does."""

    patience: int | None

    def should_stop(self, history: Sequence[Epoch]) -> bool:
        """Return whether neither mean recall nor validation loss has improved for long enough."""
        if self.patience is None or not history:
            return False
        return history[-1].number - _find_last_improvement(history) >= self.patience


def find_best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch of the highest mean recall, of equals that of the lowest validation loss.

    Without validation it is the last one: nothing tells the epochs apart but how far they have come.
    """
    return max(history, key=_rank_by_recall)


def _find_last_improvement(history: Sequence[Epoch]) -> int:
    """Return the number of the last epoch that brought a higher mean recall or a lower validation loss."""
    # Recall of few pictures moves in large steps: where the loss still falls, the network still learns.
    return max(find_best_epoch(history).number, max(history, key=_rank_by_loss).number)


def _rank_by_recall(epoch: Epoch) -> tuple[float, ...]:
    metrics = epoch.validation
    return (metrics.mean_recall, -metrics.loss) if metrics else (float(epoch.number),)


def _rank_by_loss(epoch: Epoch) -> float:
    return -epoch.validation.loss if epoch.validation else float(epoch.number)
