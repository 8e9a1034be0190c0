import threading

from trainer.cli.progress_bar import show_progress
from trainer.training.progress import Step


def shown(monkeypatch, capsys, step: Step) -> str:
    """Show a step on what takes itself for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    before = set(threading.enumerate())
    with show_progress() as progress:
        progress.on_step(step)
    for refreshing in set(threading.enumerate()) - before:  # rich tells it to stop, and does not wait
        refreshing.join()
    told: str = capsys.readouterr().out
    return told


def test_a_readers_bar_tells_its_accuracy(monkeypatch, capsys):
    told = shown(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, 70.0))
    for text in ("epoch 2/9", " 25 %", "loss 0.457", "accuracy 81.2%", "1:10 left"):
        assert text in told


def test_a_finders_bar_tells_its_overlap_and_not_an_accuracy(monkeypatch, capsys):
    told = shown(monkeypatch, capsys, Step(2, 9, 0.4567, 0.812, 0.25, None, "overlap"))
    assert "overlap 81.2%" in told
    assert "accuracy" not in told
