"""What FluidSynth plays with Debian's General MIDI SoundFont."""

from pathlib import Path

import numpy as np
import pytest

from engine.audio.render import RATE, Wave, render
from engine.audio.soundfont import found_soundfont
from engine.clip import Clip, Note, Part
from engine.errors import MidiFileError
from engine.midi.clips import clip_to_midi
from engine.midi.events import MidiBytes, parse_midi
from engine.midi.files import read_midi
from engine.representation.drum_map import drum_map_of
from tests.engine.midi.test_faults import file_of
from tests.missing import missing
from tests.strict_midi import CASES


@pytest.fixture(scope="module", autouse=True)
def font() -> Path:
    found = found_soundfont()
    if found is None:
        missing("FluidSynth is missing; install fluid-soundfont-gm, libfluidsynth3 and the extra audio")
    return found


def midi_of(clip: Clip, folder: Path) -> MidiBytes:
    clip_to_midi(clip, folder / "clip.mid")
    return read_midi(folder / "clip.mid")


def loudness(heard: Wave, start: float, seconds: float) -> float:
    return float(np.sqrt((heard[int(start * RATE) : int((start + seconds) * RATE)] ** 2).mean()))


def test_a_hit_is_heard_on_both_sides_when_it_is_hit(tmp_path: Path) -> None:
    heard = render(midi_of(Clip((Note(36, 2.0, 0.25, 100),), 4.0), tmp_path))
    assert heard.shape[1] == 2
    assert loudness(heard, 0.0, 0.99) < 1e-4
    assert all(loudness(heard[:, [side]], 1.0, 0.1) > 0.01 for side in (0, 1))
    assert np.abs(heard).max() <= 1


def test_a_note_sounds_at_its_pitch_and_ends(tmp_path: Path) -> None:
    clip = Clip((Note(69, 0.0, 2.0, 100),), 4.0, parts=(Part("organ", 1, 16, 0, 1),))
    heard = render(midi_of(clip, tmp_path))
    spectrum = np.abs(np.fft.rfft(heard[:RATE, 0]))
    assert spectrum[430:450].max() > 0.3 * spectrum.max()
    assert loudness(heard, 1.8, 0.4) < 0.1 * loudness(heard, 0.2, 0.4)


def test_a_louder_hit_is_louder(tmp_path: Path) -> None:
    soft, loud = (render(midi_of(Clip((Note(38, 0.0, 0.25, v),), 4.0), tmp_path)) for v in (30, 120))
    assert loudness(loud, 0.0, 0.2) > 2 * loudness(soft, 0.0, 0.2)


def test_a_bend_and_a_volume_are_heard() -> None:
    begin, end = b"\x00\xc0\x50\x00\x90\x45\x64", b"\x87\x40\x80\x45\x00\x00\xff\x2f\x00"
    plain = render(parse_midi(file_of(begin + end)))[: RATE // 2, 0]
    bent = render(parse_midi(file_of(b"\x00\xe0\x7f\x7f" + begin + end)))[: RATE // 2, 0]
    silent = render(parse_midi(file_of(b"\x00\xb0\x07\x00" + begin + end)))
    assert np.argmax(np.abs(np.fft.rfft(bent))) > np.argmax(np.abs(np.fft.rfft(plain)))
    assert loudness(silent, 0.1, 0.3) < 1e-3


BEAT = ((36, 0.0), (42, 0.5), (38, 1.0), (42, 1.5))


def hits(pitches: dict[int, int], *parts: Part) -> Clip:
    return Clip(tuple(Note(pitches.get(p, p), start, 0.25, 100) for p, start in BEAT), 4.0, parts=parts)


def test_drums_on_another_channel_sound_as_on_their_own(tmp_path: Path) -> None:
    usual = render(midi_of(hits({}), tmp_path))
    other = render(midi_of(hits({}, Part("Drums", 3, 0, 0, len(BEAT))), tmp_path))
    np.testing.assert_array_equal(other, usual)


def test_a_kit_with_pitches_of_its_own_sounds_as_general_midi(tmp_path: Path) -> None:
    drum_map = drum_map_of({"kick": [50], "snare": [51], "closed_hat": [49]})
    usual = render(midi_of(hits({}), tmp_path))
    own = midi_of(hits({36: 50, 38: 51, 42: 49}), tmp_path)
    np.testing.assert_array_equal(render(own, drum_map=drum_map), usual)
    assert np.abs(render(own) - usual).max() > 0.01


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.glob("*.mid")))
def test_every_case_is_heard(case: str) -> None:
    assert loudness(render(read_midi(CASES / case)), 0.0, 10.0) > 1e-3


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"not one", "no SoundFont file"), (b"RIFF\0\0\0\0sfbk", "damaged")]
)
def test_what_is_no_soundfont_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_bytes(content)
    with pytest.raises(MidiFileError, match=sentence):
        render(read_midi(CASES / "base.mid"), soundfont=tmp_path / "font.sf2")


def test_a_soundfont_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match="no SoundFont file"):
        render(read_midi(CASES / "base.mid"), soundfont=tmp_path / "none.sf2")
