"""Lay out what a power cut has left, have a worker recover it, and audit the end."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drawing import draw_jpeg
from tests.driver import MovableClock, drive
from tests.faults.observed_worker import open_observed_worker, start_pool
from tests.faults.power_loss.disk import FOLDER, DiskState, list_all_states
from tests.faults.power_loss.recorder import Recorder
from tests.faults.torture.audit import Audit, Auditor
from tests.faults.torture.record import Record, hash_content
from tests.file_moves import FILE_SYSTEMS
from tests.home import Home
from tests.scene_bundle import make_scene_bundle
from worker.config import load_config
from worker.filing import FileOperations
from worker.pool.pool import Pool
from worker.pool.prediction_task import PhotoResult
from worker.store import open_store

_SIZE = (40, 32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker has made of a state; `audit` has no findings where every promise was kept."""

    file_system: str
    state: DiskState
    audit: Audit


class PowerCuts:
    """A run on a file system of `tests.file_moves`, and what power cuts during it may leave."""

    def __init__(self, folder: Path, file_system: str, bundle: Path) -> None:
        self._folder = folder
        self._file_system = file_system
        self._bundle = bundle
        self._number = 0

    def record(self, pool: Pool[PhotoResult]) -> list[DiskState]:
        """File some photos; return every state in which a power cut may have left them."""
        home = self._make_home("recorded")
        self.record_ = drop_photos(home)
        open_store(home.database_url).close()
        self._recorder = Recorder(home, self._folder)
        # As made by a worker that did not come to sync them.
        new_folders = ("quarantine", "review")
        for name in new_folders:
            (home.root / name).mkdir()
        self._recorder.start(new_folders)
        self._file_all(home, pool, self._recorder)
        return list_all_states(self._recorder.names, 0, self._recorder.events)

    def recover(self, state: DiskState, pool: Pool[PhotoResult]) -> Outcome:
        """Lay a state out, and file what is left in it."""
        self._number += 1
        home = self._make_home(str(self._number))
        self._lay_out(state, home)
        self._file_all(home, pool)
        audit = Auditor(home, self.record_).audit()
        if audit.is_clean:
            shutil.rmtree(home.folder)
        return Outcome(self._file_system, state, audit)

    def _make_home(self, name: str) -> Home:
        folder = self._folder / name
        folder.mkdir(parents=True)
        return Home(folder).configure(model={"bundle": str(self._bundle)})

    def _lay_out(self, state: DiskState, home: Home) -> None:
        for path, inode in sorted(state.names.items()):
            if inode == FOLDER:
                (home.root / path).mkdir(exist_ok=True)
            elif inode in state.empty:
                (home.root / path).write_bytes(b"")
            else:
                # The same inode as in the run, by which the log knows it.
                os.link(self._recorder.get_file(inode), home.root / path)
        shutil.copyfile(self._recorder.get_database(state.version), home.database)

    def _file_all(self, home: Home, pool: Pool[PhotoResult], recorder: Recorder | None = None) -> None:
        operations = FileOperations(**FILE_SYSTEMS[self._file_system]())
        time = MovableClock()
        opening = open_observed_worker(
            load_config(home.config),
            recorder.record_step if recorder else lambda _: None,
            recorder.wrap(operations) if recorder else operations,
            time.clock,
            pool=pool,
        )
        with drive(opening, time) as driver:

            def is_done() -> bool:
                time.ahead += 0.2
                return not driver.worker.in_hand and not driver.worker.candidates

            driver.step_until(is_done)


def drop_photos(home: Home) -> Record:
    """Drop photos with equal contents and names, a damaged one, and one whose name is taken."""
    record = Record()
    twice, damaged = draw_jpeg(1, _SIZE), draw_jpeg(2, _SIZE)[:-300]
    photos = {"a.jpg": twice, "trip/a.jpg": twice, "b.jpg": draw_jpeg(3, _SIZE), "damaged.jpg": damaged}
    for name, data in photos.items():
        home.drop(name, data)
        record.files[hash_content(data)] += 1
    for label in ("happy", "sad"):
        bystander = draw_jpeg(4, _SIZE) + label.encode()
        home.add_bystander(f"{label}/b.jpg", bystander)
        record.files[hash_content(bystander)] += 1
        record.hand_places[Path(label, "b.jpg")] = hash_content(bystander)
    record.damaged.add(hash_content(damaged))
    return record


@contextmanager
def open_pool(folder: Path, bundle: Path) -> Iterator[Pool[PhotoResult]]:
    """Start processes that all workers share, one after the other."""
    folder.mkdir()
    config = load_config(Home(folder).configure(model={"bundle": str(bundle), "processes": 1}).config)
    clock = MovableClock().clock
    with closing(start_pool(config, clock)) as pool:
        pool.wait_ready(clock.monotonic, lambda: True)
        yield pool


def iterate_outcomes(folder: Path, limit: int, seed: int) -> Iterator[Outcome]:
    """Yield what becomes of power cuts on every file system: of all, or of a sample of `limit` of them."""
    bundle = make_scene_bundle(folder / "bundle")
    with open_pool(folder / "pool", bundle) as pool:
        cuts = {name: PowerCuts(folder / name, name, bundle) for name in FILE_SYSTEMS}
        states = [(name, state) for name in cuts for state in cuts[name].record(pool)]
        sample = random.Random(seed).sample(states, min(limit, len(states)))
        for name, state in sample:
            yield cuts[name].recover(state, pool)
