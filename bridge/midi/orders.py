"""What the daemon tells the processes that hold its MIDI ports, and what they report. Plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell again and again which ports there are; api is one of bridge.midi.system.APIS."""

    api: str
    log_level: str


@dataclass(frozen=True, slots=True)
class Open:
    """Open one port and carry its messages.

    client and name are what ours is to be called; peer is another's port to connect to, empty for one of our own
    that others connect to. hears: whether it is an input.
    """

    api: str
    hears: bool
    client: str
    name: str
    peer: str
    log_level: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The ports of all programs: sources can be listened to, destinations can be played to."""

    api: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoSystem:
    """There is no MIDI system, and why."""

    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The port is open, under this name; is_double: another program has one that is called as ours should be."""

    name: str
    is_double: bool = False


@dataclass(frozen=True, slots=True)
class NotOpened:
    """The port cannot be opened, and why."""

    text: str


@dataclass(frozen=True, slots=True)
class Lost:
    """How many messages an output could not send, or an input had no room for, since the port was opened."""

    count: int


Heard = tuple[float, bytes]
"""The moment of arrival in seconds of time.perf_counter(), which all processes share, and the message."""
