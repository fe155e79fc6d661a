"""What a conversation makes of somebody who is no daemon, and of what OSC cannot say."""

import itertools
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import pytest

from bridge.errors import BridgeError
from bridge.osc.packet import read_packet, write_message
from bridge.osc.remote import Remote
from engine.requests import Sample

Says = Callable[[int], Iterable[bytes]]

STRANGE: dict[str, Says] = {
    "no OSC": lambda _: [b"HTTP/1.1 400 Bad Request"],
    "nothing": lambda _: [b""],
    "a bundle": lambda _: [b"#bundle\0" + bytes(8) + 2 * (struct.pack(">i", 4) + b"/a\0\0")],
    "a fail without a text": lambda number: [write_message("/vae/fail", number, "busy")],
    "a done without keys": lambda number: [write_message("/vae/done", number)],
    "words for numbers": lambda number: [write_message("/vae/done", number, "sample", "results", 0, "seed", "x")],
    "half of a note": lambda number: [
        write_message("/vae/notes/begin", number, 0, 1, 4.0),
        write_message("/vae/notes", number, 0, 0, 1, 36, 0.0),
        write_message("/vae/notes/end", number, 0, 1),
        write_message("/vae/done", number, "sample", "results", 1),
    ],
    "something else, without end": lambda _: itertools.repeat(write_message("/vae/beat", 0, 1)),
}


@pytest.fixture
def remote() -> Remote:
    """A conversation with a port of which nobody reads anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        return Remote("127.0.0.1", nobody.getsockname()[1], timeout_seconds=0.4)


def talk(remote: Remote, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody say this to every request, at once."""
    said: Iterator[bytes] = iter(())

    def send(datagram: bytes) -> None:
        nonlocal said
        said = iter(says(int(read_packet(datagram)[0].arguments[0])))

    def recv(_: int) -> bytes:
        for datagram in said:
            return datagram
        raise TimeoutError

    wire = SimpleNamespace(send=send, recv=recv, settimeout=lambda _: None)
    monkeypatch.setattr(remote, "_socket", wire)


@pytest.mark.parametrize("says", STRANGE.values(), ids=list(STRANGE))
def test_whoever_is_no_daemon_is_told_in_a_sentence(
    remote: Remote, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(remote, says, monkeypatch)
    with pytest.raises(BridgeError, match=r"no daemon|is that a daemon"):
        remote.run(Sample())


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 1e60])
def test_a_number_that_osc_cannot_say_is_told(remote: Remote, number: float) -> None:
    with pytest.raises(BridgeError, match=r"whole numbers are in -2147483648\.\.2147483647"):
        remote.ask("tempo", "bpm", number)
