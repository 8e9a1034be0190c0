"""Both ends of the connection between parent and child process: messages with their lengths before them."""

import array
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

from worker.pool.messages import MAX_BYTES

_HEADER = struct.Struct("!I")

_READ_BYTES = 1 << 16
_READS = 4
"""So much is read from one process before others have their turn."""

_ONE_DESCRIPTOR = socket.CMSG_SPACE(array.array("i", [0]).itemsize)


class ProtocolViolation(ValueError):
    """A process has sent what no process sends that does its work."""


class ParentChannel:
    """The parent's end: it never waits, and holds no more than one message of the other end's."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._buffer = bytearray()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def send(self, message: bytes, descriptor: int | None = None) -> bool:
        """Send a message, and an open file with it; return False where there is no room now. Raises OSError.

        A process that does not read has no room sooner or later.
        """
        data = _HEADER.pack(len(message)) + message
        descriptors = [] if descriptor is None else [descriptor]
        try:
            sent = socket.send_fds(self._socket, [data], descriptors)
        except BlockingIOError:
            return False
        if sent != len(data):
            raise BrokenPipeError("a message was cut off")
        return True

    def receive(self) -> Iterator[bytes]:
        """Yield the messages that are there.

        Raises EOFError where the other end is closed, OSError where it is broken, and ProtocolViolation for a
        message of too many bytes.
        """
        for _ in range(_READS):
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise EOFError
            self._buffer += data
            yield from self._take_messages()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _take_messages(self) -> Iterator[bytes]:
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            if length > MAX_BYTES:
                raise ProtocolViolation(f"it has sent a message of {length} bytes")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield message


class ChildChannel:
    """The child's end, which waits for the parent."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)

    def __enter__(self) -> "ChildChannel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def send(self, message: bytes) -> None:
        """Send a message. Raises OSError where the parent is dead."""
        self._socket.sendall(_HEADER.pack(len(message)) + message)

    def receive(self) -> tuple[bytes, int | None]:
        """Return the next message, and the open file that came with it; None where it could not be taken.

        Raises EOFError where the parent is dead.
        """
        # With the header: an open file arrives with the first byte that it was sent with (unix(7)).
        header, control, _, _ = self._socket.recvmsg(_HEADER.size, _ONE_DESCRIPTOR)
        descriptor = None
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and len(data) >= struct.calcsize("i"):
                (descriptor,) = struct.unpack_from("i", data)
        (length,) = _HEADER.unpack(header + self._read(_HEADER.size - len(header)))
        return self._read(length), descriptor

    def _read(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._socket.recv(count)
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
