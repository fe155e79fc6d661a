import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import PortError
from bridge.midi import listener, system
from bridge.midi.ports import MidiPorts, Ports
from bridge.midi.system import list_ports
from tests.bridge.jack import PERIOD_SECONDS, Jack

PATIENCE_SECONDS = 20
START, STOP, TICK = b"\xfa", b"\xfc", b"\xf8"
NOTE = b"\x99\x24\x64"
JACK = Ports(api="jack")
Needs = Callable[[str, str], None]


def messages(count: int) -> list[bytes]:
    """Messages that all differ."""
    return [bytes((0x90 + number // 16384, number // 128 % 128, number % 128)) for number in range(count)]


def hear_until(ports: MidiPorts, enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """What is heard until it is enough, or patience ends."""
    heard: list[bytes] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not enough(heard) and time.monotonic() < deadline:
        select.select([ports], [], [], deadline - time.monotonic())
        heard += [message for _, _, message in ports.receive()]
    return heard


def hear(ports: MidiPorts, count: int) -> list[bytes]:
    return hear_until(ports, lambda heard: len(heard) >= count)


def check_until(ports: MidiPorts, changed: Callable[[tuple[list[str], list[str]]], bool]) -> None:
    """Check until it tells a change, as the loop does, or fail."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not changed(told := ports.check(time.monotonic())):
        assert time.monotonic() < deadline, told
        time.sleep(0.01)


@pytest.fixture
def echo(jack: Jack) -> Iterator[MidiPorts]:
    """Ports of which the output is connected to the input."""
    with contextlib.closing(MidiPorts(JACK, 0)) as ports:
        jack.connect("vaebridge out:out", "vaebridge in:in")
        yield ports


class Machine:
    """A musician's machine with a port to play from and one to listen with, which can be switched off."""

    def __init__(self) -> None:
        import rtmidi

        self.out: Any = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, "drum machine")
        self.out.open_virtual_port("played")
        self.heard: list[bytes] = []
        self.ear: Any = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "sound module")
        self.ear.set_callback(lambda event, _: self.heard.append(bytes(event[0])))
        self.ear.ignore_types(sysex=False, timing=False, active_sense=False)
        self.ear.open_virtual_port("heard")

    def switch_off(self) -> None:
        for port in (self.out, self.ear):
            port.close_port()
            port.delete()


@pytest.fixture
def machine(jack: Jack) -> Iterator[Machine]:
    one = Machine()
    yield one
    one.switch_off()


@pytest.mark.jack
def test_others_see_ports_that_read_well(jack: Jack) -> None:
    with contextlib.closing(MidiPorts(JACK, 0)) as ports:
        assert sorted(ports.open_names) == sorted(jack.ports()) == ["vaebridge in:in", "vaebridge out:out"]


@pytest.mark.jack
def test_bursts_of_a_thousand_messages_come_back_whole_and_in_order(echo: MidiPorts) -> None:
    for _ in range(5):
        for message in messages(1000):
            echo.send(message)
        assert hear(echo, 1000) == messages(1000)
    assert (echo.unsent, echo.lost) == (0, 0)


@pytest.mark.jack
def test_whatever_is_sent_at_once_is_heard_in_order_or_counted(echo: MidiPorts) -> None:
    for message in messages(30_000):
        echo.send(message)
    heard = hear(echo, 30_000 - echo.unsent)
    assert len(heard) == 30_000 - echo.unsent
    assert heard == sorted(heard)


@pytest.mark.jack
def test_a_flood_of_20000_messages_in_a_second_is_heard_or_counted(echo: MidiPorts) -> None:
    sent, heard = messages(20_000), []
    due = time.monotonic()
    for first in range(0, len(sent), 200):
        for message in sent[first : first + 200]:
            echo.send(message)
        due += 0.01
        while (wait := due - time.monotonic()) > 0:
            select.select([echo], [], [], wait)
            heard += [message for _, _, message in echo.receive(10_000)]
    heard += hear(echo, len(sent) - echo.unsent - echo.lost - len(heard))
    assert len(heard) + echo.unsent + echo.lost == len(sent)
    assert heard == sorted(heard)


@pytest.mark.jack
def test_arrivals_tell_their_moment_and_their_port(echo: MidiPorts) -> None:
    before = time.monotonic()
    echo.send(NOTE)
    assert select.select([echo], [], [], PATIENCE_SECONDS)[0]
    ((moment, port, message),) = echo.receive()
    assert (port, message) == ("vaebridge in", NOTE)
    assert before < moment < time.monotonic()


@pytest.mark.jack
def test_the_wake_up_lasts_until_all_is_taken(echo: MidiPorts) -> None:
    for _ in range(3):
        echo.send(NOTE)
    heard = []
    while len(heard) < 3:
        assert select.select([echo], [], [], PATIENCE_SECONDS)[0]
        heard += echo.receive(limit=1)  # nothing, where a poke was still on its way
    assert echo.receive() == []
    assert not select.select([echo], [], [], 0)[0]


@pytest.mark.jack
def test_clock_is_heard_sysex_and_active_sensing_are_not(echo: MidiPorts) -> None:
    for message in (START, b"\xf0\x7e\x7f\x06\x01\xf7", b"\xfe", TICK, b"\xf2\x10\x00", STOP):
        echo.send(message)
    assert hear_until(echo, lambda heard: STOP in heard) == [START, TICK, b"\xf2\x10\x00", STOP]


@pytest.mark.jack
def test_what_is_no_message_is_counted_and_not_sent(echo: MidiPorts) -> None:
    for nothing in (b"", b"\x90\x24\x64\x00"):
        echo.send(nothing)
    echo.send(NOTE)
    assert hear(echo, 1) == [NOTE]
    assert echo.unsent == 2


@pytest.mark.jack
def test_the_clock_of_another_program_is_followed_from_start_to_stop(jack: Jack, needs: Needs) -> None:
    needs("jack_midi_clock", "jack-midi-clock")
    with contextlib.closing(MidiPorts(JACK, 0)) as ports:
        jack.run("jack_midi_clock", "-b", "123.5")
        jack.wait_for("jack_midi_clock:mclk_out")
        jack.connect("jack_midi_clock:mclk_out", "vaebridge in:in")
        jack.transport("play")
        heard = hear_until(ports, lambda heard: heard.count(TICK) >= 48)
        jack.transport("stop")
        heard += hear_until(ports, lambda heard: STOP in heard)
    assert heard[0] == START
    assert heard[-1] == STOP
    assert set(heard[1:-1]) == {TICK}


@pytest.mark.jack
def test_a_machine_that_is_there_is_heard_and_played(machine: Machine) -> None:
    wanted = Ports((), (), ("Drum Machine",), ("sound module:heard",), "jack")
    with contextlib.closing(MidiPorts(wanted, 0)) as ports:
        assert ports.open_names == ("drum machine:played", "sound module:heard")
        machine.out.send_message(NOTE)
        assert hear(ports, 1) == [NOTE]
        ports.send(NOTE)
        wait_until(lambda: machine.heard == [NOTE])


@pytest.mark.jack
def test_a_machine_that_went_and_returned_is_opened_again(jack: Jack) -> None:
    machine = Machine()
    with contextlib.closing(MidiPorts(Ports((), (), ("drum",), ("module",), "jack"), 0)) as ports:
        machine.switch_off()
        check_until(ports, lambda told: told == (["drum", "module"], []))
        assert ports.open_names == ()
        machine = Machine()
        check_until(ports, lambda told: told == ([], ["drum", "module"]))
        machine.out.send_message(NOTE)
        assert hear(ports, 1) == [NOTE]
        machine.switch_off()


@pytest.mark.jack
def test_a_machine_that_comes_late_is_opened_then(jack: Jack) -> None:
    with contextlib.closing(MidiPorts(Ports((), (), ("drum",), (), "jack"), 0)) as ports:
        assert ports.check(1) == ([], [])
        machine = Machine()
        check_until(ports, lambda told: told == ([], ["drum"]))
        machine.switch_off()


@pytest.mark.jack
def test_our_own_ports_are_nobody_elses(jack: Jack) -> None:
    wanted = Ports(listen_to=("vaebridge",), play_to=("vaebridge",), api="jack")
    with contextlib.closing(MidiPorts(wanted, 0)) as ports:
        assert ports.open_names == ("vaebridge in:in", "vaebridge out:out")


@pytest.mark.jack
def test_a_second_daemon_tells_the_names_that_it_got(echo: MidiPorts, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(MidiPorts(JACK, 0)) as second:
        assert second.open_names == ("vaebridge in-01:in", "vaebridge out-01:out")
    assert "another program has a port called vaebridge in; ours is vaebridge in-01:in" in caplog.messages


@pytest.mark.jack
def test_on_a_server_that_died_send_returns_and_counts(jack: Jack, echo: MidiPorts) -> None:
    jack.kill()
    for message in messages(10_000):
        echo.send(message)
    assert echo.unsent > 5_000


@pytest.mark.jack
def test_the_death_of_the_server_wakes_the_loop_and_is_told_once(jack: Jack, echo: MidiPorts) -> None:
    jack.kill()
    assert select.select([echo], [], [], PATIENCE_SECONDS)[0]
    wait_until(lambda: echo.next_check < 0)
    assert echo.check(0) == (["vaebridge in", "vaebridge out"], [])
    assert echo.check(1) == ([], [])
    assert echo.open_names == ()
    echo.send(NOTE)  # nobody is there


@pytest.mark.jack
def test_when_the_server_is_back_so_are_the_ports(jack: Jack, echo: MidiPorts) -> None:
    for _ in range(3):
        jack.kill()
        check_until(echo, lambda told: told == (["vaebridge in", "vaebridge out"], []))
        jack.start()
        check_until(echo, lambda told: told == ([], ["vaebridge in", "vaebridge out"]))
        jack.connect("vaebridge out:out", "vaebridge in:in")
        echo.send(NOTE)
        assert hear(echo, 1) == [NOTE]


@pytest.mark.jack
def test_a_server_that_died_and_came_back_between_two_checks_is_found_out(jack: Jack, echo: MidiPorts) -> None:
    jack.kill()
    jack.start()
    names = ["vaebridge in", "vaebridge out"]
    check_until(echo, lambda told: told == (names, names))
    assert sorted(jack.ports()) == ["vaebridge in:in", "vaebridge out:out"]


@pytest.mark.jack
def test_ports_close_after_the_server_died(jack: Jack) -> None:
    ports = MidiPorts(JACK, 0)
    jack.kill()
    ports.close()


HUNG = """
from bridge.midi.ports import MidiPorts, Ports
ports = MidiPorts(Ports(api="jack"), 0)
print("open", flush=True)
input()
for _ in range(10_000):
    ports.send(bytes((0x90, 36, 100)))
ports.check(1), ports.check(2)
ports.close()
print(ports.unsent, flush=True)
"""


@pytest.mark.jack
def test_a_server_that_hangs_holds_nobody_up(jack: Jack) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", HUNG],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "open\n"
        jack.hang()
        told, complaint = program.communicate("go\n", timeout=PATIENCE_SECONDS)
    finally:
        jack.wake()
        program.kill()
    assert program.returncode == 0, complaint
    assert int(told) > 5_000


@pytest.mark.jack
def test_the_ports_of_all_programs_are_listed(echo: MidiPorts) -> None:
    listing = list_ports("jack")
    assert (listing.api, listing.sources, listing.destinations) == (
        "jack",
        ("vaebridge out:out",),
        ("vaebridge in:in",),
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(PERIOD_SECONDS)


@pytest.fixture
def no_midi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux machine without ALSA's sequencer and without a JACK server."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system, "ALSA_SEQUENCER", "/dev/null/seq")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")


@pytest.mark.usefixtures("no_midi")
def test_without_a_midi_system_one_sentence_says_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        PortError, match=r"there is no MIDI system: .*modprobe snd-seq.*apt install jackd2.*OSC works"
    ):
        MidiPorts(Ports(), 0)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("no_midi")
@pytest.mark.parametrize(("api", "advice"), [("alsa", "modprobe snd-seq"), ("jack", "apt install jackd2")])
def test_an_api_that_is_asked_for_and_missing_says_its_own(api: str, advice: str) -> None:
    with pytest.raises(PortError, match=advice):
        MidiPorts(Ports(api=api), 0)


def test_an_api_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PortError, match="must be one of auto, alsa, jack, core, windows, not oss"):
        MidiPorts(Ports(api="oss"), 0)


@pytest.mark.parametrize("problem", [ImportError("libasound.so.2"), OSError("libasound.so.2")])
def test_without_rtmidi_or_its_libraries_the_error_says_what_to_install(problem: Exception) -> None:
    def broken(_: str) -> object:
        raise problem

    with pytest.raises(PortError, match=r"pip install python-rtmidi, apt install libasound2\): libasound.so.2"):
        MidiPorts(Ports(), 0, broken)


class FakeRtMidi:
    """rtmidi as on Windows: others' ports alone, by their numbers."""

    API_WINDOWS_MM = 4

    class RtMidiError(Exception):
        pass

    def __init__(self, sources: list[str], destinations: list[str]):
        self.sources, self.destinations = sources, destinations
        self.opened: dict[str, Any] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.broken = False

    def get_compiled_api(self) -> list[int]:
        return [self.API_WINDOWS_MM]

    def MidiIn(self, api: int, client: str, queue_size: int) -> Any:  # noqa: N802 -- rtmidi's name
        return self._port(self.sources)

    def MidiOut(self, api: int, client: str) -> Any:  # noqa: N802 -- rtmidi's name
        return self._port(self.destinations)

    def _port(self, names: list[str]) -> Any:
        port = SimpleNamespace(get_ports=lambda: list(names), ignore_types=lambda **_: None)
        port.close_port = port.delete = lambda: None

        def open_port(number: int, _: str) -> None:
            port.name = names[number]
            self.opened[port.name] = port

        def send_message(message: bytes) -> None:
            if self.broken:
                raise self.RtMidiError("unplugged")
            self.sent.append((port.name, message))

        port.open_port, port.send_message = open_port, send_message
        port.heard = []
        port.get_message = lambda: (list(port.heard.pop(0)), 0.0) if port.heard else None
        return port


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeRtMidi:
    monkeypatch.setattr(sys, "platform", "win32")
    return FakeRtMidi(["loopMIDI to vae", "Keys", "Keys 2"], ["loopMIDI from vae", "Keys"])


def fake_ports(rtmidi: FakeRtMidi, **wanted: Any) -> MidiPorts:
    return MidiPorts(Ports(**wanted), 0, lambda _: rtmidi)


def test_windows_wants_loopmidi_ports_to_be_named(windows: FakeRtMidi) -> None:
    with pytest.raises(PortError, match="make one with loopMIDI, and name it with --listen-to and --play-to"):
        fake_ports(windows)


def test_on_windows_the_named_ports_are_opened(windows: FakeRtMidi) -> None:
    with contextlib.closing(fake_ports(windows, listen_to=("to vae",), play_to=("from vae",))) as ports:
        assert ports.open_names == ("loopMIDI to vae", "loopMIDI from vae")
        ports.send(NOTE)
    assert windows.sent == [("loopMIDI from vae", NOTE)]


def test_a_full_name_goes_before_a_part_of_another(windows: FakeRtMidi) -> None:
    windows.sources.reverse()
    with contextlib.closing(fake_ports(windows, listen_to=("Keys",))) as ports:
        assert ports.open_names == ("Keys",)


def test_one_port_is_not_opened_twice(windows: FakeRtMidi) -> None:
    with contextlib.closing(fake_ports(windows, listen_to=("Keys", "Keys"))) as ports:
        assert ports.open_names == ("Keys", "Keys 2")


def test_one_machine_may_be_heard_and_played(windows: FakeRtMidi) -> None:
    with contextlib.closing(fake_ports(windows, listen_to=("Keys",), play_to=("Keys",))) as ports:
        assert ports.open_names == ("Keys", "Keys")


def test_what_a_full_queue_does_not_take_is_counted(windows: FakeRtMidi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_WAITING", 10)
    with contextlib.closing(fake_ports(windows, listen_to=("Keys",))) as ports:
        windows.opened["Keys"].heard += messages(12)
        wait_until(lambda: ports.lost == 2)
        assert [message for _, _, message in ports.receive()] == messages(10)


def test_a_port_that_refuses_a_message_is_counted_and_told(
    windows: FakeRtMidi, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(fake_ports(windows, play_to=("Keys",))) as ports:
        windows.broken = True
        ports.send(NOTE)
        ports.check(1)
        assert ports.unsent == 1
    assert "1 messages could not be sent" in caplog.messages


def test_the_next_check_is_due_a_second_after_the_last(windows: FakeRtMidi) -> None:
    with contextlib.closing(fake_ports(windows, play_to=("Keys",))) as ports:
        assert ports.next_check == 1
        ports.check(5)
        assert ports.next_check == 6
