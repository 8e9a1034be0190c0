"""Compare the files and the log with what was dropped."""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from pathlib import Path

from tests.faults.torture.record import Record, hash_content
from tests.home import Home, Row

_FINISHED = ("filed", "quarantined")


@dataclass(frozen=True, slots=True)
class Audit:
    """How often each promise was broken; `findings` name the files and rows."""

    lost: int
    duplicated: int
    overwritten: int
    changed: int
    rows_without_file: int
    files_without_row: int
    good_photos_quarantined: int
    manual_steps: int
    findings: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no promise was broken."""
        return not any(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Each count by its name in words."""
        names = [field.name for field in fields(self) if field.name != "findings"]
        return {name.replace("_", " "): getattr(self, name) for name in names}


class Auditor:
    """Looks at a home once; whatever it finds wrong is counted."""

    def __init__(self, home: Home, record: Record) -> None:
        self._record = record
        self._rows = home.read_rows()
        self._files = {path: hash_content(data) for path, data in home.read_files().items()}
        self._inodes: dict[str, set[int]] = defaultdict(set)
        for path, content in self._files.items():
            self._inodes[content].add(os.lstat(home.root / path).st_ino)
        self._findings: list[str] = []

    def audit(self) -> Audit:
        """Return what is wrong."""
        known = {content: count for content, count in self._record.files.items() if count}
        return Audit(
            lost=self._count_lost(known),
            duplicated=self._count_duplicated(known),
            overwritten=self._count_overwritten(),
            changed=self._count_changed(known),
            rows_without_file=self._count_rows_without_file(),
            files_without_row=self._count_files_without_row(),
            good_photos_quarantined=self._count_quarantined(),
            manual_steps=self._count_manual_steps(),
            findings=tuple(self._findings),
        )

    def _note(self, kind: str, what: object, count: int = 1) -> int:
        if count:
            self._findings.append(f"{kind}: {what}")
        return count

    def _count_lost(self, known: dict[str, int]) -> int:
        missing = {content: max(0, count - len(self._inodes[content])) for content, count in known.items()}
        return sum(self._note("lost", content, count) for content, count in missing.items())

    def _count_duplicated(self, known: dict[str, int]) -> int:
        names = Counter(self._files.values())
        total = 0
        for content, count in known.items():
            files = len(self._inodes[content]) - count
            more_names = names[content] - count - self._record.names[content]
            paths = [str(path) for path, other in self._files.items() if other == content]
            total += self._note("duplicated", paths, max(0, files, more_names))
        return total

    def _count_overwritten(self) -> int:
        places = self._record.hand_places.items()
        return sum(
            self._note("overwritten", path) for path, content in places if self._files.get(path) != content
        )

    def _count_changed(self, known: dict[str, int]) -> int:
        strange = [path for path, content in self._files.items() if content not in known]
        untrue = [row for row in self._list_filed() if self._files.get(row.path, row.sha256) != row.sha256]
        return sum(self._note("changed", path) for path in strange) + sum(
            self._note("hash of another content", row) for row in untrue
        )

    def _count_rows_without_file(self) -> int:
        absent = [row for row in self._list_filed() if row.path not in self._files]
        missing = [row for row in self._rows if row.status == "missing"]
        unexplained = max(0, len(missing) - self._record.hand_actions)
        return sum(self._note("row without file", row) for row in absent) + self._note(
            "missing", missing, unexplained
        )

    def _count_files_without_row(self) -> int:
        rows = Counter(row.path for row in self._list_filed())
        filed = [path for path in self._files if not path.is_relative_to("inbox")]
        strays = [path for path in filed if rows[path] != 1 and path not in self._record.hand_places]
        return sum(self._note(f"file with {rows[path]} rows", path) for path in strays)

    def _count_quarantined(self) -> int:
        good = [
            row
            for row in self._rows
            if row.status == "quarantined" and row.sha256 not in self._record.damaged
        ]
        return sum(self._note("good photo quarantined", row) for row in good)

    def _count_manual_steps(self) -> int:
        """Count what a person would have to finish."""
        paths = [path for path in self._files if path.is_relative_to("inbox") or _is_private(path)]
        active = [row for row in self._rows if row.status in ("pending", "decided")]
        return sum(self._note("left behind", path) for path in paths) + sum(
            self._note("not finished", row) for row in active
        )

    def _list_filed(self) -> list[Row]:
        return [row for row in self._rows if row.status in _FINISHED]


def _is_private(path: Path) -> bool:
    return path.name.startswith(".moodsort-")
