"""Make the folders of the photos, and refuse a configuration in which two of them have the same name."""

from collections.abc import Collection
from pathlib import Path

from worker.config import Config
from worker.errors import BundleError, ConfigError
from worker.paths import format_path


def prepare_folders(config: Config, classes: Collection[str], bundle: Path) -> None:
    """Make inbox, review and quarantine where they are missing; a label folder is made for its first photo.

    `bundle` is the folder of the bundle that has these classes. Raises ConfigError where one of the three is
    a file or has the name of a class, and BundleError where a label folder is a file.
    """
    folders = config.folders
    names = {"inbox": folders.inbox, "review": folders.review, "quarantine": folders.quarantine}
    for key, name in names.items():
        if Path(name).parts[0] in classes:
            raise ConfigError(
                f"folders.{key} is {name!r}, but {format_path(bundle)} has a class of that name; rename it"
            )
    _make_folder(config.root, "folders.root")
    for key, name in names.items():
        _make_folder(config.root / name, f"folders.{key}")
    for label in classes:
        folder = config.root / label
        if folder.exists() and not folder.is_dir():
            raise BundleError(
                f"{format_path(folder)}: is a file, but has to be the folder of a label; move it away"
            )


def _make_folder(folder: Path, key: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"{format_path(folder)}: is not a folder; move the file away or change {key}"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{format_path(folder)}: cannot be made ({error.strerror}); make it or change {key}"
        ) from error
