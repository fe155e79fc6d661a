from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clip import Clip, Note
from engine.errors import ClipError, ModelError
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, OFFSETS, VELOCITIES
from engine.requests import Decode, Drumify, Encode, Fill, Groove, Humanize, Interpolate, Sample, Vary, verb_of
from engine.verbs.generator import Generator
from engine.verbs.groove_verbs import STEPS_OF_FEEL, Player
from engine.verbs.resident import GrooveResident
from engine.weights import Library, shipped_folder
from tests.engine.untrained import write_random_weights


@pytest.fixture(scope="module")
def generator(weights_folder):
    generator = Generator(Library([weights_folder]), device="cpu")
    generator.load("drummer")
    return generator


def beat(bars=2, meter=4.0, tempo=120.0):
    """Hats on the eighths, kick and snare on the quarters."""
    notes = []
    for eighth in range(int(bars * meter * 2)):
        notes.append(Note(42, eighth / 2, 0.25, 90))
        if eighth % 2 == 0:
            notes.append(Note(36 if eighth % 4 == 0 else 38, eighth / 2, 0.25, 100))
    return Clip(tuple(notes), bars * meter, meter, tempo)


def alike(clip, late_beats=0.0, velocity=90):
    """A clip, all of it so late and so loud."""
    return clip.with_notes(
        tuple(replace(note, start_beats=note.start_beats + late_beats, velocity=velocity) for note in clip.notes)
    )


MELODY = Clip(tuple(Note(100 + i, i / 2, 0.5, 80) for i in range(8)), 4.0)


REQUESTS = [
    Sample(seed=3, bars=2),
    Sample(seed=3, bars=4, style="funk", count=2),
    Humanize(seed=3, clip=beat()),
    Humanize(seed=3, clip=beat(), style="rock", count=2, temperature=0.5),
    Drumify(seed=3, clip=beat()),
    Fill(seed=3, clip=beat(), instrument="ride"),
    Interpolate(seed=3, clips=(beat(2), beat(4)), steps=3),
    Interpolate(seed=3, clips=(beat(),) * 4, position=0.3, position2=0.6, count=2),
    Vary(seed=3, clip=beat(), similarity=0.8, count=2),
    Groove(seed=3, clip=beat(), feel=alike(beat(3), 0.02), count=2),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_a_seed_means_the_same_notes(generator, request_):
    first, second = generator.run(request_), generator.run(request_)
    assert first.clips == second.clips
    assert first.seed == 3
    assert generator.run(replace(request_, seed=4)).clips != first.clips


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_each_request_gives_as_many_results_as_it_asks_for(generator, request_):
    expected = len(request_.points) if isinstance(request_, Interpolate) else request_.count
    assert len(generator.run(request_).clips) == expected


def test_without_a_seed_one_is_drawn_and_said(generator):
    results = generator.run(Sample())
    assert generator.run(Sample(seed=results.seed)).clips == results.clips


def test_temperature_zero_is_the_same_for_every_seed(generator):
    first, second = (generator.run(Humanize(clip=beat(), seed=seed, temperature=0)) for seed in (1, 2))
    assert first.clips == second.clips


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 127), st.floats(-0.125, 20), st.integers(1, 127)), max_size=30),
    st.sampled_from([4.0, 3.0, 3.5, 5.0, 0.3]),
    st.sampled_from([0.0, 1.0]),
)
def test_any_clip_is_humanized_note_for_note(generator, notes, meter, temperature):
    clip = Clip(tuple(Note(p, s, 0.1, v) for p, s, v in notes), 4.0, meter)
    (played,) = generator.run(Humanize(clip=clip, seed=1, temperature=temperature)).clips
    assert [note.pitch for note in played.notes] == [note.pitch for note in clip.notes]
    for before, after in zip(clip.notes, played.notes, strict=True):
        later = [n for n in played.notes if n.pitch == after.pitch and n.start_beats > after.start_beats]
        room_beats = min((n.start_beats for n in later), default=1e9) - after.start_beats
        assert after.duration_beats in (before.duration_beats, room_beats)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 127), st.floats(-0.125, 20), st.integers(1, 127)), max_size=30),
    st.sampled_from([4.0, 3.0, 3.5, 5.0, 0.3]),
    st.sampled_from([4.0, 3.0, 3.5, 20.0, 0.3]),
    st.sampled_from([0.0, 1.0]),
)
def test_the_feel_of_another_clip_loses_no_note(generator, notes, meter, other_meter, temperature):
    clip = Clip(tuple(Note(p, s, 0.1, v) for p, s, v in notes), 4.0, meter)
    feel = Clip((Note(36, 0.0, 0.25, 100), Note(38, 9.0, 0.25, 60)), 10.0, other_meter, 90.0)
    (grooved,) = generator.run(Groove(clip=clip, feel=feel, seed=1, temperature=temperature)).clips
    assert [note.pitch for note in grooved.notes] == [note.pitch for note in clip.notes]
    for before, after in zip(clip.notes, grooved.notes, strict=True):
        later = [n for n in grooved.notes if n.pitch == after.pitch and n.start_beats > after.start_beats]
        room_beats = min((n.start_beats for n in later), default=1e9) - after.start_beats
        assert after.duration_beats in (before.duration_beats, room_beats)
    assert (grooved.beats_per_bar, grooved.tempo_bpm) == (clip.beats_per_bar, clip.tempo_bpm)


