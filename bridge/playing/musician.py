"""Everything that plays, as one object: takes MIDI messages, follows the clock, plays. Pure: sends through send.

Connects the clock, the recorder, the live modes, the clips that play and the scheduler; knows no OSC. An unexpected
exception in one of them is logged and stops that one alone; the others play on.
"""

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from bridge.errors import ClockError, RequestError
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, Clock, InternalClock
from bridge.playing.controls import Action, Control, Controls
from bridge.playing.ear import Ear
from bridge.playing.guard import guarded
from bridge.playing.live import SLOT as LIVE_SLOT
from bridge.playing.live import Live
from bridge.playing.live_settings import MODES, STEERED, LiveSettings
from bridge.playing.midi_clock import MidiClock
from bridge.playing.playback import Playback, next_line
from bridge.playing.recorder import Recorder
from bridge.playing.scheduler import Scheduler
from bridge.playing.slots import Slots
from engine.requests import Request, Results

logger = logging.getLogger(__name__)

NOTE_ON, PROGRAM = 0x90, 0xC0
START_SECONDS = 0.05
"""From the command to the first beat of the internal clock, so that the first note is not late."""

At = Literal["bar", "beat", "now"]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a Musician is constructed from.

    channels: the MIDI channels that are recorded, each with the channel of its answers; all if empty. on_playing is
    called with the slot that begins, or "" when nothing plays any more; on_learned with a target and its new
    control, or None. send takes one MIDI message.
    """

    send: Callable[[bytes], None]
    slots: Slots
    tempo_bpm: float = 120.0
    beats_per_bar: float = 4.0
    channel: int = 10
    channels: Mapping[int, int] = field(default_factory=dict)
    latency_seconds: float = 0.0
    controls: Mapping[str, Control] = field(default_factory=dict)
    on_playing: Callable[[str], None] = lambda slot: None
    on_learned: Callable[[str, Control | None], None] = lambda target, control: None


class Musician:
    """Plays one song at a time, on one clock. models: those that a knob or program change selects from."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self.beats_per_bar = stage.beats_per_bar
        self.scheduler = Scheduler(self._send, latency_seconds=stage.latency_seconds)
        self.recorder = Recorder(home_channel=stage.channel)
        self._ear = Ear(self.recorder, stage.channels)
        self.playback = Playback(self.scheduler, stage.slots, self._on_playing)
        self.live = Live(
            self.scheduler,
            self.recorder,
            stage.slots,
            beats_per_bar=stage.beats_per_bar,
            channel=stage.channel,
            latency_seconds=stage.latency_seconds,
        )
        self.controls = Controls(stage.controls, self._on_learned)
        self.midi_clock, self._own_clock = MidiClock(), InternalClock(stage.tempo_bpm)
        self.clock: Clock = self._own_clock
        self.models: tuple[str, ...] = ()
        self._now = 0.0
        self._jumps, self._played, self._hushed = self.clock.jumps, False, False

    @property
    def has_live_clip(self) -> bool:
        """Whether anything has been recorded."""
        return LIVE_SLOT in self._stage.slots

    @property
    def problem(self) -> str:
        """What is wrong, empty if nothing is."""
        return self.live.problem or self._ear.problem

    # What the ports bring

    def hear(self, at_seconds: float, port: str, message: bytes, now: float) -> None:
        """One MIDI message, as it came to a port."""
        with guarded("a MIDI message"):
            self._hear(at_seconds, port, message, now)

    def _hear(self, at_seconds: float, port: str, message: bytes, now: float) -> None:
        if not message or self.midi_clock.hear(message, port, at_seconds) or message[0] >= 0xF0:
            self._follow_clock(now)
            return
        actions = self.controls.hear(message, now, running=self.live.running)
        if actions is not None:
            for action in actions:
                self._act(action, now)
            return
        if message[0] & 0xF0 == PROGRAM and len(message) == 2:
            self._act(Action("program", message[1]), now)
        else:
            self._ear.hear(message, at_seconds, port, self.clock.line if self.clock.playing else None)

    def ports_changed(self, vanished: list[str], returned: list[str], now: float) -> None:
        """Release the notes held on ports that vanished; send note offs again to ports that returned."""
        if vanished:
            self.scheduler.silence()
        if returned:
            self.scheduler.repeat_ends()
        with guarded("ports that have vanished"):
            for port in vanished:
                self.midi_clock.port_vanished(port)
            if vanished:
                self.recorder.let_go(self.clock.line.beat_at(now))
        self._follow_clock(now)

    # Time

    def run_due(self, now: float) -> None:
        """Do and send what is due."""
        self._now = now
        self._follow_clock(now)
        with guarded("the controls"):
            for action in self.controls.run_due(now):
                self._act(action, now)
        if self._moves:
            line = self.clock.line
            self.playback.run_due(line.beat_at(now + self._stage.latency_seconds))
            with self._live_guarded(now):
                self.live.run_due(now, line)
            self.scheduler.run_due(now, line)

    def next_due(self) -> float:
        """When run_due has something to do, inf while nothing is planned."""
        dues = [self.clock.next_due(), self.controls.next_due()]
        if self._moves:
            line = self.clock.line
            dues += [self.playback.next_due(line), self.live.next_due(line), self.scheduler.next_due(line)]
        return min(dues)

    @property
    def _moves(self) -> bool:
        return self.clock.playing and not self.clock.gone

    def place(self, now: float) -> tuple[int, float] | None:
        """The bar and the beat in it, both from 1, None while the song is stopped."""
        if not self._moves:
            return None
        beat = self.clock.line.beat_at(now)
        bar = math.floor(beat / self.beats_per_bar)
        return bar + 1, beat - bar * self.beats_per_bar + 1

    def next_beat_at(self, now: float) -> float:
        """When the next beat begins, or the next bar, inf while the song is stopped."""
        place = self.place(now)
        if place is None:
            return math.inf
        bar, beat = place
        following = min(math.floor(beat), self.beats_per_bar) + (bar - 1) * self.beats_per_bar
        return self.clock.line.time_at(following)

    def _follow_clock(self, now: float) -> None:
        """Update the clock, and react where it started, stopped, jumped or its sender is gone."""
        with guarded("the clock", lambda error: self._go_on_alone(now)):
            self.clock.advance(now)
        clock = self.clock
        if clock.gone and not self._hushed:
            self.scheduler.silence()
        stopped, jumped = self._played and not clock.playing, clock.playing and clock.jumps != self._jumps
        self._hushed, self._jumps, self._played = clock.gone, clock.jumps, clock.playing
        if stopped:
            self._fall_silent(now)
        elif jumped:
            self._song_moved(now)

    def _go_on_alone(self, now: float) -> None:
        """The clock raised an exception: the song goes on at the same beat and tempo on the internal clock."""
        given, self.clock, self._jumps = self.clock, self._own_clock, -1
        self._own_clock.stop(now)
        self._own_clock.set_tempo(min(max(given.line.tempo_bpm, SLOWEST_BPM), FASTEST_BPM), now)
        if given.playing:
            self._own_clock.start(now, given.line.beat_at(now))

    def _fall_silent(self, now: float) -> None:
        self.scheduler.drop()
        self.scheduler.silence()
        self.recorder.let_go(self.clock.line.beat_at(now))

    def _song_moved(self, now: float) -> None:
        self._fall_silent(now)
        beat = self.clock.line.beat_at(now)
        with guarded("what is heard"):
            self._ear.song_moved(self.clock.line, now)
        with guarded("what plays", lambda error: self.playback.stop_now()):
            self.playback.song_moved(beat, self.beats_per_bar, self._tempo)
        with self._live_guarded(now):
            self.live.song_moved(beat, now, tempo_bpm=self._tempo)

    # What performers and clients ask for

    def play(self, slot: str, *, at: At, loop: bool, channel: int | None, now: float) -> None:
        """Play a slot from the next bar line, beat or moment on; no_clip if it is empty."""
        self._stage.slots[slot]
        self._start_clock(now)
        beat = self._beat(now)
        grid = {"bar": self.beats_per_bar, "beat": 1.0}.get(at)
        line = beat if grid is None else next_line(beat, grid, self._tempo)
        self.playback.play(slot, line, loop=loop, channel=channel or self._stage.channel)

    def stop(self, *, at: At, now: float) -> None:
        """End what plays, clips and live mode; with at "now" the internal clock stops as well."""
        if at == "now" or not self._moves:
            self.live.stop()
            self.playback.stop_now()
            self.scheduler.drop()
            self.scheduler.silence()
            if isinstance(self.clock, InternalClock):
                self.clock.stop(now)
                self._follow_clock(now)
            return
        line = next_line(self._beat(now), self.beats_per_bar if at == "bar" else 1.0, self._tempo)
        self.live.stop(line)
        self.playback.stop(line)
        self.scheduler.end_at(line)

    def panic(self, now: float) -> None:
        """End every note at once, and whatever would bring new ones."""
        self.stop(at="now", now=now)
        self.scheduler.panic()

    def start_live(self, settings: LiveSettings, now: float) -> None:
        """Begin a live mode on the next bar line; the internal clock is started, with the count-in before beat 0.

        RequestError if it cannot begin: then nothing has changed.
        """
        self.live.check(settings)
        self._start_clock(now, -settings.count_in * self.beats_per_bar)
        self.live.start(settings, self._beat(now), now, tempo_bpm=self._tempo)

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Change the tempo; ClockError where the clock is another sender's, or if it is out of range."""
        self.clock.set_tempo(tempo_bpm, now)

    def set_meter(self, beats_per_bar: float, now: float) -> None:
        """Count bars of so many beats, from the song's beginning."""
        self.beats_per_bar = beats_per_bar
        self.clock.set_meter(beats_per_bar)
        self.live.set_meter(beats_per_bar, self._beat(now), now, tempo_bpm=self._tempo)

    def use_clock(self, clock: Clock, now: float) -> None:
        """Follow another clock from now on."""
        if clock is self.clock:
            return
        self._fall_silent(now)
        self.clock = clock
        self._jumps, self._played = -1, False
        self._follow_clock(now)

    # The engine

    def take_request(self) -> Request | None:
        """What is to be asked of the engine now."""
        return self.live.take_request()

    def answered(self, request: Request, results: Results, now: float) -> None:
        """What was asked for is there."""
        with self._live_guarded(now):
            self.live.answered(request, results, now)

    def refused(self, request: Request, why: str) -> None:
        """What was asked for cannot be had."""
        self.live.refused(request, why)

    def engine_died(self, now: float) -> None:
        """The model process is gone: silence, until the next bar line."""
        with self._live_guarded(now):
            self.live.engine_died(self._beat(now) if self._moves else None)

    def _live_guarded(self, now: float) -> AbstractContextManager[None]:
        return guarded("the live mode", lambda error: self.live.give_way(error, self._beat(now)))

    @property
    def _tempo(self) -> float:
        return self.clock.line.tempo_bpm

    def _beat(self, now: float) -> float:
        """The beat of the song at this moment, 0 while it is stopped."""
        return self.clock.line.beat_at(now) if self.clock.playing else 0.0

    def _start_clock(self, now: float, beat: float = 0.0) -> None:
        if self.clock.playing or isinstance(self.clock, MidiClock):
            return
        self.clock.start(now + START_SECONDS, beat)
        self._follow_clock(now)

    def _send(self, message: bytes) -> None:
        with guarded("sending"):
            if message[0] & 0xF0 == NOTE_ON:
                self._ear.sent(self._now, message[1], message[2])
            self._stage.send(message)

    def _on_playing(self, slot: str) -> None:
        with guarded("telling what plays"):
            self._stage.on_playing(slot)

    def _on_learned(self, target: str, control: Control | None) -> None:
        with guarded("telling what was learned"):
            self._stage.on_learned(target, control)

    # Controls

    def _act(self, action: Action, now: float) -> None:
        """Do what a knob or switch asks for."""
        with guarded(action.target):
            self._try_to_act(action, now)

    def _try_to_act(self, action: Action, now: float) -> None:
        try:
            if action.target in STEERED:
                self.live.steer({action.target: action.value})
            elif action.target == "model":
                self._select_model(int(action.value * max(1, len(self.models))))
            elif action.target == "program":
                self._select_model(int(action.value))
            elif action.target == "mode":
                self._select_mode(list(MODES)[int(action.value * len(MODES))], now)
            elif action.target == "start":
                self.start_again(now)
            elif action.target == "stop":
                self.stop(at="now", now=now)
            elif action.target == "freeze":
                self.live.freeze(not self.live.frozen)
            elif action.target == "undo":
                self.live.undo()
            elif action.target == "panic":
                self.panic(now)
        except (RequestError, ClockError) as error:
            logger.warning("%s: %s", action.target, error)

    def start_again(self, now: float) -> None:
        """Start the live mode that was set last."""
        self.start_live(self.live.settings or LiveSettings(mode="answer"), now)

    def _select_mode(self, mode: str, now: float) -> None:
        """Use this mode, at once if one is running."""
        before = self.live.settings
        if before is not None and before.mode == mode:
            return
        bars = before.bars if before is not None and not MODES[mode].listens else None
        verb = "sample" if mode == "loop" and not self.has_live_clip else ""
        settings = LiveSettings(mode=mode, bars=bars, verb=verb)
        if self.live.running:
            self.start_live(settings, now)
        else:
            self.live.settings = settings

    def _select_model(self, number: int) -> None:
        """Use this one of the models for what is generated next."""
        if number >= len(self.models):
            logger.warning("program %d: there are %d models: %s", number + 1, len(self.models), self.models)
        else:
            self.live.steer({"model": self.models[number]})
