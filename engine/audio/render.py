"""A MIDI file as a waveform: by FluidSynth where a SoundFont is found, else by a synthesis of a few lines.

Ours knows kick, snare, hats, toms and cymbals, and plays everything else as sines. Knows nothing of sound cards.
"""

import math
import wave
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.soundfont import by_soundfont, found_soundfont
from engine.errors import MidiFileError
from engine.files import replacing
from engine.midi.choice import is_drums
from engine.midi.events import MidiBytes
from engine.midi.meters import tempos
from engine.midi.notes import FileNote, file_notes, instruments
from engine.representation.drum_map import GENERAL_MIDI, INSTRUMENTS, DrumMap

Wave = NDArray[np.float32]

RATE = 44_100
LONGEST_SECONDS = 3600
TAIL_SECONDS = 1.5
LOUDEST = 0.9


def render(
    midi: MidiBytes,
    *,
    soundfont: Path | None = None,
    drum_map: DrumMap = GENERAL_MIDI,
    rate: int = RATE,
    first_seconds: float = math.inf,
) -> Wave:
    """The samples of a file, [sample, side] in -1..1 at so many a second; of one or two sides.

    first_seconds: of a longer file no more is rendered. MidiFileError where the soundfont that is named cannot be
    used, or more than an hour were to be rendered.
    """
    notes = file_notes(midi)
    seconds_of = _clock(midi)
    length = min(first_seconds, max((seconds_of(note.end_tick) for note in notes), default=0.0))
    if length > LONGEST_SECONDS:
        raise MidiFileError(f"what is heard may last {LONGEST_SECONDS} s at most, not {length:.0f} s")
    samples, font = int((length + TAIL_SECONDS) * rate), soundfont or found_soundfont()
    if font:
        heard = by_soundfont(midi, notes, seconds_of, samples, rate=rate, font=font, drum_map=drum_map)
    else:
        heard = _by_hand(midi, notes, seconds_of, samples, drum_map, rate)[:, None]
    peak = float(np.abs(heard).max(initial=0.0))
    return heard if peak <= LOUDEST else heard * np.float32(LOUDEST / peak)


def write_wav(samples: Wave, path: Path) -> None:
    """Write samples as 16 bits; MidiFileError where that fails."""
    try:
        with replacing(path) as beside, beside.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(samples.shape[1])
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
    except OSError as error:
        raise MidiFileError(f"{path} cannot be written: {error.strerror}") from error


def _clock(midi: MidiBytes) -> Callable[[int], float]:
    """What says at how many seconds a tick is."""
    changes, seconds = tempos(midi), [0.0]
    for (tick, bpm), (following, _) in pairwise(changes):
        seconds.append(seconds[-1] + (following - tick) * 60 / (bpm * midi.ticks_per_beat))
    ticks = [tick for tick, _ in changes]

    def seconds_of(tick: int) -> float:
        place = bisect_right(ticks, tick) - 1
        start, bpm = changes[place]
        return seconds[place] + (tick - start) * 60 / (bpm * midi.ticks_per_beat)

    return seconds_of


def _by_hand(
    midi: MidiBytes,
    notes: tuple[FileNote, ...],
    seconds_of: Callable[[int], float],
    samples: int,
    drum_map: DrumMap,
    rate: int,
) -> Wave:
    mix = np.zeros(samples, np.float32)
    sounds = [_drum(name, rate) for name in INSTRUMENTS]
    for group in instruments(midi, notes):
        as_drums = is_drums(group)
        for note in group.notes:
            start = seconds_of(note.tick)
            sound = (
                sounds[drum_map.class_of[note.pitch]]
                if as_drums
                else _sine(note.pitch, seconds_of(note.end_tick) - start, rate)
            )
            at = int(start * rate)
            room = mix[at : at + len(sound)]
            room += sound[: len(room)] * (note.velocity / 127) ** 1.5 * (0.5 if as_drums else 0.2)
    return mix


def _sine(pitch: int, seconds: float, rate: int) -> NDArray[np.float64]:
    """A sine that swells for 5 ms and fades for 50."""
    t = np.arange(int((max(seconds, 0.02) + 0.05) * rate)) / rate
    loudness = np.minimum(1, t / 0.005) * np.minimum(1, (t[-1] - t) / 0.05) * np.exp(-t)
    tone: NDArray[np.float64] = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t) * loudness
    return tone


DRUM_SOUNDS = {
    "kick": (50, 90, 0.12, 0.05),
    "snare": (190, 60, 0.09, 0.8),
    "closed_hat": (0, 0, 0.03, 1.0),
    "open_hat": (0, 0, 0.18, 1.0),
    "low_tom": (90, 60, 0.18, 0.1),
    "mid_tom": (125, 70, 0.16, 0.1),
    "high_tom": (170, 80, 0.14, 0.1),
    "crash": (0, 0, 0.6, 1.0),
    "ride": (0, 0, 0.3, 0.6),
}
"""Of each drum: the Hz of its skin, how far above them it begins, the seconds of its fading, its share of noise."""


def _drum(name: str, rate: int) -> NDArray[np.float64]:
    """One hit: a skin whose pitch falls, and noise, which is bright where there is no skin."""
    hz, above, fade, share = DRUM_SOUNDS[name]
    t = np.arange(int(min(6 * fade, TAIL_SECONDS) * rate)) / rate
    noise = np.random.default_rng(len(name)).uniform(-1, 1, len(t))
    if not hz:
        noise = np.diff(noise, prepend=0.0) / 2
    skin = np.sin(2 * np.pi * np.cumsum(hz + above * np.exp(-t / 0.03)) / rate) if hz else 0.0
    sound: NDArray[np.float64] = (share * noise + (1 - share) * skin) * np.exp(-t / fade)
    return sound