@pytest.mark.parametrize("bars", [1, 3, 5, 17, 512])
def test_a_clip_of_any_length_is_humanized(generator, bars):
    clip = beat(bars)
    (played,) = generator.run(Humanize(clip=clip, seed=1)).clips
    assert len(played.notes) == len(clip.notes)
    assert played.notes[-1] != clip.notes[-1]


def test_many_long_results_are_made_one_after_the_other(generator):
    clips = generator.run(Humanize(clip=beat(600), seed=1, count=3)).clips
    assert len({clip.notes for clip in clips}) == 3


def test_the_steps_of_a_long_interpolation_share_their_chance(generator):
    long = beat(520)
    first, second = generator.run(Interpolate(clips=(long, long), steps=2, seed=1)).clips
    assert first.notes[:200] == second.notes[:200]


def test_half_a_bar_is_humanized(generator):
    clip = Clip((Note(36, 0.0, 0.25, 100), Note(38, 1.0, 0.25, 100)), 2.0)
    assert generator.run(Humanize(clip=clip, seed=1)).clips[0].length_beats == 2.0


def test_an_empty_clip_comes_back_empty(generator):
    assert generator.run(Humanize(clip=Clip((), 4.0))).clips == (Clip((), 4.0),)


def test_a_clip_that_is_no_drums_is_played_as_taps_and_says_so(generator):
    assert generator.run(Humanize(clip=MELODY)).as_taps
    assert not generator.run(Humanize(clip=beat())).as_taps


def test_what_is_played_as_taps_can_be_said(generator):
    assert generator.run(Humanize(clip=beat(), taps=1)).as_taps
    assert not generator.run(Humanize(clip=MELODY, taps=0)).as_taps


def test_a_pitch_outside_the_map_is_named(generator):
    clip = beat().with_notes((*beat().notes, Note(100, 0, 1, 100)))
    assert generator.run(Humanize(clip=clip)).remarks == ("pitch 100 is not in the drum map: played as mid_tom",)


def test_a_muted_note_is_left_alone(generator):
    clip = beat().with_notes((Note(36, 0.0, 0.25, 100, mute=True), *beat().notes))
    assert generator.run(Humanize(clip=clip, seed=1)).clips[0].notes[0] == clip.notes[0]


def test_without_timing_the_feel_of_another_clip_leaves_the_starts(generator):
    (grooved,) = generator.run(Groove(clip=beat(), feel=alike(beat(), 0.05, 40), timing=0)).clips
    assert [note.start_beats for note in grooved.notes] == [note.start_beats for note in beat().notes]
    assert grooved != beat()


