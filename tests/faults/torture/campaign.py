"""Run workers, kill them, and let the world go on meanwhile."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.torture.audit import Audit, Auditor
from tests.faults.torture.fate import Fate, Target, draw_fate, draw_moment
from tests.faults.torture.forked_worker import ForkedProcess, drain, import_all, start_worker
from tests.faults.torture.world import World
from tests.home import Home
from tests.patience import scale
from tests.scene_bundle import make_scene_bundle

_TICK_SECONDS = 0.01
_DRAIN_SECONDS = scale(120.0)
_KILLED = -signal.SIGKILL


class Victim:
    """The worker in one place: as soon as it is dead, another one is started."""

    def __init__(self, config: Path, file_system: str, log: Path, random_: random.Random) -> None:
        self._config = config
        self._file_system = file_system
        self._log = log
        self._random = random_
        self.kills = 0
        self.failures = 0
        self._start()

    def watch(self) -> None:
        """Kill what is due, and start a worker where one has died."""
        self._note_reported_kill()
        status = self._process.poll()
        if status is None and time.monotonic() >= self._kill_at:
            self._kill()
            return
        if status is not None:
            self.kills += status == _KILLED
            self.failures += status != _KILLED
            self._close()
            self._start()

    def end(self) -> None:
        """Kill it for the last time."""
        self._process.kill()
        self.kills += self._process.wait() == _KILLED
        self._close()

    def _start(self) -> None:
        self._fate = draw_fate(self._random, self._file_system)
        self._reports, report_kill = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._process: ForkedProcess = start_worker(
            self._config, self._fate, self._file_system, self._log, report_kill
        )
        os.close(report_kill)
        self._kill_at = time.monotonic() + self._fate.seconds

    def _close(self) -> None:
        os.close(self._reports)

    def _note_reported_kill(self) -> None:
        with suppress(BlockingIOError):
            if os.read(self._reports, 1):
                self._await_again(draw_moment(self._random))

    def _await_again(self, fate: Fate) -> None:
        self.kills += 1
        self._fate = fate
        self._kill_at = time.monotonic() + fate.seconds

    def _kill(self) -> None:
        if self._fate.target is not Target.PARENT:
            for child in _list_children(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        if self._fate.target is Target.CHILDREN:
            self._await_again(draw_moment(self._random))
        else:
            self._process.kill()


def _list_children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Campaign:
    """A home, its world, and the workers that are killed there."""

    def __init__(
        self, folder: Path, seed: int, database_url: str | None, workers: int, file_system: str
    ) -> None:
        import_all()
        self.home = Home(folder, database_url)
        bundle = make_scene_bundle(folder / "bundle")
        self.home.configure(model={"bundle": str(bundle), "processes": 1, "batch_size": 8})
        self.world = World(self.home, random.Random(f"world {seed}"))
        self.log = folder / "worker.log"
        self._file_system = file_system
        self._seeds = [f"worker {seed} {number}" for number in range(workers)]
        self.kills = 0
        self.failures = 0

    def run(self, kills: int) -> None:
        """Kill so many times while photos arrive."""
        victims = [
            Victim(self.home.config, self._file_system, self.log, random.Random(seed)) for seed in self._seeds
        ]
        while sum(victim.kills for victim in victims) < kills:
            self.world.act()
            for victim in victims:
                victim.watch()
            time.sleep(_TICK_SECONDS)
        for victim in victims:
            victim.end()
        self.kills = sum(victim.kills for victim in victims)
        self.failures = sum(victim.failures for victim in victims)
        self.world.settle()

    def audit(self) -> Audit:
        """Let a worker finish what is left, then look."""
        process = drain(self.home.config, self._file_system, self.log)
        give_up_at = time.monotonic() + _DRAIN_SECONDS
        while process.poll() is None and time.monotonic() < give_up_at:
            time.sleep(_TICK_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()
        return Auditor(self.home, self.world.record).audit()
