"""A client of the daemon that sees every datagram: python-osc on a real socket, nothing of ours."""

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.clip import Clip, Note

WAIT_SECONDS = 10.0
DAEMONS: dict[int, Callable[[], str]] = {}
"""What can be told of the daemon on a port when it is silent; whoever starts one says so here."""

Atom = int | float | str


@dataclass(frozen=True)
class Said:
    """One message from the daemon."""

    address: str
    arguments: tuple[Atom, ...]
    size: int


@dataclass
class Answer:
    """All that came back for one id, its done or fail last."""

    messages: list[Said] = field(default_factory=list)

    @property
    def end(self) -> Said:
        return self.messages[-1]

    @property
    def is_done(self) -> bool:
        return self.end.address == "/vae/done"

    @property
    def code(self) -> str:
        assert self.end.address == "/vae/fail", self.end
        return str(self.end.arguments[2])

    @property
    def text(self) -> str:
        assert self.end.address == "/vae/fail", self.end
        return str(self.end.arguments[3])

    @property
    def keys(self) -> dict[str, Atom]:
        assert self.is_done, self.end
        rest = self.end.arguments[2:]
        return dict(zip(map(str, rest[::2]), rest[1::2], strict=True))

    def rows(self, address: str) -> list[tuple[Atom, ...]]:
        """The arguments after the id of each message to that address."""
        return [said.arguments[1:] for said in self.messages if said.address == f"/vae/{address}"]

    def notes(self, result: int = 0) -> list[tuple[Atom, ...]]:
        """The notes of a result in their places, each as five atoms."""
        found: dict[int, tuple[Atom, ...]] = {}
        for number, first, count, *atoms in self.rows("notes"):
            if number == result:
                assert len(atoms) == 5 * int(count)
                for index in range(int(count)):
                    found[int(first) + index] = tuple(atoms[5 * index : 5 * index + 5])
        return [found[index] for index in sorted(found)]


def datagram(address: str, *arguments: object) -> bytes:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return bytes(builder.build().dgram)


def stiff_clip(notes: int = 48, beats: float = 8.0) -> Clip:
    return Clip(
        tuple(Note((36, 42, 38)[i % 3], (i // 3) * beats * 3 / notes, 0.25, 100) for i in range(notes)), beats
    )


def note_atoms(notes: Sequence[Note]) -> Iterator[Atom]:
    for note in notes:
        yield from (note.pitch, note.start_beats, note.duration_beats, note.velocity, int(note.mute))


class Peer:
    """One client on a port of its own."""

    def __init__(self, port: int, host: str = "127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((host, 0))
        self.daemon = (host, port)
        self.port: int = self.socket.getsockname()[1]
        self.ids = itertools.count(1)
        self.unread: list[Said] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send_raw(self, content: bytes) -> None:
        self.socket.sendto(content, self.daemon)

    def send(self, verb: str, *arguments: object) -> None:
        self.send_raw(datagram(f"/vae/{verb}", *arguments))

    def hear(self, seconds: float = WAIT_SECONDS) -> Said:
        """The next message, TimeoutError if none comes; that tells whether the daemon still runs."""
        if self.unread:
            return self.unread.pop(0)
        self.socket.settimeout(seconds)
        try:
            content = self.socket.recv(65536)
        except TimeoutError as error:
            told = DAEMONS.get(self.daemon[1], lambda: "nothing is known of its daemon")()
            raise TimeoutError(f"no message in {seconds:.3g} s; {told}") from error
        message = OscMessage(content)
        return Said(message.address, tuple(message.params), len(content))

    def answer(self, number: int, seconds: float = WAIT_SECONDS) -> Answer:
        """All messages for an id until its end; those for other ids stay unread."""
        answer, others = Answer(), []
        deadline = time.perf_counter() + seconds
        while not answer.messages or answer.end.address not in ("/vae/done", "/vae/fail"):
            said = self.hear(max(0.001, deadline - time.perf_counter()))
            (answer.messages if said.arguments[0] == number else others).append(said)
        self.unread[:0] = others
        return answer

    def ask(self, verb: str, *arguments: object) -> Answer:
        """One request under a new id, and its answer."""
        number = next(self.ids)
        self.send(verb, number, *arguments)
        return self.answer(number)

    def insist(self, verb: str, *arguments: object) -> Answer:
        """The answer to a request that is sent again and again, as a client does that may lose datagrams."""
        for _ in range(40):
            number = next(self.ids)
            self.send(verb, number, *arguments)
            with contextlib.suppress(TimeoutError):
                return self.answer(number, 0.5)
        return self.ask(verb, *arguments)

    def upload(self, slot: str, clip: Clip) -> Answer:
        """A clip in chunks."""
        number = next(self.ids)
        self.send("clip/begin", number, slot, len(clip.notes), float(clip.length_beats))
        for first in range(0, len(clip.notes), 48):
            chunk = clip.notes[first : first + 48]
            self.send("clip/notes", number, first, len(chunk), *note_atoms(chunk))
        self.send("clip/end", number)
        return self.answer(number)

    def says_nothing(self) -> bool:
        """Whether nothing is on its way: what was asked before an answered ping has been answered before it."""
        number = next(self.ids)
        self.send("ping", number)
        while True:
            said = self.hear()
            if said.address == "/vae/done" and said.arguments[0] == number:
                return True
            if said.arguments[0] != number:
                return False