def test_without_velocity_the_feel_of_another_clip_leaves_the_velocities(generator):
    (grooved,) = generator.run(Groove(clip=beat(), feel=alike(beat(), 0.05, 40), velocity=0)).clips
    assert [note.velocity for note in grooved.notes] == [note.velocity for note in beat().notes]
    assert grooved != beat()


def test_what_is_played_of_the_clip_does_not_change_the_feel_it_gets(generator):
    stiff, lively = beat(), alike(beat(), 0.01, 33)
    answers = [generator.run(Groove(clip=clip, feel=beat(4), seed=1)).clips[0] for clip in (stiff, lively)]
    assert [note.velocity for note in answers[0].notes] == pytest.approx(
        [note.velocity for note in answers[1].notes], abs=1
    )
    assert [note.start_beats for note in answers[0].notes] == pytest.approx(
        [note.start_beats for note in answers[1].notes]
    )


def test_the_clip_of_another_feel_plays_differently(generator):
    feels = (alike(beat(), -0.04, 40), alike(beat(), 0.04, 120))
    assert len({generator.run(Groove(clip=beat(), feel=feel, temperature=0)).clips for feel in feels}) == 2


@pytest.mark.parametrize("bars", [1, 2, 4, 8, 12])
def test_a_feel_that_is_shorter_plays_on_in_a_loop(generator, bars):
    feel = alike(beat(bars), 0.02)
    looped = alike(beat(24), 0.02)
    answers = [generator.run(Groove(clip=beat(24), feel=each, seed=1)).clips[0] for each in (feel, looped)]
    assert answers[0] == answers[1]


def test_of_a_longer_feel_the_bars_that_sound_with_the_clip_are_heard(generator):
    soft, loud = alike(beat(4), velocity=30), alike(beat(4), velocity=120)
    louder = tuple(replace(note, start_beats=note.start_beats + 16) for note in loud.notes)
    crescendo = Clip((*soft.notes, *louder), 32.0)
    answers = [generator.run(Groove(clip=beat(2), feel=feel, seed=1)).clips[0] for feel in (soft, crescendo)]
    assert answers[0] == answers[1]
    assert generator.run(Groove(clip=beat(8), feel=crescendo, seed=1)) != generator.run(
        Groove(clip=beat(8), feel=soft, seed=1)
    )


def test_a_feel_is_heard_from_its_own_bar_lines(generator, monkeypatch):
    waltz = Clip(tuple(Note(36, 3.0 * bar, 0.25, 10 + bar) for bar in range(7)), 21.0, 3.0)
    encode, heard = GrooveResident.encode, []

    def listen(self, groove, **settings):
        heard.append(groove)
        return encode(self, groove, **settings)

    monkeypatch.setattr(GrooveResident, "encode", listen)
    generator.run(Groove(clip=beat(8), feel=waltz))
    kick_velocity = heard[0][:, 0, CLASSES]
    assert (kick_velocity * 127).tolist() == pytest.approx([10, 12, 14, 16])


def test_the_model_is_given_the_feel_before_the_notes(generator, monkeypatch):
    decode, given = GrooveResident.decode, []

    def spy(self, z, each, **settings):
        given.append(each)
        return decode(self, z, each, **settings)

    monkeypatch.setattr(GrooveResident, "decode", spy)
    generator.run(Groove(clip=beat(), feel=alike(beat(1), velocity=33)))
    kick_velocity, timing_given = given[0].groove[0, :, CLASSES], given[0].timing_given[0]
    assert kick_velocity[[0, 16]].tolist() == pytest.approx([33 / 127] * 2)
    assert timing_given[:32].all()
    assert not timing_given[32:].any()


def test_of_many_draws_the_one_with_the_nearest_feel_is_played(generator, monkeypatch):
    decode = GrooveResident.decode

    def each_earlier(self, z, given, **settings):
        decoded = decode(self, z, given, **settings)
        decoded[..., OFFSETS] = decoded[..., HITS] * (torch.arange(len(decoded)) / 100)[:, None, None]
        decoded[..., VELOCITIES] = decoded[..., HITS] / 2
        return decoded

    monkeypatch.setattr(GrooveResident, "decode", each_earlier)
    (grooved,) = generator.run(Groove(clip=beat(), feel=alike(beat(), -0.07 / 8), seed=1)).clips
    moved = [
        note.start_beats - before.start_beats for note, before in zip(grooved.notes, beat().notes, strict=True)
    ]
    assert moved == pytest.approx([-0.07 / 8] * len(moved))


