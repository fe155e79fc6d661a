# ruff: noqa: N802 - the fakes bear the library's names
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.errors import ClockError
from bridge.playing.link_clock import JUMP_SECONDS, POLL_SECONDS, LinkClock, seconds_ahead
from tests.missing import missing

ROOT = Path(__file__).parents[3]
AHEAD_SECONDS = 5
"""The fake library's clock, of time.perf_counter()."""


@dataclass
class FakeState:
    """A session as the library hands it out, which beats bars of four."""

    bpm: float
    peers: int = 0
    beat_zero_micros: float = AHEAD_SECONDS * 1e6
    playing: bool = False
    playing_micros: int = 0

    def tempo(self) -> float:
        return self.bpm

    def setTempo(self, bpm: float, micros: int) -> None:
        beat = self.beatAtTime(micros, 4)
        self.bpm = bpm
        self.force(beat, micros)

    def beatAtTime(self, micros: int, quantum: float) -> float:
        assert micros >= 0, "the library raises TypeError"
        return (micros - self.beat_zero_micros) * self.bpm / 60e6

    def isPlaying(self) -> bool:
        return self.playing

    def timeForIsPlaying(self) -> int:
        return self.playing_micros

    def setIsPlaying(self, playing: bool, micros: int) -> None:
        self.playing, self.playing_micros = playing, micros

    def setIsPlayingAndRequestBeatAtTime(self, playing: bool, micros: int, beat: float, quantum: float) -> None:
        self.setIsPlaying(playing, micros)
        wait_beats = (beat - self.beatAtTime(micros, quantum)) % quantum if self.peers else 0
        self.force(beat - wait_beats, micros)

    def force(self, beat: float, micros: float) -> None:
        self.beat_zero_micros = micros - beat * 60e6 / self.bpm


class FakeLink:
    """A session of which the test is the other peers: it changes state."""

    def __init__(self, bpm: float):
        self.state, self.enabled, self.startStopSyncEnabled = FakeState(bpm), False, False

    def captureSessionState(self) -> FakeState:
        return replace(self.state)

    def commitSessionState(self, state: FakeState) -> None:
        self.state = state

    def numPeers(self) -> int:
        return self.state.peers

    def clock(self) -> SimpleNamespace:
        return SimpleNamespace(micros=lambda: 0)


def micros(moment: float) -> int:
    return round((moment + AHEAD_SECONDS) * 1e6)


def almost(beat: float) -> object:
    """Within what a clock of whole microseconds costs."""
    return pytest.approx(beat, abs=0.00001)


@pytest.fixture
def session() -> FakeLink:
    """The session that the clock is in."""
    return FakeLink(120.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, session: FakeLink) -> LinkClock:
    """In a session alone, at beat 0 at second 0."""
    monkeypatch.setitem(sys.modules, "link", SimpleNamespace(Link=lambda bpm: session))
    monkeypatch.setattr("bridge.playing.link_clock.seconds_ahead", lambda micros: AHEAD_SECONDS)
    return LinkClock(120.0, 4, 0.0)


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "link", None)
    with pytest.raises(ClockError, match=r"pip install 'vaebridge\[link\]'"):
        LinkClock(120.0, 4, 0.0)


def test_it_takes_part_in_start_and_stop(clock: LinkClock, session: FakeLink) -> None:
    assert session.enabled
    assert session.startStopSyncEnabled


def test_closing_leaves_the_session(clock: LinkClock, session: FakeLink) -> None:
    clock.close()
    assert not session.enabled


def test_it_asks_to_be_called_soon_again(clock: LinkClock) -> None:
    clock.advance(3.0)
    assert clock.next_due() == 3.0 + POLL_SECONDS


def test_alone_it_starts_at_once_from_the_beat_asked_for(clock: LinkClock) -> None:
    clock.start(1.3, 8.0)
    assert clock.playing
    assert clock.line.beat_at(1.3) == almost(8.0)
    clock.advance(1.8)
    assert clock.line.beat_at(1.8) == almost(9.0)
    assert clock.jumps == 1


def test_among_others_it_starts_with_their_next_bar(clock: LinkClock, session: FakeLink) -> None:
    session.state.peers = 1
    clock.start(1.3)
    assert clock.line.beat_at(2.0) == almost(0.0)
    clock.advance(2.0)
    assert clock.line.beat_at(2.0) == almost(0.0)
    assert clock.jumps == 1


def test_a_start_by_another_is_beat_0_at_the_next_bar_line(clock: LinkClock, session: FakeLink) -> None:
    session.state.setIsPlaying(True, micros(9.1))
    clock.advance(9.15)
    assert clock.playing
    assert clock.line.beat_at(10.0) == almost(0.0)
    assert clock.jumps == 1


