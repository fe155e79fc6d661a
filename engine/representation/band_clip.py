"""Clips as bands: which of their notes are the lead's, the bass's and the drums', as states, and back as notes.

A bar has 16 steps for the model. Of a shorter one, such as 3/4, they are its first: what is drawn behind it is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT, Clip, Note, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, PITCHES, voice_states
from engine.representation.drum_map import DrumMap
from engine.representation.drums import Drums
from engine.representation.groove import steps_per_bar
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE, NOTE_OFF, melody_notes, read_melody
from engine.representation.tokens import BASS_PROGRAMS, STEPS_PER_BAR, Tokens, is_drums, notes_of

LONGEST_BAR_BEATS = STEPS_PER_BAR / STEPS_PER_BEAT
FINGER_BASS = 33
NEW_PARTS = (Part("lead", 1, 0, 0, 0), Part("bass", 2, FINGER_BASS, 0, 0), Part("drums", DRUM_CHANNEL, 0, 0, 0))
"""How the parts are called and played that a clip does not have."""

NAMES = {"lead": LEAD, "melody": LEAD, "vocal": LEAD, "vocals": LEAD, "voice": LEAD, "bass": BASS, "drums": DRUMS}
"""Names of parts that say what they are, also as a word among others: Bass guitar."""

LOW = 48
"""An unnamed part whose middle pitch is below the C below middle C is a bass where another part leads."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is who in a clip: of lead, bass and drums the numbers of the parts that are it, and of the harmony.

    Of a clip without parts the one part has all notes. parts are those of the clip, or that one.
    """

    parts: tuple[Part, ...]
    roles: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    harmony: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    def part_of(self, role: int) -> Part | None:
        """The part that is lead, bass or drums, if there is one."""
        return self.parts[self.roles[role][0]] if self.roles[role] else None

    def notes(self, clip: Clip, roles: Sequence[int]) -> tuple[Note, ...]:
        """The notes of parts by their numbers."""
        return tuple(note for number in roles for note in notes_of(clip, self.parts[number]))


def cast_of(clip: Clip, drum_map: DrumMap) -> Cast:
    """Who is who: channel 10 is drums; a name or a program says what is a bass; of the others one leads.

    That one is called so, or else is the highest. Where two have one name, or are basses, the first is it.
    """
    if not clip.parts:
        return _cast_of_all(clip, drum_map)
    sounding = [number for number, part in enumerate(clip.parts) if _pitches(clip, part).size]
    drums = tuple(number for number in sounding if is_drums(clip.parts[number]))
    voices = [number for number in sounding if number not in drums]
    named = {number: _named(clip.parts[number]) for number in voices}
    basses = [
        k for k in voices if named[k] == BASS or (named[k] is None and clip.parts[k].program in BASS_PROGRAMS)
    ]
    others = sorted((k for k in voices if k not in basses), key=lambda k: -_middle(clip, clip.parts[k]))
    if not basses and len(others) > 1 and named[others[-1]] is None and _middle(clip, clip.parts[others[-1]]) < LOW:
        basses.append(others.pop())
    leads = sorted(others, key=lambda k: named[k] != LEAD)
    remarks = [
        f"of {len(found)} parts that may be the {PARTS[role]} {_called(clip.parts[found[0]])} is it"
        for role, found in ((LEAD, leads), (BASS, basses))
        if len(found) > 1
    ]
    if leads and basses and _middle(clip, clip.parts[basses[0]]) > _middle(clip, clip.parts[leads[0]]):
        remarks.append(
            f"{_called(clip.parts[basses[0]])} lies above the lead, and is read as the bass all the same"
        )
    harmony = (*leads[1:], *basses[1:])
    return Cast(clip.parts, (tuple(leads[:1]), tuple(basses[:1]), drums), harmony, tuple(remarks))


def has_voices(clip: Clip, drum_map: DrumMap) -> bool:
    """Whether a part is surely no drums: by its channel, and by its name, its program or its pitches."""
    voices = [part for part in clip.parts if not is_drums(part) and _pitches(clip, part).size]
    return any(_named(part) is not None or part.program or not _like_drums(clip, part, drum_map) for part in voices)


def _like_drums(clip: Clip, part: Part, drum_map: DrumMap) -> bool:
    return drum_map.is_drums(_pitches(clip, part)) and _middle(clip, part) < LOW


def _cast_of_all(clip: Clip, drum_map: DrumMap) -> Cast:
    """A clip without parts: drums, if its pitches say so and it sounds like no melody, else a lead."""
    whole = Part("", 1, 0, 0, len(clip.notes))
    if not _pitches(clip, whole).size:
        return Cast((whole,), ((), (), ()))
    return Cast((whole,), ((), (), (0,)) if _like_drums(clip, whole, drum_map) else ((0,), (), ()))


def _pitches(clip: Clip, part: Part) -> NDArray[np.int64]:
    return np.array([note.pitch for note in notes_of(clip, part) if not note.mute], np.int64)


def _middle(clip: Clip, part: Part) -> float:
    return float(np.median(_pitches(clip, part)))


def _named(part: Part) -> int | None:
    words = part.name.casefold().replace("_", " ").replace("-", " ").split()
    return next((NAMES[word] for word in words if word in NAMES), None)


def _called(part: Part) -> str:
    return part.name or f"the one on channel {part.channel}"


@dataclass(frozen=True, slots=True)
class Band:
    """A clip as states (bar, 16, 3), which of its parts play (3,), and how long each pitch class sounds (bar, 12).

    bar_steps: how many of the 16 steps a bar has. has_chords: whether more sounds than a lead and a bass.
    """

    cast: Cast
    states: Tokens
    plays: NDArray[np.bool_]
    sounding: NDArray[np.float64]
    bar_steps: int
    has_chords: bool
    remarks: tuple[str, ...] = ()


CHORDS_SHARE = 0.2
"""A lead has chords where so many of its notes start with a higher one."""


def read_band(clip: Clip, drum_map: DrumMap, cast: Cast | None = None) -> Band:
    """The parts of a clip, as they are cast; ClipError where its bars are too long."""
    steps_a_bar = bar_steps_of(clip)
    cast, steps = cast or cast_of(clip, drum_map), clip.bars * steps_a_bar
    columns, remarks = [], list(cast.remarks)
    for role in (LEAD, BASS):
        column, changed = read_melody(cast.notes(clip, cast.roles[role]), steps)
        columns.append(_in_bars(column, steps_a_bar))
        remarks += [f"{PARTS[role]}: {each}" for each in changed if "higher" not in each or role == BASS]
    column, changed = Drums().read(cast.notes(clip, cast.roles[DRUMS]), steps, drum_map)
    columns.append(_in_bars(column, steps_a_bar))
    remarks += [f"drums: {each}" for each in changed]
    states = np.stack([voice_states(columns[0]), voice_states(columns[1]), columns[2]], axis=1)
    plays = np.array([bool(found) for found in cast.roles])
    if steps_a_bar != STEPS_PER_BAR:
        remarks.append(f"bars of {clip.meter} are played as the first {clip.beats_per_bar:g} beats of bars of 4/4")
    shaped = states.reshape(clip.bars, STEPS_PER_BAR, len(PARTS))
    lead = [note for note in cast.notes(clip, cast.roles[LEAD]) if not note.mute]
    beneath = len(lead) - len({round(note.start_beats * STEPS_PER_BEAT) for note in lead})
    has_chords = bool(cast.harmony) or beneath > CHORDS_SHARE * len(lead)
    return Band(cast, shaped, plays, _sounding(clip, cast), steps_a_bar, has_chords, tuple(remarks))


def bar_steps_of(clip: Clip) -> int:
    """The steps of a bar; ClipError where it has more than the model's."""
    if clip.beats_per_bar > LONGEST_BAR_BEATS:
        raise ClipError(
            f"bands play bars of at most {LONGEST_BAR_BEATS:g} beats, as 4/4, 3/4 or 7/8, not {clip.meter}"
        )
    return steps_per_bar(clip.beats_per_bar)


