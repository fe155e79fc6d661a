"""A peer of a Link session as a process: reads one command a line, answers each with one line of JSON.

python -m tests.bridge.link_peer ours|foreign TEMPO

ours is bridge.playing.link_clock; foreign is what any other application does with the library. Commands: tempo BPM,
start, stop, shift BEATS, at MOMENT, until NAME VALUE, past NAME VALUE. MOMENT is of time.perf_counter(), which all
share.
"""

import json
import math
import sys
import time
from typing import Protocol

import link

from bridge.playing.link_clock import LinkClock, seconds_ahead

BEATS_PER_BAR = 4.0
PATIENCE_SECONDS = 20.0
Facts = dict[str, float]


class Peer(Protocol):
    def tempo(self, tempo_bpm: float) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def facts(self, moment: float) -> Facts: ...


class Ours:
    def __init__(self, tempo_bpm: float):
        self.clock = LinkClock(tempo_bpm, BEATS_PER_BAR, time.perf_counter())

    def tempo(self, tempo_bpm: float) -> None:
        self.clock.set_tempo(tempo_bpm, time.perf_counter())

    def start(self) -> None:
        self.clock.start(time.perf_counter())

    def stop(self) -> None:
        self.clock.stop(time.perf_counter())

    def facts(self, moment: float) -> Facts:
        self.clock.advance(time.perf_counter())
        clock = self.clock
        beat = clock.line.beat_at(moment)
        return {
            "tempo": clock.line.tempo_bpm,
            "playing": clock.playing,
            "peers": clock.peers,
            "beat": beat,
            "phase": beat % BEATS_PER_BAR,
            "jumps": clock.jumps,
        }


class Foreign:
    def __init__(self, tempo_bpm: float):
        self.link = link.Link(tempo_bpm)
        self.link.startStopSyncEnabled = True
        self.link.enabled = True

    def tempo(self, tempo_bpm: float) -> None:
        state = self.link.captureSessionState()
        state.setTempo(tempo_bpm, self._micros(time.perf_counter()))
        self.link.commitSessionState(state)

    def start(self) -> None:
        """In the middle of the next bar, so that nobody can doubt which bar line comes then."""
        state = self.link.captureSessionState()
        beat = state.beatAtTime(self._micros(time.perf_counter()), BEATS_PER_BAR)
        middle = (beat // BEATS_PER_BAR + 1.5) * BEATS_PER_BAR
        micros = round(state.timeAtBeat(middle, BEATS_PER_BAR))
        state.setIsPlayingAndRequestBeatAtTime(True, micros, 0.0, BEATS_PER_BAR)
        self.link.commitSessionState(state)

    def stop(self) -> None:
        state = self.link.captureSessionState()
        state.setIsPlaying(False, self._micros(time.perf_counter()))
        self.link.commitSessionState(state)

    def shift(self, beats: float) -> None:
        state, micros = self.link.captureSessionState(), self._micros(time.perf_counter())
        state.forceBeatAtTime(state.beatAtTime(micros, BEATS_PER_BAR) + beats, micros, BEATS_PER_BAR)
        self.link.commitSessionState(state)

    def facts(self, moment: float) -> Facts:
        state, micros = self.link.captureSessionState(), self._micros(moment)
        return {
            "tempo": state.tempo(),
            "playing": state.isPlaying(),
            "peers": self.link.numPeers(),
            "beat": state.beatAtTime(micros, BEATS_PER_BAR),
            "phase": state.phaseAtTime(micros, BEATS_PER_BAR),
        }

    def _micros(self, moment: float) -> int:
        return round((moment + seconds_ahead(self.link.clock().micros)) * 1e6)


def obey(peer: Peer, command: str, *values: str) -> Facts:
    """Do it, and tell how things stand then. until and past wait, for as long as there is patience."""
    if command == "at":
        return peer.facts(float(values[0]))
    if command in ("until", "past"):
        return wait(peer, values[0], float(values[1]), or_more=command == "past")
    getattr(peer, command)(*map(float, values))
    return peer.facts(time.perf_counter())


def wait(peer: Peer, name: str, wanted: float, *, or_more: bool) -> Facts:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while True:
        facts = peer.facts(time.perf_counter())
        there = facts[name] >= wanted if or_more else math.isclose(facts[name], wanted, abs_tol=0.001)
        if there or time.perf_counter() > deadline:
            return facts
        time.sleep(0.005)


def main() -> None:
    kind, tempo_bpm = sys.argv[1], float(sys.argv[2])
    peer: Peer = Ours(tempo_bpm) if kind == "ours" else Foreign(tempo_bpm)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(obey(peer, *line.split())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
