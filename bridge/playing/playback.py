"""Clips that play, one a channel, as in a DAW, and clicks. Pure: it plans notes, the scheduler sends them."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from bridge.playing.bugs import guarded
from bridge.playing.scheduler import PlannedNote, Scheduler
from bridge.playing.slots import Slots
from bridge.playing.transport import EARLY_BEATS, ROUNDING_BEATS, Transport
from engine.clip import EARLIEST_START_BEATS, Clip

LOOKAHEAD_BEATS = 0.5
MISSED_BEATS = 0.05
SHORTEST_LOOP_BEATS = 0.25
CLICK_CHANNEL, CLICK, ACCENT, CLICK_VELOCITY = 10, 77, 76, 100
MOST_PLANNED = 4096
"""About how many notes are planned in one call; the rest follows in the next, so that nothing else waits."""


def plan_clip(
    scheduler: Scheduler,
    voice: str,
    clip: Clip,
    at_beat: float,
    *,
    channel: int,
    first: float = 0.0,
    last: float = math.inf,
    not_before: float = -math.inf,
    struck: Collection[int] = (),
) -> None:
    """Plan the notes of a clip from its beat first to its beat last; first is at at_beat of the song.

    Notes before the beat not_before of the song are left out, but for early hits: a hit played early for a line
    that is not before not_before is moved onto that line. struck: pitches that have been hit for that line.
    """
    for index, note in enumerate(clip.notes):
        if note.mute or not first <= note.start_beats - EARLIEST_START_BEATS < last:
            continue
        start = at_beat + note.start_beats - first
        end = start + note.duration_beats
        if note.pitch in struck and note.start_beats <= first - EARLIEST_START_BEATS:
            continue
        if start < not_before and note.start_beats < first:
            start = min(not_before, at_beat)
        if start >= not_before - MISSED_BEATS:
            scheduler.plan(
                PlannedNote(voice, _channel(clip, index, channel), note.pitch, note.velocity, start, end)
            )


def _channel(clip: Clip, index: int, default: int) -> int:
    return next((part.channel for part in clip.parts if part.first <= index < part.first + part.count), default)


def plan_clicks(scheduler: Scheduler, voice: str, line: float, until: float, beats_per_bar: float) -> None:
    """Plan a click on each beat from a bar line up to another, with an accent where a bar begins."""
    for beat in range(math.ceil(until - line - ROUNDING_BEATS)):
        pitch = ACCENT if beat % beats_per_bar == 0 else CLICK
        at = line + beat
        scheduler.plan(PlannedNote(voice, CLICK_CHANNEL, pitch, CLICK_VELOCITY, at, at + 0.25))


@dataclass(slots=True)
class Voice:
    """A slot that plays on a channel.

    In the beats of the song: origin_beat is where its present repeat began, next_beat is planned next, until must
    end it. planned_beats: how long what was planned last is.
    """

    slot: str
    channel: int
    loop: bool
    next_beat: float
    origin_beat: float
    began: bool = False
    until: float = math.inf
    length_beats: float = 0.0
    planned_beats: float = 0.0

    @property
    def name(self) -> str:
        """The name of the voice of its notes in the scheduler."""
        return f"{self.channel}:{self.slot}"

    def move(self, repeats: int) -> None:
        """Go on so many repeats later, or earlier."""
        self.next_beat += repeats * self.length_beats
        self.origin_beat += repeats * self.length_beats


class Playback:
    """The slots that play. A loop reads its slot again for each bar, so that a clip may change while it plays.

    on_playing is called with the name of a slot when it begins, with an empty one when nothing plays any more.
    """

    def __init__(self, transport: Transport, scheduler: Scheduler, slots: Slots, on_playing: Callable[[str], None]):
        self._transport, self._scheduler, self._slots, self._on_playing = transport, scheduler, slots, on_playing
        self._voices: list[Voice] = []

    @property
    def playing(self) -> int:
        """How many slots play or are about to."""
        return len(self._voices)

    def play(self, slot: str, at_beat: float, *, loop: bool, channel: int) -> None:
        """Play a slot from a beat on; what plays on its channel ends there."""
        self._slots[slot]  # no_clip is told at once
        for voice in self._voices:
            if voice.channel == channel:
                self._end(voice, at_beat)
        self._voices = [each for each in self._voices if each.began or each.next_beat < each.until]
        self._voices.append(Voice(slot, channel, loop, at_beat, at_beat))

    def stop(self, at_beat: float) -> None:
        """Let everything end at a beat."""
        for voice in self._voices:
            self._end(voice, at_beat)

    def stop_now(self) -> None:
        """Let everything end at once."""
        for voice in self._voices:
            self._scheduler.drop(voice.name)
            self._scheduler.silence(voice.name)
        self._forget(self._voices)

    def run_due(self, now: float) -> None:
        """Plan what begins soon, remove what has ended."""
        beat, planned = self._transport.sent_beat(now), 0
        while planned < MOST_PLANNED and (voice := self._next_voice(beat)):
            with guarded(f"playing {voice.slot}", partial(self._give_up, voice)):
                planned += self._plan(voice, beat)
        if ended := [voice for voice in self._voices if beat >= voice.until]:
            self._forget(ended)

    def next_due(self) -> float:
        """When run_due has something to do, inf if nothing plays."""
        beats = (
            min(voice.until, voice.next_beat - (self._lookahead_beats if voice.until > voice.next_beat else 0))
            for voice in self._voices
        )
        return self._transport.time_at(min(beats, default=math.inf)) if self._voices else math.inf

    def song_moved(self, now: float) -> None:
        """The song is elsewhere: loops go on in their phase, what was to begin begins on the next line."""
        beat = self._transport.beat_at(now)
        self._forget([each for each in self._voices if (each.began and not each.loop) or each.until < math.inf])
        for voice in self._voices:
            if not voice.began:
                voice.next_beat = voice.origin_beat = self._transport.next_line(now)
            elif voice.length_beats:
                voice.move(-math.ceil((voice.next_beat - beat) / voice.length_beats))

    @property
    def _lookahead_beats(self) -> float:
        return max(LOOKAHEAD_BEATS, EARLY_BEATS + self._transport.ahead_beats)

    def _next_voice(self, beat: float) -> Voice | None:
        """The voice that has something to begin soon, and has had to wait longest."""
        due = (each for each in self._voices if each.next_beat < min(beat + self._lookahead_beats, each.until))
        return min(due, key=lambda each: each.next_beat, default=None)

    def _plan(self, voice: Voice, beat: float) -> int:
        """Plan the clip, or of a loop the next bar of a repeat that is not over; how many notes the clip has."""
        if voice.slot not in self._slots or (voice.began and not voice.loop):
            voice.until = min(voice.until, voice.next_beat)
            return 0
        clip = self._slots[voice.slot]
        voice.length_beats, first, last = max(clip.length_beats, SHORTEST_LOOP_BEATS), 0.0, math.inf
        if voice.loop:
            first, last = self._next_bar(voice, beat)
            voice.planned_beats = last - first
            last += EARLY_BEATS if last >= voice.length_beats - ROUNDING_BEATS else 0.0
        else:  # notes beyond the end of the clip are played as well
            voice.planned_beats = max([voice.length_beats, *(note.start_beats for note in clip.notes)])
        plan_clip(
            self._scheduler,
            voice.name,
            clip,
            voice.next_beat,
            channel=voice.channel,
            first=first,
            last=last,
            not_before=beat,
        )
        if voice.until < math.inf:
            self._scheduler.drop(voice.name, first=voice.until)
            self._scheduler.end_at(voice.until, voice.name)
        if not voice.began:
            self._on_playing(voice.slot)
        voice.began, voice.next_beat = True, voice.next_beat + voice.planned_beats
        return len(clip.notes)

    def _next_bar(self, voice: Voice, beat: float) -> tuple[float, float]:
        """The beats of a loop's clip that are planned next: a bar, or what is left; at its end it begins anew."""
        voice.move(max(0, math.floor((beat - voice.next_beat) / voice.length_beats)))
        first = voice.next_beat - voice.origin_beat
        if first >= voice.length_beats - ROUNDING_BEATS:
            voice.origin_beat, first = voice.next_beat, 0.0
        return first, min(first + self._transport.beats_per_bar, voice.length_beats)

    def _end(self, voice: Voice, at_beat: float) -> None:
        if at_beat >= voice.until:
            return
        voice.until = at_beat
        begins_there = abs(voice.next_beat - voice.planned_beats - at_beat) < EARLY_BEATS
        self._scheduler.drop(voice.name, first=at_beat + (EARLIEST_START_BEATS if begins_there else 0.0))
        self._scheduler.end_at(at_beat, voice.name)

    def _give_up(self, voice: Voice, error: Exception) -> None:
        self._scheduler.drop(voice.name)
        self._scheduler.silence(voice.name)
        self._forget([voice])

    def _forget(self, voices: list[Voice]) -> None:
        ended = list(voices)
        self._voices = [voice for voice in self._voices if voice not in ended]
        if ended and not self._voices:
            self._on_playing("")