def _in_bars(tokens: Tokens, steps_a_bar: int) -> Tokens:
    """Tokens [step] of bars of some steps -> of bars of 16."""
    bars = tokens.reshape(-1, steps_a_bar)
    return np.pad(bars, ((0, 0), (0, STEPS_PER_BAR - steps_a_bar))).reshape(-1)


def _sounding(clip: Clip, cast: Cast) -> NDArray[np.float64]:
    """For how many beats each pitch class sounds in each bar, drums apart: (bar, 12)."""
    found = np.zeros((clip.bars, 12))
    voices = (*cast.roles[LEAD], *cast.roles[BASS], *cast.harmony)
    for note in cast.notes(clip, voices):
        start, end = max(0.0, note.start_beats), note.start_beats + note.duration_beats
        bar = int(start // clip.beats_per_bar)
        while not note.mute and start < end and bar < clip.bars:
            until = min(end, (bar + 1) * clip.beats_per_bar)
            found[bar, note.pitch % 12] += until - start
            start, bar = until, bar + 1
    return found


def voice_notes(states: Tokens, bar_steps: int) -> tuple[Note, ...]:
    """States of a voice (bar, 16) as notes of bars of some steps; a note that begins behind its bar is left out."""
    flat = states[:, :bar_steps].reshape(-1)
    pitch = np.where(flat >= FIRST_NOTE_ON, (flat - FIRST_NOTE_ON) % PITCHES, -1)
    begins = (flat >= FIRST_NOTE_ON) & (flat < MELODY_SIZE)
    tokens, sounds = np.zeros_like(flat), -1
    for step, (own, begin) in enumerate(zip(pitch.tolist(), begins.tolist(), strict=True)):
        if begin:
            tokens[step], sounds = own + FIRST_NOTE_ON, own
        elif sounds >= 0 and own != sounds:
            tokens[step], sounds = NOTE_OFF, -1
    return melody_notes(tokens)


def with_notes_of(parts: Sequence[tuple[Part, Sequence[Note]]], like: Clip) -> Clip:
    """Parts and their notes as a clip of the length, tempo and meter of another."""
    notes: list[Note] = []
    placed = []
    for part, own in parts:
        placed.append(replace(part, first=len(notes), count=len(own)))
        notes += own
    return replace(like, notes=tuple(notes), parts=tuple(placed), origin=None)
