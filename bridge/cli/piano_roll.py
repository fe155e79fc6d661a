"""A clip as text for the terminal: a row an instrument, a column a sixteenth, a block's height the velocity.

Knows nothing of consoles: the caller says how wide one is and whether it can show block characters.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from rich.text import Text

from engine.clip import STEPS_PER_BEAT, Clip, Note
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.drum_map import GENERAL_MIDI, INSTRUMENTS, DrumMap

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LABEL_WIDTH = 11
WIDE_CELL = 4
"""Room for a block and its milliseconds, as in ▅+12."""

MOST_MS = 99


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a roll: eight heights from soft to loud, an empty beat, a bar line."""

    heights: str
    beat: str
    bar: str


BLOCKS = Glyphs("▁▂▃▄▅▆▇█", "·", "│")
ASCII = Glyphs("12345678", ".", "|")


@dataclass(frozen=True, slots=True)
class Hit:
    """What a cell shows: a velocity, and how late (or, negative, early) it is played."""

    velocity: int
    late_ms: int = 0


@dataclass(frozen=True, slots=True)
class Roll:
    """The cells of a clip. cells holds (row, step) -> Hit; rows run from the top; a bar has steps_per_bar steps."""

    cells: dict[tuple[str, int], Hit]
    rows: tuple[str, ...]
    steps_per_bar: int
    bars: int


def draw(
    clip: Clip, *, width: int = 80, bars: int = 4, glyphs: Glyphs = BLOCKS, drum_map: DrumMap = GENERAL_MIDI
) -> Text:
    """The first bars of a clip, as many side by side as the width holds."""
    return _draw(_roll(clip, clip, drum_map), width=width, bars=bars, cell=1, glyphs=glyphs)


def compare(
    before: Clip,
    after: Clip,
    *,
    width: int = 80,
    bars: int = 2,
    glyphs: Glyphs = BLOCKS,
    drum_map: DrumMap = GENERAL_MIDI,
) -> Text:
    """A clip, and the same notes as they are played: how loud, and how many ms early (-) or late (+)."""
    played = _roll(before, after, drum_map)
    cell = WIDE_CELL if _room(width) >= played.steps_per_bar * WIDE_CELL else 1
    return Text.assemble(
        ("before\n", "bold"),
        _draw(_roll(before, before, drum_map), width=width, bars=bars, cell=1, glyphs=glyphs),
        ("after, with the ms that each hit is early or late\n" if cell > 1 else "after\n", "bold"),
        _draw(played, width=width, bars=bars, cell=cell, glyphs=glyphs),
    )


def pitch_name(pitch: int) -> str:
    """The name of a pitch, middle C (60) being C4."""
    return f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def drum_name(pitch: int, drum_map: DrumMap = GENERAL_MIDI) -> str:
    """The instrument that a pitch plays."""
    return INSTRUMENTS[int(drum_map.class_of[pitch])].replace("_", " ")


def _roll(grid: Clip, played: Clip, drum_map: DrumMap) -> Roll:
    """The cells of one clip's positions, with the velocities and times of the other's notes."""
    found = _heard(grid, drum_map)
    names = [drum_name(pitch, drum_map) if drums else pitch_name(pitch) for drums, pitch in found]
    steps_per_bar = math.ceil(grid.beats_per_bar * STEPS_PER_BEAT)
    last = grid.bars * steps_per_bar - 1
    cells: dict[tuple[str, int], Hit] = {}
    for name, stiff, note in zip(names, grid.notes, played.notes, strict=True):
        step = min(max(0, math.floor(_step_in_bars(grid, stiff) + 0.5)), last)
        late_ms = round((note.start_beats - stiff.start_beats) * 60_000 / grid.tempo_bpm)
        if not note.mute:
            cells.setdefault((name, step), Hit(note.velocity, late_ms))
    rows = tuple(
        dict.fromkeys(
            name for _, name in sorted(zip((_height(*each, drum_map) for each in found), names, strict=True))
        )
    )
    return Roll(cells, rows, steps_per_bar, grid.bars)


