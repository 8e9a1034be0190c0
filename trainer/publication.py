"""Put a finished bundle in its place in one step, so that nobody ever sees half of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.bundle import MANIFEST_NAME
from worker.errors import BundleError, ConfigError


def check_place(out: Path) -> None:
    """Raise ConfigError where something that is not a bundle, nor empty, is in the bundle's place."""
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise ConfigError(f"{out}: is there and is not a folder; give --out another name")
    if any(out.iterdir()) and not (out / MANIFEST_NAME).is_file():
        raise ConfigError(f"{out}: is a folder of something else, not a bundle; give --out another name")


@contextmanager
def prepared_folder(out: Path) -> Iterator[Path]:
    """Lend an empty folder beside `out`; after the body has ended well, `out` is that folder.

    An older bundle stays in its place until then. Raises BundleError where the disk refuses.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".draft", dir=out.parent))
    except OSError as error:
        raise BundleError(
            f"{out}: cannot be written ({error.strerror}); check the folder above it"
        ) from error
    try:
        yield draft
        draft.chmod(0o755)
        _replace(out, draft)
    except OSError as error:
        raise BundleError(f"{out}: cannot be written ({error.strerror}); check the disk") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(out: Path, draft: Path) -> None:
    check_place(out)
    if not out.exists():
        draft.rename(out)
        return
    # No call swaps two folders everywhere, so the older one steps aside for an instant.
    older = draft.with_suffix(".old")
    out.rename(older)
    try:
        draft.rename(out)
    except OSError:
        older.rename(out)
        raise
    shutil.rmtree(older, ignore_errors=True)
