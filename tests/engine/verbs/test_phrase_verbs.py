"""The verbs on a model of phrases, beside the shipped drummer that plays its hits."""

from dataclasses import replace

import pytest
import torch

from engine.clip import Clip, Note
from engine.errors import ClipError
from engine.midi.clips import clip_to_midi
from engine.requests import Continue, Decode, Drumify, Encode, Infill, Interpolate, Sample, Vary, verb_of
from engine.verbs.generator import Generator
from engine.verbs.phrase_drawing import falls_silent
from engine.weights import Library, shipped_folder
from tests.engine.untrained import SMALL_PHRASES, write_random_weights
from tests.strict_midi import overlaps, read_strictly


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phrases")
    write_random_weights(folder, "drums_16bar", "phrases", spread=3.0, **SMALL_PHRASES)
    return folder


@pytest.fixture(scope="module")
def generator(folder):
    generator = Generator(Library([folder, shipped_folder()]), device="cpu")
    generator.load("drummer")
    generator.load("phrases")
    return generator


@pytest.fixture(scope="module")
def alone(folder):
    generator = Generator(Library([folder]), device="cpu")
    generator.load("phrases")
    return generator


def beat(bars=2, meter=4.0, tempo=120.0):
    """Hats on the eighths, kick and snare on the quarters, a little late."""
    notes = []
    for eighth in range(int(bars * meter * 2)):
        notes.append(Note(42, eighth / 2 + 0.01, 0.25, 70 + eighth % 3))
        if eighth % 2 == 0:
            notes.append(Note(36 if eighth % 4 == 0 else 38, eighth / 2, 0.25, 100))
    return Clip(tuple(notes), bars * meter, meter, tempo)


REQUESTS = [
    Sample(seed=3, bars=5),
    Sample(seed=3, bars=2, style="funk", count=2),
    Drumify(seed=3, clip=beat(), count=2),
    Drumify(seed=3, clip=beat(1), bars=3),
    Interpolate(seed=3, clips=(beat(2), beat(4)), steps=3),
    Interpolate(seed=3, clips=(beat(),) * 4, position=0.3, position2=0.6, count=2),
    Vary(seed=3, clip=beat(), similarity=0.8, count=2),
    Continue(seed=3, clip=beat(), count=2),
    Continue(seed=3, clip=beat(3), bars=5, fill_in=1),
    Infill(seed=3, clip=beat(4), start=4, beats=4, count=2),
    Infill(seed=3, clip=beat(4), start=3.3, beats=1.1, keep=(42,), fill_in=1),
]


def names(request):
    return verb_of(request)


@pytest.mark.parametrize("request_", REQUESTS, ids=names)
def test_the_same_seed_gives_the_same_notes(generator, request_):
    request_ = replace(request_, model="phrases")
    first, second = generator.run(request_), generator.run(request_)
    assert first.clips == second.clips
    assert first.model == "phrases"
    assert any(clip.notes for clip in first.clips)


@pytest.mark.parametrize("request_", REQUESTS, ids=names)
def test_hits_are_played_by_the_drummer_or_lie_on_the_grid_and_it_is_said(generator, alone, request_):
    request_ = replace(request_, model="phrases")
    played, plain = generator.run(request_), alone.run(request_)
    assert not any("grid" in remark for remark in played.remarks)
    assert any("grid" in remark for remark in plain.remarks)
    starts = [note.start_beats for clip in played.clips for note in clip.notes]
    assert any(start * 4 % 1 for start in starts)


@pytest.mark.parametrize(("bars", "clip_bars", "expected"), [(None, 2, 2), (None, 20, 16), (7, 2, 7), (40, 3, 40)])
def test_continue_gives_the_bars_that_come_next_alone(generator, bars, clip_bars, expected):
    (clip,) = generator.run(Continue(clip=beat(clip_bars), bars=bars, seed=1)).clips
    assert clip.length_beats == 4 * expected
    assert clip.notes[0].start_beats < 16
    assert all(note.start_beats < clip.length_beats for note in clip.notes)


def test_continue_hears_what_was_played(generator):
    one, other = (
        generator.run(Continue(clip=clip, bars=2, seed=1)).clips[0] for clip in (beat(), beat(2, tempo=60))
    )
    assert one.notes != other.notes
    assert other.tempo_bpm == 60


@pytest.mark.parametrize("meter", [3.0, 3.5, 5.0, 1.0])
def test_other_meters_work(generator, meter):
    clip = beat(4, meter)
    for request in (Continue(clip=clip, bars=3), Infill(clip=clip, start=meter, beats=meter), Vary(clip=clip)):
        (result,) = generator.run(replace(request, seed=1, model="phrases")).clips
        assert result.beats_per_bar == meter
        assert all(note.start_beats < result.length_beats for note in result.notes)


