"""Between a browser's websocket and the daemon's OSC: each message of one becomes one of the other, as it stands.

In the websocket a message is a JSON list, its address first, and a frame is a list of messages. Each browser is a
client of its own. What begins with /page/ goes to the other browsers. Holds no music.
"""

import asyncio
import errno
import json
import math
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.websockets import WebSocket

from bridge.addresses import Address
from bridge.errors import PacketError
from bridge.osc.packet import Atom, read_written, write_message
from bridge.osc.replies import cut
from bridge.osc.socket import RECEIVE_BUFFER_BYTES
from bridge.osc.table import PREFIX, TABLE

LARGEST_MESSAGE_BYTES = 4 << 20
OWN = "/page/"
MOST_WAITING = 2048
"""Messages that wait for a browser: of more the oldest are left out, and it is told so."""

NEWEST = frozenset({"/vae/state", "/vae/beat", "/vae/playing", "/page/session", "/page/daemon"})
"""Of these only the newest is of use."""

LARGEST_DATAGRAM_BYTES = 65_507
"""What UDP over IPv4 carries; some systems carry less."""

TOO_LARGE = "a message may have {} bytes as OSC, so many as a datagram carries"
NO_FRAME = "a frame is a JSON list of messages, each a list of an address and its arguments"
MOST_IN_A_FRAME = 256
MOST_BROWSERS = 32
WholeMessage = list[Any]


class Waiting:
    """What waits for a browser, bounded: the newest wins."""

    def __init__(self, most: int = MOST_WAITING):
        self._messages: deque[WholeMessage] = deque()
        self._most, self._lost, self._some = most, 0, asyncio.Event()

    def put(self, message: WholeMessage) -> None:
        """One more; an older one of which only the newest is of use makes room, else the oldest."""
        if message[0] in NEWEST:
            self._messages = deque(each for each in self._messages if each[0] != message[0])
        if len(self._messages) >= self._most:
            self._messages.popleft()
            self._lost += 1
        self._messages.append(message)
        self._some.set()

    async def take(self) -> list[WholeMessage]:
        """What waits, as much as goes into one frame, once there is something; what was left out is told first."""
        await self._some.wait()
        lost, self._lost = self._lost, 0
        taken = [[f"{OWN}lost", lost]] if lost else []
        while self._messages and len(taken) < MOST_IN_A_FRAME:
            taken.append(self._messages.popleft())
        if not self._messages:
            self._some.clear()
        return taken


class FromDaemon(asyncio.DatagramProtocol):
    """Takes the daemon's datagrams; one that is no OSC is left out, a daemon that is not there is told."""

    def __init__(self, waiting: Waiting):
        self._waiting = waiting

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One datagram."""
        try:
            address, arguments = read_written(data)
        except PacketError:
            return
        self._waiting.put([address, *arguments])

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, or this system's datagrams carry less."""
        if isinstance(exc, OSError) and exc.errno == errno.EMSGSIZE:
            self._waiting.put(_bad_packet("a message is larger than a datagram of this system"))
        else:
            self._waiting.put([f"{OWN}daemon", 0])


class Relay:
    """The browsers of one page, and the daemon whose clients they are."""

    def __init__(self, daemon: Address):
        self._daemon = daemon
        self._browsers: dict[WebSocket, Waiting] = {}

    async def serve(self, websocket: WebSocket) -> None:
        """One browser, from its beginning to its end."""
        if len(self._browsers) >= MOST_BROWSERS:
            await websocket.close(1013, f"{MOST_BROWSERS} browsers are here already")
            return
        await websocket.accept()
        waiting = self._browsers[websocket] = Waiting()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: FromDaemon(waiting), remote_addr=self._daemon)
        wire: socket.socket = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sending = asyncio.create_task(_send_all(websocket, waiting))
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                self._take(websocket, event.get("text") or "", transport)
        finally:
            del self._browsers[websocket]
            sending.cancel()
            transport.close()
            await asyncio.gather(sending, return_exceptions=True)

    def _take(self, browser: WebSocket, frame: str, transport: asyncio.DatagramTransport) -> None:
        """Hand on the messages of a frame; what cannot be one is answered as the daemon answers what is no OSC."""
        for message in _read_frame(frame):
            if isinstance(message, str):
                self._browsers[browser].put(_bad_packet(message))
            elif message[0].startswith(OWN):
                for other, waiting in self._browsers.items():
                    if other is not browser:
                        waiting.put(message)
            elif len(datagram := write_message(*message)) > LARGEST_DATAGRAM_BYTES:
                self._browsers[browser].put(_bad_packet(TOO_LARGE.format(LARGEST_DATAGRAM_BYTES)))
            else:
                transport.sendto(datagram)


def _bad_packet(text: str) -> WholeMessage:
    return [f"{PREFIX}fail", 0, "-", "bad_packet", text]


def _read_frame(frame: str) -> Iterator[WholeMessage | str]:
    """The messages of a frame, or why one is none."""
    try:
        messages = json.loads(frame)
    except (ValueError, RecursionError):
        messages = None
    if not isinstance(messages, list):
        yield NO_FRAME
        return
    for message in messages:
        refusal = _refusal(message)
        yield refusal or (message if message[0].startswith(OWN) else [message[0], *_atoms(message[1:])])


def _refusal(message: Any) -> str:
    """Why a message can go nowhere, empty if it can."""
    if not (isinstance(message, list) and message and isinstance(message[0], str)):
        return "a message is a list of an address and its arguments"
    if message[0].startswith(OWN):
        return "" if _is_json(message) else "a message holds what JSON has not, such as NaN"
    if message[0].removeprefix(PREFIX) not in TABLE or not message[0].startswith(PREFIX):
        return f"there is no address {cut(message[0].encode(errors='replace').decode(), 64)}"
    wrong = [each for each in message[1:] if not _is_atom(each)]
    return f"an argument is a number or a text, not {cut(repr(wrong[0]), 64)}" if wrong else ""


def _is_json(message: WholeMessage) -> bool:
    """Whether it can be written as it was read: Python also reads NaN, and 1e999 as infinite."""
    try:
        json.dumps([message], allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True


def _is_atom(value: Any) -> bool:
    if isinstance(value, bool | int):
        return -(2**31) <= value < 2**31
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)
    return isinstance(value, float) and math.isfinite(value) and abs(value) < 3e38


def _atoms(values: Iterable[Any]) -> Iterator[Atom]:
    for each in values:
        yield int(each) if isinstance(each, bool) else cut(each, 4096) if isinstance(each, str) else each


async def _send_all(websocket: WebSocket, waiting: Waiting) -> None:
    """Send what waits, as fast as the browser takes it."""
    while True:
        await websocket.send_text(as_json(await waiting.take()))


def as_json(messages: list[WholeMessage]) -> str:
    """A frame; a number that JSON has not is null in it."""
    try:
        return json.dumps(messages, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps([[_null_or(each) for each in message] for message in messages], separators=(",", ":"))


def _null_or(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
