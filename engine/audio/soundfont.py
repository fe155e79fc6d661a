"""A MIDI file as FluidSynth plays it with a SoundFont, all its controllers, programs and bends among the notes.

Knows nothing of files that are written.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MidiFileError
from engine.midi.choice import is_drums
from engine.midi.events import MidiBytes
from engine.midi.notes import DRUM_CHANNEL, FileNote, instruments
from engine.midi.track import SYSEX, Event
from engine.representation.drum_map import GENERAL_MIDI, DrumMap

FULL_SCALE = 2**15
GAIN = 0.2
"""FluidSynth's own, at which a full band does not clip; what is heard is twice as loud."""

POLYPHONY, LOG_LEVELS = 1024, 5

SOUNDFONTS = (
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/sounds/sf2/default-GM.sf2"),
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/soundfonts/default.sf2"),
)
"""Where Debian's fluid-soundfont-gm and its like lie."""

BETTER = "pip install 'vaebridge[audio]', and Debian's libfluidsynth3 and fluid-soundfont-gm"
NEEDED = f"a SoundFont needs FluidSynth: {BETTER}"
WITHOUT = f"heard with simple sounds; better ones need FluidSynth and a SoundFont: {BETTER}"


def found_soundfont() -> Path | None:
    """A SoundFont of the system's, None where there is none or no FluidSynth."""
    return next((each for each in SOUNDFONTS if each.is_file()), None) if _fluidsynth() else None


def _fluidsynth() -> Any:
    """The package, None where it or its library is not there; what it prints of its search is nobody's."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import fluidsynth
    except (ImportError, AttributeError):
        return None
    return fluidsynth


def by_soundfont(
    midi: MidiBytes,
    notes: tuple[FileNote, ...],
    seconds_of: Callable[[int], float],
    samples: int,
    *,
    rate: int,
    font: Path,
    drum_map: DrumMap,
) -> NDArray[np.float32]:
    """So many samples of both sides, [sample, 2]; MidiFileError where there is no FluidSynth or no such font."""
    synth = _synth(font, rate)
    heard, at = np.zeros((samples, 2), np.float32), 0
    try:
        for event in _sounding(midi, notes, drum_map):
            place = min(int(seconds_of(event.tick) * rate), samples)
            heard[at:place] = _next(synth, place - at)
            at = max(at, place)
            _send(synth, event)
        heard[at:] = _next(synth, samples - at)
    finally:
        synth.delete()
    return heard * 2


def _synth(font: Path, rate: int) -> Any:
    try:
        with font.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise MidiFileError(f"{font} is no SoundFont file: {error.strerror}") from error
    if (head[:4], head[8:]) != (b"RIFF", b"sfbk"):
        raise MidiFileError(f"{font} is no SoundFont file (.sf2 or .sf3)")
    fluidsynth = _fluidsynth()
    if fluidsynth is None:
        raise MidiFileError(NEEDED)
    for level in range(LOG_LEVELS):  # else it says of each note too many that it is one
        fluidsynth._fl.fluid_set_log_function(level, None, None)
    synth = fluidsynth.Synth(gain=GAIN, samplerate=rate, channels=16, **{"synth.polyphony": POLYPHONY})
    if synth.sfload(str(font), 1) < 0:
        synth.delete()
        raise MidiFileError(f"{font} is a damaged SoundFont file")
    return synth


def _sounding(midi: MidiBytes, notes: tuple[FileNote, ...], drum_map: DrumMap) -> Iterator[Event]:
    """The events of channels in time; drums come on their channel, with General MIDI's pitches."""
    as_drums = {
        (note.chunk, index)
        for group in instruments(midi, notes)
        if group.channel == DRUM_CHANNEL or is_drums(group)
        for note in group.notes
        for index in (note.on, note.off, *note.strays)
    }
    pitch_of = _general_pitches(drum_map)
    events = [
        _as_drum(event, pitch_of) if (chunk, index) in as_drums else event
        for chunk, each in enumerate(midi.chunks)
        for index, event in enumerate(each.events)
        if event.status < SYSEX
    ]
    yield from sorted(events, key=lambda event: event.tick)


def _general_pitches(drum_map: DrumMap) -> list[int]:
    """For each pitch of a map one that is the same drum in General MIDI: itself where that is so."""
    drums = zip(drum_map.class_of, GENERAL_MIDI.class_of, strict=True)
    return [pitch if own == usual else int(GENERAL_MIDI.pitch_of[own]) for pitch, (own, usual) in enumerate(drums)]


def _as_drum(event: Event, pitch_of: list[int]) -> Event:
    status = event.status & 0xF0 | DRUM_CHANNEL - 1
    return Event(event.tick, status, bytes([pitch_of[event.data[0]], event.data[1]]))


def _next(synth: Any, samples: int) -> NDArray[np.float32]:
    if samples <= 0:
        return np.zeros((0, 2), np.float32)
    stereo: NDArray[np.float32] = synth.get_samples(samples).reshape(-1, 2) / np.float32(FULL_SCALE)
    return stereo


def _send(synth: Any, event: Event) -> None:
    channel, data = event.status & 0x0F, event.data
    match event.status & 0xF0:
        case 0x90 if data[1]:
            synth.noteon(channel, data[0], data[1])
        case 0x80 | 0x90:
            synth.noteoff(channel, data[0])
        case 0xB0:
            synth.cc(channel, data[0], data[1])
        case 0xC0:
            synth.program_change(channel, data[0])
        case 0xE0:
            synth.pitch_bend(channel, data[0] + 128 * data[1] - 8192)
