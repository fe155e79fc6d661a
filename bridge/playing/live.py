"""The live modes: the daemon plays along with a ensemble. Pure: it plans notes and asks for results.

Everything happens bar by bar. Before each bar line the window that ends there is closed, or a new variation is
asked for; then it is decided once what plays in the bar that begins there: a new result if there is one, else the
next bar of what plays, else nothing. A result that is not there at the last moment, or that cannot be had, is
missed: it is counted, and what was played last is repeated (see Variations).
"""

import logging
import math
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from bridge.errors import RequestError
from bridge.playing.knobs import Knobs
from bridge.playing.live_history import Asked, Made, Playing, Variations
from bridge.playing.live_settings import LiveSettings
from bridge.playing.phrases import CLOSING_BEATS, Accompaniment, Phrases
from bridge.playing.playback import plan_clicks, plan_clip
from bridge.playing.recorder import Recorder
from bridge.playing.scheduler import Scheduler
from bridge.playing.slots import Slots
from bridge.playing.transport import ROUNDING_BEATS, Transport
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

MOST_DEATHS = 2  # of the model process in a row: after more the mode ends, for other clients need it too
MOST_BARS_BEHIND = 16
"""Where the time has moved on by more (the computer slept), the bars between are left out."""


class Live:
    """One live mode at a time; with none it still keeps what is played in the slot `live`.

    missed counts the bars for which a result came too late or could not be had; problem is why it could not, empty
    if it could; remark is what the engine said of what was made last. variations are those of the mode.
    """

    def __init__(self, transport: Transport, scheduler: Scheduler, recorder: Recorder, slots: Slots):
        self._transport, self._scheduler, self._slots = transport, scheduler, slots
        self._home_channel = self._channel = recorder.home_channel
        self._phrases = Phrases(transport, recorder)
        self.variations, self._accompaniment = Variations(transport), Accompaniment()
        self.knobs = Knobs()
        self.settings: LiveSettings | None = None
        self.running, self.missed, self.problem, self.remark = False, 0, "", ""
        self._began = self._line = 0.0
        self._prepared, self._deaths = False, 0
        self._asked: Asked | None = None
        self._refused = False
        self._seconds: deque[float] = deque(maxlen=16)
        self._seed: int | None = None
        self._made: Made | None = None
        self._turned = False

    # What a performer does

    def check(self, settings: LiveSettings) -> None:
        """RequestError if a mode cannot begin: a slot is empty, or nothing can be asked of the engine about it."""
        clips = tuple(self._slots[slot] for slot in settings.slots)
        steered = self.knobs.applied(settings, begins=settings is not self.settings)
        self.knobs.check(steered)
        if not settings.about.listens:
            steered.build(clips, attributes=self.knobs.attributes(steered))

    def start(self, settings: LiveSettings, now: float) -> None:
        """Play along from the next bar line on, after the count-in; RequestError, and as before, if it cannot."""
        self.check(settings)
        line = self._transport.next_line(now)
        self.stop(line)
        if settings is not self.settings:
            self.knobs.begin()
        self.settings, self.running, self.problem, self._deaths, self._seed = settings, True, "", 0, None
        self.remark = ""
        self._phrases.bars = settings.bars or settings.about.bars or 2
        self._phrases.takes_pickup = settings.about.takes_pickup
        self._move_to(line + settings.count_in * self._transport.beats_per_bar, now)
        plan_clicks(self._scheduler, VOICE, line, self._line, self._transport.beats_per_bar)

    @property
    def listens_from(self) -> float:
        """The beat from which on what is played is still waited for."""
        return self._phrases.open_beat

    def empty_slots(self, settings: LiveSettings) -> list[str]:
        """The slots without which a mode cannot begin."""
        return [slot for slot in settings.slots if slot not in self._slots]

    def stop(self, at_beat: float | None = None) -> None:
        """Play no more: at once, or from a beat on."""
        self.running, self._refused, self._asked = False, False, None
        self._made, self._turned = None, False
        self.variations = Variations(self._transport)
        self._accompaniment.begin()
        self._scheduler.drop(VOICE, first=-math.inf if at_beat is None else at_beat + EARLIEST_START_BEATS)
        if at_beat is None:
            self._scheduler.silence(VOICE)

    def freeze(self, frozen: bool) -> None:
        """Keep this variation, if there is one: it repeats until it is let go."""
        self.variations.freeze(frozen)
        if self.variations.frozen:
            self._asked = None

    def undo(self) -> None:
        """Go back to the variation before, from the next bar line on, and keep it."""
        self.variations.undo()
        self._asked = None

    def steer(self, turned: Mapping[str, Any], cleared: Collection[str] = ()) -> None:
        """Change what is generated from now on, whatever the mode; RequestError, and as before, if it cannot be.

        What plays is made anew, of the same seed, and goes on changed from the next bar line.
        """
        self.knobs.turn(turned, cleared, self.settings if self.running else None)
        self._turned = self.running

    # What happens to it

    def song_moved(self, now: float) -> None:
        """The song is elsewhere: begin anew on its next bar line."""
        self._move_to(self._transport.next_line(now), now)
        self.variations.playing = None

    def meter_changed(self, now: float) -> None:
        """Bars have another length: begin anew on the next bar line."""
        self.song_moved(now)
        self._scheduler.drop(VOICE, first=self._line + EARLIEST_START_BEATS)

    def give_way(self, error: Exception, now: float) -> None:
        """A bug has been met: play no more, and listen from a later bar on."""
        self.stop()
        self.problem = f"internal error: {type(error).__name__}: {error}"
        line = self._transport.bar_line(self._transport.beat_at(now))
        self._go_on_from(max(line, self._line) + self._transport.beats_per_bar)
        self._phrases.restart(self._line)

    def engine_died(self, now: float) -> None:
        """Silence at once; from the next bar line on the last clip goes on."""
        if self._asked is not None:
            self._deaths += self._asked.is_taken
            self._asked.is_taken = False  # to be asked again of the next engine
        if self._deaths > MOST_DEATHS:
            self.stop()
            self._lack(f"the mode has ended, as the model process died {self._deaths} times of it")
        if not self._transport.moves:
            return
        beats_per_bar = self._transport.beats_per_bar
        line = math.ceil(self._transport.beat_at(now) / beats_per_bar) * beats_per_bar
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
        asked, settings = self._asked, self.knobs.applied(self.settings)
        self._seconds.append(now - asked.at_seconds)
        chosen = settings.choose(results.clips)
        self._asked, self.problem, self._made = None, "", Made(chosen, asked.clips, results.seed, asked.line_beat)
        self.remark = "; ".join(results.remarks)
        self._accompaniment.made(chosen)
        if asked.renews:
            self._renewed(chosen, now)
            return
        self.variations.take(chosen)
        if settings.about.evolves and self._seed is None and "seed" not in settings.request:
            self._seed = results.seed  # so that from bar to bar nothing but the position changes

    def refused(self, request: Request, why: str) -> None:
        """The engine cannot do what was asked."""
        if self._asked is not None and self._asked.request is request and self.settings is not None:
            renews, self._asked = self._asked.renews, None
            if renews:
                logger.warning("live %s: %s", self.settings.mode, why)
            else:
                self._lack(why)

    # Bar by bar

    def run_due(self, now: float) -> None:
        """Listen, ask and decide, up to this moment."""
        if self._can_renew:
            self._renew(now)
        beat = self._transport.beat_at(now)
        behind = math.floor((beat - self._line) / self._transport.beats_per_bar)
        if behind > MOST_BARS_BEHIND:
            self._go_on_from(self._line + behind * self._transport.beats_per_bar)
        while beat >= self._due_beat() - ROUNDING_BEATS:
            if not self._prepared:
                self._prepare(now)
            else:
                self._decide(self._transport.sent_beat(now))

    def next_due(self) -> float:
        """When run_due has something to do."""
        return -math.inf if self._can_renew else self._transport.time_at(self._due_beat())

    @property
    def _can_renew(self) -> bool:
        """Whether a knob has been turned, and what plays can be made anew as it says."""
        busy = self._asked and self._asked.is_taken
        return self._turned and not busy and self.running and self._transport.moves

    def _renew(self, now: float) -> None:
        """Ask again for what was made last, of the same seed; what waits to be asked is asked as knobs stand."""
        self._turned = False
        asked, made = self._asked, self._made
        idle = asked is None and (made is None or not self.variations.goes_on(made.clip))
        if idle or self.settings is None or self.variations.frozen:
            return
        clips = asked.clips if asked else made.clips if made else ()
        seed = made.seed if made and (asked is None or asked.renews) else self._seed
        line = asked.line_beat if asked else made.line_beat if made else self._line
        try:
            request = self.knobs.build(self.settings, clips, seed, self._bars_played(line))
        except RequestError as error:
            logger.warning("live %s: %s", self.settings.mode, error)
            return
        if asked is not None:
            asked.request = request
        else:
            self._asked = Asked(request, line, now, clips, renews=True)

    def _renewed(self, clip: Clip, now: float) -> None:
        """Go on with what was made anew: in the bar that is planned and has not begun, too."""
        before, line = self.variations.playing, self._line - self._transport.beats_per_bar
        self.variations.renew(clip)
        beat = self._transport.sent_beat(now)
        if before is None or self.variations.playing is before or beat >= line:
            return
        early, starts = line + EARLIEST_START_BEATS, before.starts_near(line, self._transport)
        struck = [pitch for pitch, start in starts if early <= start < beat]
        self._scheduler.drop(VOICE, first=max(beat, early))
        self._plan(self.variations.playing, line, beat, struck)

    def _go_on_from(self, line: float) -> None:
        """Turn to the bar that begins on this line."""
        self._line, self._prepared = line, False

    @property
    def _listens(self) -> bool:
        return not self.running or self.settings is None or self.settings.about.listens

    @property
    def _is_waiting(self) -> bool:
        """Whether what plays in the next bar is being made."""
        asked = self._asked
        return asked is not None and not asked.renews and asked.line_beat < self._line + ROUNDING_BEATS

    def _due_beat(self) -> float:
        """The beat of the next thing to do for the bar."""
        if not self._prepared and self._listens:
            return self._line - self._closing_beats
        if not self._prepared:
            seconds = max(SHORTEST_LEAD_SECONDS, 2 * max(self._seconds, default=0.0))
            lead_beats = self._transport.ahead_beats
            return max(self._ahead(seconds) - lead_beats, self._line - self._transport.beats_per_bar)
        if self._is_waiting:
            last_moment = self._ahead(LAST_MOMENT_SECONDS)
            return (
                last_moment if self._listens else min(last_moment, self._ahead(0.0) - self._transport.ahead_beats)
            )
        decision_beats = max(DECISION_BEATS, self._transport.ahead_beats)
        return self._line - decision_beats - self._transport.beats_in(self._transport.latency_seconds)

    @property
    def _closing_beats(self) -> float:
        """How long before its line a window closes: earlier by what is sent earlier."""
        steps = math.ceil(self._transport.beats_in(self._transport.latency_seconds) / CLOSING_GRID_BEATS)
        return CLOSING_BEATS + steps * CLOSING_GRID_BEATS

    def _ahead(self, seconds: float) -> float:
        """The beat that lies so long before the bar."""
        return self._line - self._transport.beats_in(seconds + self._transport.latency_seconds)

    def _prepare(self, now: float) -> None:
        """Close the window that ends on this line, or see to it that there is something new."""
        self._prepared = True
        if self._listens:
            clip = self._phrases.close(self._line, self._closing_beats)
            if clip is not None:
                self._slots.keep(SLOT, clip)
                self._channel = clip.parts[0].channel if clip.parts else self._home_channel
                accompanies = self.settings is not None and self.settings.accompanies
                self._ask((self._accompaniment.heard(clip) if accompanies else clip,), now)
        elif self.variations.new is None and (self._asked is None or self._asked.renews) and self._wants_new:
            self._ask_for_variation(now)

    @property
    def _wants_new(self) -> bool:
        """Whether the bar is one in which a variation begins."""
        playing, settings = self.variations.playing, self.settings
        is_over = playing is None or playing.is_over(self._line)
        return is_over or bool(self.problem) or (settings is not None and settings.about.evolves)

    def _ask_for_variation(self, now: float) -> None:
        assert self.settings is not None
        if empty := self.empty_slots(self.settings):
            self._lack(f"the slot {empty[0]!r} is empty")
        elif self.settings.develops:
            self._develop(self.settings, self._slots[self.settings.slot], now)
        else:
            self._ask(tuple(self._slots[slot] for slot in self.settings.slots), now)

    def _develop(self, settings: LiveSettings, theme: Clip, now: float) -> None:
        """Go on from what has been played since the theme began, or let the theme begin."""
        passages = self.variations.since(theme)
        if 0 < len(passages) < settings.passages(theme):
            self._ask(passages, now)
        elif not self.variations.frozen:
            self.variations.new = theme

    def _ask(self, clips: tuple[Clip, ...], now: float) -> None:
        if not self.running or self.variations.frozen or self.settings is None:
            return
        try:
            request = self.knobs.build(self.settings, clips, self._seed, self._bars_played(self._line))
        except RequestError as error:
            self._lack(str(error))
        else:
            self._asked, self._refused = Asked(request, self._line, now, clips), False

    def _bars_played(self, line: float) -> int:
        """How many bars there are from where the mode began to a line; none of what each bar makes whole anew."""
        evolves = self.settings is not None and self.settings.about.evolves
        return 0 if evolves else round((line - self._began) / self._transport.beats_per_bar)

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
            self._plan_bar(beat, missed=missed)
        self._go_on_from(self._line + self._transport.beats_per_bar)

    def _miss(self) -> None:
        """The answer to a window is of no use later; a variation is, on the next line."""
        assert self._asked is not None
        if self._listens or self.variations.played:
            self.missed += 1
            logger.warning("the result for beat %g is not there in time (%d so far)", self._line, self.missed)
        if self._listens:
            self._asked = None
        else:
            self._asked.line_beat += self._transport.beats_per_bar

    def _plan_bar(self, beat: float, *, missed: bool) -> None:
        """Plan the bar of what plays; a clip shorter than its loop goes round within it."""
        assert self.settings is not None
        playing = self.variations.begin_bar(self._line, self.settings, missed=missed)
        if playing is not None:
            self._plan(playing, self._line, beat)

    def _plan(self, playing: Playing | None, line: float, beat: float, struck: Collection[int] = ()) -> None:
        """Plan what plays in the bar that begins on a line; struck: see plan_clip."""
        assert playing is not None
        beats_per_bar = self._transport.beats_per_bar
        clip_beats = self._transport.bars_in(playing.clip.length_beats) * beats_per_bar
        first = (line - playing.origin_beat) % clip_beats
        is_last = first + beats_per_bar >= clip_beats - ROUNDING_BEATS
        last = first + beats_per_bar + (CLOSING_BEATS if is_last else 0.0)
        plan_clip(
            self._scheduler,
            VOICE,
            playing.clip,
            line,
            channel=self._channel,
            first=first,
            last=last,
            not_before=beat,
            struck=struck,
        )

    def _move_to(self, line: float, now: float) -> None:
        """Go on from this bar line, with nothing heard yet; a variation is asked for at once."""
        self._began = line
        self._go_on_from(line)
        self._phrases.restart(line)
        self._accompaniment.begin()
        if self._asked is not None and self._asked.renews:
            self._asked = None
        if self._listens:
            self._asked = None
            self.variations.forget_new()
        elif self._asked is not None:
            self._asked.line_beat = line
        elif self.variations.new is None:
            self._ask_for_variation(now)
