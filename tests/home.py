"""A root folder with its configuration: files go in, a worker runs, and the promises are checked."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

from tests.drawing import draw_jpeg
from tests.patience import scale
from worker.errors import REVIEW_REASONS, StoreError
from worker.paths import restore_path
from worker.store.read_connection import open_read_connection

PROJECT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("moodsort")

LONG_SECONDS = scale(40.0)
"""How long something may take for which no time is promised: test machines are busy."""

Tables = Mapping[str, Mapping[str, Any]]

_QUICK: Tables = {
    "inbox": {"settle_seconds": 0.1, "rescan_seconds": 1.0},
    "model": {"processes": 1},
}


def wait_until(condition: Callable[[], object], seconds: float = LONG_SECONDS) -> None:
    """Poll the condition until it holds; fail where it does not in time."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "what was waited for did not come"
        time.sleep(0.01)


def read_summary(completed: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """Return the last line that `moodsort run --once` has logged; fail where a line is not JSON."""
    *_, summary = [json.loads(line) for line in completed.stderr.splitlines()]
    assert summary["event"] == "summary"
    return dict(summary)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `photos`, with how many predictions it has."""

    photo_id: int
    source: Path
    path: Path
    folder: str
    status: str
    reason: str | None
    detail: str | None
    sha256: str | None
    attempts: int
    predictions: int


class WorkerProcess:
    """A `moodsort run` in a process group of its own, and what it has logged so far."""

    def __init__(self, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.popen = popen
        self._log = log

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines that it has logged."""
        *lines, _unfinished = self._log.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]

    def find_events(self, event: str) -> list[dict[str, Any]]:
        """Return the lines about one kind of event."""
        return [line for line in self.events if line.get("event") == event]

    def is_ready(self) -> bool:
        """Tell whether it watches; fail where it has ended instead."""
        assert self.popen.poll() is None, self._log.read_text()
        return bool(self.find_events("ready"))

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = LONG_SECONDS) -> int:
        """Send a signal to its whole process group, as a terminal does; return the exit status."""
        os.killpg(self.popen.pid, number)
        return self.popen.wait(seconds)


class Home:
    """A worker's configuration, folders and log, in a folder of the test's own."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.root = folder / "photos"
        self.inbox = self.root / "inbox"
        self.inbox.mkdir(parents=True)
        self.database = folder / "moodsort.db"
        self.database_url = database_url or f"sqlite:///{self.database}"
        self.dropped: dict[Path, bytes] = {}
        self.bystanders: dict[Path, bytes] = {}
        self._numbers = count()
        self.configure()

    def configure(self, **tables: Mapping[str, Any]) -> Self:
        """Write a configuration that suits tests, with these tables on top."""
        merged: dict[str, dict[str, Any]] = {"database": {"url": self.database_url}}
        for layer in (_QUICK, tables):
            for name, table in layer.items():
                merged.setdefault(name, {}).update(table)
        lines = []
        for name, table in merged.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        self.config.write_text("\n".join(lines) + "\n")
        return self

    def drop(self, name: str | bytes, data: bytes) -> Path:
        """Move a whole file into the inbox; return its path there."""
        path = self.inbox / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        outside = self.folder / f"outside-{next(self._numbers)}"
        outside.write_bytes(data)
        outside.rename(path)
        self.dropped[path.relative_to(self.root)] = data
        return path

    def drop_photos(self, count: int, first: int = 0) -> None:
        """Move some photos into the inbox, each another picture."""
        for number in range(first, first + count):
            self.drop(f"{number}.jpg", draw_jpeg(number))

    def add_bystander(self, relative: str, data: bytes) -> Path:
        """Put a file below the root that the worker has nothing to do with."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.bystanders[Path(relative)] = data
        return path

    def make_environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of this process without what would steer a worker, and with `variables`."""
        prefixes = ("MOODSORT_", "NOTIFY_", "WATCHDOG_")
        return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)} | variables

    def run_command(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        command, *rest = arguments
        return subprocess.run(
            [COMMAND, command, "--config", self.config, *rest],
            capture_output=True,
            text=True,
            env=self.make_environment(),
            check=False,
            timeout=LONG_SECONDS,
        )

    def run_once(self) -> "subprocess.CompletedProcess[str]":
        """File what is in the inbox; fail where the command does."""
        completed = self.run_command("run", "--once")
        assert completed.returncode == 0, completed.stderr
        return completed

    @contextmanager
    def run_worker(self, **environment: str) -> Iterator[WorkerProcess]:
        """Run a worker until the context ends, however it ends."""
        number = next(self._numbers)
        log = self.folder / f"stderr-{number}"
        with log.open("wb") as errors, (self.folder / f"stdout-{number}").open("wb") as output:
            popen = subprocess.Popen(
                [COMMAND, "run", "--config", self.config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self.make_environment(**environment),
                process_group=0,
            )
        try:
            yield WorkerProcess(popen, log)
        finally:
            popen.kill()
            popen.wait()

    @contextmanager
    def watch(self, **environment: str) -> Iterator[WorkerProcess]:
        """Run a worker that watches by the time the context is entered."""
        with self.run_worker(**environment) as worker:
            wait_until(worker.is_ready)
            yield worker

    def read_rows(self) -> list[Row]:
        """Return the rows of the log, the oldest first."""
        columns = "id, source_path, source_path_raw, path, path_raw, folder, status, reason, detail, sha256"
        predictions = "(SELECT count(*) FROM predictions WHERE photo_id = photos.id)"
        with open_read_connection(self.database_url) as reader:
            rows = reader.query(f"SELECT {columns}, attempts, {predictions} FROM photos ORDER BY id")
        return [
            Row(photo_id, restore_path(source, source_raw), restore_path(path, path_raw), *rest)
            for photo_id, source, source_raw, path, path_raw, *rest in rows
        ]

    def count_statuses(self) -> Counter[str]:
        """Count the rows by their status; before there is a log, there are none."""
        try:
            return Counter(row.status for row in self.read_rows())
        except StoreError:
            return Counter()

    def is_all_filed(self) -> bool:
        """Tell whether everything that was dropped is filed."""
        return self.count_statuses()["filed"] == len(self.dropped)

    def read_files(self) -> dict[Path, bytes]:
        """Return every regular file below the root, hidden ones too, but not the worker's lock."""
        walk = os.walk(self.root, followlinks=True)
        paths = {Path(folder, name) for folder, _, names in walk for name in names}
        return {
            path.relative_to(self.root): path.read_bytes()
            for path in paths - {self.root / ".inbox.lock"}
            if path.is_file() and not path.is_symlink()
        }

    def check_promises(self) -> None:
        """Check that everything that was dropped is filed: in one place, with one row, unchanged."""
        files = self.read_files()
        assert Counter(files.values()) == Counter([*self.dropped.values(), *self.bystanders.values()])
        assert {path: files.get(path) for path in self.bystanders} == self.bystanders
        assert not [path for path in files if path.is_relative_to("inbox")]
        assert not [path for path in files if path.name.startswith(".moodsort")]
        rows = self.read_rows()
        assert Counter(row.source for row in rows) == Counter(self.dropped.keys())
        assert {row.path for row in rows} == files.keys() - self.bystanders.keys()
        for row in rows:
            assert row.sha256 == hashlib.sha256(self.dropped[row.source]).hexdigest()
            assert files[row.path] == self.dropped[row.source]
            assert row.folder == row.path.parts[0]
            is_refused = row.reason is not None and row.reason not in REVIEW_REASONS
            assert row.status == ("quarantined" if is_refused else "filed")
            assert row.predictions == (0 if is_refused else 1)