@pytest.mark.parametrize(
    ("bars", "count", "temperature", "draws"),
    [(2, 1, 1.0, 16), (64, 4, 1.0, 16), (512, 1, 1.0, 8), (512, 16, 1.0, 1), (2, 1, 0.0, 1)],
)
def test_a_longer_clip_or_more_results_have_fewer_draws_to_choose_from(
    generator, monkeypatch, bars, count, temperature, draws
):
    asked = []

    def spy(self, z, given, **settings):
        asked.append(len(z) * settings["draws"])
        return given.groove.repeat_interleave(settings["draws"], dim=0)

    monkeypatch.setattr(GrooveResident, "decode", spy)
    clip = Clip((Note(36, 4.0 * bars - 1, 0.25, 90),), 4.0 * bars)
    generator.run(Groove(clip=clip, feel=beat(), count=count, temperature=temperature))
    assert sum(asked) == draws * count * bars // 2


def test_of_a_long_bar_no_more_is_drawn_at_once_than_of_a_short_one(generator, monkeypatch):
    at_once = []

    def spy(self, z, given, **settings):
        at_once.append(len(z) * settings["draws"] * given.groove.shape[1])
        return given.groove.repeat_interleave(settings["draws"], dim=0)

    monkeypatch.setattr(GrooveResident, "decode", spy)
    generator.run(Groove(clip=Clip((Note(36, 0.0, 0.25, 90),), 64.0, 64.0), feel=beat(), count=16))
    assert max(at_once) <= STEPS_OF_FEEL // 4


def test_a_feel_without_a_note_is_refused(generator):
    muted = Clip((Note(36, 0.0, 0.25, 100, mute=True),), 4.0)
    with pytest.raises(ClipError, match="a feel from a clip with at least one note that sounds"):
        generator.run(Groove(clip=beat(), feel=muted))


def test_a_clip_without_notes_comes_back_whatever_the_feel(generator):
    assert generator.run(Groove(clip=Clip((), 4.0), feel=beat())).clips == (Clip((), 4.0),)


def test_a_melody_gets_the_feel_of_drums_on_its_onsets(generator):
    results = generator.run(Groove(clip=MELODY, feel=beat()))
    assert results.as_taps
    assert not results.remarks


def test_a_feel_that_is_no_drums_is_heard_by_its_onsets_and_says_so(generator):
    results = generator.run(Groove(clip=beat(), feel=MELODY))
    assert not results.as_taps
    assert results.remarks == ("the clip that lends its feel is no drums: it was heard as taps",)


def test_fill_adds_the_instrument_and_leaves_the_rest(generator):
    clip = Clip(tuple(note for note in beat().notes if note.pitch != 42), 8.0)
    (filled,) = generator.run(Fill(clip=clip, seed=1, temperature=2)).clips
    assert filled.notes[: len(clip.notes)] == clip.notes
    assert {note.pitch for note in filled.notes[len(clip.notes) :]} == {42}


def test_fill_refuses_an_instrument_that_it_does_not_have(generator):
    with pytest.raises(ClipError, match="no instrument 'cowbell'; there are: kick"):
        generator.run(Fill(clip=beat(), instrument="cowbell"))


def test_drumify_gives_as_many_bars_as_it_is_asked_for(generator):
    assert generator.run(Drumify(clip=beat(2), bars=3)).clips[0].length_beats == 12


def test_drumify_needs_a_tap(generator):
    with pytest.raises(ClipError, match="at least one note"):
        generator.run(Drumify(clip=Clip((), 4.0)))


def test_a_variation_keeps_the_clips_own_pitches(generator):
    clip = Clip(tuple(Note(40, i / 2, 0.25, 100) for i in range(16)), 8.0)
    (varied,) = generator.run(Vary(clip=clip, seed=1)).clips
    assert 38 not in {note.pitch for note in varied.notes}


