"""Which parts of a clip a request is about, as what they are played, and which of their notes make room."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.band import DRUMS, PARTS
from engine.representation.band_clip import NAMES, NEW_PARTS, Cast

Roles = tuple[int, ...]
"""Of lead, bass and drums those that are meant."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The notes of some parts that start in the beats from first to end, which make room."""

    first: float
    end: float
    numbers: frozenset[int]

    def staying(self, clip: Clip, cast: Cast, numbers: Sequence[int]) -> tuple[Note, ...]:
        """The notes of parts that stay as they are."""
        return tuple(
            note
            for number in numbers
            for note in cast.notes(clip, (number,))
            if note.mute or number not in self.numbers or not self.first <= note.start_beats < self.end
        )

    def cut(self, notes: Sequence[Note], staying: Sequence[Note]) -> tuple[Note, ...]:
        """New notes inside the mark, none longer than it, or into a note that stays in it."""
        starts = sorted(note.start_beats for note in staying if not note.mute and note.start_beats > self.first)
        found = []
        for note in notes:
            if self.first <= note.start_beats < self.end:
                until = min([self.end, *(start for start in starts if start > note.start_beats)])
                found.append(replace(note, duration_beats=min(note.duration_beats, until - note.start_beats)))
        return tuple(found)


def roles_of(names: Sequence[str], otherwise: Roles) -> Roles:
    """Which of lead, bass and drums names say, each once and in this order; ClipError where one says none."""
    known = {name.strip().casefold() for name in names if name.strip()}
    if strange := sorted(known - NAMES.keys()):
        raise ClipError(f"parts are lead, bass and drums, not {strange[0]!r}")
    return tuple(sorted({NAMES[name] for name in known})) or otherwise


VOICES = [channel for channel in range(1, 17) if channel != DRUM_CHANNEL]


def as_played(cast: Cast, clip: Clip) -> list[Part]:
    """As what each of the three is played: as it is in the clip, else anew, on a channel that the clip leaves."""
    taken = {part.channel for part in clip.parts}
    parts = []
    for role, new in enumerate(NEW_PARTS):
        own = cast.part_of(role) if clip.parts else None
        free = [new.channel] if role == DRUMS else [k for k in (new.channel, *VOICES) if k not in taken]
        parts.append(own or replace(new, channel=(free or [new.channel])[0]))
        taken.add(parts[-1].channel)
    return parts


def listed(roles: Sequence[int]) -> str:
    """Their names, as in a sentence."""
    return " and ".join(PARTS[role] for role in roles)
