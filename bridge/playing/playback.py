"""Clips that play, one a channel, as in a DAW, and clicks. Pure: it plans notes, the scheduler sends them."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from bridge.playing.bugs import guarded
from bridge.playing.scheduler import PlannedNote, Scheduler
from bridge.playing.slots import Slots
from bridge.playing.transport import ROUNDING_BEATS, Transport
from engine.clip import EARLIEST_START_BEATS, Clip

LOOKAHEAD_BEATS = 1.0
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
    """A slot that plays on a channel. In the beats of the song: next_beat is planned next, until must end it."""

    slot: str
    channel: int
    loop: bool
    next_beat: float
    began: bool = False
    until: float = math.inf
    length_beats: float = 0.0

    @property
    def name(self) -> str:
        """The name of the voice of its notes in the scheduler."""
        return f"{self.channel}:{self.slot}"


class Playback:
    """The slots that play. A loop reads its slot again for each repeat, so that a clip may change while it plays.

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
        self._voices.append(Voice(slot, channel, loop, at_beat))

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
        """Plan what begins within the next beat, remove what has ended."""
        beat, planned = self._transport.sent_beat(now), 0
        while planned < MOST_PLANNED and (voice := self._next_voice(beat)):
            with guarded(f"playing {voice.slot}", partial(self._give_up, voice)):
                planned += self._plan(voice, beat)
        if ended := [voice for voice in self._voices if beat >= voice.until]:
            self._forget(ended)

    def next_due(self) -> float:
        """When run_due has something to do, inf if nothing plays."""
        beats = (
            min(voice.until, voice.next_beat - (LOOKAHEAD_BEATS if voice.until > voice.next_beat else 0))
            for voice in self._voices
        )
        return self._transport.time_at(min(beats, default=math.inf)) if self._voices else math.inf

    def song_moved(self, now: float) -> None:
        """The song is elsewhere: loops go on in their phase, what was to begin begins on the next line."""
        beat = self._transport.beat_at(now)
        self._forget([each for each in self._voices if (each.began and not each.loop) or each.until < math.inf])
        for voice in self._voices:
            if not voice.began:
                voice.next_beat = self._transport.next_line(now)
            elif voice.length_beats:
                voice.next_beat -= math.ceil((voice.next_beat - beat) / voice.length_beats) * voice.length_beats

    def _next_voice(self, beat: float) -> Voice | None:
        """The voice that has something to begin within the next beat, and has had to wait longest."""
        due = (each for each in self._voices if each.next_beat < min(beat + LOOKAHEAD_BEATS, each.until))
        return min(due, key=lambda each: each.next_beat, default=None)

    def _plan(self, voice: Voice, beat: float) -> int:
        """Plan the next repeat, of a loop the first that is not over yet; how many notes it has."""
        if voice.slot not in self._slots or (voice.began and not voice.loop):
            voice.until = min(voice.until, voice.next_beat)
            return 0
        clip = self._slots[voice.slot]
        length = max(clip.length_beats, SHORTEST_LOOP_BEATS)
        if voice.loop:
            voice.next_beat += max(0, math.floor((beat - voice.next_beat) / length)) * length
        else:  # notes beyond the end of the clip are played as well
            length = max([length, *(note.start_beats for note in clip.notes)])
        plan_clip(
            self._scheduler,
            voice.name,
            clip,
            voice.next_beat,
            channel=voice.channel,
            last=length - EARLIEST_START_BEATS if voice.loop else math.inf,
            not_before=beat,
        )
        if voice.until < math.inf:
            self._scheduler.drop(voice.name, first=voice.until)
            self._scheduler.end_at(voice.until, voice.name)
        if not voice.began:
            self._on_playing(voice.slot)
        voice.began, voice.length_beats = True, length
        voice.next_beat += length
        return len(clip.notes)

    def _end(self, voice: Voice, at_beat: float) -> None:
        if at_beat >= voice.until:
            return
        voice.until = at_beat
        begins_there = abs(voice.next_beat - voice.length_beats - at_beat) < -EARLIEST_START_BEATS
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
