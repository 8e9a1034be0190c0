"""The watcher reports nothing, or dies: the rescan finds the photos all the same."""

import threading

import pytest
from watchdog.observers.api import BaseObserver

from tests.drawing import draw_jpeg
from tests.driver import open_driver
from tests.home import Home
from worker.inbox import inbox
from worker.inbox.watcher import Event, Watcher


class SilentWatcher(Watcher):
    """A watcher on a file system that reports nothing."""

    def add_event(self, event: Event) -> None:
        pass


def test_a_photo_that_no_event_reports_is_filed_at_the_next_rescan(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "Watcher", SilentWatcher)
    home.configure(inbox={"rescan_seconds": 30.0})
    with open_driver(home) as hand:
        hand.step_until_idle()
        home.drop("a.jpg", draw_jpeg(1))
        hand.worker.step(hand.time.clock.monotonic())
        assert hand.worker.candidates == 0
        hand.time.ahead += 30
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_photo_that_comes_while_the_observer_is_dead_is_filed(home: Home) -> None:
    home.configure(inbox={"rescan_seconds": 86400.0})
    with open_driver(home) as hand:
        hand.step_until_idle()
        (observer,) = (thread for thread in threading.enumerate() if isinstance(thread, BaseObserver))
        observer.stop()
        observer.join()
        home.drop("a.jpg", draw_jpeg(1))
        hand.time.ahead += 5
        hand.step_until(home.is_all_filed)
        home.drop("b.jpg", draw_jpeg(2))  # reported by the new observer
        hand.step_until(home.is_all_filed)
    home.check_promises()