def test_a_start_here_after_one_by_another_counts_anew(clock: LinkClock, session: FakeLink) -> None:
    session.state.setIsPlaying(True, micros(9.1))
    clock.advance(9.15)
    clock.start(12.3, 2.0)
    clock.advance(12.8)
    assert clock.line.beat_at(12.8) == almost(3.0)


def test_a_start_by_another_at_a_bar_line_is_known_late_and_counts_from_there(
    clock: LinkClock, session: FakeLink
) -> None:
    session.state.setIsPlaying(True, micros(8.0 + JUMP_SECONDS / 2))
    clock.advance(8.1)
    assert clock.line.beat_at(8.0) == almost(0.0)


def test_a_session_that_plays_since_before_this_machine_was_on_is_followed(
    clock: LinkClock, session: FakeLink
) -> None:
    session.state.setIsPlaying(True, -1)
    clock.advance(1.0)
    assert clock.line.beat_at(1.0) % 4 == almost(2.0)


def test_a_following_start_changes_nothing_for_the_others(clock: LinkClock, session: FakeLink) -> None:
    session.state.setIsPlaying(True, micros(9.1))
    before = replace(session.state)
    clock.advance(9.15)
    assert session.state == before


def test_a_stop_by_another_stops(clock: LinkClock, session: FakeLink) -> None:
    clock.start(1.0)
    session.state.setIsPlaying(False, micros(2.0))
    clock.advance(2.01)
    assert not clock.playing


def test_a_stop_is_known_to_all_at_once(clock: LinkClock, session: FakeLink) -> None:
    clock.start(1.0)
    clock.stop(2.0)
    assert not clock.playing
    assert not session.state.playing


def test_a_tempo_set_here_is_the_session_s_and_the_song_goes_on_from_where_it_is(
    clock: LinkClock, session: FakeLink
) -> None:
    clock.start(1.0)
    clock.set_tempo(90.0, 3.0)
    assert session.state.bpm == clock.line.tempo_bpm == 90.0
    assert clock.line.beat_at(3.0) == almost(4.0)
    assert clock.jumps == 1


@pytest.mark.parametrize("tempo_bpm", [19.9, 601.0, float("nan")])
def test_a_tempo_out_of_range_is_refused(clock: LinkClock, session: FakeLink, tempo_bpm: float) -> None:
    with pytest.raises(ClockError, match="tempo must be in"):
        clock.set_tempo(tempo_bpm, 1.0)
    assert session.state.bpm == 120.0


def test_a_change_of_tempo_that_is_known_late_is_no_jump(clock: LinkClock, session: FakeLink) -> None:
    clock.start(1.0)
    session.state.setTempo(240.0, micros(2.0))
    clock.advance(2.09)
    assert clock.line.beat_at(2.09) == almost(2.0 + 0.09 * 4)
    assert clock.jumps == 1


@pytest.mark.parametrize(("shift_seconds", "jumps"), [(0.9 * JUMP_SECONDS, 1), (1.1 * JUMP_SECONDS, 2)])
def test_a_shift_is_followed_and_is_a_jump_if_it_can_be_heard(
    clock: LinkClock, session: FakeLink, shift_seconds: float, jumps: int
) -> None:
    clock.start(1.0)
    session.state.beat_zero_micros -= shift_seconds * 1e6
    clock.advance(2.0)
    assert clock.line.beat_at(2.0) == almost(2.0 + shift_seconds * 2)
    assert clock.jumps == jumps


def test_joining_a_session_with_another_tempo_and_phase_is_a_jump(clock: LinkClock, session: FakeLink) -> None:
    clock.start(1.0)
    session.state.setTempo(126.0, micros(2.0))
    session.state.force(3.0, micros(2.0))
    clock.advance(2.01)
    assert clock.jumps == 2


def test_a_shift_while_the_song_stands_is_no_jump(clock: LinkClock, session: FakeLink) -> None:
    session.state.force(1.7, micros(2.0))
    clock.advance(2.0)
    assert clock.jumps == 0


def test_when_the_others_go_the_song_goes_on(clock: LinkClock, session: FakeLink) -> None:
    session.state.peers = 1
    clock.start(1.3)
    clock.advance(3.0)
    session.state.peers = 0
    clock.advance(4.0)
    assert clock.peers == 0
    assert clock.playing
    assert not clock.gone
    assert clock.line.beat_at(4.0) == almost(4.0)


def test_two_clocks_are_compared_where_nobody_came_between() -> None:
    moments = iter([0.0, 0.5, 1.0, 1.000002, 2.0, 2.1, 3.0, 3.3, 4.0, 4.2])
    readings = iter([7_400_000, 8_000_001, 9_000_000, 10_000_000, 11_000_000])
    assert seconds_ahead(lambda: next(readings), lambda: next(moments)) == pytest.approx(7.0)


@dataclass
class PeerProcess:
    """tests/bridge/link_peer.py, in a network of its own."""

    process: "subprocess.Popen[str]"

    def ask(self, *command: object) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        facts: dict[str, float] = json.loads(self.process.stdout.readline())
        return facts


