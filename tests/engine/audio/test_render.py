import gc
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from engine.audio import render as audio
from engine.audio import soundfont
from engine.clip import Clip, Note, Part
from engine.errors import MidiFileError
from engine.midi.clips import clip_to_midi
from engine.midi.events import MidiBytes
from engine.midi.files import read_midi
from engine.representation.drum_map import GENERAL_MIDI, INSTRUMENTS


@pytest.fixture(autouse=True)
def _no_soundfont(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfont, "SOUNDFONTS", ())


def midi_of(clip: Clip, folder: Path) -> MidiBytes:
    clip_to_midi(clip, folder / "clip.mid")
    return read_midi(folder / "clip.mid")


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_each_drum_is_heard_where_it_is_hit(name: str, tmp_path: Path) -> None:
    pitch = int(GENERAL_MIDI.pitch_of[INSTRUMENTS.index(name)])
    heard = audio.render(midi_of(Clip((Note(pitch, 2.0, 0.25, 100),), 4.0), tmp_path))
    assert np.abs(heard[: audio.RATE]).max() == 0
    assert np.abs(heard[audio.RATE : audio.RATE + 4410]).max() > 0.05
    assert np.abs(heard).max() <= 1


def test_a_note_that_is_no_drum_sounds_at_its_pitch(tmp_path: Path) -> None:
    clip = Clip((Note(69, 0.0, 2.0, 100),), 4.0, parts=(Part("lead", 1, 80, 0, 1),))
    heard = audio.render(midi_of(clip, tmp_path))[: audio.RATE, 0]
    assert np.argmax(np.abs(np.fft.rfft(heard))) == pytest.approx(440, abs=2)


def test_the_tempo_says_when(tmp_path: Path) -> None:
    heard = audio.render(midi_of(Clip((Note(36, 2.0, 0.25, 100),), 4.0, tempo_bpm=60.0), tmp_path))
    assert np.flatnonzero(heard)[0] == pytest.approx(2 * audio.RATE, abs=50)


def test_a_wav_file_has_the_samples(tmp_path: Path) -> None:
    audio.write_wav(np.array([[0.0], [0.5], [-0.5]], np.float32), tmp_path / "out.wav")
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (44_100, 1, 3)


def test_a_wav_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left_behind.append)
    with pytest.raises(MidiFileError, match=r"out\.wav cannot be written: No such file or directory"):
        audio.write_wav(np.zeros((3, 1), np.float32), tmp_path / "nowhere" / "out.wav")
    gc.collect()
    assert not left_behind


def test_what_lasts_for_hours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match="3600 s at most"):
        audio.render(midi_of(Clip((Note(36, 8000.0, 0.25, 100),), 8004.0), tmp_path))


def test_a_soundfont_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match="no SoundFont file"):
        audio.render(midi_of(Clip((Note(36, 0.0, 0.25, 100),), 4.0), tmp_path), soundfont=tmp_path / "none.sf2")
