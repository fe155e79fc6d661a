"""The live modes: the daemon plays along with a musician. Pure: it plans notes and asks for results.

Everything happens bar by bar. Before each bar line the window that ends there is closed, or a new variation is
asked for; then it is decided once what plays in the bar that begins there: a new result if there is one, else the
next bar of what plays, else nothing. A result that is not there at the last moment, or that cannot be had, is
missed: what was played last is repeated, and it is counted.
"""

import logging
import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import RequestError
from bridge.playing.clock import TempoLine
from bridge.playing.knobs import Knobs
from bridge.playing.live_settings import LiveSettings
from bridge.playing.phrases import CLOSING_BEATS, Phrases
from bridge.playing.playback import next_line, plan_clip
from bridge.playing.recorder import Recorder
from bridge.playing.scheduler import PlannedNote, Scheduler
from bridge.playing.slots import Slots
from engine.clip import EARLIEST_START_BEATS, Clip
from engine.requests import Request, Results

logger = logging.getLogger(__name__)

VOICE = SLOT = "live"
"""The name of its voice in the scheduler, and of the slot that keeps the last clip recorded."""

DECISION_BEATS = 0.25
"""How long before its line a bar is decided where nothing is waited for."""

LAST_MOMENT_SECONDS = 0.002
SHORTEST_LEAD_SECONDS = 0.3
CLOSING_GRID_BEATS = 1 / 32
"""Closing times are rounded to this, so that a fluctuating tempo estimate does not move them."""

KEPT = 32
MOST_DEATHS = 2  # of the model process in a row: after more the mode ends, for other clients need it too
MOST_BARS_BEHIND = 16
"""Where the time has moved on by more (the computer slept), the bars between are left out."""

CLICK_CHANNEL, CLICK, ACCENT, CLICK_VELOCITY = 10, 77, 76, 100
ROUNDING_BEATS = 1e-6


@dataclass(slots=True)
class Playing:
    """A clip whose beat 0 lies on origin_beat of the song, played for length_beats."""

    clip: Clip
    origin_beat: float
    length_beats: float


@dataclass(slots=True)
class Asked:
    """A request under way for the bar that begins on line_beat; is_taken: whether it has gone to the engine."""

    request: Request
    line_beat: float
    at_seconds: float
    is_taken: bool = False


