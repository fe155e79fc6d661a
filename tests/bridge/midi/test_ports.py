"""The MIDI ports in front of a real JACK server, each in its process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import PortError
from bridge.midi import system
from bridge.midi.ports import Ports
from bridge.midi.system import list_ports
from tests.bridge.jack import Jack
from tests.bridge.midi.ports import Turned

START, STOP, TICK = b"\xfa", b"\xfc", b"\xf8"
NOTE = b"\x99\x24\x64"
BOTH = ["vaebridge in", "vaebridge out"]
Needs = Callable[[str, str], None]


def messages(count: int) -> list[bytes]:
    """Messages that all differ."""
    return [bytes((0x90 + number // 16384, number // 128 % 128, number % 128)) for number in range(count)]


@pytest.fixture
def echo(jack: Jack) -> Iterator[Turned]:
    """Ports of which the output is connected to the input."""
    with Turned().until_settled() as turned:
        jack.connect("vaebridge out:out", "vaebridge in:in")
        yield turned


class Machine:
    """A musician's machine with a port to play from and one to listen with, which can be switched off."""

    def __init__(self) -> None:
        import rtmidi

        self.out: Any = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, "drum machine")
        self.out.open_virtual_port("played")
        self.ear: Any = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "sound module")
        self.ear.ignore_types(sysex=False, timing=False, active_sense=False)
        self.ear.open_virtual_port("heard")

    def hears(self, message: bytes) -> bool:
        """Whether the next message that has come is this one."""
        event = self.ear.get_message()
        return event is not None and bytes(event[0]) == message

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
    with Turned().until_settled() as turned:
        assert sorted(turned.ports.names) == sorted(jack.ports()) == ["vaebridge in:in", "vaebridge out:out"]
        assert (turned.returned, turned.ports.why_none) == (BOTH, "")


@pytest.mark.jack
def test_nothing_is_known_until_the_system_has_answered(jack: Jack) -> None:
    with Turned() as turned:
        assert "not answered yet" in turned.ports.why_none
        assert not turned.ports.is_settled
        turned.until_settled()


@pytest.mark.jack
def test_bursts_of_a_thousand_messages_come_back_whole_and_in_order(echo: Turned) -> None:
    for count in range(1, 6):
        echo.send(*messages(1000))
        echo.until(lambda count=count: len(echo.heard) >= 1000 * count)
    assert echo.messages == messages(1000) * 5
    assert (echo.ports.unsent, echo.ports.lost) == (0, 0)


@pytest.mark.jack
def test_whatever_is_sent_at_once_is_heard_in_order_or_counted(echo: Turned) -> None:
    echo.send(*messages(30_000))
    echo.until(lambda: len(echo.heard) + echo.ports.unsent >= 30_000)
    assert len(echo.heard) + echo.ports.unsent == 30_000
    assert echo.messages == sorted(echo.messages)


@pytest.mark.jack
def test_a_flood_of_20000_messages_in_a_second_is_heard_or_counted(echo: Turned) -> None:
    sent, due = messages(20_000), time.perf_counter()
    for first in range(0, len(sent), 200):
        echo.send(*sent[first : first + 200])
        due += 0.01
        while (wait := due - time.perf_counter()) > 0:
            echo.turn(wait)
    echo.until(lambda: len(echo.heard) + echo.ports.unsent + echo.ports.lost >= len(sent))
    assert len(echo.heard) + echo.ports.unsent + echo.ports.lost == len(sent)
    assert echo.messages == sorted(echo.messages)


@pytest.mark.jack
def test_arrivals_tell_their_moment_and_their_port(echo: Turned) -> None:
    before = time.perf_counter()
    echo.send(NOTE)
    echo.until(lambda: bool(echo.heard))
    ((moment, port, message),) = echo.heard
    assert (port, message) == ("vaebridge in", NOTE)
    assert before < moment < time.perf_counter()


@pytest.mark.jack
def test_clock_is_heard_sysex_and_active_sensing_are_not(echo: Turned) -> None:
    echo.send(START, b"\xf0\x7e\x7f\x06\x01\xf7", b"\xfe", TICK, b"\xf2\x10\x00", STOP)
    echo.until(lambda: STOP in echo.messages)
    assert echo.messages == [START, TICK, b"\xf2\x10\x00", STOP]


@pytest.mark.jack
def test_what_is_no_message_is_counted_and_not_sent(echo: Turned) -> None:
    echo.send(b"", b"\x90\x24\x64\x00", NOTE)
    echo.until(lambda: bool(echo.heard) and echo.ports.unsent == 2)
    assert echo.messages == [NOTE]


@pytest.mark.jack
def test_the_clock_of_another_program_is_followed_from_start_to_stop(jack: Jack, needs: Needs) -> None:
    needs("jack_midi_clock", "jack-midi-clock")
    with Turned().until_settled() as turned:
        jack.run("jack_midi_clock", "-b", "123.5")
        jack.wait_for("jack_midi_clock:mclk_out")
        jack.connect("jack_midi_clock:mclk_out", "vaebridge in:in")
        jack.transport("play")
        turned.until(lambda: turned.messages.count(TICK) >= 48)
        jack.transport("stop")
        turned.until(lambda: STOP in turned.messages)
    assert turned.messages[0] == START
    assert turned.messages[-1] == STOP
    assert set(turned.messages[1:-1]) == {TICK}


