import pytest

from trainer.training.configuration import TUTORIAL_HYPERPARAMETERS, Hyperparameters
from trainer.training.schedule import Span, compute_ema_decay, compute_learning_rate

METHOD = Hyperparameters(peak_rate=1.0, warm_up=0.1, final_rate=0.01, average_decay=0.998)


def test_the_rate_rises_to_its_peak_and_falls_to_what_is_left():
    rates = [compute_learning_rate(METHOD, progress / 100) for progress in range(101)]

    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == rates[10] == 1.0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_the_tutorials_rate_never_changes():
    assert {compute_learning_rate(TUTORIAL_HYPERPARAMETERS, progress / 10) for progress in range(11)} == {
        1e-3
    }


def test_the_nearer_of_steps_and_seconds_ends_a_training():
    assert Span(100, None).progress(50, 1e9) == 0.5
    assert Span(100, 10.0).progress(50, 1.0) == 0.5
    assert Span(100, 10.0).progress(1, 9.0) == 0.9
    assert Span(100, 10.0).progress(1, 99.0) == 1.0


def test_the_average_forgets_its_beginning():
    assert compute_ema_decay(METHOD, 1) < 0.1
    assert compute_ema_decay(METHOD, 10**6) == 0.998
    assert compute_ema_decay(TUTORIAL_HYPERPARAMETERS, 10**6) == 0.0
