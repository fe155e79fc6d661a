"""What the daemon sends: only i, f and s, at most 1400 bytes and 256 atoms a datagram. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bridge.osc.packet import Atom, write_message
from bridge.osc.table import MAX_NAME_BYTES, MAX_TEXT_BYTES, NOTES_PER_MESSAGE, NUMBERS_PER_MESSAGE, PREFIX
from engine.clip import Clip, Note


def cut(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """A text of at most so many bytes, whole characters; OSC strings hold no NUL."""
    return text.replace("\0", " ").encode()[:limit].decode(errors="ignore")


def format_done(number: int, verb: str, keys: Mapping[str, Atom]) -> bytes:
    """`/vae/done id VERB [key value]…`."""
    atoms = (atom for key, value in keys.items() for atom in (key, cut(value) if isinstance(value, str) else value))
    return write_message(f"{PREFIX}done", number, verb, *atoms)


def format_fail(number: int, verb: str, code: str, text: str) -> bytes:
    """`/vae/fail id VERB code text`."""
    return write_message(f"{PREFIX}fail", number, cut(verb, MAX_NAME_BYTES), code, cut(text))


def format_message(name: str, number: int, *atoms: Atom) -> bytes:
    """Any other reply: `/vae/NAME id …`."""
    return write_message(PREFIX + name, number, *(cut(a) if isinstance(a, str) else a for a in atoms))


def format_push(name: str, *atoms: Atom) -> bytes:
    """What a subscriber is told: `/vae/NAME …`, without an id."""
    return write_message(PREFIX + name, *(cut(a) if isinstance(a, str) else a for a in atoms))


def count_clip(notes: int, parts: int, first: int = 0, count: int | None = None) -> int:
    """How many datagrams format_clip writes of a clip with so many notes and parts."""
    return 2 + parts + len(range(first, _last(notes, first, count), NOTES_PER_MESSAGE))


def _last(notes: int, first: int, count: int | None) -> int:
    return notes if count is None else min(first + count, notes)


def format_clip(number: int, result: int, clip: Clip, first: int = 0, count: int | None = None) -> Iterator[bytes]:
    """A clip, or some of its notes, as notes/begin, part, notes and notes/end."""
    last = _last(len(clip.notes), first, count)
    yield format_message("notes/begin", number, result, len(clip.notes), float(clip.length_beats))
    for index, part in enumerate(clip.parts):
        place = (index, part.channel, part.program, part.first, part.count)
        yield format_message("part", number, result, *place, cut(part.name, MAX_NAME_BYTES))
    for start in range(first, last, NOTES_PER_MESSAGE):
        notes = clip.notes[start : min(start + NOTES_PER_MESSAGE, last)]
        yield write_message(f"{PREFIX}notes", number, result, start, len(notes), *note_atoms(notes))
    yield format_message("notes/end", number, result, len(clip.notes))


def count_latent(z: Sequence[float]) -> int:
    """How many datagrams format_latent writes."""
    return len(range(0, len(z), NUMBERS_PER_MESSAGE))


def format_latent(number: int, z: Sequence[float]) -> Iterator[bytes]:
    """The numbers of a z, as `/vae/latent id first count f…`."""
    for first in range(0, len(z), NUMBERS_PER_MESSAGE):
        numbers = z[first : first + NUMBERS_PER_MESSAGE]
        yield format_message("latent", number, first, len(numbers), *map(float, numbers))


def note_atoms(notes: Iterable[Note]) -> Iterator[Atom]:
    """Pitch, start, duration, velocity and mute of each note."""
    for note in notes:
        yield from (note.pitch, float(note.start_beats), float(note.duration_beats), note.velocity, int(note.mute))