def test_the_shorter_clip_of_an_interpolation_is_repeated(generator):
    clips = generator.run(Interpolate(clips=(beat(2), beat(4)), steps=2)).clips
    assert [clip.length_beats for clip in clips] == [16, 16]


def test_the_meter_and_tempo_of_the_clip_are_kept(generator):
    (varied,) = generator.run(Vary(clip=beat(2, 3.5, 97.0))).clips
    assert (varied.beats_per_bar, varied.tempo_bpm, varied.length_beats) == (3.5, 97.0, 7.0)


def test_a_style_that_is_unknown_is_answered_with_the_known_ones(generator):
    with pytest.raises(ClipError, match="there is no style 'polka'; there are: funk, rock"):
        generator.run(Sample(style="polka"))


def test_a_verb_that_the_model_does_not_have_is_refused(generator):
    with pytest.raises(ModelError, match="groovae_2bar_humanize cannot sample; it can humanize"):
        generator.run(Sample(model="groovae_2bar_humanize"))


def test_a_model_that_was_asked_for_is_loaded_beside_the_default(generator):
    assert generator.run(Humanize(clip=beat(), model="groovae_2bar_humanize")).model == "groovae_2bar_humanize"
    assert generator.default == "drummer"


def test_the_newest_model_with_the_verb_is_its_default(weights_folder):
    generator = Generator(Library([weights_folder]), device="cpu")
    generator.load("drummer")
    generator.load("groovae_2bar_humanize")
    assert generator.run(Humanize(clip=beat())).model == "groovae_2bar_humanize"
    assert generator.run(Sample()).model == "drummer"


def test_a_device_that_is_not_there_is_refused_in_words(library):
    with pytest.raises(ModelError, match="device must be auto, cpu, cuda or cuda:N and present, not 'tpu'"):
        Generator(library, device="tpu")


def encoded(generator, clip, **settings):
    return generator.run(Encode(clip=clip, **settings)).latent


def test_encoding_says_where_a_variation_starts_from(generator):
    (decoded,) = generator.run(Decode(z=encoded(generator, beat(4)), temperature=0)).clips
    (varied,) = generator.run(Vary(clip=beat(4), similarity=1, temperature=0)).clips
    assert decoded.notes == varied.notes


def test_a_feel_is_decoded_onto_the_notes_of_a_clip(generator):
    z = encoded(generator, alike(beat(), 0.03))
    (played,) = generator.run(Decode(z=z, clip=beat())).clips
    assert [note.pitch for note in played.notes] == [note.pitch for note in beat().notes]
    assert played.notes != beat().notes


def test_a_model_hears_what_it_was_trained_to_hear(generator):
    asked = {"model": "groovae_2bar_humanize"}
    assert encoded(generator, beat(), **asked) == encoded(generator, alike(beat(), 0.03, 50), **asked)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Encode(clip=beat(5)), "drummer encodes 4 bars, 64 steps, not 80 steps"),
        (Encode(clip=Clip((), 8.0)), "at least one note that sounds"),
        (Decode(z=(0.0,) * 3), "drummer decodes a z of 128 numbers, not 3"),
        (Decode(z=(0.0,) * 256, clip=beat(), model="groovae_4bar"), "groovae_4bar plays no given notes"),
        (Decode(z=(0.0,) * 256, model="groovae_2bar_hits_control"), "decode needs their slot"),
        (Sample(chords="C"), "drummer follows no chords"),
    ],
)
def test_what_cannot_be_encoded_or_decoded_is_said(generator, request_, sentence):
    with pytest.raises(ClipError, match=sentence):
        generator.run(request_)


def test_weights_that_have_changed_on_disk_are_read_again(tmp_path):
    write_random_weights(tmp_path, "groovae_4bar")
    generator = Generator(Library([tmp_path]), device="cpu")
    generator.load("groovae_4bar")
    before = generator.resident("groovae_4bar")
    generator.load("groovae_4bar")
    assert generator.resident("groovae_4bar") is before
    write_random_weights(tmp_path, "groovae_4bar", chained=True)
    generator.library = Library([tmp_path])
    generator.load("groovae_4bar")
    assert generator.resident("groovae_4bar") is not before


