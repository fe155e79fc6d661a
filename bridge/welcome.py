"""The first clip: what `vaebridge serve` plays to a newcomer, asked of the daemon over OSC like anybody else's."""

from bridge.osc.remote import Remote
from engine.clip import Clip, Note
from engine.requests import Humanize, Results

KICK, SNARE, CLOSED_HAT, OPEN_HAT = 36, 38, 42, 46
STEP_BEATS = 0.25
PATTERN = {
    CLOSED_HAT: (0, 2, 4, 6, 8, 10, 12, 16, 18, 20, 22, 24, 26, 28),
    OPEN_HAT: (14, 30),
    SNARE: (4, 7, 9, 12, 20, 23, 25, 28),
    KICK: (0, 6, 10, 16, 19, 22, 26),
}
"""Two bars of sixteenths, all of one strength: as stiff as it gets."""


def stiff_beat() -> Clip:
    """Two quantised bars at 105 bpm."""
    hits = ((step, pitch) for pitch, steps in PATTERN.items() for step in steps)
    notes = tuple(Note(pitch, step * STEP_BEATS, STEP_BEATS, 100) for step, pitch in sorted(hits))
    return Clip(notes, length_beats=8.0, tempo_bpm=105.0)


def first_clip(daemon: Remote) -> tuple[Clip, Results]:
    """The stiff beat, and how the resident model plays it."""
    beat = stiff_beat()
    return beat, daemon.run(Humanize(clip=beat))
