"""A process that judges one file after the other for the other end of a connection."""

import hashlib
import os
import resource
import signal
import stat
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from trainer.data.near_duplicates import difference_bits
from trainer.evaluation.judging.messages import Judged, Limits, Outcome, Ready, Setup, Unfit, Unjudged
from worker.errors import BadPhoto, BundleError, Reason
from worker.inference.bundle import load_bundle
from worker.inference.decode import Picture, read_picture
from worker.inference.predictor import Judge


def main() -> None:
    """Serve the descriptor that is the first argument until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command says when to end
    # Decoders write a line for every damaged tag, to descriptor 2.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    with Connection(int(sys.argv[1])) as connection:
        try:
            _serve(connection)
        except (EOFError, ConnectionError):
            return  # the command has gone


def _serve(connection: Connection) -> None:
    setup: Setup = connection.recv()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (setup.limits.memory_bytes, setup.limits.memory_bytes))
    try:
        judges = [_Judging(folder) for folder in setup.bundles]
    except BundleError as error:
        connection.send(Unfit(str(error)))
        return
    connection.send(Ready())
    while True:
        path: Path = connection.recv()
        connection.send(_outcome(path, judges, setup.limits))


class _Judging:
    """A bundle that is loaded and tested, and the size of the pictures that it looks at."""

    def __init__(self, folder: Path) -> None:
        bundle = load_bundle(folder)
        self.judge = Judge(bundle)
        self.judge.self_test()
        self.working_side = bundle.manifest.working_side


def _outcome(path: Path, judges: list[_Judging], limits: Limits) -> Outcome:
    try:
        data = _content(path, limits)
        pictures: dict[int, Picture] = {}
        for each in judges:
            if each.working_side not in pictures:
                side = each.working_side
                pictures[side] = read_picture(data, max_pixels=limits.max_pixels, working_side=side)
    except BadPhoto as bad:
        return Unjudged(path, bad.reason.value, bad.detail)
    except OSError as error:
        return Unjudged(path, Reason.UNREADABLE.value, f"it cannot be read: {error.strerror}")
    verdicts = tuple(each.judge.judge(pictures[each.working_side]) for each in judges)
    bits, mirrored_bits = difference_bits(pictures[judges[0].working_side].pixels)
    return Judged(path, hashlib.sha256(data).hexdigest(), bits, mirrored_bits, verdicts)


def _content(path: Path, limits: Limits) -> bytes:
    # Without waiting: a FIFO has nobody at its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadPhoto(Reason.UNREADABLE, "it is no regular file")
        if found.st_size > limits.max_file_bytes:
            raise BadPhoto(Reason.TOO_MANY_BYTES, f"{found.st_size} bytes, more than {limits.max_file_bytes}")
        return file.readall()


if __name__ == "__main__":
    main()
