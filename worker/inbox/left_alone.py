"""Say once what stays in the inbox, and why."""

import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

_MAX_NAMED = 3
"""So many links and the like are logged by name, each once; a folder full of them would bury what matters."""


class LeftAlone:
    """What is not taken on, by its path below the inbox, and of which kind it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kinds: dict[str, str] = {}

    def add(self, kinds: Mapping[str, str]) -> None:
        """Log what is new: by name, or many of a kind by their number."""
        new_names: dict[str, list[str]] = {}
        for name, kind in kinds.items():
            if self._kinds.get(name) != kind:
                self._kinds[name] = kind
                new_names.setdefault(kind, []).append(name)
        for kind, names in new_names.items():
            self._log(kind, [self._folder / name for name in names[: _MAX_NAMED + 1]], len(names))

    def replace(self, kinds: dict[str, str]) -> None:
        """Do the same for all that there is, and forget the paths that are gone."""
        self.add(kinds)
        self._kinds = kinds

    def _log(self, kind: str, paths: list[Path], count: int) -> None:
        fields = {"event": "left_alone", "kind": kind}
        if count > _MAX_NAMED:
            logger.info("left alone", extra=fields | {"count": count, "path": paths[0].parent})
            return
        for path in paths:
            logger.info("left alone", extra=fields | {"path": path})