def _step_in_bars(clip: Clip, note: Note) -> float:
    """The step of a note where each bar has a whole number of steps."""
    bar = math.floor(note.start_beats / clip.beats_per_bar + 1e-9)
    steps_per_bar = math.ceil(clip.beats_per_bar * STEPS_PER_BEAT)
    return bar * steps_per_bar + (note.start_beats - bar * clip.beats_per_bar) * STEPS_PER_BEAT


def _heard(clip: Clip, drum_map: DrumMap) -> list[tuple[bool, int]]:
    """Whether each note is a drum, and its pitch. Its part says so, else the pitches of most."""
    pitches = np.array([note.pitch for note in clip.notes], dtype=np.int64)
    drums = [not clip.parts and drum_map.is_drums(pitches)] * len(pitches)
    for part in clip.parts:
        drums[part.first : part.first + part.count] = [part.channel == DRUM_CHANNEL] * part.count
    return list(zip(drums, pitches.tolist(), strict=True))


def _height(is_drum: bool, pitch: int, drum_map: DrumMap) -> tuple[bool, int]:
    """Rows from the top: high over low, then cymbals over toms over hats over snare and kick."""
    return is_drum, -int(drum_map.class_of[pitch]) if is_drum else -pitch


def _room(width: int) -> int:
    """The columns between the label and the right bar line."""
    return max(1, width - LABEL_WIDTH - 2)


def _draw(roll: Roll, *, width: int, bars: int, cell: int, glyphs: Glyphs) -> Text:
    """The bars in systems that fit the width, and how many more there are."""
    text = Text()
    shown = min(bars, roll.bars)
    heard = {row for row, step in roll.cells if step < shown * roll.steps_per_bar}
    roll = replace(roll, rows=tuple(row for row in roll.rows if row in heard))
    abreast = max(1, (_room(width) + 1) // (roll.steps_per_bar * cell + 1))
    for first in range(0, shown, abreast):
        for line in _system(roll, range(first, min(first + abreast, shown)), cell, glyphs):
            line.truncate(width)
            text.append_text(line).append("\n")
    if roll.bars > shown:
        text.append(f"… and {roll.bars - shown} more bars\n" if glyphs is BLOCKS else "and more bars\n", "dim")
    return text


def _system(roll: Roll, bars: range, cell: int, glyphs: Glyphs) -> list[Text]:
    """A line of bar numbers, and a line for each row."""
    bar_width = roll.steps_per_bar * cell
    numbers = " ".join(f"{bar + 1:<{bar_width}}" for bar in bars)
    lines = [Text(" " * (LABEL_WIDTH + 1) + numbers.rstrip(), "dim")]
    for row in roll.rows:
        line = Text(f"{row:>{LABEL_WIDTH - 1}} {glyphs.bar}")
        for bar in bars:
            for step in range(roll.steps_per_bar):
                line.append_text(_cell(roll.cells.get((row, bar * roll.steps_per_bar + step)), step, cell, glyphs))
            line.append(glyphs.bar)
        lines.append(line)
    return lines


def _cell(hit: Hit | None, step: int, cell: int, glyphs: Glyphs) -> Text:
    """One sixteenth: a block and, where there is room, its milliseconds."""
    if hit is None:
        return Text((glyphs.beat if step % STEPS_PER_BEAT == 0 else " ").ljust(cell), "dim")
    block = Text(glyphs.heights[(hit.velocity - 1) * len(glyphs.heights) // 127])
    if cell > 1:
        late_ms = min(max(hit.late_ms, -MOST_MS), MOST_MS)
        block.append(
            f"{late_ms:+d}".ljust(cell - 1) if late_ms else " " * (cell - 1), "cyan" if late_ms < 0 else "magenta"
        )
    return block
