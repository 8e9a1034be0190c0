"""A process that judges photos as a classifier process does, and takes the time of each."""

import resource
import sys
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from worker.inference.bundle import load_bundle
from worker.inference.decode import read_picture
from worker.inference.predictor import Judge
from worker.pool.process import Reader
from worker.pool.protocol import Job, Judged, Setup
from worker.registry.timing import Order, Peak, Timing


def main() -> None:
    """Serve one order on the connection whose descriptor is the first argument.

    What comes back is, for each photo, what `Reader` says on the way and then a Timing, or None where it
    cannot be judged; in the end a Peak.
    """
    with Connection(int(sys.argv[1])) as connection:
        order: Order = connection.recv()
        memory = order.setup.memory_bytes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        bundle = load_bundle(order.setup.bundle_folder)
        judge = Judge(bundle)
        side = bundle.manifest.working_side
        with closing(Reader(order.setup, judge, side)) as reader:
            reader.outcome(Job(0, order.photos[0]), connection)
            for photo in order.photos:
                connection.send(_timed(photo, order.setup, reader, judge, side, connection))
        connection.send(Peak(_peak_bytes()))


def _timed(
    photo: Path, setup: Setup, reader: Reader, judge: Judge, side: int, connection: Connection
) -> Timing | None:
    began = time.perf_counter()
    outcome = reader.outcome(Job(0, photo), connection)
    photo_seconds = time.perf_counter() - began
    if not isinstance(outcome, Judged):
        return None
    picture = read_picture(photo.read_bytes(), max_pixels=setup.max_pixels, working_side=side)
    began = time.perf_counter()
    judge.judge(picture)
    return Timing(photo_seconds, time.perf_counter() - began)


def _peak_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux; macOS counts bytes (getrusage(2))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: it also counts the process that started this one (getrusage(2), "ru_maxrss").
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
