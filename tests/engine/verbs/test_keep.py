"""What stays: kept notes come back to the byte, the model hears them, and all else follows the rules told here."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.learning.prior import standard_prior
from engine.model.noise import Noise
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.registry import find_config
from engine.representation.drum_map import CLASSES, GENERAL_MIDI
from engine.representation.groove import HITS, OFFSETS
from engine.requests import Groove, Humanize, Infill, Keeping, Vary
from engine.verbs.generator import Generator
from engine.verbs.mark import all_marked, kept_notes
from engine.verbs.note_grid import cut_cells, play_clip
from engine.verbs.phrase_verbs import PhrasePlayer
from engine.verbs.resident import PhraseResident
from engine.weights import Card, Library, shipped_folder
from tests.engine.untrained import write_random_weights

KICK, SNARE, RIM, HAT = 36, 38, 40, 42
ONE = (1.0,) * CLASSES


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """The drummer as it is shipped, and models that have learnt less."""
    folder = tmp_path_factory.mktemp("weights")
    for config in ("groovae_2bar_humanize", "groovae_2bar_hits_control", "groovae_4bar"):
        write_random_weights(folder, config)
    generator = Generator(Library([folder, shipped_folder()]), device="cpu")
    generator.load("drummer")
    return generator


def beat(bars=2, meter=4.0):
    """Hats on the eighths, each played in its own way, kick and snare on the quarters."""
    notes = []
    for eighth in range(int(bars * meter * 2)):
        notes.append(Note(HAT, eighth / 2 + 0.03 * (eighth % 3 - 1) * (eighth > 0), 0.25, 40 + 20 * (eighth % 4)))
        if eighth % 2 == 0:
            notes.append(Note(KICK if eighth % 4 == 0 else SNARE, eighth / 2, 0.25, 100))
    return Clip(tuple(notes), bars * meter, meter)


MELODY = Clip(tuple(Note(100 + i % 3, i / 2, 0.5, 80) for i in range(8)), 4.0)


def requests(clip, **settings):
    """The verbs that give back note for note."""
    return [
        Humanize(clip=clip, seed=3, **settings),
        Humanize(clip=clip, seed=3, style="funk", **settings),
        Groove(clip=clip, feel=beat(3), seed=3, **settings),
        *(Humanize(clip=clip, seed=3, model=f"groovae_2bar_{name}", **settings) for name in MODELS),
    ]


MODELS = ("humanize", "hits_control")


def play(generator, request):
    (clip,) = generator.run(request).clips
    return clip


def of(clip, *pitches):
    return [note for note in clip.notes if note.pitch in pitches]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("bars", "meter"), [(2, 4.0), (3, 3.5)])
def test_what_is_kept_comes_back_to_the_byte_and_the_others_are_played(generator, temperature, bars, meter):
    clip = beat(bars, meter)
    for request in requests(clip, keep=(HAT,), temperature=temperature):
        played = play(generator, request)
        assert [n for n in played.notes if n.pitch == HAT] == of(clip, HAT)
        assert of(played, KICK, SNARE) != of(clip, KICK, SNARE)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_model_hears_how_what_is_kept_was_played(generator, temperature):
    early, late = (
        beat().with_notes(
            tuple(
                replace(note, start_beats=note.start_beats + shift)
                if note.pitch == HAT and note.start_beats
                else note
                for note in beat().notes
            )
        )
        for shift in (-0.03, 0.03)
    )
    for verb in (Humanize, lambda **each: Groove(feel=beat(3), **each)):
        starts = [
            [
                n.start_beats
                for n in of(
                    play(generator, verb(clip=clip, keep=(HAT,), seed=3, temperature=temperature)), KICK, SNARE
                )
            ]
            for clip in (early, late)
        ]
        assert starts[0] != starts[1]
    assert np.mean(starts[0]) < np.mean(starts[1])


def test_a_kept_hat_that_is_late_makes_the_others_late(generator):
    means = []
    for shift in (-0.05, 0.05):
        notes = [
            replace(n, start_beats=max(0, n.start_beats + shift)) if n.pitch == HAT else n for n in beat(8).notes
        ]
        played = play(generator, Humanize(clip=beat(8).with_notes(tuple(notes)), keep=(HAT,), temperature=0.0))
        means.append(np.mean([note.start_beats for note in of(played, KICK, SNARE)]))
    assert means[0] < means[1]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_where_everything_is_kept_nothing_changes(generator, temperature):
    clip = beat()
    for request in requests(clip, keep=(KICK, SNARE, HAT), temperature=temperature, count=2):
        assert generator.run(request).clips == (clip, clip)
    assert play(generator, Vary(clip=clip, keep_clip=clip, temperature=temperature)) == clip


def test_a_pitch_that_the_clip_has_not_keeps_nothing(generator):
    clip = beat()
    for with_it, without in zip(requests(clip, keep=(49, 60)), requests(clip), strict=True):
        assert generator.run(with_it).clips == generator.run(without).clips


@pytest.mark.parametrize("clip", [Clip((), 4.0), Clip((Note(KICK, 1.0, 0.25, 100, mute=True),), 4.0)])
def test_an_empty_clip_comes_back_empty(generator, clip):
    for request in (*requests(clip, keep=(KICK,)), Vary(clip=clip, keep=(KICK,), seed=1)):
        assert generator.run(request).clips == (clip,)


def test_one_hit_is_kept_or_played(generator):
    clip = Clip((Note(SNARE, 1.01, 0.25, 77),), 4.0)
    for request in requests(clip, keep=(SNARE,)):
        assert play(generator, request) == clip
    for request in requests(clip, keep=(KICK,)):
        assert play(generator, request) != clip


def test_notes_of_a_clip_that_is_no_drums_are_kept_as_well_with_what_sounds_with_them(generator):
    chord = MELODY.with_notes((*MELODY.notes, Note(90, 0.5, 0.5, 60)))
    results = generator.run(Humanize(clip=chord, keep=(101,), seed=1))
    (played,) = results.clips
    assert results.as_taps
    assert of(played, 101, 90) == of(chord, 101, 90)
    assert of(played, 100, 102) != of(chord, 100, 102)


@pytest.mark.parametrize("loudness", [30, 120])
def test_a_note_that_shares_its_cell_with_one_that_is_kept_stays_where_it_is(generator, loudness):
    flam = Clip((*beat().notes, Note(RIM, 1.04, 0.25, loudness)), 8.0)
    for request in requests(flam, keep=(SNARE,)):
        played = play(generator, request)
        assert of(played, SNARE, RIM) == of(flam, SNARE, RIM)


def test_200_bars_keep_what_is_kept(generator):
    clip = beat(200)
    for request in (*requests(clip, keep=(HAT,))[:3], Vary(clip=clip, keep=(HAT,), seed=1)):
        assert of(play(generator, request), HAT) == of(clip, HAT)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(34, 60), st.floats(-0.125, 9), st.integers(1, 127)), max_size=20),
    st.sets(st.integers(34, 60), max_size=12),
    st.sampled_from([4.0, 3.5, 0.3]),
    st.sampled_from([0.0, 1.0]),
)
def test_whatever_is_kept_comes_back_whatever_the_verb(generator, rows, keep, meter, temperature):
    clip = Clip(tuple(Note(pitch, start, 0.1, velocity) for pitch, start, velocity in rows), 4.0, meter)
    own = {"clip": clip, "keep": tuple(keep), "seed": 1, "temperature": temperature}
    for request in (Humanize(**own), Groove(**own, feel=beat()), Vary(**own)):
        played = play(generator, request)
        assert Counter(of(clip, *keep)) <= Counter(played.notes)


def test_notes_that_another_clip_has_too_are_kept(generator):
    clip = beat()
    kept = Clip((*clip.notes[:6], replace(clip.notes[7], velocity=1)), 4.0)
    for request in requests(clip, keep_clip=kept):
        played = play(generator, request)
        assert played.notes[:6] == clip.notes[:6]
        assert played.notes[7] != clip.notes[7]


def test_what_pitches_and_clip_name_is_kept_together():
    clip = beat()
    kept = Clip(clip.notes[:1], 4.0)
    assert kept_notes(clip, (SNARE,), kept) == {0, *(i for i, n in enumerate(clip.notes) if n.pitch == SNARE)}


def test_a_note_that_went_over_the_wire_is_the_same_note():
    clip = Clip((Note(KICK, 1 / 3, 0.1, 90),), 4.0)
    sent = Clip((Note(KICK, float(np.float32(1 / 3)), float(np.float32(0.1)), 90),), 4.0)
    assert kept_notes(clip, (), sent) == {0}
    assert not kept_notes(clip, (), sent.with_notes((replace(sent.notes[0], start_beats=0.334),)))


def test_only_says_what_may_change_and_keep_what_may_not(generator):
    clip = beat()
    played = play(generator, Humanize(clip=clip, only=(HAT, KICK), keep=(HAT,), seed=1))
    assert of(played, HAT, SNARE) == of(clip, HAT, SNARE)
    assert of(played, KICK) != of(clip, KICK)


@pytest.mark.parametrize("model", ["drummer", "groovae_4bar"])
def test_a_drum_that_is_kept_gets_nothing_new_where_a_clip_is_varied(generator, model):
    clip = beat(4)
    played = [
        play(generator, Vary(clip=clip, keep=(HAT,), similarity=0, seed=seed, model=model)) for seed in range(4)
    ]
    assert all(of(each, HAT) == of(clip, HAT) for each in played)
    assert len({each.notes for each in played}) == 4


def test_where_notes_of_a_clip_are_kept_their_drums_may_get_more():
    clip = beat()
    mark = all_marked(Vary(clip=clip, keep_clip=Clip(clip.notes[:1], 4.0)), GENERAL_MIDI)
    assert mark.free[0, 2] == 0
    assert mark.free.sum() == mark.free.size - 1


def test_an_early_first_hit_is_varied_as_well():
    clip = Clip((Note(KICK, -0.1, 0.25, 90), Note(HAT, 0.0, 0.25, 90)), 4.0)
    assert all_marked(Vary(clip=clip, keep=(HAT,)), GENERAL_MIDI).replaced == {0}


def test_in_a_clip_with_parts_it_is_the_drums_that_are_varied(generator):
    parts = (Part("lead", 1, 0, 0, 8), Part("drums", 10, 0, 8, len(beat(1).notes)))
    clip = Clip((*MELODY.notes, *beat(1).notes), 4.0, parts=parts)
    played = play(generator, Vary(clip=clip, keep=(HAT,), seed=1))
    assert played.notes[:8] == MELODY.notes
    with pytest.raises(ClipError, match="channel 10"):
        generator.run(Vary(clip=replace(clip, parts=parts[:1]), keep=(HAT,)))


def test_a_model_that_makes_all_notes_anew_leaves_them_to_another_or_says_so(generator):
    generator.load("drums_2bar")
    assert generator.run(Vary(clip=beat())).model == "drums_2bar"
    assert generator.run(Vary(clip=beat(), keep=(HAT,))).model == "drummer"
    with pytest.raises(ClipError, match="leave keep and keep_slot out"):
        generator.run(Vary(clip=beat(), keep=(HAT,), model="drums_2bar"))


@pytest.fixture(scope="module")
def phrases():
    torch.manual_seed(0)
    sizes = {"encoder_hidden": 8, "bar_hidden": 16, "decoder_hidden": 16, "context": 4, "conductor": 8, "plan": 4}
    shape = PhraseShape(z=6, bar_z=4, styles=3, **sizes)
    config = replace(find_config("drums_16bar"), shape=shape)
    card = Card(
        name="phrases",
        config=config.name,
        family="phrase",
        bars=16,
        steps_per_bar=16,
        verbs=config.verbs,
        sha256="",
    )
    model = PhraseVae(shape).eval()
    return PhraseResident(card, config, model, torch.device("cpu"), standard_prior(shape.z), 0)


@pytest.mark.parametrize(
    "request_",
    [
        Vary(clip=beat(4), keep=(HAT,), similarity=0.3),
        Vary(clip=beat(4), keep_clip=Clip(tuple(of(beat(4), HAT)), 16.0), count=2),
        Infill(clip=beat(4), start=4, beats=8, keep=(HAT,)),
        Infill(clip=beat(4), start=4, beats=8, keep_clip=Clip(tuple(of(beat(4), HAT)), 16.0)),
    ],
)
def test_a_model_of_phrases_keeps_them_too(generator, phrases, request_: Keeping):
    with torch.inference_mode():
        played = PhrasePlayer(phrases, None, GENERAL_MIDI, Noise(1)).play(request_).clips
    for clip in played:
        assert Counter(of(request_.clip, HAT)) <= Counter(clip.notes)
        assert not request_.keep or of(clip, HAT) == of(request_.clip, HAT)
        assert clip != request_.clip


def test_what_a_phrase_keeps_whole_comes_back(phrases):
    player = PhrasePlayer(phrases, None, GENERAL_MIDI, Noise(1))
    assert player.play(Vary(clip=beat(), keep=(KICK, SNARE, HAT))).clips == [beat()]


def test_each_drum_goes_as_far_as_it_is_told(generator):
    clip = beat()
    played = play(generator, Humanize(clip=clip, seed=1, of_drum=(("timing.snare", 0.0), ("velocity.kick", 0.0))))
    whole = play(generator, Humanize(clip=clip, seed=1))
    assert [n.start_beats for n in of(played, SNARE)] == [n.start_beats for n in of(clip, SNARE)]
    assert [n.velocity for n in of(played, KICK)] == [n.velocity for n in of(clip, KICK)]
    assert [n.velocity for n in of(played, SNARE)] == [n.velocity for n in of(whole, SNARE)]
    assert of(played, HAT) == of(whole, HAT)


def test_the_common_value_is_that_of_all_drums_together(generator):
    for request in (Humanize(clip=beat(), seed=1), Groove(clip=beat(), feel=beat(3), seed=1)):
        named = tuple(
            (f"{what}.{drum}", 0.4) for what in ("timing", "velocity") for drum in ("kick", "snare", "closed_hat")
        )
        assert play(generator, replace(request, of_drum=named)) == play(
            generator, replace(request, timing=0.4, velocity=0.4)
        )


def accented(velocities, played, accents, **more):
    """Hats of these velocities on the sixteenths, where a groove plays others."""
    clip = Clip(tuple(Note(HAT, i / 4, 0.25, v) for i, v in enumerate(velocities)), 4.0)
    cells = cut_cells(clip, GENERAL_MIDI, as_taps=False, **more)
    groove = cells.groove()
    groove[: len(played), CLASSES + 2] = np.array(played) / 127
    clip = play_clip(clip, cells, groove, timing=ONE, velocity=ONE, accents=accents)
    return [note.velocity for note in clip.notes]


def test_with_accents_the_velocities_that_are_played_are_dealt_out_in_the_order_of_the_clip():
    assert accented([30, 90, 60], [80, 70, 100], 1.0) == [70, 100, 80]
    assert accented([30, 90, 60], [80, 70, 100], 0.0) == [80, 70, 100]
    assert accented([30, 90, 60], [80, 70, 100], 0.5) == [75, 85, 90]


def test_where_the_clip_has_one_velocity_accents_change_nothing():
    assert accented([64] * 3, [80, 70, 100], 1.0) == [80, 70, 100]


def test_of_equals_the_order_that_is_played_stays():
    assert accented([60, 30, 60, 30], [90, 80, 70, 60], 1.0) == [90, 70, 80, 60]


def test_a_kept_note_has_no_part_in_the_dealing():
    assert accented([30, 90, 60], [80, 70, 100], 1.0, stays=frozenset({1})) == [80, 90, 100]


@pytest.mark.parametrize("verb", [Humanize, lambda **each: Groove(feel=beat(3), **each)])
def test_the_order_of_the_clips_velocities_is_that_of_the_result_drum_by_drum(generator, verb):
    clip = beat(4)
    played = play(generator, verb(clip=clip, seed=2, accents=1.0))
    for pitch in (KICK, SNARE, HAT):
        pairs = sorted((a.velocity, b.velocity) for a, b in zip(of(clip, pitch), of(played, pitch), strict=True))
        loudness = {own: [b for a, b in pairs if a == own] for own, _ in pairs}
        for softer, louder in zip(list(loudness)[:-1], list(loudness)[1:], strict=True):
            assert max(loudness[softer]) <= min(loudness[louder])
    plain = play(generator, verb(clip=clip, seed=2))
    assert [n.start_beats for n in played.notes] == [n.start_beats for n in plain.notes]
    assert sorted(n.velocity for n in of(played, HAT)) == sorted(n.velocity for n in of(plain, HAT))


def test_what_is_given_to_the_model_is_what_is_kept_as_it_is_played():
    clip = beat()
    cells = cut_cells(clip, GENERAL_MIDI, as_taps=False, stays=kept_notes(clip, (HAT,)))
    given, groove = cells.timing_given(), cells.groove()
    assert (given == groove[:, HITS] * np.eye(CLASSES)[2]).all()
    assert groove[:, OFFSETS][given > 0].any()
