"""A bundle on disk: its manifest, read without defaults, and the files that it names by their hashes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.errors import BundleError
from worker.fileio import hash_file
from worker.inference.contradictions import find_contradictions
from worker.inference.manifest import Manifest, NetworkSpec
from worker.tables import Problems, read_table

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 3


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose manifest and hashes hold."""

    folder: Path
    manifest: Manifest


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest and check the hash of every file that it names.

    Raises BundleError naming the file, the field and the remedy.
    """
    manifest = read_manifest(folder)
    for network in manifest.networks:
        check_hashes(folder, network, "copy the bundle again")
    return Bundle(folder, manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest. Raises BundleError naming the file, the field and the remedy."""
    path = folder / MANIFEST_NAME
    table = _read_json(path)
    _check_format(path, table)
    problems = Problems()
    manifest = read_table(Manifest, table, problems)
    if manifest is None:
        raise _refuse_manifest(path, problems)
    if contradictions := find_contradictions(manifest):
        raise _refuse_manifest(path, contradictions)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the bundle's folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def check_hashes(folder: Path, network: NetworkSpec, remedy: str) -> None:
    """Compare a network's files with their SHA-256. Raises BundleError naming the file, and the remedy."""
    for file, sha256 in ((network.file, network.sha256), (network.golden.file, network.golden.sha256)):
        _check_hash(folder / file, sha256, remedy)


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{path}: is not there; name a bundle's folder in model.bundle") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check model.bundle") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON ({error}); copy the bundle again") from error


def _check_format(path: Path, table: object) -> None:
    # Before the fields: in another format many of them differ, and their list would hide the one cause. A
    # version that is no whole number is reported with the other fields.
    version = table.get("format_version") if isinstance(table, dict) else None
    if type(version) is int and version != FORMAT_VERSION:
        remedy = "upgrade moodsort" if version > FORMAT_VERSION else "train it again"
        raise BundleError(
            f"{path}: format_version is {version}, this moodsort reads {FORMAT_VERSION}; {remedy}"
        )


def _refuse_manifest(path: Path, problems: Sequence[str]) -> BundleError:
    return BundleError("\n".join(f"{path}: {problem}; train it again" for problem in problems))


def _check_hash(path: Path, expected: str, remedy: str) -> None:
    try:
        sha256 = hash_file(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if sha256 != expected:
        raise BundleError(f"{path}: its SHA-256 is not the manifest's; {remedy}")