def test_infill_gives_back_every_note_outside_the_mark(generator):
    clip = beat(4)
    (result,) = generator.run(Infill(clip=clip, start=4, beats=4, seed=1)).clips
    staying = [note for note in clip.notes if not 4 <= note.start_beats < 8]
    assert list(result.notes[: len(staying)]) == staying
    assert all(4 <= note.start_beats < 8 for note in result.notes[len(staying) :])
    assert result.length_beats == clip.length_beats


def test_a_note_that_sounds_into_the_mark_stays_as_it_was_though_its_pitch_starts_there(generator, tmp_path):
    notes = tuple(Note(pitch, 3.75, 1.0, 100) for pitch in (36, 38, 42)) + beat(3).notes
    clip = Clip(tuple(note for note in notes if note.start_beats not in (3.5, 4.0)), 12.0)
    started = 0
    for seed in range(4):
        (filled,) = generator.run(Infill(clip=clip, start=4.0, beats=4.0, seed=seed)).clips
        assert {note for note in clip.notes if not 4 <= note.start_beats < 8} <= set(filled.notes)
        started += sum(note.pitch in (36, 38, 42) and 4 <= note.start_beats < 4.75 for note in filled.notes)
        clip_to_midi(filled, tmp_path / "filled.mid")
        _, tracks = read_strictly((tmp_path / "filled.mid").read_bytes())
        assert not any(overlaps(track) for track in tracks)  # a file has no two notes of one pitch at a time
    assert started


def test_infill_in_200_bars_draws_the_bars_in_the_mark_alone(generator):
    clip = beat(200)
    (result,) = generator.run(Infill(clip=clip, start=400, beats=8, seed=1)).clips
    staying = [note for note in clip.notes if not 400 <= note.start_beats < 408]
    assert list(result.notes[: len(staying)]) == staying


def test_infill_of_nothing_but_what_is_kept_gives_the_clip_back(generator):
    clip = beat(2)
    (result,) = generator.run(Infill(clip=clip, start=0, beats=8, keep=tuple(range(128)), seed=1)).clips
    assert result.notes == clip.notes


def test_a_mark_in_an_empty_clip_is_filled(generator):
    (result,) = generator.run(Infill(clip=Clip((), 16.0), start=4, beats=4, seed=1)).clips
    assert all(4 <= note.start_beats < 8 for note in result.notes)


@pytest.mark.parametrize(
    "request_", [Continue(clip=Clip((), 8.0)), Vary(clip=Clip((), 8.0)), Encode(clip=Clip((), 8.0))]
)
def test_silence_is_refused_in_words(generator, request_):
    with pytest.raises(ClipError, match="at least one note"):
        generator.run(replace(request_, model="phrases"))


def test_one_hit_is_enough(generator):
    clip = Clip((Note(36, 0.0, 0.25, 100),), 4.0)
    for request in (Continue(clip=clip), Vary(clip=clip), Infill(clip=clip, start=2, beats=2), Drumify(clip=clip)):
        assert len(generator.run(replace(request, seed=1, model="phrases")).clips) == 1


def test_decode_gives_as_many_bars_as_have_a_z(generator):
    point = generator.run(Encode(clip=beat(3), model="phrases")).latent
    assert len(point) == 6 + 3 * 4
    (clip,) = generator.run(Decode(z=point, seed=1, model="phrases")).clips
    assert clip.length_beats == 12
    (window,) = generator.run(Decode(z=point[:6], seed=1, model="phrases")).clips
    assert window.length_beats == 64


@pytest.mark.parametrize("size", [5, 7, 6 + 17 * 4])
def test_a_point_of_another_size_is_refused_with_what_is_accepted(generator, size):
    with pytest.raises(ClipError, match="6 numbers, or of 4 for each of at most 16 bars more"):
        generator.run(Decode(z=(0.0,) * size, model="phrases"))


def test_an_unknown_style_is_refused_with_those_that_there_are(generator):
    with pytest.raises(ClipError, match="funk, rock"):
        generator.run(Sample(style="polka", model="phrases"))


def test_no_new_bars_fall_silent():
    """Seed 12 had nothing from its sixth bar on."""
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drums_16bar")
    (clip,) = generator.run(Sample(seed=12, bars=16, model="drums_16bar")).clips
    sounding = {int(note.start_beats // 4) for note in clip.notes}
    assert all({bar, bar + 1} & sounding for bar in range(15))


def test_what_falls_silent_has_two_silent_bars_running():
    hits = torch.zeros(3, 4, 16)
    hits[0], hits[1, [0, 2]], hits[2, [0, 3]] = 1, 1, 1
    assert falls_silent(hits).tolist() == [False, False, True]
    assert not falls_silent(torch.zeros(1, 1, 16)).any()
