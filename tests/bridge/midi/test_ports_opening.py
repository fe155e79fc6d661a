"""Which ports are opened, closed and given up, with processes that say what the test says."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.midi.orders import Listing, Lost, NoSystem, NotOpened, Open, Opened, Watch
from bridge.midi.ports import MAX_WAITING_BYTES, OPENING_SECONDS, SILENT_SECONDS, STUCK_SECONDS, MidiPorts, Ports

NOTE = b"\x99\x24\x64"


class FakeChannel:
    """What the process says and is told. waiting_bytes is what it has not taken."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.told: list[Any] = []
        self.waiting_bytes, self.has_gone = 0, False

    def read(self) -> list[Any]:
        if self.has_gone:
            raise EOFError
        reports, self.reports = self.reports, []
        return reports

    def put(self, value: Any) -> None:
        self.told.append(value)


class Studio:
    """MidiPorts, the processes that it has started, and the time."""

    def __init__(self, **wanted: Any):
        self.now = 0.0
        self.children: list[tuple[Any, FakeChannel]] = []
        self.left: list[FakeChannel] = []
        self.full = False
        self.ports = MidiPorts(Ports(**wanted), self, self.now)  # type: ignore[arg-type]
        self.ports.run_due(0.0)

    def start(self, module: str, recipe: Any) -> Any:
        if self.full:
            raise OSError("no more processes")
        self.children.append((recipe, FakeChannel()))
        return SimpleNamespace(channel=self.children[-1][1])

    def let_go(self, child: Any, now: float, patience_seconds: float = 0.0) -> None:
        self.left.append(child.channel)

    def running(self, kind: type) -> list[tuple[Any, FakeChannel]]:
        return [
            (what, channel)
            for what, channel in self.children
            if isinstance(what, kind) and channel not in self.left
        ]

    def list(self, sources: tuple[str, ...], destinations: tuple[str, ...], api: str = "windows") -> None:
        """The ports are these, and all that are being opened do open."""
        (_, watch), *_ = self.running(Watch)
        watch.reports.append(Listing(api, sources, destinations))
        self.ports.read(self.now)
        while opening := [channel for _, channel in self.running(Open) if not channel.told]:
            opening[0].told.append("open")
            opening[0].reports.append(Opened(""))
            self.ports.read(self.now)

    def output(self) -> FakeChannel:
        return next(channel for what, channel in self.running(Open) if not what.hears)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.ports.run_due(self.now)


SOURCES, DESTINATIONS = ("loopMIDI to vae", "Keys", "Keys 2"), ("loopMIDI from vae", "Keys")


def test_windows_wants_loopmidi_ports_to_be_named(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio()
    studio.list(SOURCES, DESTINATIONS)
    assert "make one with loopMIDI, and name it with --listen-to and --play-to" in studio.ports.why_none
    assert studio.ports.is_settled
    assert len([text for text in caplog.messages if "loopMIDI" in text]) == 1


def test_on_windows_the_named_ports_are_opened() -> None:
    studio = Studio(listen_to=("to vae",), play_to=("from vae",))
    studio.list(SOURCES, DESTINATIONS)
    assert studio.ports.names == ("loopMIDI to vae", "loopMIDI from vae")
    assert studio.ports.take_changes() == ([], ["to vae", "from vae"])
    studio.ports.send(NOTE)
    assert studio.output().told[-1] == NOTE


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"listen_to": ("Keys",)}, ("Keys",)),  # a full name goes before a part of another
        ({"listen_to": ("keys",)}, ("Keys 2",)),
        ({"listen_to": ("Keys", "Keys")}, ("Keys", "Keys 2")),  # one port is not opened twice
        ({"listen_to": ("Keys",), "play_to": ("Keys",)}, ("Keys", "Keys")),  # but a machine is heard and played
        ({"listen_to": ("nobody",)}, ()),
    ],
)
def test_a_port_is_found_by_its_name_or_a_part_of_it(wanted: dict[str, Any], names: tuple[str, ...]) -> None:
    studio = Studio(**wanted)
    studio.list(tuple(reversed(SOURCES)), DESTINATIONS)
    assert studio.ports.names == names
    assert studio.ports.is_settled


def test_ports_are_opened_one_at_a_time() -> None:
    studio = Studio(listen_to=("Keys",), play_to=("Keys",))
    studio.running(Watch)[0][1].reports.append(Listing("windows", SOURCES, DESTINATIONS))
    studio.ports.read(0.0)
    assert len(studio.running(Open)) == 1
    assert not studio.ports.is_settled


