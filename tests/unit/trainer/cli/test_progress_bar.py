import threading

from trainer.cli.progress_bar import show_progress
from trainer.training.progress import Step


def show_step(monkeypatch, capsys, step: Step) -> str:
    """Show a step on an output that passes for a terminal; return what is on it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    threads = set(threading.enumerate())
    with show_progress() as progress:
        progress.on_step(step)
    for refresher in set(threading.enumerate()) - threads:  # rich asks it to stop, and does not wait
        refresher.join()
    output: str = capsys.readouterr().out
    return output


def test_a_classifiers_bar_shows_its_accuracy(monkeypatch, capsys):
    output = show_step(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, 70.0))
    for text in ("epoch 2/9", " 25 %", "loss 0.457", "accuracy 81.2%", "1:10 left"):
        assert text in output


def test_a_detectors_bar_shows_its_iou_and_not_an_accuracy(monkeypatch, capsys):
    output = show_step(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, None, "IoU"))
    assert "IoU 81.2%" in output
    assert "accuracy" not in output
