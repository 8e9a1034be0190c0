"""Data whose files have gone: folders of links that lead nowhere."""

from pathlib import Path


def replace_by_dangling_links(folder: Path) -> Path:
    """Replace two of three files below a folder by links that lead nowhere."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        if number % 3:
            path.unlink()
            path.symlink_to(Path("..", "unmounted", path.name))
    return folder
