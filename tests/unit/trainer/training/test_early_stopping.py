from trainer.training.early_stopping import EarlyStopping, find_best_epoch
from trainer.training.progress import Epoch, ValidationMetrics


def make_history(*recalls_and_losses):
    return tuple(
        Epoch(number, 0.5, 0.5, 1e-3, 1.0, ValidationMetrics(loss, 0.5, recall))
        for number, (recall, loss) in enumerate(recalls_and_losses, start=1)
    )


def test_the_best_epoch_has_the_highest_mean_recall_and_of_equals_the_lowest_loss():
    assert find_best_epoch(make_history((0.7, 0.3), (0.8, 0.6), (0.8, 0.5), (0.6, 0.1))).number == 3


def test_of_equal_epochs_the_first_is_the_best():
    assert find_best_epoch(make_history((0.8, 0.5), (0.8, 0.5))).number == 1


def test_without_validation_the_last_epoch_is_the_best_and_training_never_stops_early():
    history = tuple(Epoch(number, 1 / number, 0.5, 1e-3, 1.0, score_name="IoU") for number in range(1, 40))

    assert find_best_epoch(history) is history[-1]
    assert not EarlyStopping(patience=None).should_stop(history)
    assert not EarlyStopping(patience=1).should_stop(history)


def test_a_training_stops_after_patience_epochs_without_progress():
    history = make_history((0.8, 0.5), (0.7, 0.6), (0.8, 0.5), (0.6, 0.7))

    assert [EarlyStopping(patience).should_stop(history) for patience in (2, 3, 4)] == [True, True, False]
    assert not EarlyStopping(patience=1).should_stop(())


def test_a_lower_validation_loss_is_progress_even_where_mean_recall_is_not_higher():
    history = make_history((0.8, 0.5), (0.7, 0.6), (0.7, 0.4), (0.6, 0.7))

    assert not EarlyStopping(patience=2).should_stop(history)
    assert EarlyStopping(patience=1).should_stop(history)