class Live:
    """One live mode at a time; with none it still keeps what is played in the slot `live`.

    missed counts the bars for which a result came too late or could not be had; problem is why it could not, empty
    if it could.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        recorder: Recorder,
        slots: Slots,
        *,
        beats_per_bar: float,
        channel: int,
        latency_seconds: float = 0.0,
    ):
        self._scheduler, self._slots = scheduler, slots
        self._home_channel = self._channel = channel
        self._beats_per_bar, self._latency = beats_per_bar, latency_seconds
        self._phrases = Phrases(recorder, beats_per_bar)
        self.knobs = Knobs()
        self.settings: LiveSettings | None = None
        self.running, self.frozen, self.missed, self.problem = False, False, 0, ""
        self._bar, self._prepared, self._deaths = 0.0, False, 0
        self._asked: Asked | None = None
        self._new: Clip | None = None
        self._undone = self._refused = False
        self._current: Playing | None = None
        self._history: deque[Clip] = deque(maxlen=KEPT)
        self._seconds: deque[float] = deque(maxlen=16)
        self._seed: int | None = None

    # What a performer does

    def check(self, settings: LiveSettings) -> None:
        """RequestError if a mode cannot begin: a slot is empty, or nothing can be asked of the engine about it."""
        clips = tuple(self._slots[slot] for slot in settings.slots)
        steered = self.knobs.applied(settings, begins=settings is not self.settings)
        self.knobs.check(steered)
        if not settings.about.listens:
            steered.build(clips)

    def start(self, settings: LiveSettings, beat: float, now: float, *, tempo_bpm: float) -> None:
        """Play along from the next bar line on, after the count-in; RequestError, and as before, if it cannot."""
        self.check(settings)
        line = next_line(beat, self._beats_per_bar, tempo_bpm)
        self.stop(line)
        if settings is not self.settings:
            self.knobs.begin()
        self.settings, self.running, self.frozen, self.problem, self._deaths = settings, True, False, "", 0
        self._phrases.bars = settings.bars or settings.about.bars or 2
        self._phrases.takes_pickup = settings.mode != "through"
        self._seed = None
        self._history.clear()
        self._move_to(line + settings.count_in * self._beats_per_bar, now)
        self._count_in(line)

    def empty_slots(self, settings: LiveSettings) -> list[str]:
        """The slots without which a mode cannot begin."""
        return [slot for slot in settings.slots if slot not in self._slots]

    def stop(self, at_beat: float | None = None) -> None:
        """Play no more: at once, or from a beat on."""
        self.running, self.frozen, self._refused = False, False, False
        self._asked = self._current = None
        self._forget_new()
        self._scheduler.drop(VOICE, first=-math.inf if at_beat is None else at_beat + EARLIEST_START_BEATS)
        if at_beat is None:
            self._scheduler.silence(VOICE)

    def freeze(self, frozen: bool) -> None:
        """Keep this variation, if there is one: it repeats until it is let go."""
        self.frozen = frozen and self.running and bool(self._history)
        if self.frozen:
            self._asked = None
            self._new = self._new if self._undone else None

    def undo(self) -> None:
        """Go back to the variation before, from the next bar line on, and keep it."""
        if not self.running:
            return
        if self._undone and self._new is not None:
            self._history.append(self._new)
        if len(self._history) > 1:
            self._history.pop()
            self._new, self._undone = self._history.pop(), True
        self.frozen, self._asked = bool(self._history or self._undone), None

    def set_meter(self, beats_per_bar: float, beat: float, now: float, *, tempo_bpm: float) -> None:
        """Count bars of so many beats from now on."""
        self._beats_per_bar = self._phrases.beats_per_bar = beats_per_bar
        self.song_moved(beat, now, tempo_bpm=tempo_bpm)
        self._scheduler.drop(VOICE, first=self._bar + EARLIEST_START_BEATS)

    def steer(self, turned: Mapping[str, Any], cleared: Collection[str] = ()) -> None:
        """Change what is generated from now on, whatever the mode; RequestError, and as before, if it cannot be."""
        self.knobs.turn(turned, cleared, self.settings if self.running else None)

    # What happens to it

    def song_moved(self, beat: float, now: float, *, tempo_bpm: float) -> None:
        """The song is elsewhere: begin anew on its next bar line."""
        self._move_to(next_line(beat, self._beats_per_bar, tempo_bpm), now)
        self._current = None

    def give_way(self, error: Exception, beat: float) -> None:
        """A bug has been met: play no more, and listen from a later bar on."""
        self.stop()
        self.problem = f"internal error: {type(error).__name__}: {error}"
        line = math.floor(beat / self._beats_per_bar) * self._beats_per_bar
        self._bar, self._prepared = max(line, self._bar) + self._beats_per_bar, False
        self._phrases.restart(self._bar)

    def engine_died(self, beat: float | None) -> None:
        """Silence at once; from the next bar line on the last clip goes on. beat is None while the song stands."""
        if self._asked is not None:
            self._deaths += self._asked.is_taken
            self._asked.is_taken = False  # to be asked again of the next engine
        if self._deaths > MOST_DEATHS:
            self.stop()
            self._lack(f"the mode has ended, as the model process died {self._deaths} times of it")
        if beat is None:
            return
        line = math.ceil(beat / self._beats_per_bar) * self._beats_per_bar
        self._scheduler.drop(VOICE, last=line + EARLIEST_START_BEATS)
        self._scheduler.silence(VOICE)

    def take_request(self) -> Request | None:
        """What is to be asked of the engine now."""
        if self._asked is None or self._asked.is_taken:
            return None
        self._asked.is_taken = True
        return self._asked.request

    def answered(self, request: Request, results: Results, now: float) -> None:
        """Here is what was asked for, if it still is."""
        self._deaths = 0
        if self._asked is None or self._asked.request is not request or self.settings is None:
            return
        self._seconds.append(now - self._asked.at_seconds)
        self._asked, self.problem = None, ""
        settings = self.knobs.applied(self.settings)
        self._new = settings.choose(results.clips)
        if self.settings.mode == "morph" and self._seed is None and "seed" not in settings.request:
            self._seed = results.seed  # so that from bar to bar nothing but the position changes

    def refused(self, request: Request, why: str) -> None:
        """The engine cannot do what was asked."""
        if self._asked is not None and self._asked.request is request and self.settings is not None:
            self._asked = None
            self._lack(why)

    # Bar by bar

    def run_due(self, now: float, line: TempoLine) -> None:
        """Listen, ask and decide, up to this moment."""
        beat = line.beat_at(now)
        self._leave_out_bars(beat)
        while beat >= self._due_beat(line) - ROUNDING_BEATS:
            if not self._prepared:
                self._prepare(now, line)
            else:
                self._decide(line.beat_at(now + self._latency))

    def next_due(self, line: TempoLine) -> float:
        """When run_due has something to do."""
        return line.time_at(self._due_beat(line))

    def _leave_out_bars(self, beat: float) -> None:
        behind = math.floor((beat - self._bar) / self._beats_per_bar)
        if behind > MOST_BARS_BEHIND:
            self._bar, self._prepared = self._bar + behind * self._beats_per_bar, False

    @property
    def _listens(self) -> bool:
        return not self.running or self.settings is None or self.settings.about.listens

    @property
    def _is_waiting(self) -> bool:
        """Whether what plays in the next bar is being made."""
        return self._asked is not None and self._asked.line_beat < self._bar + ROUNDING_BEATS

    def _due_beat(self, line: TempoLine) -> float:
        """The beat of the next thing to do for the bar."""
        if not self._prepared and self._listens:
            return self._bar - self._closing_beats(line)
        if not self._prepared:
            seconds = max(SHORTEST_LEAD_SECONDS, 2 * max(self._seconds, default=0.0))
            return max(self._ahead(line, seconds), self._bar - self._beats_per_bar)
        if self._is_waiting:
            return self._ahead(line, LAST_MOMENT_SECONDS)
        return self._bar - DECISION_BEATS - self._latency * line.tempo_bpm / 60

    def _closing_beats(self, line: TempoLine) -> float:
        """How long before its line a window closes: earlier by what is sent earlier."""
        steps = math.ceil(self._latency * line.tempo_bpm / 60 / CLOSING_GRID_BEATS)
        return CLOSING_BEATS + steps * CLOSING_GRID_BEATS

    def _ahead(self, line: TempoLine, seconds: float) -> float:
        """The beat that lies so long before the bar."""
        return self._bar - (seconds + self._latency) * line.tempo_bpm / 60

    def _prepare(self, now: float, line: TempoLine) -> None:
        """Close the window that ends on this line, or see to it that there is something new."""
        self._prepared = True
        if self._listens:
            clip = self._phrases.close(self._bar, line.tempo_bpm, self._closing_beats(line))
            if clip is not None:
                self._slots.keep(SLOT, clip)
                self._channel = clip.parts[0].channel if clip.parts else self._home_channel
                self._ask((clip,), now)
        elif self._new is None and self._asked is None and self._wants_new:
            self._ask_for_variation(now)

    @property
    def _wants_new(self) -> bool:
        """Whether the bar is one in which a variation begins."""
        playing, settings = self._current, self.settings
        if playing is None or self.problem or (settings is not None and settings.mode == "morph"):
            return True
        return self._bar >= playing.origin_beat + playing.length_beats - ROUNDING_BEATS

    def _ask_for_variation(self, now: float) -> None:
        assert self.settings is not None
        if empty := self.empty_slots(self.settings):
            self._lack(f"the slot {empty[0]!r} is empty")
            return
        self._ask(tuple(self._slots[slot] for slot in self.settings.slots), now)

    def _ask(self, clips: tuple[Clip, ...], now: float) -> None:
        if not self.running or self.frozen or self.settings is None:
            return
        try:
            request = self.knobs.applied(self.settings).build(clips, self._seed)
        except RequestError as error:
            self._lack(str(error))
        else:
            self._asked, self._refused = Asked(request, self._bar, now), False

    def _lack(self, why: str) -> None:
        """There will be nothing new for the bar: told once, and tried again for the next."""
        if why != self.problem and self.settings is not None:
            logger.warning("live %s: %s", self.settings.mode, why)
        self.problem, self._refused = why, True

    def _decide(self, beat: float) -> None:
        """What plays in the bar that begins on this line; beat is the earliest that can still be sent in time."""
        missed = self._is_waiting or self._refused
        if self._is_waiting:
            self._miss()
        self.missed, self._refused = self.missed + self._refused, False
        if self.running:
            self._current = self._next_playing(missed)
            self._plan_bar(beat)
        self._bar, self._prepared = self._bar + self._beats_per_bar, False

    def _miss(self) -> None:
        """The answer to a window is of no use later; a variation is, on the next line."""
        assert self._asked is not None
        if self._listens or self._history:
            self.missed += 1
            logger.warning("the result for beat %g is not there in time (%d so far)", self._bar, self.missed)
        if self._listens:
            self._asked = None
        else:
            self._asked.line_beat += self._beats_per_bar

    def _next_playing(self, missed: bool) -> Playing | None:
        assert self.settings is not None
        current, settings = self._current, self.settings
        if self._new is not None:
            clip, self._new, self._undone = self._new, None, False
            self._history.append(clip)
            length = (settings.bars or self._bars(clip)) * self._beats_per_bar
            goes_on = settings.mode == "morph" and current is not None
            return Playing(clip, current.origin_beat if goes_on and current else self._bar, length)
        if current is not None and self._bar < current.origin_beat + current.length_beats - ROUNDING_BEATS:
            return current
        if self._history and (missed or self.frozen or (settings.about.repeats and current is not None)):
            length = current.length_beats if current else self._bars(self._history[-1]) * self._beats_per_bar
            return Playing(self._history[-1], self._bar, length)
        return None

    def _plan_bar(self, beat: float) -> None:
        """Plan the bar of what plays; a clip shorter than its loop goes round within it."""
        playing = self._current
        if playing is None:
            return
        clip_beats = self._bars(playing.clip) * self._beats_per_bar
        first = (self._bar - playing.origin_beat) % clip_beats
        is_last = first + self._beats_per_bar >= clip_beats - ROUNDING_BEATS
        plan_clip(
            self._scheduler,
            VOICE,
            playing.clip,
            self._bar,
            channel=self._channel,
            first=first,
            last=first + self._beats_per_bar + (CLOSING_BEATS if is_last else 0.0),
            not_before=beat,
        )

    def _bars(self, clip: Clip) -> int:
        """The bars of the song that a clip fills, whatever its own meter."""
        return max(1, math.ceil(clip.length_beats / self._beats_per_bar - ROUNDING_BEATS))

    def _move_to(self, line: float, now: float) -> None:
        """Go on from this bar line, with nothing heard yet; a variation is asked for at once."""
        self._bar, self._prepared = line, False
        self._phrases.restart(line)
        if self._listens:
            self._asked = None
            self._forget_new()
        elif self._asked is not None:
            self._asked.line_beat = line
        elif self._new is None:
            self._ask_for_variation(now)

    def _forget_new(self) -> None:
        """Let what has not begun not begin; what was gone back to stays the last that was played."""
        if self._undone and self._new is not None:
            self._history.append(self._new)
        self._new, self._undone = None, False

    def _count_in(self, line: float) -> None:
        """Clicks up to the bar in which it begins."""
        beats = math.ceil(self._bar - line - ROUNDING_BEATS)
        for beat in range(beats):
            pitch = ACCENT if beat % self._beats_per_bar == 0 else CLICK
            at = line + beat
            self._scheduler.plan(PlannedNote(VOICE, CLICK_CHANNEL, pitch, CLICK_VELOCITY, at, at + 0.25))