Joins = Callable[[str, float], PeerProcess]


@pytest.fixture
def network(needs: Callable[[str, str], None]) -> Iterator[str]:
    """A network that is loopback alone: Link talks to every interface that it finds."""
    if importlib.util.find_spec("link") is None:
        missing("Ableton Link is missing; pip install 'vaebridge[link]'")
    needs("ip", "iproute2")
    name = f"vaebridge-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        missing(f"a network namespace takes root: {made.stderr.strip()}")
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def join(network: str) -> Iterator[Joins]:
    """Starts peers; the session ends with the test."""
    peers: list[PeerProcess] = []

    def joins(kind: str, tempo_bpm: float) -> PeerProcess:
        command = ["ip", "netns", "exec", network, sys.executable, "-m", "tests.bridge.link_peer"]
        process = subprocess.Popen(
            [*command, kind, str(tempo_bpm)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        peers.append(PeerProcess(process))
        return peers[-1]

    yield joins
    for peer in peers:
        peer.process.kill()
        peer.process.wait()


@pytest.fixture
def foreign(join: Joins) -> PeerProcess:
    """Another application; its session is a second old, and of two sessions the older one lives on."""
    peer = join("foreign", 240.0)
    peer.ask("past", "beat", 4)
    return peer


@pytest.fixture
def ours(foreign: PeerProcess, join: Joins) -> PeerProcess:
    """Our clock, once it is in the other's session."""
    peer = join("ours", 120.0)
    peer.ask("until", "tempo", 240)
    foreign.ask("until", "peers", 1)
    return peer


def apart_ms(one: PeerProcess, other: PeerProcess) -> float:
    """How far apart two peers' places in the bar are at one moment."""
    moment = time.perf_counter()
    first, second = one.ask("at", moment), other.ask("at", moment)
    beats = (first["phase"] - second["phase"] + 2) % 4 - 2
    return abs(beats) * 60_000 / first["tempo"]


@pytest.mark.link
def test_who_joins_takes_over_the_session_s_tempo(foreign: PeerProcess, ours: PeerProcess) -> None:
    assert ours.ask("at", time.perf_counter())["tempo"] == pytest.approx(240.0)


@pytest.mark.link
def test_phases_agree(foreign: PeerProcess, ours: PeerProcess) -> None:
    assert apart_ms(foreign, ours) < 2


@pytest.mark.link
def test_a_tempo_set_elsewhere_is_seen_here(foreign: PeerProcess, ours: PeerProcess) -> None:
    foreign.ask("tempo", 131)
    assert ours.ask("until", "tempo", 131)["tempo"] == pytest.approx(131, abs=0.001)
    assert apart_ms(foreign, ours) < 2


@pytest.mark.link
def test_a_tempo_set_here_is_seen_elsewhere(foreign: PeerProcess, ours: PeerProcess) -> None:
    ours.ask("tempo", 97.5)
    assert foreign.ask("until", "tempo", 97.5)["tempo"] == pytest.approx(97.5, abs=0.001)
    assert apart_ms(foreign, ours) < 2


@pytest.mark.link
@pytest.mark.parametrize(("one", "other"), [("foreign", "ours"), ("ours", "foreign")])
def test_one_starts_and_stops_the_other(one: str, other: str, foreign: PeerProcess, ours: PeerProcess) -> None:
    peers = {"foreign": foreign, "ours": ours}
    peers[one].ask("start")
    assert peers[other].ask("until", "playing", 1)["playing"]
    peers[one].ask("stop")
    assert not peers[other].ask("until", "playing", 0)["playing"]


@pytest.mark.link
def test_both_count_the_song_from_the_same_bar_line(foreign: PeerProcess, ours: PeerProcess) -> None:
    foreign.ask("start")
    ours.ask("until", "playing", 1)
    moment = time.perf_counter()
    assert ours.ask("at", moment)["beat"] == pytest.approx(foreign.ask("at", moment)["beat"], abs=0.008)


@pytest.mark.link
def test_a_peer_that_forces_a_beat_makes_the_song_jump(foreign: PeerProcess, ours: PeerProcess) -> None:
    ours.ask("start")
    jumps = ours.ask("past", "beat", 0)["jumps"]
    foreign.ask("shift", 1.5)
    assert ours.ask("until", "jumps", jumps + 1)["jumps"] == jumps + 1
    assert apart_ms(foreign, ours) < 2


@pytest.mark.link
def test_when_a_peer_is_lost_the_song_goes_on_at_its_tempo(foreign: PeerProcess, ours: PeerProcess) -> None:
    foreign.ask("start")
    ours.ask("until", "playing", 1)
    foreign.process.kill()
    facts = ours.ask("until", "peers", 0)
    assert (facts["peers"], facts["playing"]) == (0, True)
    assert facts["tempo"] == pytest.approx(240.0)
