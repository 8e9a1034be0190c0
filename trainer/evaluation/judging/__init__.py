"""Judge whole folders with bundles as the worker does, in processes that a hostile file may end."""

from trainer.evaluation.judging.lanes import judge_files
from trainer.evaluation.judging.messages import Judged, Limits, Outcome, Unjudged

__all__ = ["Judged", "Limits", "Outcome", "Unjudged", "judge_files"]
