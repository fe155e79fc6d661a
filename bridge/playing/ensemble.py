"""Everything that plays, as one object: takes MIDI messages, follows the clock, plays. Pure: sends through send.

Connects the transport, the recorder, the live modes, the clips that play and the scheduler; knows no OSC. An
unexpected exception in one of them is logged and stops that one alone; the others play on.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bridge.errors import ClockError, RequestError
from bridge.playing.bugs import guarded
from bridge.playing.clock import Clock
from bridge.playing.controls import Action, Control, Controls
from bridge.playing.ear import Ear
from bridge.playing.live import SLOT as LIVE_SLOT
from bridge.playing.live import Live
from bridge.playing.live_settings import MODES, STEERED, LiveSettings
from bridge.playing.playback import Playback
from bridge.playing.recorder import Recorder
from bridge.playing.scheduler import Scheduler
from bridge.playing.slots import Slots
from bridge.playing.transport import At, Transport
from engine.clip import Clip
from engine.requests import Request, Results

logger = logging.getLogger(__name__)

NOTE_ON, PROGRAM = 0x90, 0xC0
MOST_BARS_AWAY = 16
"""How far from the bar that plays one may lie that a client has played."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What an Ensemble is constructed from.

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


class Ensemble:
    """Plays one song at a time, on one clock. models: those that a knob or program change selects from."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self.transport = Transport(stage.tempo_bpm, stage.beats_per_bar, stage.latency_seconds)
        self.scheduler = Scheduler(self.transport, self._send)
        self.recorder = Recorder(self.transport, home_channel=stage.channel)
        self._ear = Ear(self.transport, self.recorder, stage.channels)
        self.playback = Playback(self.transport, self.scheduler, stage.slots, self._on_playing)
        self.live = Live(self.transport, self.scheduler, self.recorder, stage.slots)
        self.controls = Controls(stage.controls, self._on_learned)
        self.models: tuple[str, ...] = ()
        self._now = 0.0

    @property
    def has_live_clip(self) -> bool:
        """Whether anything has been recorded."""
        return LIVE_SLOT in self._stage.slots

    @property
    def problem(self) -> str:
        """What is wrong, empty if nothing is."""
        return self.live.problem or (self.live.knobs.problem if self.live.running else "") or self._ear.problem

    # What the ports bring

    def hear(self, at_seconds: float, port: str, message: bytes, now: float) -> None:
        """One MIDI message, as it came to a port."""
        with guarded("a MIDI message"):
            self._hear(at_seconds, port, message, now)

    def _hear(self, at_seconds: float, port: str, message: bytes, now: float) -> None:
        if not message or self.transport.midi_clock.hear(message, port, at_seconds) or message[0] >= 0xF0:
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
            self._ear.hear(message, at_seconds, port)

    def hear_bar(self, number: int, clip: Clip, now: float) -> int:
        """A bar of the song, counted from 1, as a client has played it by itself; as which bar it is heard."""
        place = self.transport.place(now)
        if place is None:
            raise RequestError("bad_request", "the song stands: play or live starts it")
        if abs(number - place[0]) > MOST_BARS_AWAY:
            low, high = place[0] - MOST_BARS_AWAY, place[0] + MOST_BARS_AWAY
            raise RequestError("bad_request", f"n must be in {low}..{high}, as bar {place[0]} plays, not {number}")
        beats_per_bar = self.transport.beats_per_bar
        line = (number - 1) * beats_per_bar
        line = self._ear.hear_bar(line, clip, self.live.listens_from, beats_per_bar)
        return round(line / beats_per_bar) + 1

    def ports_changed(self, vanished: list[str], returned: list[str], now: float) -> None:
        """Release the notes held on ports that vanished; send note offs again to ports that returned."""
        if vanished:
            self.scheduler.silence()
        if returned:
            self.scheduler.repeat_ends()
        with guarded("ports that have vanished"):
            for port in vanished:
                self.transport.midi_clock.port_vanished(port)
            if vanished:
                self.recorder.let_go(self.transport.clock.line.beat_at(now))
        self._follow_clock(now)

    # Time

    def run_due(self, now: float) -> None:
        """Do and send what is due."""
        self._now = now
        self._follow_clock(now)
        with guarded("the controls"):
            for action in self.controls.run_due(now):
                self._act(action, now)
        if self.transport.moves:
            self.playback.run_due(now)
            with self._live_guarded(now):
                self.live.run_due(now)
            self.scheduler.run_due(now)

    def next_due(self) -> float:
        """When run_due has something to do, inf while nothing is planned."""
        dues = [self.transport.clock.next_due(), self.controls.next_due()]
        if self.transport.moves:
            dues += [self.playback.next_due(), self.live.next_due(), self.scheduler.next_due()]
        return min(dues)

    def _follow_clock(self, now: float) -> None:
        """React where the song has stopped or is elsewhere, or the sender of its clock is gone."""
        change = self.transport.follow(now)
        if change == "stopped":
            self._fall_silent(now)
        elif change == "moved":
            self._song_moved(now)
        elif change == "gone":
            self.scheduler.silence()

    def _fall_silent(self, now: float) -> None:
        self.scheduler.drop()
        self.scheduler.silence()
        self.recorder.let_go(self.transport.clock.line.beat_at(now))

    def _song_moved(self, now: float) -> None:
        self._fall_silent(now)
        with guarded("what is heard"):
            self._ear.song_moved(now)
        with guarded("what plays", lambda error: self.playback.stop_now()):
            self.playback.song_moved(now)
        with self._live_guarded(now):
            self.live.song_moved(now)

    # What performers and clients ask for

    def play(self, slot: str, *, at: At, loop: bool, channel: int | None, now: float) -> None:
        """Play a slot from the next bar line, beat or moment on; no_clip if it is empty."""
        self._stage.slots[slot]
        self._start_clock(now)
        line = self.transport.next_line(now, at)
        self.playback.play(slot, line, loop=loop, channel=channel or self._stage.channel)

    def stop(self, *, at: At, now: float) -> None:
        """End what plays, clips and live mode; with at "now" the internal clock stops as well."""
        if at == "now" or not self.transport.moves:
            self.live.stop()
            self.playback.stop_now()
            self.scheduler.drop()
            self.scheduler.silence()
            if self.transport.stop(now):
                self._follow_clock(now)
            return
        line = self.transport.next_line(now, at)
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
        self._start_clock(now, -settings.count_in * self.transport.beats_per_bar)
        self.live.start(settings, now)

    def set_meter(self, beats_per_bar: float, now: float) -> None:
        """Count bars of so many beats, from the song's beginning."""
        self.transport.set_meter(beats_per_bar)
        self.live.meter_changed(now)

    def use_clock(self, clock: Clock, now: float) -> None:
        """Follow another clock from now on."""
        if clock is self.transport.clock:
            return
        self._fall_silent(now)
        self.transport.use(clock)
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
            self.live.engine_died(now)

    def _live_guarded(self, now: float) -> AbstractContextManager[None]:
        return guarded("the live mode", lambda error: self.live.give_way(error, now))

    def _start_clock(self, now: float, beat: float = 0.0) -> None:
        if self.transport.start(now, beat):
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
                self.live.freeze(not self.live.variations.frozen)
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
