"""The whole daemon in front of real MIDI ports: JACK without a sound card, and performers that plug in."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from bridge.playing.tempo_follower import WINDOW_TICKS
from engine.clip import Clip, Note
from tests.bridge.conftest import Daemon, Starts, runs
from tests.bridge.jack import Jack
from tests.bridge.peer import WAIT_SECONDS, Peer
from tests.bridge.performer import DAEMON_IN, DAEMON_OUT, Performer, Wire

pytestmark = pytest.mark.jack

LONG = Clip((Note(36, 0.0, 4.0, 100),), 4.0)
SOON_SECONDS = 0.25
"""What must happen within 50 ms, on a machine that does much else at the same time."""

BUSY_SECONDS = 0.25
"""In which OSC is answered whatever happens, on such a machine."""

JACK_MIDI_CLOCK = "jack_midi_clock:mclk_out"
PATIENCE_SECONDS = 120.0
"""In which its clock comes as it should for 8 beats on end, on a machine that stalls for 10 ms every 3 seconds."""


@pytest.fixture
def daemon_on_jack(jack: Jack, start: Starts) -> Daemon:
    daemon = start("fake", midi=1, tempo=240)
    daemon.wait_until_ready()
    return daemon


def silent_since(performer: Performer) -> float:
    """When the last note ended; nothing sounds."""
    performer.wait_until(lambda: not performer.hanging)
    return performer.heard[-1][0]


def sound(client: Peer, performer: Performer) -> None:
    """Let a long note sound, again and again."""
    client.upload("long", LONG)
    assert client.ask("play", "slot", "long", "loop", 1).is_done
    performer.wait_until(lambda: bool(performer.hanging))


def test_its_ports_are_called_as_the_readme_says(jack: Jack, daemon_on_jack: Daemon) -> None:
    for port in (DAEMON_IN, DAEMON_OUT):
        jack.wait_for(port)


def test_what_is_tapped_is_answered_on_the_next_bar_line_and_nothing_hangs(
    client: Peer, performer: Performer
) -> None:
    assert client.ask("subscribe", "topic", "beat").is_done
    assert client.ask("live", "mode", "answer", "bars", 1).is_done
    while client.hear().arguments != (1, 1):  # the song begins
        pass
    for index in range(24):
        performer.tap(36, 60 + index)
        time.sleep(0.05)
    performer.wait_until(lambda: len(performer.struck) >= 24 and not performer.hanging)
    assert [pitch for _, pitch, _ in performer.struck] == [36] * 24
    status = client.ask("status").keys
    assert (status["missed"], status["skipped"], status["live"]) == (0, 0, "answer")


def test_the_clip_that_was_played_in_is_in_the_slot_live(client: Peer, performer: Performer) -> None:
    assert client.ask("live", "mode", "answer", "bars", 1).is_done
    time.sleep(0.1)
    performer.tap(38, 77)
    performer.wait_until(lambda: bool(performer.struck))
    [(pitch, start, *_)] = client.ask("clip/get", "slot", "live").notes()
    assert (pitch, float(start) < 4.0) == (38, True)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_sounding(
    client: Peer, performer: Performer, daemon_on_jack: Daemon, stop: signal.Signals
) -> None:
    sound(client, performer)
    daemon_on_jack.process.send_signal(stop)
    assert daemon_on_jack.process.wait(10) == 0
    silent_since(performer)


def test_a_daemon_that_is_suspended_leaves_nothing_sounding_and_plays_on(
    client: Peer, performer: Performer, daemon_on_jack: Daemon
) -> None:
    sound(client, performer)
    daemon_on_jack.process.send_signal(signal.SIGTSTP)
    os.waitid(os.P_PID, daemon_on_jack.process.pid, os.WSTOPPED)
    silent_since(performer)
    count = len(performer.struck)
    daemon_on_jack.process.send_signal(signal.SIGCONT)
    performer.wait_until(lambda: len(performer.struck) > count)
    assert client.ask("stop").is_done


def test_stop_and_panic_are_heard_soon(client: Peer, performer: Performer) -> None:
    for verb in ("stop", "panic"):
        sound(client, performer)
        asked = time.perf_counter()
        assert client.ask(verb).is_done
        assert silent_since(performer) - asked < SOON_SECONDS


def test_when_the_model_process_is_killed_it_is_silent_soon_and_plays_on_by_itself(
    client: Peer, performer: Performer, daemon_on_jack: Daemon
) -> None:
    client.upload("long", LONG)
    assert client.ask("live", "mode", "loop", "slot", "long").is_done
    performer.wait_until(lambda: bool(performer.hanging))
    killed = time.perf_counter()
    os.kill(daemon_on_jack.model_pid, signal.SIGKILL)
    assert silent_since(performer) - killed < SOON_SECONDS
    count = len(performer.struck)
    performer.wait_until(lambda: len(performer.struck) >= count + 3)


def test_when_the_server_dies_osc_goes_on_and_the_ports_come_back(
    jack: Jack, client: Peer, performer: Performer
) -> None:
    sound(client, performer)
    jack.kill()
    performer.close()
    assert client.ask("ping").is_done
    jack.start()
    with Performer(jack, "second") as second:
        second.plug_in()
        second.wait_until(lambda: bool(second.struck))
        assert client.ask("stop").is_done
        silent_since(second)


def test_a_cable_that_is_pulled_and_put_back_leaves_nothing_sounding(
    jack: Jack, client: Peer, performer: Performer
) -> None:
    sound(client, performer)
    jack.disconnect(DAEMON_OUT, "performer ears:in")
    jack.connect(DAEMON_OUT, "performer ears:in")
    count = len(performer.struck)
    performer.wait_until(lambda: len(performer.struck) > count)
    assert client.ask("stop").is_done
    silent_since(performer)


@pytest.mark.parametrize("tempo_bpm", [61.7, 123.5, 187.3])
def test_the_clock_of_another_program_is_followed(
    jack: Jack, client: Peer, daemon_on_jack: Daemon, needs: Callable[[str, str], None], tempo_bpm: float
) -> None:
    needs("jack_midi_clock", "jack-midi-clock")
    assert client.ask("clock", "source", "midi").is_done
    jack.run("jack_midi_clock", "-b", str(tempo_bpm))
    jack.wait_for(JACK_MIDI_CLOCK)
    jack.connect(JACK_MIDI_CLOCK, DAEMON_IN)
    jack.transport("play")
    followed: list[float] = []
    deadline = time.perf_counter() + PATIENCE_SECONDS
    with Wire(jack, JACK_MIDI_CLOCK) as wire:
        while len(followed) < 5:
            assert time.perf_counter() < deadline, "jack_midi_clock never sends 8 beats in time"
            time.sleep(0.1)
            tempo = float(client.ask("status").keys["tempo"])
            if wire.is_steady(tempo_bpm, WINDOW_TICKS + 2):  # the daemon has yet to hear the last, perhaps
                followed.append(tempo)
    assert client.ask("status").keys["playing"]
    assert followed == pytest.approx([tempo_bpm] * len(followed), rel=0.002)  # the jitter that is_steady allows


def test_a_flood_of_20_000_messages_stops_neither_osc_nor_what_plays(client: Peer, performer: Performer) -> None:
    sound(client, performer)
    for index in range(20_000):
        performer.play(0xB0, 1, index % 128)
    assert client.ask("ping").is_done
    count = len(performer.struck)
    performer.wait_until(lambda: len(performer.struck) >= count + 2)


def test_a_second_daemon_has_ports_of_its_own(jack: Jack, daemon_on_jack: Daemon, start: Starts) -> None:
    second = start("fake", midi=1)
    second.wait_until_ready()
    jack.wait_for("vaebridge in-01:in")
    assert len([port for port in jack.ports() if port.startswith("vaebridge in")]) == 2


def test_without_a_midi_system_osc_goes_on_and_one_line_says_what_to_install(start: Starts) -> None:
    daemon = start("fake", midi=1, midi_api="jack")
    daemon.wait_until_ready()
    with Peer(daemon.port) as client:
        assert client.ask("sample").is_done
        answer = client.ask("live", "mode", "answer")
        assert answer.code == "no_port"
        assert "apt install jackd2" in answer.text
    lines = [line for line in daemon.log.read_text().splitlines() if "MIDI" in line]
    assert len(lines) == 1, lines


def test_a_midi_system_that_comes_later_is_taken(jack: Jack, start: Starts) -> None:
    jack.kill()
    daemon = start("fake", midi=1, midi_api="jack")
    daemon.wait_until_ready()
    with Peer(daemon.port) as client:
        assert client.ask("live", "mode", "answer").code == "no_port"
        jack.start()
        jack.wait_for(DAEMON_IN)
        assert client.ask("live", "mode", "answer").is_done


# A JACK server or client that hangs or dies


def longest_silence(client: Peer, seconds: float) -> float:
    """The longest wait for an answer, in seconds, while it is asked again and again."""
    longest, deadline = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        asked = time.perf_counter()
        assert client.ask("ping").is_done
        longest = max(longest, time.perf_counter() - asked)
        time.sleep(0.005)
    return longest


def test_a_server_that_hangs_before_the_daemon_starts_holds_nothing_up(jack: Jack, start: Starts) -> None:
    jack.hang()
    daemon = start("fake", midi=1, midi_api="jack")
    daemon.wait_until_ready()
    with Peer(daemon.port) as client:
        assert longest_silence(client, 4) < BUSY_SECONDS
        answer = client.ask("live", "mode", "answer")
        assert (answer.code, "does not answer" in answer.text) == ("no_port", True)
        assert "does not answer" in daemon.log.read_text()
        jack.wake()
        jack.wait_for(DAEMON_IN)
        assert client.ask("live", "mode", "answer").is_done
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


@pytest.mark.parametrize("trouble", ["kill", "hang"])
def test_a_server_with_eight_outputs_that_dies_or_hangs_silences_osc_for_no_moment(
    jack: Jack, start: Starts, trouble: str
) -> None:
    daemon = start("fake", midi=1, midi_out=",".join(f"out {number}" for number in range(8)))
    daemon.wait_until_ready()
    with Peer(daemon.port) as client:
        client.upload("long", LONG)
        assert client.ask("play", "slot", "long", "loop", 1).is_done
        getattr(jack, trouble)()
        assert longest_silence(client, 5) < BUSY_SECONDS
    daemon.process.send_signal(signal.SIGTERM)
    began = time.perf_counter()
    assert daemon.process.wait(10) == 0
    assert time.perf_counter() - began < 2


def test_the_ports_outlive_the_process_that_lists_them(
    client: Peer, performer: Performer, daemon_on_jack: Daemon
) -> None:
    sound(client, performer)
    os.kill(daemon_on_jack.pid_of("bridge.midi.watch_process"), signal.SIGKILL)
    count = len(performer.struck)
    performer.wait_until(lambda: len(performer.struck) >= count + 4)
    assert client.ask("stop").is_done
    silent_since(performer)


def test_a_daemon_that_is_killed_leaves_nothing_sounding(
    client: Peer, performer: Performer, daemon_on_jack: Daemon
) -> None:
    sound(client, performer)
    daemon_on_jack.process.kill()
    silent_since(performer)


def test_a_daemon_that_is_killed_while_the_server_hangs_leaves_no_process_behind(
    jack: Jack, daemon_on_jack: Daemon
) -> None:
    started = daemon_on_jack.pids
    assert len(started) == 4
    jack.hang()
    daemon_on_jack.process.kill()
    deadline = time.perf_counter() + WAIT_SECONDS
    while left := [pid for pid in started if runs(pid)]:
        assert time.perf_counter() < deadline, left
        time.sleep(0.01)
    jack.wake()


def test_a_mode_to_begin_with_begins_when_the_ports_are_there(jack: Jack, start: Starts) -> None:
    daemon = start("fake", midi=1, live="answer", bars=1)
    daemon.wait_until_ready()
    with Peer(daemon.port) as client:
        assert client.ask("status").keys["live"] == "answer"
