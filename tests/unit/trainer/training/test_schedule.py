import pytest

from trainer.training.hyperparameters import TUTORIAL_HYPERPARAMETERS, Hyperparameters
from trainer.training.schedule import TrainingBudget, compute_ema_decay, compute_learning_rate
from trainer.training.time_limit import Pace, TimeLimit

HYPERPARAMETERS = Hyperparameters(peak_learning_rate=1.0, warmup_share=0.1, final_share=0.01, ema_decay=0.998)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_the_final_share():
    rates = [compute_learning_rate(HYPERPARAMETERS, progress / 100) for progress in range(101)]

    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_the_tutorials_learning_rate_never_changes():
    rates = {compute_learning_rate(TUTORIAL_HYPERPARAMETERS, progress / 10) for progress in range(11)}

    assert rates == {1e-3}


def test_whichever_is_used_up_first_of_steps_and_seconds_ends_a_training():
    limit = TimeLimit(10.0, estimate_closing=lambda pace: 0.0)
    assert TrainingBudget(100, None).compute_progress(50, 1e9, Pace()) == 0.5
    assert TrainingBudget(100, limit).compute_progress(50, 1.0, Pace()) == 0.5
    assert TrainingBudget(100, limit).compute_progress(1, 9.0, Pace()) == 0.9
    assert TrainingBudget(100, limit).compute_progress(1, 99.0, Pace()) == 1.0


def test_the_ema_forgets_the_initial_weights():
    assert compute_ema_decay(HYPERPARAMETERS, 1) < 0.1
    assert compute_ema_decay(HYPERPARAMETERS, 10**6) == 0.998
    assert compute_ema_decay(TUTORIAL_HYPERPARAMETERS, 10**6) == 0.0
