import threading

from trainer.cli.progress_bar import format_epoch, show_progress
from trainer.training.progress import Epoch, Step, ValidationMetrics


def show_step(monkeypatch, capsys, step: Step) -> str:
    """Show a step on what takes itself for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    threads_before = set(threading.enumerate())
    with show_progress() as progress:
        progress.on_step(step)
    for thread in set(threading.enumerate()) - threads_before:  # rich tells it to stop, and does not wait
        thread.join()
    output: str = capsys.readouterr().out
    return output


def test_the_bar_of_a_classifier_shows_its_accuracy(monkeypatch, capsys):
    output = show_step(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, 70.0))
    for text in ("epoch 2/9", " 25 %", "loss 0.457", "accuracy 81.2%", "1:10 left"):
        assert text in output


def test_the_bar_of_a_detector_shows_its_iou_and_not_an_accuracy(monkeypatch, capsys):
    output = show_step(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, None, "IoU"))
    assert "IoU 81.2%" in output
    assert "accuracy" not in output


def test_the_line_of_an_epoch_has_validation_metrics_where_there_are_some():
    epoch = Epoch(3, 0.45678, 0.812, 1e-3, 2.34, ValidationMetrics(0.5, 0.75, 0.7))
    assert format_epoch(epoch) == (
        "epoch 3: loss 0.4568, accuracy 81.2%; "
        "validation loss 0.5000, accuracy 75.0%, mean recall 70.0%; 2.3 s"
    )
    epoch = Epoch(3, 0.45678, 0.812, 1e-3, 2.34, score_name="IoU")
    assert format_epoch(epoch) == "epoch 3: loss 0.4568, IoU 81.2%; 2.3 s"
