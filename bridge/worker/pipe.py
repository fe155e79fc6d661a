"""Python values over a socket between our two processes, each as its length and its pickle.

Both ends are ours and the socket has no name, so nobody else can put a pickle into it.
"""

import pickle
import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

LENGTH = struct.Struct(">I")
LARGEST_READ = 1 << 20


class Channel:
    """One end. put, flush and read block where the socket does."""

    def __init__(self, end: socket.socket):
        self._socket = end
        self._incoming, self._outgoing = bytearray(), bytearray()

    def fileno(self) -> int:
        """The socket's, to wait for."""
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        """Let read and put wait for the other end, or not."""
        self._socket.setblocking(blocking)

    @property
    def waiting_bytes(self) -> int:
        """What the other end has not taken yet: flush has something left to do."""
        return len(self._outgoing)

    def put(self, value: object) -> None:
        """Add a value to what flush sends."""
        content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        self._outgoing += LENGTH.pack(len(content)) + content
        self.flush()

    def flush(self) -> None:
        """Send what the other end takes now; one that is gone takes nothing, which read will tell."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing.clear()

    def read(self) -> list[Any]:
        """The values that have come; EOFError once the other end is gone."""
        try:
            content = self._socket.recv(LARGEST_READ)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError from error
        if not content:
            raise EOFError
        self._incoming += content
        return list(self._take())

    def has_news(self) -> bool:
        """Whether read would not wait for the other end."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Let the other end know that we are gone."""
        self._socket.close()

    def _take(self) -> Iterator[Any]:
        while len(self._incoming) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._incoming)[0]
            if len(self._incoming) < end:
                return
            content = bytes(self._incoming[LENGTH.size : end])
            del self._incoming[:end]
            yield pickle.loads(content)
