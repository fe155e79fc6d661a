import os
import shutil
import zipfile

import mido
import pytest

from engine.data.corpus import read_corpus
from engine.data.windows import cut_windows
from engine.errors import DataError
from engine.evaluation.contenders import baselines
from engine.evaluation.figures import figures_of
from engine.evaluation.hits import hits_of
from tests.strict_midi import CASES


def write_midi(path, *, channel=9, bars=4):
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)])
    for _ in range(bars * 4):
        track.append(mido.Message("note_on", channel=channel, note=36, velocity=100))
        track.append(mido.Message("note_off", channel=channel, note=36, time=480))
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path)


def test_a_folder_of_any_midi_files_is_split_by_name(tmp_path):
    for i in range(30):
        write_midi(tmp_path / f"{i}.mid")
    performances = read_corpus(tmp_path)
    assert len(performances) == 30
    assert {each.split for each in performances} == {"train", "validation", "test"}
    assert [each.split for each in performances] == [each.split for each in read_corpus(tmp_path)]


def test_the_listed_tempo_style_and_split_are_taken(tmp_path):
    write_midi(tmp_path / "a.mid")
    (tmp_path / "info.csv").write_text(
        "style,bpm,time_signature,midi_filename,split\nfunk/groove1,97,4-4,a.mid,validation\n"
    )
    (performance,) = read_corpus(tmp_path)
    assert (performance.style, performance.tempo_bpm, performance.split) == ("funk", 97.0, "validation")


def test_a_zip_is_read_in_place(tmp_path):
    write_midi(tmp_path / "a.mid")
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.write(tmp_path / "a.mid", "deep/a.mid")
    (performance,) = read_corpus(tmp_path / "corpus.zip")
    assert performance.start_beats.tolist() == list(range(16))


@pytest.mark.parametrize("name", ["nowhere", "empty", "text.mid"])
def test_a_place_without_drums_is_refused_with_what_is_needed(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mid").write_text("no zip")
    with pytest.raises(DataError, match=r"a zip or folder of \.mid files is needed"):
        read_corpus(tmp_path / name)


def test_a_file_that_is_no_midi_is_named(tmp_path):
    (tmp_path / "a.mid").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.mid: it is not a MIDI file"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("name", ["keysig", "tempo0", "missing_last_byte", "smpte", "patterns"])
def test_a_bad_file_ends_nothing(tmp_path, caplog, name):
    """What others refuse can be read all the same; independent patterns are left out, counted and named."""
    write_midi(tmp_path / "good.mid")
    if name == "patterns":
        (tmp_path / "patterns.mid").write_bytes(b"MThd\0\0\0\6\0\2\0\2\1\xe0" + b"MTrk\0\0\0\4\0\xff\x2f\0" * 2)
    else:
        shutil.copy(CASES / f"{name}.mid", tmp_path)
    performances = read_corpus(tmp_path)
    assert [each.name for each in performances] == ["good.mid"] + [f"{name}.mid"] * (name != "patterns")
    assert all((each.start_beats >= 0).all() for each in performances)
    assert ("left out: patterns.mid" in caplog.text and "1 of 2 files" in caplog.text) == (name == "patterns")


def test_a_short_performance_is_padded_or_left_out(tmp_path):
    write_midi(tmp_path / "a.mid", bars=1)
    (tmp_path / "info.csv").write_text("midi_filename,split\na.mid,train\n")
    performances = read_corpus(tmp_path)
    assert cut_windows(performances, split="train", bars=2).grooves.shape == (1, 32, 27)
    assert len(cut_windows(performances, split="train", bars=2, pad=False)) == 0


@pytest.mark.parametrize("name", ["a.mid", "info.csv"])
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}.*no regular file"):
        read_corpus(tmp_path)


@pytest.mark.data
def test_the_quantised_error_on_the_test_split_is_the_published_one(groove_zip):
    """22.6 ms and .0415, or the windows are not the paper's."""
    windows = cut_windows(read_corpus(groove_zip), split="test", bars=2)
    quantised, *_ = baselines(windows)
    figures = figures_of(quantised, windows)
    assert figures.timing_mae_ms.value == pytest.approx(22.6, abs=0.05)
    assert figures.timing_mse.value == pytest.approx(0.0415, abs=0.00005)
    assert len(hits_of(windows).offset) == 78_676