@pytest.mark.jack
def test_a_machine_that_is_there_is_heard_and_played(machine: Machine) -> None:
    with Turned(Ports((), (), ("Drum Machine",), ("sound module:heard",), "jack")).until_settled() as turned:
        assert turned.ports.names == ("drum machine:played", "sound module:heard")
        machine.out.send_message(NOTE)
        turned.until(lambda: turned.messages == [NOTE])
        turned.send(NOTE)
        turned.until(lambda: machine.hears(NOTE))


@pytest.mark.jack
def test_a_machine_that_went_and_returned_is_opened_again(jack: Jack) -> None:
    machine = Machine()
    with Turned(Ports((), (), ("drum",), ("module",), "jack")).until_settled() as turned:
        machine.switch_off()
        turned.until(lambda: sorted(turned.vanished) == ["drum", "module"])
        assert turned.ports.names == ()
        machine = Machine()
        turned.until(lambda: sorted(turned.returned) == ["drum", "drum", "module", "module"])
        turned.until(lambda: machine.out.send_message(NOTE) or bool(turned.heard))  # JACK takes its time to connect
        machine.switch_off()


@pytest.mark.jack
def test_a_machine_that_comes_late_is_opened_then(jack: Jack) -> None:
    with Turned(Ports((), (), ("drum",), (), "jack")).until_settled() as turned:
        assert turned.returned == []
        machine = Machine()
        turned.until(lambda: turned.returned == ["drum"])
        machine.switch_off()


@pytest.mark.jack
def test_our_own_ports_are_nobody_elses(jack: Jack) -> None:
    with Turned(Ports(listen_to=("vaebridge",), play_to=("vaebridge",), api="jack")).until_settled() as turned:
        turned.until(lambda: len(turned.ports.names) == 2)
        seconds = time.perf_counter() + 2.5  # the ports are listed twice more
        turned.until(lambda: time.perf_counter() > seconds)
        assert turned.ports.names == ("vaebridge in:in", "vaebridge out:out")


@pytest.mark.jack
def test_a_second_daemon_tells_the_names_that_it_got(echo: Turned, caplog: pytest.LogCaptureFixture) -> None:
    with Turned().until_settled() as second:
        assert second.ports.names == ("vaebridge in-01:in", "vaebridge out-01:out")
    assert "another program has a port called vaebridge in; ours is vaebridge in-01:in" in caplog.messages


FLICKERS = """
import itertools, rtmidi
for number in itertools.count():
    port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, f"flickers {number % 7}")
    port.open_virtual_port("out")
    port.delete()
"""


@pytest.mark.jack
def test_ports_that_come_and_go_while_they_are_listed_end_nothing(echo: Turned) -> None:
    flickering = subprocess.Popen([sys.executable, "-c", FLICKERS], stderr=subprocess.DEVNULL)
    try:
        listed_often = time.perf_counter() + 4
        echo.until(lambda: time.perf_counter() > listed_often)
    finally:
        flickering.kill()
        flickering.wait()
    echo.send(NOTE)
    echo.until(lambda: echo.messages == [NOTE])
    assert (echo.vanished, echo.returned) == ([], BOTH)


# A server or a client that dies or hangs


@pytest.mark.jack
def test_the_death_of_the_server_is_told_once(jack: Jack, echo: Turned) -> None:
    jack.kill()
    echo.until(lambda: sorted(echo.vanished) == BOTH and bool(echo.ports.why_none))
    echo.send(NOTE)  # nobody is there
    echo.until(lambda: "no JACK server runs" in echo.ports.why_none)
    assert (sorted(echo.vanished), echo.ports.names) == (BOTH, ())


@pytest.mark.jack
def test_when_the_server_is_back_so_are_the_ports(jack: Jack, echo: Turned) -> None:
    for times in (2, 3):
        jack.kill()
        echo.until(lambda: echo.ports.names == ())
        jack.start()
        echo.until(lambda times=times: sorted(echo.returned) == sorted(BOTH * times))
        jack.connect("vaebridge out:out", "vaebridge in:in")
        echo.send(NOTE)
        echo.until(lambda times=times: echo.messages == [NOTE] * (times - 1))


@pytest.mark.jack
def test_a_server_that_died_and_came_back_between_two_checks_is_found_out(jack: Jack, echo: Turned) -> None:
    jack.kill()
    jack.start()
    echo.until(lambda: sorted(echo.vanished) == BOTH and sorted(echo.returned) == sorted(BOTH * 2))
    assert sorted(jack.ports()) == ["vaebridge in:in", "vaebridge out:out"]


