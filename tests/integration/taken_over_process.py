"""A child process that a file has taken over: what it sends is named by the first argument."""

import errno
import os
import pickle
import struct
import sys
import time
from pathlib import Path

from worker.errors import Reason
from worker.pool.channel import ChildChannel
from worker.pool.jail import Jail
from worker.pool.messages import (
    Declined,
    Digest,
    Done,
    Failure,
    HashProgress,
    Opened,
    Ready,
    Syncing,
    Unread,
    decode_order,
    encode,
)

HASH = "0" * 64


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> object:
        return Path.touch, (self._path,)


def make_result(label: str, confidence: float, width: int = 1) -> bytes:
    prediction = {"label": label, "confidence": confidence, "probabilities": {label: 1.0}, "faces": None}
    return encode({"width": width, "height": 1, "prediction": prediction})


def nest(key: str) -> bytes:
    """Return a map whose only value is an array in an array, and so on: a byte for each."""
    return b"\x81" + encode(key) + b"\x91" * 500_000 + b"\xc0"


def list_messages(name: str, key: int, proof: Path) -> list[bytes]:
    opened, syncing = encode(Opened(key, HASH)), encode(Syncing(key))
    attacks = {
        "pickle": [pickle.dumps(Exploit(proof))],
        "garbage": [b"\xc1" * 100],
        "foreign key": [encode(Opened(key + 1, HASH))],
        "no hash": [encode(Opened(key, "../../etc/passwd"))],
        "too early": [encode(Declined(key, Reason.DAMAGED, "never read"))],
        "twice": [opened, opened],
        "ready again": [encode(Ready(Jail((), ())))],
        "no hash job": [encode(Digest(key, HASH))],
        "no progress": [encode(HashProgress(key))],
        "syncing at once": [syncing],
        "syncing for ever": [opened, syncing],
        "syncing twice": [opened, syncing, syncing],
        "foreign label": [opened, encode(Done(key, 0.1, make_result("../../tmp", 1.0)))],
        "no number": [opened, encode(Done(key, 0.1, make_result("happy", float("nan"))))],
        "too wide": [opened, encode(Done(key, 0.1, make_result("happy", 1.0, width=1 << 31)))],
        "nested": [opened, encode(Done(key, 0.1, nest("unknown")))],
        "wrong type": [opened, encode(Done(key, 0.1, encode([1, 2, 3])))],
        "review": [opened, encode(Declined(key, Reason.UNSURE, "it is unsure"))],
        "failing twice": [encode(Failure("once")), encode(Failure("twice"))],
        "gone": [encode(Unread(key, errno.ENOENT))],
        "stale at last": [opened, encode(Unread(key, errno.ESTALE))],
        "long detail": [opened, encode(Declined(key, Reason.DAMAGED, "x" * 100_000))],
    }
    return attacks.get(name, [] if "progress" in name else [opened])


def send_progress(channel: ChildChannel, pause: float) -> None:
    """Decode a photo without end, and keep on hashing the file that was given before it."""
    channel.send(encode(Opened(decode_order(channel.receive()[0]).key, HASH)))
    while True:
        channel.send(encode(HashProgress(key=0)))
        time.sleep(pause)


def attack(channel: ChildChannel, name: str, key: int, proof: Path) -> None:
    for message in list_messages(name, key, proof):
        channel.send(message)
    match name:
        case "length":
            os.write(channel.fileno(), struct.pack("!I", 1 << 30) + bytes(100))
        case "endless":
            while True:
                os.write(channel.fileno(), struct.pack("!I", 1 << 19) + bytes(1 << 19))
        case "endless progress" | "slow progress":
            send_progress(channel, pause=0.01 if name == "slow progress" else 0.0)
        case "closed":
            os.close(channel.fileno())
    time.sleep(3600)


if __name__ == "__main__":
    with ChildChannel(int(sys.argv[3])) as channel:
        channel.receive()
        channel.send(encode(Ready(Jail((), ()))))
        order = decode_order(channel.receive()[0])
        try:
            attack(channel, sys.argv[1], order.key, Path(sys.argv[2]))
        except OSError:
            time.sleep(3600)  # the parent has hung up, and is going to kill it
