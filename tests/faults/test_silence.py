"""The watcher says nothing, or dies: the rescan finds the photos all the same."""

import threading

import pytest
from watchdog.observers.api import BaseObserver

from tests.drawing import photo_bytes
from tests.driver import open_driver
from tests.home import Home
from worker.inbox import inbox
from worker.inbox.watcher import Event, Watcher


class DeafWatcher(Watcher):
    """A watcher on a file system that tells it nothing."""

    def hear(self, heard: Event) -> None:
        pass


def test_a_photo_that_no_event_told_of_is_filed_at_the_next_rescan(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "Watcher", DeafWatcher)
    home.configure(inbox={"rescan_seconds": 30.0})
    with open_driver(home) as hand:
        hand.step_until_idle()
        home.drop("a.jpg", photo_bytes(1))
        hand.worker.step(hand.time.clock.monotonic())
        assert hand.worker.waiting == 0
        hand.time.ahead += 30
        hand.step_until(home.is_all_filed)
    home.check_promises()


def test_a_photo_that_comes_while_the_observer_is_dead_is_filed(home: Home) -> None:
    home.configure(inbox={"rescan_seconds": 86400.0})
    with open_driver(home) as hand:
        hand.step_until_idle()
        (observer,) = (each for each in threading.enumerate() if isinstance(each, BaseObserver))
        observer.stop()
        observer.join()
        home.drop("a.jpg", photo_bytes(1))
        hand.time.ahead += 5
        hand.step_until(home.is_all_filed)
        home.drop("b.jpg", photo_bytes(2))  # and the new observer hears
        hand.step_until(home.is_all_filed)
    home.check_promises()