def test_a_model_that_is_loaded_beside_the_default_leaves_it(weights_folder):
    generator = Generator(Library([weights_folder]), device="cpu")
    generator.load("drummer")
    generator.load("groovae_4bar", default=False, warm=True)
    assert generator.loaded == ("drummer", "groovae_4bar")


def test_warming_up_runs_every_verb(generator):
    generator.warm_up()


def test_warming_up_runs_what_is_on_the_cards(generator, monkeypatch):
    asking, ran = Player.asking, []

    def seen(self, request):
        ran.append((self.resident.card.name, verb_of(request)))
        return asking(self, request)

    monkeypatch.setattr(Player, "asking", seen)
    generator.warm_up()
    cards = (generator.resident(name).card for name in reversed(generator.loaded))
    assert ran == [(card.name, verb) for card in cards for verb in card.verbs]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_plays_the_same_hits_at_temperature_zero(weights_folder):
    answers = []
    for device in ("cpu", "cuda"):
        generator = Generator(Library([weights_folder]), device=device)
        generator.load("drummer")
        answers.append(generator.run(Humanize(clip=beat(), temperature=0)).clips[0])
    for cpu, gpu in zip(answers[0].notes, answers[1].notes, strict=True):
        assert gpu.start_beats == pytest.approx(cpu.start_beats, abs=1e-3)


def test_the_shipped_weights_are_whole():
    library = Library([shipped_folder()])
    assert "drummer" in library.cards
    assert not library.problems
    for name in library.cards:
        assert library.verify(name).stat().st_size <= 16 * 2**20
    assert sum(path.stat().st_size for path in library.paths.values()) <= 60 * 2**20


@pytest.fixture(scope="module")
def shipped():
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drummer")
    return generator


def played_after(shipped, feel):
    """How loud, and how many steps late, a stiff beat is on the mean of many goes with a feel."""
    notes = [
        (note.velocity, 4 * (note.start_beats - stiff.start_beats))
        for clip in shipped.run(Groove(clip=beat(), feel=feel, seed=1, count=16)).clips
        for note, stiff in zip(clip.notes, beat().notes, strict=True)
    ]
    return np.mean(notes, axis=0)


def test_a_loud_feel_plays_louder_than_a_soft_one(shipped):
    loud, soft = (played_after(shipped, alike(beat(), velocity=velocity)) for velocity in (115, 40))
    assert loud[0] > soft[0] + 10


def test_a_late_feel_plays_later_than_an_early_one(shipped):
    late, early = (played_after(shipped, alike(beat(), late_beats)) for late_beats in (0.04, -0.04))
    assert late[1] > early[1] + 0.05


def test_the_shipped_weights_play(shipped):
    styles = shipped.resident("drummer").card.styles
    assert {"rock", "funk", "jazz", "latin", "hiphop"} <= set(styles)
    (played,) = shipped.run(Humanize(clip=beat(), seed=1)).clips
    late = [
        abs(after.start_beats - before.start_beats)
        for before, after in zip(beat().notes, played.notes, strict=True)
    ]
    assert 0 < max(late) <= 0.125
    assert 8 <= len(shipped.run(Sample(seed=1)).clips[0].notes) <= 120


def test_results_are_in_the_meter_of_the_clip_and_say_so(generator):
    clip = Clip((Note(36, 0.0, 0.25, 100), Note(38, 1.5, 0.25, 100)), 3.0, 3.0, beat_unit=8)
    for request in (Drumify(clip=clip, seed=1), Vary(clip=clip, seed=1), Humanize(clip=clip, seed=1)):
        results = generator.run(request)
        assert [results.meter, *(each.meter for each in results.clips)] == ["6/8", "6/8"]


def test_a_sample_has_the_tempo_that_is_asked_for(generator):
    assert generator.run(Sample(seed=1, tempo=90.0)).clips[0].tempo_bpm == 90
    assert generator.run(Sample(seed=1)).clips[0].tempo_bpm == 120