def test_a_port_that_cannot_be_opened_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio(play_to=("Keys",))
    for _ in range(3):
        studio.running(Watch)[0][1].reports.append(Listing("windows", SOURCES, DESTINATIONS))
        studio.ports.read(0.0)
        studio.output().reports.append(NotOpened("another program has it"))
        studio.ports.read(0.0)
    assert caplog.messages.count("Keys cannot be opened: another program has it") == 1
    assert len(studio.left) == 3


def test_where_no_process_can_be_started_it_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio(play_to=("Keys",))
    studio.full = True
    studio.list(SOURCES, DESTINATIONS)
    assert "Keys cannot be opened: no process can be started: no more processes" in caplog.messages
    studio.full = False
    studio.list(SOURCES, DESTINATIONS)
    assert studio.ports.names == ("Keys",)


def test_what_a_port_could_not_send_or_hear_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio(play_to=("Keys",))
    studio.list(SOURCES, DESTINATIONS)
    studio.output().reports += [Lost(2), Lost(5)]
    studio.ports.read(0.0)
    studio.output().waiting_bytes = MAX_WAITING_BYTES + 1
    studio.ports.send(NOTE)
    studio.pass_time(1.1)
    assert studio.ports.unsent == 6
    assert caplog.messages.count("6 MIDI messages could not be sent or heard") == 1


def test_the_ends_of_notes_go_to_a_port_that_has_not_taken_what_came_before() -> None:
    studio = Studio(play_to=("Keys",))
    studio.list(SOURCES, DESTINATIONS)
    studio.output().waiting_bytes = MAX_WAITING_BYTES + 1
    ends = [b"\x89\x24\x40", b"\x99\x24\x00", b"\xb9\x7b\x00"]
    for message in (NOTE, *ends, b"\xb9\x07\x00"):
        studio.ports.send(message)
    assert (studio.output().told[1:], studio.ports.unsent) == (ends, 2)


def test_a_port_that_takes_nothing_any_more_is_opened_anew() -> None:
    studio = Studio(play_to=("Keys",))
    studio.list(SOURCES, DESTINATIONS)
    studio.output().waiting_bytes = 3
    studio.pass_time(STUCK_SECONDS + 2)
    assert studio.ports.take_changes() == (["Keys"], ["Keys"])
    studio.list(SOURCES, DESTINATIONS)
    assert studio.ports.take_changes() == ([], ["Keys"])


def test_a_port_that_never_opens_holds_the_others_up_for_ten_seconds_only() -> None:
    studio = Studio(listen_to=("Keys",), play_to=("Keys",))
    (watch,) = (channel for _, channel in studio.running(Watch))
    for _ in range(round(OPENING_SECONDS) + 2):
        watch.reports.append(Listing("windows", SOURCES, DESTINATIONS))
        studio.ports.read(studio.now)
        studio.pass_time(1.0)
    assert [what.hears for what, _ in studio.children if isinstance(what, Open)][:2] == [True, False]


def test_whoever_tells_of_the_ports_is_started_anew_when_it_says_nothing_any_more() -> None:
    studio = Studio(play_to=("Keys",))
    studio.pass_time(3)
    assert "does not answer" in studio.ports.why_none
    studio.pass_time(SILENT_SECONDS + 2)
    assert len(studio.left) == 1
    assert len(studio.running(Watch)) == 1


def test_when_the_system_has_gone_the_ports_go_on_until_they_say_so_themselves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    studio = Studio(play_to=("Keys",))
    studio.list(SOURCES, DESTINATIONS)
    studio.running(Watch)[0][1].has_gone = True
    studio.ports.read(0.0)
    assert "has gone" in studio.ports.why_none
    assert studio.ports.names == ("Keys",)
    studio.pass_time(1.5)
    studio.list(SOURCES, DESTINATIONS)
    assert studio.ports.why_none == ""
    assert len([one for one, _ in studio.children if isinstance(one, Open)]) == 1


def test_without_a_system_the_reason_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    studio = Studio()
    for _ in range(3):
        studio.running(Watch)[0][1].reports.append(NoSystem("there is no MIDI system"))
        studio.ports.read(0.0)
    assert studio.ports.is_settled
    assert caplog.messages == ["no MIDI ports: there is no MIDI system"]


def test_a_port_that_is_not_there_yet_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        studio = Studio(play_to=("Drum",))
        for _ in range(3):
            studio.list(SOURCES, DESTINATIONS)
    assert caplog.messages == ["no port is called Drum yet; it is opened when there is one"]


def test_all_is_let_go_at_the_end() -> None:
    studio = Studio(listen_to=("Keys",), play_to=("Keys",))
    studio.list(SOURCES, DESTINATIONS)
    studio.ports.close(1.0)
    assert len(studio.left) == len(studio.children) == 3
    assert studio.ports.channels == []
