import threading

import pytest

from bridge.midi import jack
from bridge.midi.jack import FRAMES_WRAP, RTMIDI_BUFFER_BYTES, JackServer, Room

NOTE_BYTES = 3
NOTES_THAT_FIT = RTMIDI_BUFFER_BYTES // 7  # three bytes and the length before them


class FakeServer:
    """A JACK server that moves when the test says so."""

    def __init__(self, now: int = 0):
        self.now = now

    def frames(self) -> int:
        return self.now

    def period_frames(self) -> int:
        return 256


def fill(room: Room) -> int:
    """How many notes it takes."""
    taken = 0
    while room.take(NOTE_BYTES):
        taken += 1
    return taken


def test_a_server_that_stands_still_is_sent_no_more_than_rtmidi_holds() -> None:
    assert fill(Room(FakeServer())) == NOTES_THAT_FIT


def test_after_two_periods_there_is_all_room_again() -> None:
    server = FakeServer()
    room = Room(server)
    fill(room)
    server.now += 512
    assert fill(room) == NOTES_THAT_FIT


def test_what_was_sent_a_period_ago_may_still_lie_there() -> None:
    server = FakeServer()
    room = Room(server)
    fill(room)
    server.now += 256
    assert fill(room) == 0


def test_only_what_is_old_is_forgotten() -> None:
    server = FakeServer()
    room = Room(server)
    for _ in range(1000):
        room.take(NOTE_BYTES)
    server.now += 256
    fill(room)
    server.now += 256
    assert fill(room) == 1000


def test_the_clock_may_wrap() -> None:
    server = FakeServer(FRAMES_WRAP - 256)
    room = Room(server)
    fill(room)
    server.now = 256
    assert fill(room) == NOTES_THAT_FIT


def test_a_message_larger_than_the_buffer_never_fits() -> None:
    room = Room(FakeServer())
    assert not room.take(RTMIDI_BUFFER_BYTES)
    assert room.take(RTMIDI_BUFFER_BYTES - 4)


class NeverLeft:
    """A libjack whose jack_client_close never comes back."""

    def jack_client_open(self, *_: object) -> int:
        return 1

    def jack_on_shutdown(self, *_: object) -> None:
        pass

    def jack_client_close(self, *_: object) -> None:
        threading.Event().wait()


def test_a_server_that_cannot_be_left_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jack, "find_library", NeverLeft)
    monkeypatch.setattr(jack, "CLOSING_SECONDS", 0.01)
    gone: list[str] = []
    JackServer("test", lambda: gone.append("gone")).close()
    assert gone == []
