"""The engine's verbs, asked of a running daemon: a clip goes up, the answer's clips come back.

Stands where a Generator stands, so that a command works the same with and without a daemon. Imports no torch.
"""

import contextlib
import itertools
import re
import secrets
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from bridge.addresses import LOOPBACK, resolved, shown_address
from bridge.errors import BridgeError, PacketError, RequestError
from bridge.osc.packet import Atom, read_packet, write_message
from bridge.osc.replies import cut, note_atoms
from bridge.osc.socket import LARGEST_DATAGRAM, RECEIVE_BUFFER_BYTES
from bridge.osc.table import (
    ATOMS_PER_NOTE,
    MAX_NAME_BYTES,
    NOTES_PER_MESSAGE,
    NUMBERS_PER_MESSAGE,
    SIZE,
    slot_keys,
)
from bridge.playing.slots import check_notes
from engine.clip import Clip, Note, Part
from engine.representation.attributes import ATTRIBUTES
from engine.requests import Request, Results, clips_of, has_point, settings_of, verb_of

ATTEMPTS = 4
NOTES = b"/vae/notes\0"
WHOLE, NUMBER = re.compile(r"-?\d{1,18}"), re.compile(r"-?(\d+\.?\d*|\.\d+)(e-?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """One message of an answer; its id is left out of the arguments."""

    address: str
    arguments: tuple[Atom, ...]

    @property
    def keys(self) -> dict[str, Atom]:
        """The keys of a done, whose arguments are a verb and then keys and values."""
        return dict(zip(map(str, self.arguments[1::2]), self.arguments[2::2], strict=False))


class Remote:
    """A conversation with the daemon at an address; BridgeError where it fails, or is silent for timeout_seconds.

    A RequestError is a refusal of the daemon's.
    """

    def __init__(self, host: str, port: int, *, timeout_seconds: float = 10.0):
        self.address = shown_address(host, port)
        self._slots = f"send-{secrets.token_hex(8)}"  # slots are everybody's: nobody else has these
        self._ids = itertools.count(1)
        try:
            family, place = resolved(LOOPBACK.get(host, host), port)
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._patience_seconds = timeout_seconds / ATTEMPTS
            self._socket.connect(place)
            own_port = self._socket.getsockname()[1]  # whoever had it before may have had answers sent elsewhere
            self._socket.send(write_message("/vae/hello", 0, "vaebridge send", own_port))
        except OSError as error:
            raise BridgeError(f"{self.address} cannot be reached: {error.strerror}") from error

    def __enter__(self) -> "Remote":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, verb: str, *arguments: Atom) -> list[Reply]:
        """Every reply to one request, the done last."""
        return self._answer([(verb, arguments)])

    def upload(self, slot: str, clip: Clip) -> None:
        """Put a clip into a slot; RequestError, as the daemon's own, if it has too many notes for one."""
        check_notes(len(clip.notes))
        size: tuple[Atom, ...] = (len(clip.notes), clip.length_beats)
        meter: tuple[Atom, ...] = ("beats_per_bar", clip.beats_per_bar, "tempo", clip.tempo_bpm)
        if clip.beat_unit != 4:
            meter = (*meter, "meter", clip.meter)
        chunks = [
            ("clip/notes", _chunk(clip.notes, first)) for first in range(0, len(clip.notes), NOTES_PER_MESSAGE)
        ]
        parts = [
            (
                "clip/part",
                (
                    index,
                    part.channel,
                    part.program,
                    part.first,
                    part.count,
                    cut(part.name, MAX_NAME_BYTES) or "part",
                ),
            )
            for index, part in enumerate(clip.parts)
        ]
        self._answer([("clip/begin", (slot, *size, *meter)), *chunks, *parts, ("clip/end", ())])

    def run(self, request: Request) -> Results:
        """The results of one request, as from a Generator."""
        clips = clips_of(request)
        keys = [key.name for key in slot_keys(type(request))][: len(clips)]  # a plane has more than a way
        slots = {key: f"{self._slots}-{key}" for key in keys}
        z: tuple[float, ...] = getattr(request, "z", ())
        size = (SIZE.name, len(z)) if has_point(type(request)) else ()
        asked = [(verb_of(request), (*size, *itertools.chain(*slots.items()), *_settings(request))), *_point(z)]
        try:
            for slot, clip in zip(slots.values(), clips, strict=True):
                self.upload(slot, clip)
            *replies, done = self._answer(asked, whole=True)
        finally:
            with contextlib.suppress(BridgeError):  # what went wrong before is what is told
                for slot in slots.values():
                    self.ask("clip/clear", "slot", slot)
        with self._understanding():
            return _results(replies, done, clips[0] if clips else None)

    def _answer(self, messages: Sequence[tuple[str, tuple[Atom, ...]]], *, whole: bool = False) -> list[Reply]:
        """Send the messages of one request under one id, and collect what comes back.

        What is lost is asked for again, notes too where the clips must be whole: the daemon answers the same id and
        content from memory. While it says that it is there it is waited for: it ends each request itself.
        """
        number, silent, lacking = next(self._ids), 0, 0
        datagrams = [_written(verb, number, *arguments) for verb, arguments in messages]
        try:
            while silent < ATTEMPTS and lacking < ATTEMPTS:
                for datagram in datagrams:
                    self._socket.send(datagram)
                try:
                    with self._understanding():
                        replies = self._replies(number)
                        if not (whole and _lacks_something(replies)):
                            return replies
                    lacking += 1
                except TimeoutError:
                    silent = 0 if self._is_there() else silent + 1
                except RequestError as error:
                    lacking += 1
                    if len(datagrams) == 1 or error.code != "bad_request" or lacking == ATTEMPTS:
                        raise  # else some of them may be lost
        except OSError as error:
            raise BridgeError(
                f"no daemon on {self.address}; `vaebridge serve` starts one, and VAEBRIDGE_OSC_HOST and "
                "VAEBRIDGE_OSC_PORT name one that is elsewhere"
            ) from error
        raise BridgeError(f"nothing answers on {self.address}, or not all of it arrives: is that a daemon?")

    def _is_there(self) -> bool:
        """Whether a daemon answers at all."""
        number = next(self._ids)
        self._socket.send(_written("ping", number))
        try:
            with self._understanding():
                self._replies(number)
        except (TimeoutError, BridgeError) as error:
            return isinstance(error, RequestError)
        return True

    def _replies(self, number: int) -> list[Reply]:
        """The replies to a request, the done last; TimeoutError where no further one comes.

        Notes are read when all has come: they come faster than they can be read.
        """
        came: list[bytes] = []
        deadline = time.perf_counter() + self._patience_seconds
        while True:
            self._socket.settimeout(max(0.001, deadline - time.perf_counter()))
            came.append(self._socket.recv(LARGEST_DATAGRAM))
            reply = None if came[-1].startswith(NOTES) else _reply(came[-1], number)
            if reply or came[-1].startswith(NOTES):
                deadline = time.perf_counter() + self._patience_seconds
            elif time.perf_counter() >= deadline:
                raise TimeoutError
            if reply and reply.address == "/vae/fail":
                _, code, text = map(str, reply.arguments)
                raise RequestError(code, f"{text} ({code})")
            if reply and reply.address == "/vae/done":
                return [each for datagram in came if (each := _reply(datagram, number))]

    @contextlib.contextmanager
    def _understanding(self) -> Iterator[None]:
        """BridgeError where what has come is nothing that a daemon says."""
        try:
            yield
        except (PacketError, IndexError, TypeError, ValueError) as error:
            raise BridgeError(
                f"what answers on {self.address} is no daemon, or one of another version: {error}"
            ) from error


def atom(text: str) -> Atom:
    """An argument as it is meant: a whole number, a number, or a word."""
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text


def _reply(datagram: bytes, number: int) -> Reply | None:
    """What a datagram says about the request with this id, None if it is about another."""
    (message,) = read_packet(datagram)
    return Reply(message.address, message.arguments[1:]) if message.arguments[:1] == (number,) else None


def _written(verb: str, *arguments: Atom) -> bytes:
    """A message to the daemon; BridgeError where OSC cannot say it."""
    try:
        return write_message(f"/vae/{verb}", *arguments)
    except UnicodeError as error:
        raise BridgeError("what is sent must be text, and a name with other bytes is none") from error
    except (OverflowError, struct.error) as error:
        raise BridgeError("whole numbers are in -2147483648..2147483647, others in -3.4e38..3.4e38") from error


def _chunk(notes: Sequence[Note], first: int) -> tuple[Atom, ...]:
    """What clip/notes says of the notes from the first on."""
    chunk = notes[first : first + NOTES_PER_MESSAGE]
    return (first, len(chunk), *note_atoms(chunk))


def _point(z: Sequence[float]) -> Iterator[tuple[str, tuple[Atom, ...]]]:
    """The messages that bring the numbers of a z."""
    for first in range(0, len(z), NUMBERS_PER_MESSAGE):
        numbers = z[first : first + NUMBERS_PER_MESSAGE]
        yield "latent", (first, len(numbers), *numbers)


def _latent(replies: Sequence[Reply]) -> tuple[float, ...]:
    """The numbers of a z among the replies, in their places."""
    chunks = [reply.arguments for reply in replies if reply.address == "/vae/latent"]
    found = {int(first) + index: float(number) for first, _, *f in chunks for index, number in enumerate(f)}
    return tuple(number for _, number in sorted(found.items()))


def _results(replies: Sequence[Reply], done: Reply, asked: Clip | None) -> Results:
    """What the replies say, in the meter and tempo of the clip that was asked about."""
    about, remark = done.keys, done.keys.get("remark")
    return Results(
        clips=tuple(_clips(replies, asked, float(about.get("tempo", 120.0)))),
        model=str(about.get("model", "")),
        seed=int(about.get("seed", 0)),
        ms=float(about.get("ms", 0)),
        as_taps="as" in about,
        remarks=() if remark is None else (str(remark),),
        latent=_latent(replies),
        facts=tuple((name, value) for name, value in about.items() if name.partition(".")[0] in FACTS),
    )


FACTS = ("style", *ATTRIBUTES)
"""What a done may tell of how clips were made, beside what all of them tell."""


def _lacks_something(replies: Sequence[Reply]) -> bool:
    """Whether fewer clips, notes or numbers of a z have come than the done and the ends of the clips say."""
    about = replies[-1].keys
    clips = int(about.get("results", 1))
    return len(_latent(replies)) < int(about.get("size", 0)) or _lost_notes(replies, clips)


def _lost_notes(replies: Sequence[Reply], clips: int) -> bool:
    """Whether of so many clips the begin, the end or a note has not come."""
    begun = {reply.arguments[0] for reply in replies if reply.address == "/vae/notes/begin"}
    places: defaultdict[Atom, set[int]] = defaultdict(set)
    for reply in replies:
        if reply.address == "/vae/notes":
            result, first, count = reply.arguments[:3]
            places[result].update(range(int(first), int(first) + int(count)))
    ends = [reply.arguments for reply in replies if reply.address == "/vae/notes/end"]
    whole = {result for result, total in ends if result in begun and len(places[result]) >= int(total)}
    return len(whole) < clips


def _settings(request: Request) -> Iterator[Atom]:
    """The keys that are not at their default, those of single drums last; a tuple is written with commas."""
    for each in settings_of(type(request)):
        value = getattr(request, each.name)
        if value != each.default:
            yield each.name
            yield ",".join(map(str, value)) if isinstance(value, tuple) else value
    for name, value in getattr(request, "of_drum", ()):
        yield from (name, ",".join(map(str, value)) if isinstance(value, tuple) else value)


def _clips(replies: Sequence[Reply], asked: Clip | None, tempo_bpm: float) -> Iterator[Clip]:
    """The clips among the replies, in the meter and tempo of the clip that was asked about, or in that tempo."""
    notes: defaultdict[Atom, dict[int, Note]] = defaultdict(dict)
    for reply in replies:
        if reply.address == "/vae/notes":
            result, first, count, *numbers = reply.arguments
            for index in range(int(count)):
                pitch, start, duration, velocity, mute = numbers[
                    index * ATOMS_PER_NOTE : (index + 1) * ATOMS_PER_NOTE
                ]
                notes[result][int(first) + index] = Note(
                    int(pitch), float(start), float(duration), int(velocity), bool(mute)
                )
    for reply in replies:
        if reply.address == "/vae/notes/begin":
            result, _, beats = reply.arguments
            ordered = tuple(note for _, note in sorted(notes[result].items()))
            clip = Clip(ordered, float(beats), tempo_bpm=tempo_bpm)
            if asked:
                meter = asked.beats_per_bar
                clip = Clip(ordered, float(beats), meter, asked.tempo_bpm, beat_unit=asked.beat_unit)
            parts = [reply.arguments for reply in replies if reply.address == "/vae/part"]
            yield replace(clip, parts=tuple(_parts(parts, result)))


def _parts(rows: Sequence[tuple[Atom, ...]], result: Atom) -> Iterator[Part]:
    """The parts of one result, in their order."""
    own = {int(index): atoms for number, index, *atoms in rows if number == result}
    for _, (channel, program, first, count, name) in sorted(own.items()):
        yield Part(str(name), int(channel), int(program), int(first), int(count))
