"""Sound to learn from, out of folders of sound and of MIDI."""

import logging
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from engine.audio import soundfont
from engine.audio.files import RATE
from engine.audio.spectrogram import LOUDNESS, loudness_of
from engine.data.listing import split_of
from engine.data.recordings import RENDERED_SECONDS, read_recordings
from engine.errors import AudioError, DataError

NAMES = {split: f"{number}.wav" for number in range(60) for split in [split_of(f"{number}.wav")]}
"""A name of each split."""


def write_tone(path: Path, amplitude: float = 0.1, seconds: float = 1.0) -> None:
    time = np.arange(int(seconds * RATE)) / RATE
    soundfile.write(path, amplitude * np.sin(2 * np.pi * 440 * time), RATE)


def test_files_of_sound_are_parted_by_their_names_and_brought_to_one_loudness(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES.values(), 1):
        write_tone(tmp_path / name, 0.01 * number)
    (tmp_path / "readme.txt").write_text("mine")
    for split, name in NAMES.items():
        (found,) = read_recordings([tmp_path], split)
        assert found.name == name
        assert loudness_of(found.samples) == pytest.approx(LOUDNESS, rel=0.01)


def test_what_is_damaged_or_silent_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = [f"{number}.wav" for number in range(60) if split_of(f"{number}.wav") == "train"][:3]
    (tmp_path / train[0]).write_bytes(b"RIFF")
    write_tone(tmp_path / train[1], 0.0)
    write_tone(tmp_path / train[2])
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in read_recordings([tmp_path], "train")] == [train[2]]
    assert f"left out: {train[0]}" in caplog.text.replace(str(tmp_path) + "/", "")
    assert f"left out: {train[1]}: it is silent" in caplog.text


def test_without_the_extra_it_says_once_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tone(tmp_path / NAMES["train"])
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(AudioError, match=r"pip install 'vaebridge\[audio\]'"):
        next(read_recordings([tmp_path], "train"))


def test_midi_is_rendered_with_the_splits_of_its_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfont, "SOUNDFONTS", ())
    track = mido.MidiTrack()
    for _ in range(80):
        track.append(mido.Message("note_on", note=69, time=0))
        track.append(mido.Message("note_off", note=69, time=480))
    for name in ("a", "b", "c"):
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(tmp_path / f"{name}.mid")
    rows = ("midi_filename,split,licence", "a.mid,train,MIT", "b.mid,train,GPL v2", "c.mid,test,MIT")
    (tmp_path / "info.csv").write_text("\n".join(rows))
    (found,) = read_recordings([tmp_path], "train", without_licence="GPL")
    assert found.name == "a.mid"
    assert RENDERED_SECONDS <= len(found.samples) / RATE <= RENDERED_SECONDS + 2
    assert np.argmax(np.abs(np.fft.rfft(found.samples[:RATE]))) == pytest.approx(440, abs=2)


def test_a_folder_without_sound_or_midi_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("mine")
    assert list(read_recordings([tmp_path], "train")) == []


def test_what_is_no_folder_is_told_with_what_is_needed(tmp_path: Path) -> None:
    write_tone(tmp_path / "one.wav")
    for name, why in (("one.wav", "is one file of sound"), ("none", "there is no data at")):
        with pytest.raises(DataError, match=rf"{why}.*a folder of sound \(WAV, FLAC, Ogg, MP3\)"):
            next(read_recordings([tmp_path / name], "train"))
