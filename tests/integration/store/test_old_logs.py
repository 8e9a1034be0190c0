"""A log that the first release has written keeps its rows, under the names and with the reasons of today."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, null

from worker.store import open_store
from worker.store.engine import connect
from worker.store.read_connection import read_revision
from worker.store.revision import HEAD
from worker.store.sqlite import sqlite3
from worker.store.upgrade import upgrade_schema

# What the first release wrote: probabilities were called scores.
_CLASSES = ["happy", "scores", 'a "scores": {b}']
_PROBABILITIES = dict(zip(_CLASSES, (0.75, 0.125, 0.125), strict=True))
_BOX = {"box": [1.0, 2.0, 3.5, 4.0], "score": 0.875, "label": "scores"}
_ROWS_OF_0001: dict[str, list[dict[str, Any]]] = {
    "photos": [
        {
            "name": f"{photo_id}.jpg",
            "source_path": f"inbox/{photo_id}.jpg",
            "path": f"{folder}/{photo_id}.jpg",
            "folder": folder,
            "status": status,
            "reason": reason,
            "sha256": "ab" * 32,
            "size_bytes": 10,
            "attempts": 1,
            "received_at": "2026-03-01T12:00:00.000Z",
            "decided_at": "2026-03-01T12:00:01.000Z",
            "filed_at": "2026-03-01T12:00:02.000Z",
        }
        for photo_id, folder, status, reason in (
            (1, "happy", "filed", None),
            (2, "scores", "filed", None),
            (3, "quarantine", "quarantined", "damaged"),
            (4, "review", "filed", None),
        )
    ],
    "models": [
        {
            "name": "small",
            "version": "aaa",
            "classes": _CLASSES,
            "metrics": [],
            "first_used_at": "2026-03-01T12:00:00.000Z",
        }
    ],
    "predictions": [
        {
            "photo_id": photo_id,
            "model_id": 1,
            "label": label,
            "confidence": 0.75,
            "scores": _PROBABILITIES,
            "faces": faces,
            "predicted_at": "2026-03-01T12:00:01.000Z",
        }
        for photo_id, label, faces in (
            (1, "happy", [_BOX | {"scores": _PROBABILITIES}, _BOX | {"scores": _PROBABILITIES}]),
            (2, "scores", null()),
            (4, "happy", null()),
        )
    ],
    "corrections": [
        {
            "photo_id": 2,
            "label": "happy",
            "previous_label": "scores",
            "origin": "command",
            "corrected_at": "2026-03-02T12:00:00.000Z",
        }
    ],
}


def _create_0001(url: str) -> None:
    """Create a log by the first migration alone, with rows in each table."""
    engine = connect(url, 1.0)
    upgrade_schema(engine, url, head="0001")
    with engine.connect() as connection, connection.begin():
        for name, rows in _ROWS_OF_0001.items():
            table = Table(name, MetaData(), autoload_with=connection)
            for row in rows:
                connection.execute(table.insert().values(row))


def _read_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value  # SQLite stores JSON as text


def test_a_log_of_revision_0001_keeps_its_photos_probabilities_and_faces(
    database_url: str, work: Any
) -> None:
    _create_0001(database_url)
    assert read_revision(database_url) == "0001"

    open_store(database_url).close()

    assert read_revision(database_url) == HEAD
    query = (
        "SELECT id, path, status, reason, label, corrected_label, model, probabilities FROM prediction_log "
        "ORDER BY 1"
    )
    rows = [(*row, _read_json(probabilities)) for *row, probabilities in work.query(database_url, query)]
    assert rows == [
        (1, "happy/1.jpg", "filed", None, "happy", None, "small@aaa", _PROBABILITIES),
        (2, "scores/2.jpg", "filed", None, "scores", "happy", "small@aaa", _PROBABILITIES),
        (3, "quarantine/3.jpg", "quarantined", "damaged", None, None, None, None),
        (4, "review/4.jpg", "filed", "unsure", "happy", None, "small@aaa", _PROBABILITIES),
    ]
    query = "SELECT faces FROM predictions ORDER BY id"
    face = _BOX | {"probabilities": _PROBABILITIES}
    assert [_read_json(faces) for (faces,) in work.query(database_url, query)] == [[face, face], None, None]


def test_photos_are_filed_in_a_log_of_revision_0001_after_its_upgrade(database_url: str, work: Any) -> None:
    _create_0001(database_url)
    store = open_store(database_url)
    model = store.use_model("small", "aaa", _CLASSES, [], work.now)
    (photo_id,) = work.take_on(store, "inbox/1.jpg")
    with store.begin_turn() as turn:
        turn.decide(work.make_decision(photo_id, "happy/1 (2).jpg"), model)
        turn.record_filed(photo_id, None, work.now)
    store.close()
    query = "SELECT status, model, probabilities FROM prediction_log ORDER BY id DESC LIMIT 1"
    ((status, model_name, probabilities),) = work.query(database_url, query)
    assert (status, model_name) == ("filed", "small@aaa")
    assert _read_json(probabilities) == {"happy": 0.9, "sad": pytest.approx(0.1)}


def test_an_sqlite_log_of_revision_0001_is_backed_up_as_it_was(sqlite_url: str, tmp_path: Path) -> None:
    _create_0001(sqlite_url)
    open_store(sqlite_url).close()
    (backup,) = tmp_path.glob("*backup*")
    assert backup.name.startswith("moodsort.db.backup-0001-")
    with closing(sqlite3.connect(backup)) as connection:
        (scores,) = connection.execute("SELECT scores FROM predictions WHERE id = 1").fetchone()
    assert json.loads(scores) == _PROBABILITIES
