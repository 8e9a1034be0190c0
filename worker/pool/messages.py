"""The messages between the parent and its child processes, as MessagePack.

A process that decodes strangers' files may be taken over by one of them. So the parent reads nothing but
these types, each within its limits, and never a pickle.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec

from worker.config import Limits
from worker.errors import Reason
from worker.pool.jail import Jail
from worker.pool.protocol import Setup, T, Task

MAX_BYTES = 1 << 20
"""The most that a message may have; the result of a photo with 500 faces has a tenth of it."""

SLICE_BYTES = 1 << 25
"""So much of a large file is hashed at a time: it takes some 20 ms, for which a photo may have to wait."""

_MAX_DETAIL = 2000

Detail = Annotated[str, msgspec.Meta(max_length=_MAX_DETAIL)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """A message is an array: the name of its type, then its fields."""


class Begin(_Message, frozen=True):
    """From the parent, first: the task by its name and its fields, and the limits."""

    task_name: str
    fields: bytes
    limits: Limits


class Work(_Message, frozen=True):
    """From the parent, with an open file: run the task on it. One of `is_suspect` has ended a process."""

    key: int
    size_bytes: int
    is_suspect: bool


class Hash(_Message, frozen=True):
    """From the parent, with an open file: hash it, a slice at a time."""

    key: int
    size_bytes: int


class Ready(_Message, frozen=True):
    """The task is loaded, and the process is confined from now on."""

    jail: Jail


class Unfit(_Message, frozen=True):
    """The task cannot be loaded; `detail` says why."""

    detail: Detail


class Failure(_Message, frozen=True):
    """An unexpected error is going to end the process; `detail` names it and the calls that led there."""

    detail: Detail


class Opened(_Message, frozen=True):
    """The file is read and is about to be decoded: should the process die now, it died of this file."""

    key: int
    sha256: Sha256


class Syncing(_Message, frozen=True):
    """The task is done with the file, which is not on the disk yet: from here on its time does not count."""

    key: int


class Done(_Message, frozen=True):
    """The task has a result."""

    key: int
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    result: bytes


class Declined(_Message, frozen=True):
    """The task has no result, because of the file."""

    key: int
    reason: Reason
    detail: Detail


class Unread(_Message, frozen=True):
    """The file could not be read, or not be made durable; `number` is the errno."""

    key: int
    number: Annotated[int, msgspec.Meta(ge=1, le=4095)]


class HashProgress(_Message, frozen=True):
    """A further slice of a file is hashed."""

    key: int


class Digest(_Message, frozen=True):
    """A file is hashed to its end."""

    key: int
    sha256: Sha256


Order = Work | Hash
FileReport = Opened | Syncing | Done | Declined | Unread | HashProgress | Digest
Report = Ready | Unfit | Failure | FileReport

_encoder = msgspec.msgpack.Encoder(enc_hook=lambda value: _encode_path(value))
_begin_decoder = msgspec.msgpack.Decoder(Begin)
_order_decoder: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_report_decoder: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def count_slices(size_bytes: int) -> int:
    """Return how many slices are read of a file, with the one that ends where it ends."""
    return size_bytes // SLICE_BYTES + 1


def encode(value: object) -> bytes:
    """Write a message, a task or a result."""
    return _encoder.encode(value)


def decode_begin(data: bytes) -> Begin:
    """Read the first message to a process."""
    return _begin_decoder.decode(data)


def decode_order(data: bytes) -> Order:
    """Read a later message to a process."""
    return _order_decoder.decode(data)


def decode_report(data: bytes) -> Report:
    """Read a message from a process. Raises ValueError for anything else."""
    return _report_decoder.decode(data)


def describe_setup(setup: Setup[T]) -> Begin:
    """Return the message that tells a process what to do."""
    kind = type(setup.task)
    return Begin(f"{kind.__module__}:{kind.__qualname__}", encode(setup.task), setup.limits)


def load_task(begin: Begin) -> Task[Any]:
    """Import the task that the parent has named, and fill in its fields."""
    module, _, name = begin.task_name.partition(":")
    kind: type[Task[Any]] = getattr(import_module(module), name)
    task: Task[Any] = msgspec.msgpack.decode(begin.fields, type=kind, dec_hook=_decode_path)
    return task


def shorten(detail: str) -> str:
    """Cut a sentence to what a message takes."""
    return detail[:_MAX_DETAIL].encode(errors="replace").decode()


def _encode_path(value: object) -> bytes:
    if isinstance(value, Path):
        return os.fsencode(value)  # a path need not be UTF-8
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")


def _decode_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, bytes):
        return Path(os.fsdecode(value))
    raise NotImplementedError(f"{kind.__name__} cannot be received")
