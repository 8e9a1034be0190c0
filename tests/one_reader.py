"""A bundle of one reader, made of the built-in one's last: it judges whole pictures, and is soon copied."""

import json
import shutil
from pathlib import Path
from typing import Any

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import MANIFEST_NAME, Stage, load_bundle, weights_version


def one_reader(folder: Path) -> Path:
    """Make the bundle in a folder that is not there yet."""
    folder.mkdir(parents=True)
    table = manifest_of_one_reader()
    (stage,) = table["stages"]
    last = load_bundle(BUILT_IN_BUNDLE).manifest.stages[-1]
    shutil.copyfile(BUILT_IN_BUNDLE / last.file, folder / stage["file"])
    shutil.copyfile(BUILT_IN_BUNDLE / last.golden.file, folder / stage["golden"]["file"])
    (folder / MANIFEST_NAME).write_text(json.dumps(table), encoding="utf-8")
    return folder


def manifest_of_one_reader() -> dict[str, Any]:
    """Return its manifest as a table."""
    table: dict[str, Any] = json.loads((BUILT_IN_BUNDLE / MANIFEST_NAME).read_bytes())
    stage = table["stages"][-1]
    stage["file"], stage["golden"]["file"] = "reader.tflite", "golden.npz"
    kept: Stage = load_bundle(BUILT_IN_BUNDLE).manifest.stages[-1]
    return table | {"stages": [stage], "faces": None, "version": weights_version((kept,))}
