from pathlib import Path

from trainer.training.configuration import TrainingConfig
from trainer.training.defaults import (
    EpochPlan,
    choose_batch_size,
    choose_epochs,
    choose_hyperparameters,
    choose_patience,
    plan_epochs,
)
from trainer.training.hyperparameters import (
    BACKBONE_HYPERPARAMETERS,
    FINE_TUNING_HYPERPARAMETERS,
    TUTORIAL_HYPERPARAMETERS,
    Hyperparameters,
)
from worker.inference.manifest import InputSpec


def make_config(**settings):
    return TrainingConfig(
        (), Path("out"), "bundle", InputSpec(32, 32, "rgb", "stretch"), "a test", **settings
    )


def test_few_pictures_are_shown_more_often_in_smaller_batches():
    assert [choose_epochs("small", pictures) for pictures in (50, 525, 3000, 9342)] == [200, 200, 50, 24]
    assert [choose_batch_size("small", pictures) for pictures in (3, 240, 9342)] == [2, 20, 64]
    assert [choose_patience(epochs) for epochs in (3, 24, 200)] == [10, 10, 66]


def test_a_persons_numbers_go_before_the_defaults_and_no_batch_is_larger_than_the_training_split():
    assert plan_epochs(make_config(), 9342) == EpochPlan(epochs=24, batch_size=64, patience=10)
    assert plan_epochs(make_config(epochs=3, batch_size=40, patience=2), 9342) == EpochPlan(3, 40, 2)
    assert plan_epochs(make_config(batch_size=40), 7).batch_size == 7


def test_the_tutorial_is_trained_as_in_the_tutorial():
    assert choose_hyperparameters("tutorial", fine_tuning=False) == TUTORIAL_HYPERPARAMETERS
    assert not TUTORIAL_HYPERPARAMETERS.augmented
    assert (choose_epochs("tutorial", 525), choose_batch_size("tutorial", 525)) == (20, 32)


def test_a_network_that_begins_with_weights_is_changed_in_smaller_steps():
    assert choose_hyperparameters("mobilenet_v3_small", fine_tuning=True) == FINE_TUNING_HYPERPARAMETERS
    assert choose_hyperparameters("mobilenet_v3_small", fine_tuning=False) == Hyperparameters()


def test_a_backbone_has_hyperparameters_of_its_own_whether_it_begins_with_weights_or_not():
    assert choose_hyperparameters("backbone", fine_tuning=True) == BACKBONE_HYPERPARAMETERS
    assert choose_hyperparameters("backbone", fine_tuning=False) == BACKBONE_HYPERPARAMETERS
    assert BACKBONE_HYPERPARAMETERS not in (Hyperparameters(), FINE_TUNING_HYPERPARAMETERS)
