"""The usual tutorial's way to sort photos: Keras, one photo after the other. It runs in a process of its own.

Three convolutions on 256×256×3, `cv2.imread`, `tf.image.resize`, `model.predict` on one photo,
`shutil.move` and one committed INSERT for each.
"""

import json
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import tensorflow as tf

_SIDE = 256


def main() -> None:
    """Make a model (`make MODEL`), or sort a folder with it (`sort MODEL FOLDER`) and print the times."""
    match sys.argv[1:]:
        case ["make", model]:
            _make_network().save(model)
        case ["sort", model, folder]:
            click.echo(json.dumps(_sort_photos(tf.keras.models.load_model(model), Path(folder))))
        case _:
            sys.exit(f"usage: {sys.argv[0]} make MODEL | sort MODEL FOLDER")


def _make_network() -> Any:
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            layers.Input((_SIDE, _SIDE, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    network.compile("adam", loss="binary_crossentropy")
    return network


def _sort_photos(model: Any, folder: Path) -> dict[str, float]:
    for label in ("happy", "sad"):
        (folder / label).mkdir()
    database = sqlite3.connect(folder / "log.db")
    database.execute("CREATE TABLE log (name TEXT, label TEXT, score REAL)")
    photos = sorted((folder / "inbox").iterdir())
    start = time.monotonic()
    for photo in photos:
        _sort_photo(model, photo, folder, database)
    return {"photos": len(photos), "seconds": time.monotonic() - start}


def _sort_photo(model: Any, photo: Path, folder: Path, database: sqlite3.Connection) -> None:
    image = cv2.imread(str(photo))
    resized = tf.image.resize(image, (_SIDE, _SIDE))
    score = float(model.predict(np.expand_dims(resized / 255, 0), verbose=0)[0, 0])
    label = "sad" if score > 0.5 else "happy"
    shutil.move(photo, folder / label / photo.name)
    database.execute("INSERT INTO log VALUES (?, ?, ?)", (photo.name, label, score))
    database.commit()


if __name__ == "__main__":
    main()
