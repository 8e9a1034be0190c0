"""Show all that the log knows of one photo: tables for people, one object for programs."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from worker.cli.output import Row, format_json, print_rows
from worker.store.query import COLUMNS

_FIELDS = (*COLUMNS, "attempts")

_PREDICTIONS = ("prediction", "predicted_at", "model", "label", "confidence", "probabilities", "faces")
_FACES = ("prediction", "face", "box", "score", "label", "probabilities")
_CORRECTIONS = ("correction", "corrected_at", "previous_label", "label", "origin")


def print_photo(photo: Mapping[str, Any], output_format: str) -> None:
    """Print what `PredictionLog.read_photo` returns; CSV has the photo's own fields alone."""
    match output_format:
        case "table":
            _print_tables(photo)
        case "csv":
            print_rows([photo], _FIELDS, "csv", ())
        case _:
            click.echo(format_json(photo, indent=2 if output_format == "json" else None))


def _print_tables(photo: Mapping[str, Any]) -> None:
    predictions, corrections = photo["predictions"], photo["corrections"]
    tables: tuple[tuple[Iterable[Row], tuple[str, ...]], ...] = (
        (_make_field_rows(photo), ("photo", "value")),
        (_make_prediction_rows(predictions), _PREDICTIONS),
        (_make_face_rows(predictions), _FACES),
        (_make_correction_rows(corrections), _CORRECTIONS),
    )
    for rows, columns in tables:
        if listed_rows := list(rows):
            print_rows(listed_rows, (), "table", columns)


def _make_field_rows(photo: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the fields that have a value; the probabilities are shown with the predictions."""
    for name in _FIELDS:
        value = photo[name]
        if value is not None and name != "probabilities":
            yield {
                "photo": name.replace("_", " "),
                "value": datetime.fromisoformat(value) if name.endswith("_at") else value,
            }


def _make_prediction_rows(predictions: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for number, prediction in enumerate(predictions, 1):
        faces = prediction["faces"]
        yield {
            **prediction,
            "prediction": number,
            "predicted_at": datetime.fromisoformat(prediction["predicted_at"]),
            "probabilities": _format_probabilities(prediction["probabilities"]),
            "faces": None if faces is None else len(faces),
        }


def _make_face_rows(predictions: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for number, prediction in enumerate(predictions, 1):
        for face_number, face in enumerate(prediction["faces"] or (), 1):
            left, top, width, height = face["box"]
            yield {
                **face,
                "prediction": number,
                "face": face_number,
                "box": f"{width:.0f} × {height:.0f} at {left:.0f}, {top:.0f}",
                "probabilities": _format_probabilities(face["probabilities"]),
            }


def _make_correction_rows(corrections: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for number, correction in enumerate(corrections, 1):
        corrected_at = datetime.fromisoformat(correction["corrected_at"])
        yield {**correction, "correction": number, "corrected_at": corrected_at}


def _format_probabilities(probabilities: Mapping[str, float]) -> str:
    # Sorted: PostgreSQL does not keep the order, and the labels of all rows are to be one below the other.
    return ", ".join(f"{label} {probability:.3f}" for label, probability in sorted(probabilities.items()))
