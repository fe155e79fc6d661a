"""The JACK server, asked directly: whether it has died, and whether what was sent has been taken. Knows no MIDI.

RtMidi does not tell when its server has gone, and waits for ever in a send once 16 KiB lie in its buffer.
"""

import ctypes
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bridge.errors import PortError

NO_START_SERVER = 1
"""jack_client_open's option: do not start a server that does not run."""

CLOSING_SECONDS = 3.0
"""How long leaving a server may take; while others come and go JACK has been seen to wait for ever."""

FRAMES_WRAP = 2**32

RTMIDI_BUFFER_BYTES = 16_383
RTMIDI_HEADER_BYTES = 4
"""In RtMidi's buffer each message is preceded by its length."""


class JackServer:
    """A client without ports; on_gone is called when the server dies, from a thread of this object's own."""

    def __init__(self, name: str, on_gone: Callable[[], None]):
        self._library = find_library()
        self._client = self._library.jack_client_open(name.encode(), NO_START_SERVER, None)
        if not self._client:
            raise PortError("no JACK server runs")
        self._closed, self._on_gone = False, on_gone
        # No Python in JACK's threads: jack_client_close cancels them, and one that is cancelled while it waits for
        # Python's lock leaves the lock taken for ever. So all that JACK does when its server dies is close a pipe.
        self._ear, self._mouth = os.pipe()
        close = ctypes.cast(ctypes.CDLL(None).close, ctypes.c_void_p)
        self._library.jack_on_shutdown(self._client, close, self._mouth)
        self._thread = threading.Thread(target=self._wait, name="jack", daemon=True)
        self._thread.start()

    def frames(self) -> int:
        """The server's clock in frames, modulo FRAMES_WRAP. It stops when the server has died or hangs."""
        return int(self._library.jack_last_frame_time(self._client))

    def period_frames(self) -> int:
        """How many frames the server processes at a time."""
        return int(self._library.jack_get_buffer_size(self._client))

    def close(self) -> None:
        """Leave the server, also if it has gone. Where JACK never comes back, the end of the process does it."""
        leaving = threading.Thread(target=self._library.jack_client_close, args=(self._client,), daemon=True)
        leaving.start()
        leaving.join(CLOSING_SECONDS)
        self._closed = True
        if leaving.is_alive():
            return
        if not select.select([self._ear], [], [], 0)[0]:  # else JACK has closed it
            os.close(self._mouth)
        self._thread.join()
        os.close(self._ear)

    def _wait(self) -> None:
        os.read(self._ear, 1)
        if not self._closed:
            self._on_gone()


class Room:
    """How much one RtMidi output can take without waiting, counted in the server's own time.

    What was sent two periods ago has been taken; of what is younger that is not sure. So a server that stands still
    leaves no room once the buffer may be full.
    """

    def __init__(self, server: JackServer):
        self._server = server
        self._sent: deque[tuple[int, int]] = deque()  # each period's start in frames, and its bytes
        self._bytes = 0

    def take(self, message_bytes: int) -> bool:
        """Whether there is room for a message, which is then counted."""
        now, needed = self._server.frames(), message_bytes + RTMIDI_HEADER_BYTES
        self._forget(now)
        if self._bytes + needed > RTMIDI_BUFFER_BYTES:
            return False
        started, before = self._sent.pop() if self._sent and self._sent[-1][0] == now else (now, 0)
        self._sent.append((started, before + needed))
        self._bytes += needed
        return True

    def _forget(self, now: int) -> None:
        long_ago = 2 * self._server.period_frames()
        while self._sent and (now - self._sent[0][0]) % FRAMES_WRAP >= long_ago:
            self._bytes -= self._sent.popleft()[1]


SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "jack_client_open": (ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)),
    "jack_client_close": (ctypes.c_int, (ctypes.c_void_p,)),
    "jack_on_shutdown": (None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)),
    "jack_last_frame_time": (ctypes.c_uint32, (ctypes.c_void_p,)),
    "jack_get_buffer_size": (ctypes.c_uint32, (ctypes.c_void_p,)),
    "jack_set_error_function": (None, (ctypes.c_void_p,)),
    "jack_set_info_function": (None, (ctypes.c_void_p,)),
}


def find_library() -> ctypes.CDLL:
    """The libjack that rtmidi, already imported, calls; it no longer writes to stderr."""
    for path in _candidates():
        library = ctypes.CDLL(path)
        if hasattr(library, "jack_client_open"):
            break
    else:
        raise PortError("this rtmidi was built without JACK")
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    silent = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)  # takes a text, does nothing, needs no Python
    library.jack_set_error_function(silent)
    library.jack_set_info_function(silent)
    return library


def _candidates() -> Iterator[str | None]:
    """The whole process first: that is where a preloaded libjack, such as PipeWire's, is seen."""
    yield None
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    yield from sorted({line.split()[-1] for line in lines if Path(line.split()[-1]).name.startswith("libjack")})
