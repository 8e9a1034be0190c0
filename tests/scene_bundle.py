"""A bundle of one scene classifier, the last of the built-in bundle's: quick to copy, and quick to load."""

import json
import shutil
from pathlib import Path
from typing import Any

from worker.config import BUILT_IN_BUNDLE
from worker.inference.bundle import MANIFEST_NAME, load_bundle
from worker.inference.manifest import derive_version


def make_scene_bundle(folder: Path) -> Path:
    """Make the bundle in a folder that is not there yet."""
    folder.mkdir(parents=True)
    table = make_scene_manifest()
    (network,) = table["networks"]
    source = load_bundle(BUILT_IN_BUNDLE).manifest.networks[-1]
    shutil.copyfile(BUILT_IN_BUNDLE / source.file, folder / network["file"])
    shutil.copyfile(BUILT_IN_BUNDLE / source.golden.file, folder / network["golden"]["file"])
    (folder / MANIFEST_NAME).write_text(json.dumps(table), encoding="utf-8")
    return folder


def make_scene_manifest() -> dict[str, Any]:
    """Return its manifest as a table."""
    table: dict[str, Any] = json.loads((BUILT_IN_BUNDLE / MANIFEST_NAME).read_bytes())
    network = table["networks"][-1]
    network["file"], network["golden"]["file"] = "scene.tflite", "golden.npz"
    version = derive_version(load_bundle(BUILT_IN_BUNDLE).manifest.networks[-1:])
    return table | {"networks": [network], "detection": None, "fusion": None, "version": version}
