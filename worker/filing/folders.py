"""Make the folders of the photos, and refuse a configuration in which two of them have the same name."""

from collections.abc import Collection
from pathlib import Path

from worker.config import Config
from worker.errors import BundleError, ConfigError
from worker.fileio import make_folders
from worker.paths import format_path
from worker.tree import LINK_REMEDY, find_link


def prepare_folders(config: Config, classes: Collection[str], bundle: Path) -> None:
    """Make inbox, review and quarantine where they are missing; a label folder is made for its first photo.

    Raises ConfigError where one of the three is a file, and what `check_folders` raises.
    """
    check_folders(config, classes, bundle)
    _make_folder(config.root, "folders.root")
    for key, name in _name_folders(config).items():
        _make_folder(config.root / name, f"folders.{key}")


def check_folders(config: Config, classes: Collection[str], bundle: Path) -> None:
    """Check that photos can be told apart by their folders; make none.

    `bundle` is the folder of the bundle that has these classes. Raises ConfigError where inbox, review or
    quarantine has the name of a class or is a symbolic link, and BundleError where a label folder is a link
    or a file.
    """
    for key, name in _name_folders(config).items():
        if Path(name).parts[0] in classes:
            raise ConfigError(
                f"folders.{key} is {name!r}, but {format_path(bundle)} has a class of that name; rename it"
            )
        if link := find_link(config.root, config.root / name):
            raise ConfigError(f"{_describe_link(link)} or change folders.{key}")
    for label in classes:
        folder = config.root / label
        if folder.is_symlink():
            raise BundleError(_describe_link(folder))
        if folder.exists() and not folder.is_dir():
            raise BundleError(
                f"{format_path(folder)}: is a file, but has to be the folder of a label; move it away"
            )


def _name_folders(config: Config) -> dict[str, str]:
    folders = config.folders
    return {"inbox": folders.inbox, "review": folders.review, "quarantine": folders.quarantine}


def _describe_link(link: Path) -> str:
    return f"{format_path(link)}: is a symbolic link, which is not followed; {LINK_REMEDY}"


def _make_folder(folder: Path, key: str) -> None:
    try:
        make_folders(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"{format_path(folder)}: is not a folder; move the file away or change {key}"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{format_path(folder)}: cannot be made ({error.strerror}); make it or change {key}"
        ) from error