@pytest.mark.jack
@pytest.mark.parametrize("outputs", [1, 8])
def test_a_server_that_is_killed_or_hangs_holds_nobody_up(jack: Jack, outputs: int) -> None:
    names = tuple(f"out {number}" for number in range(outputs))
    with Turned(Ports((), names, api="jack")).until_settled() as turned:
        for trouble in (jack.hang, jack.kill):
            trouble()
            turns, began = 0, time.perf_counter()
            while turns < 150 or time.perf_counter() < began + 3:
                turned.send(*messages(200))
                turned.turn(0.01)
                turns += 1
    assert turned.longest_turn < 0.05
    assert turned.ports.unsent > 10_000


@pytest.mark.jack
def test_a_server_that_hangs_before_there_are_ports_is_told_and_taken_when_it_wakes(jack: Jack) -> None:
    jack.hang()
    with Turned() as turned:
        turned.until(lambda: "does not answer" in turned.ports.why_none)
        assert turned.ports.is_settled
        jack.wake()
        turned.until(lambda: turned.returned == BOTH)
    assert turned.longest_turn < 0.05


STANDS = """
import rtmidi, sys, time
port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, sys.argv[1])
port.open_virtual_port("in")
print("open", flush=True)
time.sleep(300)
"""


@contextlib.contextmanager
def standing(name: str) -> Iterator["subprocess.Popen[str]"]:
    """Another program that has an input."""
    program = subprocess.Popen([sys.executable, "-c", STANDS, name], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "open\n"
        yield program
    finally:
        program.kill()
        program.wait()


@pytest.mark.jack
def test_a_client_that_hangs_while_a_port_vanishes_holds_up_neither_the_loop_nor_the_other_ports(
    jack: Jack, machine: Machine
) -> None:
    wanted = Ports((), ("out",), (), ("vanishing",), "jack")
    with standing("hanging") as hanging, standing("vanishing") as vanishing, Turned(wanted) as turned:
        turned.until_settled()
        assert turned.returned == ["out", "vanishing"]
        jack.connect("out:out", "sound module:heard")
        hanging.send_signal(signal.SIGSTOP)
        vanishing.kill()
        gaps, last, deadline = [0.0], time.perf_counter(), time.perf_counter() + 12
        while time.perf_counter() < deadline:
            turned.send(NOTE)
            turned.turn(0.01)
            while machine.hears(NOTE):
                gaps.append(time.perf_counter() - last)
                last = time.perf_counter()
        assert turned.vanished == ["vanishing"]
        assert turned.longest_turn < 0.05
        assert max(gaps) < 1.0


@pytest.mark.jack
def test_a_daemon_that_is_killed_leaves_no_note_sounding(jack: Jack, machine: Machine) -> None:
    with Turned(Ports((), ("out",), api="jack")).until_settled() as turned:
        jack.connect("out:out", "sound module:heard")
        turned.send(NOTE, b"\x99\x26\x64", b"\x89\x26\x00")
        turned.until(lambda: machine.hears(b"\x89\x26\x00"))
        turned.ports.channels[-1].close()  # as the system does with all that a process leaves behind
        deadline = time.perf_counter() + 10
        while not machine.hears(b"\x89\x24\x40"):
            assert time.perf_counter() < deadline
            time.sleep(0.001)


@pytest.mark.jack
def test_the_process_of_one_port_that_dies_takes_no_other_with_it(echo: Turned) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    holders = [int(pid) for pid in children if b"port_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(holders) == 2
    os.kill(holders[0], signal.SIGKILL)
    echo.until(lambda: len(echo.returned) == 3)
    assert echo.vanished == echo.returned[2:]


# What there is


@pytest.mark.jack
def test_the_ports_of_all_programs_are_listed(echo: Turned) -> None:
    listing = list_ports("jack")
    assert (listing.api, listing.sources, listing.destinations) == (
        "jack",
        ("vaebridge out:out",),
        ("vaebridge in:in",),
    )


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
        list_ports()
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("no_midi")
@pytest.mark.parametrize(("api", "advice"), [("alsa", "modprobe snd-seq"), ("jack", "apt install jackd2")])
def test_an_api_that_is_asked_for_and_missing_says_its_own(api: str, advice: str) -> None:
    with pytest.raises(PortError, match=advice):
        list_ports(api)


def test_an_api_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PortError, match="must be one of auto, alsa, jack, core, windows, not oss"):
        list_ports("oss")


@pytest.mark.parametrize("problem", [ImportError("libasound.so.2"), OSError("libasound.so.2")])
def test_without_rtmidi_or_its_libraries_the_error_says_what_to_install(problem: Exception) -> None:
    def broken(_: str) -> object:
        raise problem

    with pytest.raises(PortError, match=r"vaebridge\[midi\].*apt install libasound2\): libasound.so.2"):
        list_ports(load=broken)


def test_where_midi_is_switched_off_nothing_is_started() -> None:
    with Turned(None) as turned:
        turned.turn(0)
        assert (turned.ports.channels, turned.ports.is_settled) == ([], True)
        assert "--no-midi" in turned.ports.why_none
