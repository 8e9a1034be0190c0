"""A store on each kind of database, and the records that go into it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.errors import REVIEW_REASONS, Reason
from worker.fileio import KnownFile
from worker.inference.prediction import Prediction
from worker.store import Arrival, Content, Decision, Store, Turn, open_store
from worker.store.read_connection import open_read_connection

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Work:
    """What tests do to a store, in short."""

    now = NOW

    def take_on(self, store: Store, *sources: str | Path) -> list[int | None]:
        with store.begin_turn() as turn:
            return self.take_on_in(turn, *sources)

    def take_on_in(self, turn: Turn, *sources: str | Path) -> list[int | None]:
        return turn.take_on([Arrival(Path(source), 9, NOW) for source in sources])

    def make_decision(
        self,
        photo_id: int,
        destination: str = "happy/a.jpg",
        label: str = "happy",
        confidence: float = 0.9,
        reason: Reason | None = None,
        file: KnownFile | None = None,
    ) -> Decision:
        other_label = "sad" if label == "happy" else "happy"
        probabilities = {label: confidence, other_label: 1 - confidence}
        is_refused = reason is not None and reason not in REVIEW_REASONS
        return Decision(
            photo_id=photo_id,
            folder=Path(destination).parts[0],
            destination=Path(destination),
            content=Content(sha256="ab" * 32, size_bytes=10, width=4, height=3),
            prediction=None if is_refused else Prediction(label, confidence, probabilities, faces=None),
            reason=reason,
            detail=f"it is {reason}" if reason else None,
            decided_at=NOW,
            file=file,
        )

    def query(self, url: str, sql: str) -> list[tuple[Any, ...]]:
        with open_read_connection(url) as reader:
            return reader.query(sql)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened_store = open_store(database_url)
    yield opened_store
    opened_store.close()


@pytest.fixture
def model(store: Store) -> int:
    return store.use_model("small", "ab12cd34ef56", ["happy", "sad"], {"accuracy": 0.9}, NOW)
