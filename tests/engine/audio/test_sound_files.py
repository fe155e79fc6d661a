import os
import re
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.files import RATE, Samples, blocks_of, is_sound, read_sound, write_sound
from engine.errors import AudioError


def tone(rate: int, seconds: float = 1.0, sides: int = 1) -> Samples:
    one = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return np.repeat(one[:, None], sides, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "sides", "kind", "name"),
    [
        (8000, 1, "PCM_U8", "phone.wav"),
        (44_100, 2, "PCM_16", "disc.wav"),
        (192_000, 2, "FLOAT", "studio.wav"),
        (96_000, 6, "PCM_24", "cinema.wav"),
        (24_000, 1, "DOUBLE", "ours.wav"),
        (48_000, 2, "PCM_24", "in.flac"),
        (44_100, 2, "VORBIS", "in.ogg"),
        (44_100, 1, "MPEG_LAYER_III", "in.mp3"),
        (44_100, 1, "PCM_16", "in.aiff"),
    ],
)
def test_any_rate_and_number_of_sides_is_heard_at_its_pitch(
    tmp_path: Path, rate: int, sides: int, kind: str, name: str
) -> None:
    soundfile.write(tmp_path / name, tone(rate, 2.0, sides), rate, subtype=kind)
    sound = read_sound(tmp_path / name)
    assert is_sound(tmp_path / name)
    assert (sound.rate, sound.samples.ndim, sound.samples.dtype) == (rate, 1, np.float32)
    assert len(sound.samples) == pytest.approx(2 * RATE, rel=0.05)  # MP3 pads its ends
    assert np.argmax(np.abs(np.fft.rfft(sound.samples[:RATE]))) == pytest.approx(440, abs=1)


def test_of_an_hour_only_the_end_is_read(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "hour.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128]) * 8000 * 3590 + bytes([192]) * 8000 * 10)
    samples = read_sound(tmp_path / "hour.wav", last_seconds=10).samples
    assert len(samples) == 10 * RATE
    assert np.median(samples) == pytest.approx(0.5, abs=0.01)


def test_blocks_are_the_whole_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tone(44_100, 25.0, 2), 44_100)
    blocks = list(blocks_of(tmp_path / "in.wav"))
    assert len(blocks) > 2
    assert np.allclose(np.concatenate(blocks), read_sound(tmp_path / "in.wav").samples, atol=1e-3)


def test_a_file_that_lacks_its_end_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tone(RATE), RATE)
    whole = (tmp_path / "in.wav").read_bytes()
    (tmp_path / "in.wav").write_bytes(whole[: len(whole) // 2])
    sound = read_sound(tmp_path / "in.wav")
    assert len(sound.samples) == pytest.approx(RATE / 2, abs=100)
    assert sound.truncated


@pytest.mark.parametrize("name", ["whole.wav", "whole.aiff", "whole.flac", "piped.wav"])
def test_a_whole_file_lacks_no_end(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(RATE)[:-1], RATE, subtype="PCM_24")
    if name == "piped.wav":  # what writes into a pipe cannot tell how much comes
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:4] + b"\xff" * 4 + content[8:])
    assert not read_sound(tmp_path / name).truncated


def test_the_share_of_samples_at_the_limit_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.clip(tone(RATE) * 10, -1, 1), RATE)
    assert 0.5 < read_sound(tmp_path / "in.wav").clipped < 1
    soundfile.write(tmp_path / "in.wav", tone(RATE), RATE)
    assert read_sound(tmp_path / "in.wav").clipped == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no sound that can be read"),
        (b"hello, this is a letter", "is no sound that can be read"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00", "is no sound that can be read"),
    ],
    ids=["empty", "text", "header that is cut off"],
)
def test_what_is_no_sound_is_refused_with_what_is_accepted(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "in.wav").write_bytes(content)
    with pytest.raises(AudioError, match=f"{why}.*it takes a WAV, FLAC, AIFF, Ogg or MP3 file"):
        read_sound(tmp_path / "in.wav")


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="holds no sound: it has no samples"):
        read_sound(tmp_path / "in.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = tone(RATE)
    samples[100] = value
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="FLOAT")
    for read in (read_sound, lambda path: list(blocks_of(path))):
        with pytest.raises(AudioError, match="holds samples that are no finite numbers"):
            read(tmp_path / "in.wav")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav cannot be read: No such file"):
        read_sound(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="cannot be read"):
        read_sound(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_which_may_have_no_end_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="no regular file"):
        read_sound(tmp_path / "pipe.wav")


def test_midi_is_no_sound_whatever_its_name_is(tmp_path: Path) -> None:
    for head, name in ((b"MThd\0\0\0\6", "in.wav"), (b"RIFF\x24\0\0\0RMIDdata", "in.wav"), (b"hello", "in.txt")):
        (tmp_path / name).write_bytes(head)
        assert not is_sound(tmp_path / name)
    assert not is_sound(tmp_path / "none.mid")
    assert is_sound(tmp_path / "none.flac")


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.ogg"])
def test_what_is_written_is_what_its_name_says(tmp_path: Path, name: str) -> None:
    samples = tone(RATE)[:, 0]
    write_sound(iter((samples[:7000], samples[7000:] * 4)), tmp_path / name)
    info = soundfile.info(tmp_path / name)
    assert (info.format, info.samplerate, info.channels, info.frames) == (name[4:].upper(), RATE, 1, RATE)
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.mid", "out", "out.txt"])
def test_a_kind_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    def never() -> Iterator[Samples]:
        raise AssertionError
        yield

    with pytest.raises(AudioError, match=re.escape("names no kind of sound that can be written: take .wav, .flac")):
        write_sound(never(), tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="only Unix has a limit on the size of files")
@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.ogg"])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    import resource

    (tmp_path / name).write_bytes(b"what was there")
    noise = np.random.default_rng(0).uniform(-1, 1, 40 * RATE).astype(np.float32)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(AudioError, match="cannot be written"):
            write_sound(iter(np.split(noise, 40)), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / name).read_bytes() == b"what was there"
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"out\.wav cannot be written: No such file or directory"):
        write_sound(iter([tone(RATE)[:, 0]]), tmp_path / "nowhere" / "out.wav")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_what_is_no_file_is_not_written_and_a_pipe_without_a_reader_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("folder.wav", "pipe.wav"):
        with pytest.raises(AudioError, match=re.escape(f"{name} cannot be written: it is no regular file")):
            write_sound(iter([tone(RATE)[:, 0]]), tmp_path / name)


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    soundfile.write(tmp_path / "in.wav", tone(RATE), RATE)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AudioError, match=re.escape("pip install 'vaebridge[audio]'")):
        read_sound(tmp_path / "in.wav")
