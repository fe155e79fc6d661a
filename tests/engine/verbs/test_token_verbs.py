from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.clip import Clip, Note, Part
from engine.errors import ClipError, ModelError, TooLongError
from engine.registry import find_config
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI
from engine.requests import Decode, Encode, Humanize, Interpolate, Request, Sample, Vary, verb_of
from engine.verbs.generator import Generator
from engine.verbs.latent import slerp
from engine.verbs.token_verbs import Composer
from engine.weights import Library
from tests.engine.untrained import small, write_random_weights

KINDS = {
    "melody": "melody_2bar",
    "drums": "drums_2bar",
    "kit": "nade-drums_2bar_full",
    "chords": "cat-mel_2bar_med_chords",
    "trio": "hierdec-trio_16bar",
    "multitrack": "hier-multiperf_vel_1bar_med",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Small untrained models of each kind, and its decoder alone with weights so large that z changes the notes."""
    folder = tmp_path_factory.mktemp("tokens")
    for kind, config in KINDS.items():
        sizes = small(find_config(config))
        write_random_weights(folder, config, **sizes)
        write_random_weights(
            folder, config, alone(kind), spread=8, **{**sizes, "encoder": (), "encoder_levels": ()}
        )
    return folder


def alone(kind: str) -> str:
    """The model of a kind that is a decoder alone."""
    return f"{kind}_alone"


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    generator = Generator(Library([folder]), device="cpu")
    for name in (*map(alone, KINDS), *KINDS.values()):
        generator.load(name)
    return generator


def close(one, other) -> bool:
    """Whether two points are the same but for rounding: where notes are nearly as likely, that decides them."""
    return one == pytest.approx(other, abs=1e-5)


def melody(bars: float = 2.0, tempo: float = 120.0) -> Clip:
    return Clip(tuple(Note(60 + i % 7, i / 2, 0.5, 90) for i in range(int(8 * bars))), 4.0 * bars, 4.0, tempo)


def trio(bars: float = 2.0) -> Clip:
    lead, beats = melody(bars).notes, range(int(4 * bars))
    bass = tuple(Note(40, float(beat), 1.0, 80) for beat in beats)
    kick = tuple(Note(36, float(beat), 0.25, 100) for beat in beats)
    parts = (
        Part("lead", 3, 5, 0, len(lead)),
        Part("bass", 4, 35, len(lead), len(bass)),
        Part("kit", 10, 0, len(lead) + len(bass), len(kick)),
    )
    return Clip(lead + bass + kick, 4.0 * bars, parts=parts)


CLIPS = {
    "melody": melody(),
    "drums": trio(),
    "kit": trio(),
    "chords": melody(),
    "trio": trio(),
    "multitrack": trio(1),
}


def requests(kind: str) -> list[Request]:
    """One of each verb."""
    clip, asked = CLIPS[kind], {"model": KINDS[kind], "seed": 3}
    return [
        Sample(count=2, **asked),
        Interpolate(clips=(clip, clip), steps=3, **asked),
        Interpolate(clips=(clip,) * 4, position=0.3, position2=0.6, count=2, **asked),
        Vary(clip=clip, count=2, **asked),
        Encode(clip=clip, **asked),
        Decode(z=(0.5,) * 8, count=2, **asked),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_answers_every_verb_with_as_many_results_as_are_asked_for(generator, kind):
    for request in requests(kind):
        results = generator.run(request)
        if isinstance(request, Encode):
            assert (results.clips, len(results.latent)) == ((), 8)
        else:
            expected = len(request.points) if isinstance(request, Interpolate) else request.count
            assert len(results.clips) == expected
            assert results.model == KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_means_the_same_notes(generator, kind):
    for request in requests(kind):
        assert generator.run(request).clips == generator.run(request).clips


def test_another_seed_means_other_notes(generator):
    for request in requests("trio")[:1]:
        assert generator.run(replace(request, seed=4)).clips != generator.run(request).clips


def test_a_trio_has_three_parts_with_their_channels_and_programs(generator):
    (clip,) = generator.run(Sample(model=KINDS["trio"], seed=1)).clips
    assert [(part.name, part.channel, part.program) for part in clip.parts] == [
        ("melody", 1, 0),
        ("bass", 2, 33),
        ("drums", 10, 0),
    ]
    assert sum(part.count for part in clip.parts) == len(clip.notes)


@pytest.mark.parametrize(("kind", "bars"), [("melody", 2), ("trio", 16), ("multitrack", 1)])
def test_a_sample_is_as_long_as_the_model_unless_bars_are_asked_for(generator, kind, bars):
    lengths = [
        generator.run(Sample(model=KINDS[kind], bars=asked, seed=1)).clips[0].length_beats
        for asked in (None, 1, bars + 1)
    ]
    assert lengths == [4.0 * bars, 4.0, 4.0 * (bars + 1)]


def test_a_longer_sample_is_drawn_anew_in_each_window(generator):
    (clip,) = generator.run(Sample(model=KINDS["drums"], bars=4, seed=1)).clips
    halves = [
        [(note.pitch, note.start_beats - first) for note in clip.notes if first <= note.start_beats < first + 8]
        for first in (0, 8)
    ]
    assert halves[0] != halves[1]


def test_encoding_is_the_mean_of_the_posterior(generator):
    resident = generator.resident(KINDS["melody"])
    reading = find_representation("melody").clip_to_tokens(melody(), GENERAL_MIDI)
    with torch.inference_mode():
        mu = resident.model.encode(torch.from_numpy(reading.tokens)[None]).mu[0]
    assert close(generator.run(Encode(clip=melody(), model=KINDS["melody"])).latent, tuple(mu.tolist()))


def test_what_a_clip_lacks_of_a_window_are_rests(generator):
    one = melody(1)
    two = replace(one, length_beats=8.0)
    assert latent(generator, one) == latent(generator, two)


def latent(generator, clip):
    return generator.run(Encode(clip=clip, model=KINDS["melody"])).latent


def test_a_note_that_ends_with_a_short_clip_does_not_sound_on(generator):
    held = Clip((Note(60, 0.0, 4.0, 90),), 4.0)
    longer = Clip((Note(60, 0.0, 8.0, 90),), 8.0)
    assert latent(generator, held) != latent(generator, longer)


def test_a_clip_longer_than_the_model_is_not_encoded(generator):
    with pytest.raises(TooLongError, match="melody_2bar encodes clips of up to 2 bars, not 3"):
        generator.run(Encode(clip=melody(3), model=KINDS["melody"]))


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_zero_is_greedy_whatever_the_seed(generator, kind):
    asked = Decode(z=(0.5,) * 8, model=KINDS[kind], temperature=0)
    assert generator.run(replace(asked, seed=1)).clips == generator.run(replace(asked, seed=2)).clips


@pytest.mark.parametrize("bars", [1.0, 2.0, 3.0, 5.0])
def test_a_variation_is_as_long_as_its_clip_and_keeps_its_tempo(generator, bars):
    (clip,) = generator.run(Vary(clip=melody(bars, 90.0), model=KINDS["melody"])).clips
    assert (clip.length_beats, clip.tempo_bpm) == (4 * bars, 90.0)


def test_a_variation_as_similar_as_can_be_is_what_encoding_and_decoding_give(generator):
    asked = {"model": KINDS["melody"], "temperature": 0}
    varied = generator.run(Vary(clip=melody(), similarity=1, **asked))
    assert varied.clips == generator.run(Decode(z=latent(generator, melody()), **asked)).clips


@pytest.fixture
def points(monkeypatch) -> list[torch.Tensor]:
    """The z of everything that is decoded: (row, window, z)."""
    seen, decode = [], Composer._decode

    def see(self, z, *asked):
        seen.append(z)
        return decode(self, z, *asked)

    monkeypatch.setattr(Composer, "_decode", see)
    return seen


def test_a_path_begins_and_ends_at_its_clips(generator, points):
    ends = (melody(), melody(2, 90.0).with_notes(melody().notes[::2]))
    generator.run(Interpolate(clips=ends, steps=4, model=KINDS["melody"]))
    for point, end in ((points[0][0, 0], ends[0]), (points[0][-1, 0], ends[1])):
        assert close(tuple(point.tolist()), latent(generator, end))


def test_the_tempo_goes_from_the_first_clip_to_the_last(generator):
    request = Interpolate(clips=(melody(2, 100.0), melody(2, 120.0)), steps=3, model=KINDS["melody"])
    assert [clip.tempo_bpm for clip in generator.run(request).clips] == [100.0, 110.0, 120.0]


def test_the_shorter_clip_of_a_path_is_repeated(generator, points):
    twice = melody().with_notes(
        (*melody().notes, *(replace(n, start_beats=n.start_beats + 8) for n in melody().notes))
    )
    for first in (melody(), replace(twice, length_beats=16.0)):
        (clip, _) = generator.run(Interpolate(clips=(first, melody(4)), steps=2, model=KINDS["melody"])).clips
        assert clip.length_beats == 16.0
    torch.testing.assert_close(*points, rtol=0, atol=1e-5)


def test_drums_keep_the_pitches_of_their_clip(generator):
    clip = Clip(tuple(Note(35, float(beat), 0.25, 100) for beat in range(8)), 8.0)
    pitches = {
        note.pitch
        for varied in generator.run(Vary(clip=clip, model=KINDS["drums"], count=16, seed=1)).clips
        for note in varied.notes
    }
    assert 35 in pitches
    assert 36 not in pitches


def test_what_was_changed_to_fit_is_said_once(generator):
    low = melody().with_notes(tuple(replace(note, pitch=note.pitch - 60) for note in melody().notes))
    request = Interpolate(clips=(low, low), steps=2, model=KINDS["melody"])
    (remark,) = generator.run(request).remarks
    assert "octaves" in remark


@pytest.mark.parametrize(
    ("clip", "sentence"),
    [
        (Clip(melody().notes, 7.0, 3.5), "4/4, not 3.5"),
        (Clip((), 8.0), "at least one note that sounds"),
        (Clip((Note(60, 0.0, 1.0, 90, mute=True),), 8.0), "at least one note that sounds"),
    ],
)
@pytest.mark.parametrize("verb", [Vary, Encode])
def test_a_clip_that_the_model_cannot_hold_is_refused(generator, verb, clip, sentence):
    with pytest.raises(ClipError, match=sentence):
        generator.run(verb(clip=clip, model=KINDS["melody"]))


def test_a_model_without_an_encoder_refuses_to_encode(generator):
    with pytest.raises(
        ModelError, match="melody_alone has no encoder: it can sample, interpolate, vary and decode"
    ):
        generator.run(Encode(clip=melody(), model=alone("melody")))


ENDS = ((0.9, -0.7) * 4, (-0.4, 1.2, 0.3, -1.0) * 2)


def greedy(generator, kind, z):
    return generator.run(Decode(z=z, model=alone(kind), temperature=0)).clips[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_an_encoder_goes_from_one_of_its_clips_to_another(generator, kind):
    ends = tuple(greedy(generator, kind, z) for z in ENDS)
    assert ends[0] != ends[1]
    way = generator.run(Interpolate(clips=ends, steps=3, model=alone(kind), temperature=0)).clips
    between = slerp(*map(torch.tensor, ENDS), 0.5).tolist()
    assert all(close(clip.origin.z, z) for clip, z in zip(way, (ENDS[0], between, ENDS[1]), strict=True))
    assert len({clip.notes for clip in way}) > 1


def test_a_plane_between_four_of_its_clips_has_them_at_its_corners(generator):
    points = [tuple(x * sign for x in end) for end in ENDS for sign in (1, -1)]
    clips = tuple(greedy(generator, "melody", z) for z in points)
    asked = {"clips": clips, "model": alone("melody"), "temperature": 0}
    for clip, (position, position2) in zip(clips, [(0, 0), (1, 0), (0, 1), (1, 1)], strict=True):
        (corner,) = generator.run(Interpolate(position=position, position2=position2, **asked)).clips
        assert close(corner.origin.z, clip.origin.z)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bars", [None, 1, 5])
def test_a_variation_of_its_clip_is_as_long_and_as_similar_as_is_asked_for(generator, kind, bars):
    (clip,) = generator.run(Sample(bars=bars, model=alone(kind), seed=1, temperature=0)).clips
    same, other = (
        generator.run(Vary(clip=clip, similarity=similarity, model=alone(kind), seed=2, temperature=0)).clips[0]
        for similarity in (1, 0)
    )
    assert (same.notes, same.length_beats) == (clip.notes, clip.length_beats)
    assert other.notes != clip.notes


def test_what_it_has_made_of_its_clips_is_its_own_as_well(generator):
    asked = {"model": alone("melody"), "temperature": 0}
    long, short = (generator.run(Sample(bars=bars, seed=bars, **asked)).clips[0] for bars in (7, 2))
    way = generator.run(Interpolate(clips=(long, short), steps=3, **asked)).clips
    assert {clip.length_beats for clip in way} == {28.0}
    (varied,) = generator.run(Vary(clip=way[1], similarity=1, **asked)).clips
    assert close(varied.origin.z, way[1].origin.z)
    again = generator.run(Interpolate(clips=(short, way[1]), steps=2, **asked)).clips
    assert close(again[1].origin.z, way[1].origin.z)


@pytest.mark.parametrize(
    "change",
    [
        lambda clip: replace(clip, origin=None),
        lambda clip: replace(clip, origin=replace(clip.origin, weights="another's")),
    ],
    ids=["uploaded", "of another model"],
)
def test_without_an_encoder_other_clips_than_its_own_are_refused(generator, change):
    clip = greedy(generator, "melody", ENDS[0])
    for request in (Vary(clip=change(clip)), Interpolate(clips=(clip, change(clip)))):
        with pytest.raises(ClipError, match=f"{verb_of(request)} takes clips that melody_alone has made itself"):
            generator.run(replace(request, model=alone("melody")))


def test_a_clip_that_the_newest_model_cannot_hear_is_for_the_newest_that_can(folder):
    generator = Generator(Library([folder]), device="cpu")
    for name in (KINDS["melody"], alone("melody")):
        generator.load(name)
    own = greedy(generator, "melody", ENDS[0])
    assert generator.run(Vary(clip=own)).model == alone("melody")
    assert generator.run(Vary(clip=melody())).model == KINDS["melody"]
    assert generator.run(Interpolate(clips=(own, melody()))).model == KINDS["melody"]


def test_a_model_with_an_encoder_hears_the_notes_wherever_they_are_from(generator):
    clip, asked = greedy(generator, "melody", ENDS[0]), {"model": KINDS["melody"], "seed": 1}
    varied, same = (generator.run(Vary(clip=each, **asked)) for each in (clip, replace(clip, origin=None)))
    assert varied.clips == same.clips
    assert varied.clips[0].origin is None


def test_a_z_of_another_size_is_refused_with_the_size_that_is_wanted(generator):
    with pytest.raises(ClipError, match="melody_2bar decodes a z of 8 numbers, not 3"):
        generator.run(Decode(z=(0.0,) * 3, model="melody_2bar"))


def test_a_slot_is_refused_where_no_notes_are_played(generator):
    with pytest.raises(ClipError, match="decode takes no slot"):
        generator.run(Decode(z=(0.0,) * 8, clip=melody(), model="melody_2bar"))


def test_a_verb_of_grooves_is_refused(generator):
    with pytest.raises(ModelError, match="melody_2bar cannot humanize; it can sample, interpolate"):
        generator.run(Humanize(clip=melody(), model="melody_2bar"))


def test_chords_change_what_a_model_that_follows_them_does(generator):
    asked = {"model": KINDS["chords"], "seed": 1, "temperature": 0}
    clips = {
        chords: generator.run(Decode(z=(0.5,) * 8, chords=chords, **asked)).clips
        for chords in (None, "C", "F#m G7")
    }
    assert len(set(clips.values())) > 1
    latents = {generator.run(Encode(clip=melody(), chords=chords, **asked)).latent for chords in (None, "C", "Am")}
    assert len(latents) == 3


def test_chords_are_refused_where_none_are_followed(generator):
    for name in ("melody_2bar", KINDS["trio"]):
        with pytest.raises(ClipError, match=f"{name} follows no chords"):
            generator.run(Sample(model=name, chords="C"))


def test_a_chord_that_cannot_be_read_is_named(generator):
    with pytest.raises(ClipError, match="Hmoll"):
        generator.run(Sample(model=KINDS["chords"], chords="C Hmoll"))


def test_warming_up_runs_every_model(generator):
    generator.warm_up()
