"""The insides of the processes behind the ports, on threads of the tests."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.midi import port_process, watch_process
from bridge.midi.orders import Listing, Lost, NoSystem, NotOpened, Open, Opened, Watch
from bridge.worker.pipe import Channel
from tests.bridge.midi.fake_rtmidi import FakeRtMidi

NOTE, OTHER, OFF = b"\x99\x24\x64", b"\x99\x26\x64", b"\x89\x26\x40"
PATIENCE_SECONDS = 20


class Process:
    """Something that runs with one end of a channel; the test has the other."""

    def __init__(self, run: Callable[[Any, Channel, Any], None], order: object, rtmidi: FakeRtMidi):
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_SECONDS)
        self.channel, self.said = Channel(ours), list[Any]()
        self._thread = threading.Thread(target=run, args=(order, Channel(theirs), lambda _: rtmidi), daemon=True)
        self._thread.start()

    def hear(self) -> Any:
        """The next report."""
        while not self.said:
            self.said += self.channel.read()
        return self.said.pop(0)

    def leave(self) -> None:
        self.channel.close()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeRtMidi:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(port_process, "steady_interpreter", lambda: None)
    return FakeRtMidi(["Keys", "Pads"], ["Synth"])


def order(peer: str, *, hears: bool) -> Open:
    return Open("windows", hears, "vaebridge", "port", peer, "info")


@pytest.fixture
def synth(windows: FakeRtMidi) -> Iterator[Process]:
    one = Process(port_process.run, order("Synth", hears=False), windows)
    assert one.hear() == Opened("")
    yield one
    one.leave()
    assert windows.closed == ["Synth"]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while not true():
        assert time.perf_counter() < deadline
        time.sleep(0.001)


def test_what_comes_through_the_channel_is_sent(windows: FakeRtMidi, synth: Process) -> None:
    synth.channel.put(NOTE)
    wait_until(lambda: windows.sent == [("Synth", NOTE)])


def test_the_port_that_was_meant_is_opened_when_another_comes_meanwhile(windows: FakeRtMidi) -> None:
    windows.coming = ["Other", "Third"]
    one = Process(port_process.run, order("Synth", hears=False), windows)
    assert one.hear() == Opened("")
    one.channel.put(NOTE)
    wait_until(lambda: windows.sent == [("Synth", NOTE)])
    one.leave()


def test_ports_that_never_stop_coming_are_told(windows: FakeRtMidi) -> None:
    windows.coming = [f"Port {number}" for number in range(1000)]
    said = Process(port_process.run, order("Synth", hears=False), windows).hear()
    assert said == NotOpened("Synth: the MIDI ports change faster than one can be opened")


def test_what_still_sounds_when_the_daemon_goes_is_ended(windows: FakeRtMidi, synth: Process) -> None:
    for message in (NOTE, OTHER, OFF):
        synth.channel.put(message)
    synth.leave()
    assert [message for _, message in windows.sent] == [NOTE, OTHER, OFF, b"\x89\x24\x40"]


def test_what_a_port_refuses_is_counted(windows: FakeRtMidi, synth: Process) -> None:
    windows.refusing = True
    for total in (1, 2):
        synth.channel.put(NOTE)
        assert synth.hear() == Lost(total)


def test_what_an_input_hears_is_handed_over_with_its_moment(windows: FakeRtMidi) -> None:
    keys = Process(port_process.run, order("Keys", hears=True), windows)
    assert keys.hear() == Opened("")
    before = time.perf_counter()
    windows.opened["Keys"].heard += [NOTE, OTHER]
    heard = keys.hear()
    if len(heard) == 1:  # it looked just between the two
        heard += keys.hear()
    assert [message for _, message in heard] == [NOTE, OTHER]
    assert all(before - 0.1 < moment <= time.perf_counter() for moment, _ in heard)
    keys.leave()
    assert windows.closed == ["Keys"]


def test_what_the_daemon_does_not_take_in_time_is_lost_and_counted(
    windows: FakeRtMidi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_process, "MAX_WAITING_BYTES", 0)
    keys = Process(port_process.run, order("Keys", hears=True), windows)
    assert keys.hear() == Opened("")
    for _ in range(40):  # more than a socket holds
        windows.opened["Keys"].heard += [NOTE] * 20_000
        wait_until(lambda: not windows.opened["Keys"].heard)
    heard, lost = 0, 0
    while heard + lost < 800_000:
        report = keys.hear()
        heard += len(report) if isinstance(report, list) else 0
        lost = report.count if isinstance(report, Lost) else lost
    assert lost
    assert heard + lost == 800_000
    keys.leave()


def test_a_port_that_has_gone_meanwhile_is_told(windows: FakeRtMidi) -> None:
    assert Process(port_process.run, order("Gone", hears=True), windows).hear() == NotOpened("Gone has gone")


def test_the_ports_are_told_again_and_again(windows: FakeRtMidi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_process, "LOOK_SECONDS", 0.001)
    watch = Process(watch_process.run, Watch("auto", "info"), windows)
    assert watch.hear() == Listing("windows", ("Keys", "Pads"), ("Synth",))
    windows.sources.remove("Pads")
    while watch.hear() != Listing("windows", ("Keys",), ("Synth",)):
        pass
    watch.leave()


@pytest.mark.parametrize("times", [1, 4, 50])
def test_a_port_that_vanishes_while_it_is_counted_ends_nothing(
    windows: FakeRtMidi, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(watch_process, "LOOK_SECONDS", 0.001)
    windows.vanishing = times
    watch = Process(watch_process.run, Watch("auto", "info"), windows)
    assert watch.hear() == Listing("windows", ("Keys", "Pads"), ("Synth",))
    watch.leave()


def test_where_there_is_no_system_one_is_looked_for_again(
    windows: FakeRtMidi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_process, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(windows, "API_WINDOWS_MM", 9)
    monkeypatch.setattr(windows, "get_compiled_api", lambda: [])
    watch = Process(watch_process.run, Watch("auto", "info"), windows)
    assert watch.hear() == NoSystem("this python-rtmidi was built without windows; OSC works without")
    monkeypatch.setattr(windows, "get_compiled_api", lambda: [9])
    while isinstance(report := watch.hear(), NoSystem):
        pass
    assert isinstance(report, Listing)
    watch.leave()


def test_the_end_of_a_note_that_a_port_refuses_is_sent_when_it_takes_something_again(
    windows: FakeRtMidi, synth: Process
) -> None:
    synth.channel.put(NOTE)
    wait_until(lambda: windows.sent == [("Synth", NOTE)])
    windows.refusing = True
    for message in (b"\x89\x24\x40", OTHER):
        synth.channel.put(message)
    assert synth.hear() == Lost(1)
    windows.refusing = False
    wait_until(lambda: windows.sent == [("Synth", NOTE), ("Synth", b"\x89\x24\x40")])


def test_a_note_whose_end_is_owed_is_ended_before_it_is_struck_again(windows: FakeRtMidi, synth: Process) -> None:
    synth.channel.put(NOTE)
    wait_until(lambda: bool(windows.sent))
    windows.refusing = True
    synth.channel.put(b"\x89\x24\x40")
    synth.channel.put(OTHER)
    assert synth.hear() == Lost(1)
    windows.refusing = False
    synth.channel.put(NOTE)
    wait_until(lambda: len(windows.sent) == 3)
    assert [message for _, message in windows.sent] == [NOTE, b"\x89\x24\x40", NOTE]


def test_what_sounds_when_the_daemon_goes_is_ended_where_the_port_takes_nothing_at_that_moment(
    windows: FakeRtMidi, synth: Process
) -> None:
    synth.channel.put(NOTE)
    wait_until(lambda: bool(windows.sent))
    windows.refusing = True
    synth.channel.close()
    wait_until(lambda: bool(windows.refused))
    windows.refusing = False
    wait_until(lambda: windows.sent[-1] == ("Synth", b"\x89\x24\x40"))
