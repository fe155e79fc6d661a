"""What is asked of attributes comes, is told, and nothing else moves much: with the weights that are shipped."""

from dataclasses import replace

import numpy as np
import pytest

from engine.clip import Clip, Note
from engine.errors import ClipError
from engine.representation.attributes import FEEL
from engine.requests import (
    Accompany,
    Continue,
    Fill,
    Groove,
    Humanize,
    Infill,
    Sample,
    Vary,
    request_with,
)
from engine.verbs.generator import Generator
from engine.verbs.steering.knobs import Knobs
from engine.weights import Library, shipped_folder


@pytest.fixture(scope="module")
def generator():
    generator = Generator(Library([shipped_folder()]), device="cpu")
    for name in ("trio_16bar", "drummer", "drums_16bar"):
        generator.load(name)
    return generator


def beat(bars=4, tempo_bpm=100.0):
    """Kick, snare, and hats on the sixteenths."""
    rows = [(36, 0), (36, 2.5), (38, 1), (38, 3), *((42, step / 4) for step in range(16))]
    notes = [Note(pitch, 4 * bar + start, 0.25, 90) for bar in range(bars) for pitch, start in rows]
    return Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 4.0 * bars, tempo_bpm=tempo_bpm)


def house():
    """The kick on each beat, snare, and hats on the sixteenths."""
    rows = [(36, 0), (36, 1), (36, 2), (36, 3), (38, 1), (38, 3), *((42, step / 4) for step in range(16))]
    notes = [Note(pitch, 4 * bar + start, 0.25, 90) for bar in range(4) for pitch, start in rows]
    return Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 16.0, tempo_bpm=124.0)


def came(results):
    return dict(results.facts)


@pytest.mark.parametrize("name", FEEL)
@pytest.mark.parametrize("asked", [-1.5, 0.0, 1.5])
def test_the_feel_that_is_asked_for_comes_and_is_told(generator, name, asked):
    results = generator.run(Humanize(clip=beat(), seed=3, **{name: (asked,)}))
    assert came(results) == {name: pytest.approx(asked, abs=0.25)}
    assert results.remarks == ()


def test_what_is_told_is_what_the_notes_have(generator):
    clip = beat()
    (played,) = generator.run(Humanize(clip=clip, seed=1, late=(1.0,))).clips
    late_ms = [(b.start_beats - a.start_beats) * 600 for a, b in zip(clip.notes, played.notes, strict=True)]
    assert np.mean(late_ms) == pytest.approx(generator.resident("drummer").scales["late"].value(1), abs=0.3)


def test_a_snare_drags_while_the_others_push(generator):
    clip = beat()
    asked = (("late.snare", 1.5),)
    results = generator.run(Humanize(clip=clip, seed=1, late=(-1.0,), of_drum=asked))
    assert came(results) == {"late": pytest.approx(-1, abs=0.05), "late.snare": pytest.approx(1.5, abs=0.05)}
    moved = [
        (a.pitch, b.start_beats - a.start_beats) for a, b in zip(clip.notes, results.clips[0].notes, strict=True)
    ]
    snare, rest = ([by for pitch, by in moved if (pitch == 38) == is_snare] for is_snare in (True, False))
    assert np.mean(snare) > 0 > np.mean(rest)


def lateness_ms(clip, played, pitch):
    """Of a drum: on the even sixteenths, and on the odd ones."""
    by_place = ([], [])
    for before, after in zip(clip.notes, played.notes, strict=True):
        if before.pitch == pitch:
            late_ms = (after.start_beats - before.start_beats) * 60_000 / clip.tempo_bpm
            by_place[round(before.start_beats * 4) % 2].append(late_ms)
    return tuple(np.array(each) for each in by_place)


@pytest.mark.parametrize(
    ("late", "settings"),
    [(-2.0, {"tightness": (2.0,)}), (-2.0, {"swing": (0.0,)}), (-0.5, {"style": "boombap"})],
    ids=["tightness", "swing", "style"],
)
def test_a_snare_that_drags_pulls_nothing_else_along(generator, late, settings):
    clip, asked = beat(1, tempo_bpm=120), (("late.snare", 3.0),)
    results = generator.run(Humanize(clip=clip, seed=1, late=(late,), of_drum=asked, **settings))
    in_ms = generator.resident("drummer").scales["late"].value
    assert came(results)["late"] == pytest.approx(late, abs=0.05)
    assert came(results)["late.snare"] == pytest.approx(3, abs=0.05)
    assert came(results).get("tightness", 2) == pytest.approx(2, abs=0.1)
    even, odd = lateness_ms(clip, results.clips[0], 42)
    assert np.abs([*even, *odd]).max() < 55, "at the clamp of 62.5 ms"
    assert np.mean([*even, *odd]) == pytest.approx(in_ms(late), abs=8)
    assert np.mean(lateness_ms(clip, results.clips[0], 38)[0]) == pytest.approx(in_ms(3), abs=1)


def test_a_loud_snare_with_little_range_leaves_the_others_as_loud_as_asked(generator):
    asked = (("loudness.snare", 2.0),)
    results = generator.run(Humanize(clip=beat(), seed=1, loudness=(-1.0,), dynamics=(-1.0,), of_drum=asked))
    assert came(results) == {
        "loudness": pytest.approx(-1, abs=0.1),
        "dynamics": pytest.approx(-1, abs=0.1),
        "loudness.snare": pytest.approx(2, abs=0.1),
    }


@pytest.mark.parametrize("asked", [1.0, 2.0, 3.0])
def test_swing_moves_what_is_off_the_grid_and_the_kick_of_house_stays_on_the_beat(generator, asked):
    clip = house()
    results = generator.run(Humanize(clip=clip, seed=1, swing=(asked,)))
    assert dict(results.facts)["style"] == "house"
    reached = min(asked, 2.56)  # half a sixteenth behind the grid: a later hit would be of the next one
    assert came(results)["swing"] == pytest.approx(reached, abs=0.05)
    assert any("swing came to 2.6, not to 3" in each for each in results.remarks) == (asked == 3)
    assert np.mean(lateness_ms(clip, results.clips[0], 36)[0]) == pytest.approx(0, abs=4)
    even, odd = lateness_ms(clip, results.clips[0], 42)
    assert np.mean(even) == pytest.approx(0, abs=4)
    assert np.mean(odd) > 5


def test_house_of_which_the_hats_stay_is_still_played_as_house(generator):
    clip = house()
    results = generator.run(Humanize(clip=clip, seed=1, keep=(42,)))
    assert dict(results.facts)["style"] == "house"
    assert np.std(lateness_ms(clip, results.clips[0], 36)[0]) == pytest.approx(2.5, abs=0.3)
    assert np.abs(np.concatenate(lateness_ms(clip, results.clips[0], 42))).max() == 0


def test_swing_without_a_style_leaves_the_even_sixteenths_in_place(generator):
    clip = beat()
    straight, swung = (
        generator.run(Humanize(clip=clip, seed=1, temperature=0.0, swing=(each,))) for each in (0.0, 2.0)
    )
    (even, odd), (even_swung, odd_swung) = (lateness_ms(clip, each.clips[0], 42) for each in (straight, swung))
    assert even_swung == pytest.approx(even, abs=0.1)
    assert (odd_swung > odd + 5).all()


def test_a_kick_that_pushes_leaves_the_hats_that_swing_on_the_grid(generator):
    clip = house()
    results = generator.run(Humanize(clip=clip, seed=1, swing=(2.0,), of_drum=(("late.kick", -1.0),)))
    assert came(results) == {"style": "house", "swing": pytest.approx(2, abs=0.05), "late.kick": pytest.approx(-1)}
    even, odd = lateness_ms(clip, results.clips[0], 42)
    assert np.mean(even) == pytest.approx(0, abs=4)
    assert np.mean(odd) > 40


def test_by_bar_each_has_its_own_and_they_come_again_to_the_end(generator):
    results = generator.run(Humanize(clip=beat(5), seed=1, late=(-1.0, 1.0)))
    assert [float(each) for each in came(results)["late"].split(",")] == pytest.approx([-1, 1, -1, 1, -1], abs=0.1)


def test_bars_that_are_not_equally_late_can_each_be_tight(generator):
    results = generator.run(Humanize(clip=beat(), seed=1, late=(0.0, 2.0), tightness=(1.5,)))
    assert [float(each) for each in came(results)["late"].split(",")] == pytest.approx([0, 2, 0, 2], abs=0.05)
    assert came(results)["tightness"] == pytest.approx(1.5, abs=0.1)
    assert results.remarks == ()


@pytest.mark.parametrize("name", ["late", "tightness", "swing"])
@pytest.mark.parametrize("asked", [-1.5, 1.5])
def test_triplets_go_as_far_as_sixteenths(generator, name, asked):
    rows = [(36, 0), (38, 1), (36, 2), (38, 3), *((42, beat + third / 3) for beat in range(4) for third in (0, 2))]
    notes = [Note(pitch, 4 * bar + start, 0.25, 90) for bar in range(4) for pitch, start in rows]
    shuffle = Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 16.0, tempo_bpm=100.0)
    results = generator.run(Humanize(clip=shuffle, seed=1, **{name: (asked,)}))
    assert came(results) == {name: pytest.approx(asked, abs=0.05)}
    assert results.remarks == ()


def test_several_at_once_all_come(generator):
    asked = {"late": (1.0,), "tightness": (1.0,), "loudness": (0.5,), "swing": (1.0,), "accent": (-1.0,)}
    for name, value in came(generator.run(Humanize(clip=beat(), seed=5, **asked))).items():
        assert value == pytest.approx(asked[name][0], abs=0.15), name


def test_what_stays_stays_and_the_rest_has_what_is_asked(generator):
    clip = beat()
    results = generator.run(Humanize(clip=clip, seed=1, keep=(42,), late=(1.5,)))
    assert [note for note in results.clips[0].notes if note.pitch == 42] == [
        note for note in clip.notes if note.pitch == 42
    ]
    assert came(results)["late"] == pytest.approx(1.5, abs=0.05)


def test_without_knobs_nothing_is_told_and_the_same_seed_gives_the_same_notes(generator):
    results = [generator.run(Humanize(clip=beat(), seed=1)) for _ in range(2)]
    assert results[0].facts == ()
    assert results[0].clips == results[1].clips


def test_what_is_at_odds_is_told(generator):
    results = generator.run(Humanize(clip=beat(), seed=1, timing=0.0, late=(2.0,)))
    assert any("late came to" in remark and "at odds with timing 0" in remark for remark in results.remarks)
    results = generator.run(Humanize(clip=beat(), seed=1, loudness=(3.0,), dynamics=(3.0,)))
    assert any("dynamics came to" in remark and "at odds with loudness" in remark for remark in results.remarks)


def remarks_of(asked, came):
    knobs = Knobs({name: (value,) if isinstance(value, float) else value for name, value in asked.items()})
    for name, values in came.items():
        knobs.came[name] = np.array([values], np.float64)
    return list(knobs.remarks())


@pytest.mark.parametrize(
    ("asked", "others", "came", "said"),
    [
        (2.0, (), 1.0, "late came to 1, not to 2: that is as far as it goes here"),
        (-2.0, (), -1.0, "late came to -1, not to -2: that is as far as it goes here"),
        (2.0, (), 3.2, "late came to 3.2, not to 2"),
        (-2.0, (), -3.0, "late came to -3, not to -2"),
        (0.0, (), 1.0, "late came to 1, not to 0"),
        (
            2.0,
            ("loudness", "density", "late.snare"),
            1.0,
            "late came to 1, not to 2: it is at odds with late.snare",
        ),
        (2.0, ("tightness", "accent"), 3.0, "late came to 3, not to 2: it is at odds with tightness"),
        (2.0, (), 1.7, None),
    ],
)
def test_a_remark_says_short_or_beyond_and_what_can_be_at_odds(asked, others, came, said):
    every = {"late": asked, **dict.fromkeys(others, 1.0)}
    assert remarks_of(every, {"late": [came], **{each: [1.0] for each in others}}) == ([said] if said else [])


def test_drums_and_parts_are_not_at_odds_with_each_other():
    asked = {"density.bass": 2.0, "density.lead": 1.0, "register.bass": 1.0, "density": 0.0}
    (said,) = remarks_of(asked, {**{each: [value] for each, value in asked.items()}, "density.bass": [1.0]})
    assert said == "density.bass came to 1, not to 2: it is at odds with register.bass and density"


@pytest.mark.parametrize(("model", "key"), [("drums_16bar", "density"), ("trio_16bar", "density.drums")])
def test_bars_that_are_not_made_keep_their_places_in_what_came_and_in_what_is_told_of_it(generator, model, key):
    asked = {key: (3.0, -1.0, 1.0, 3.0)}
    results = generator.run(request_with(Infill, asked, clip=beat(), seed=1, start=4.0, beats=8.0, model=model))
    first, second, third, last = str(came(results)[key]).split(",")
    assert (first, last) == ("-", "-")
    assert float(second) < float(third)
    assert all(f"{key} came to" in remark and "not to -1,1:" in remark for remark in results.remarks)


def test_more_bars_than_there_are_is_told(generator):
    results = generator.run(Humanize(clip=beat(2), seed=1, late=(0.0, 1.0, 2.0)))
    assert came(results) == {"late": "0,1"}
    assert results.remarks == ("late was asked of 3 bars, and there are 2",)


def test_what_nothing_can_tell_is_no_number(generator):
    clip = Clip((Note(36, 0.0, 0.25, 90), Note(42, 0.25, 0.25, 90), Note(36, 4.0, 0.25, 90)), 8.0)
    whole = generator.run(Humanize(clip=replace(clip, notes=clip.notes[::2]), seed=1, swing=(1.0,)))
    assert whole.facts == ()
    assert whole.remarks == ("swing was asked, and nothing that came can tell it",)
    empty = generator.run(Humanize(clip=replace(clip, notes=()), seed=1, swing=(1.0,), late=(1.0,), accent=(1.0,)))
    assert empty.remarks == ("accent, late and swing were asked, and nothing was made that has them",)
    by_bar = generator.run(Humanize(clip=clip, seed=1, swing=(1.0, 1.0)))
    assert came(by_bar) == {"swing": "1,-"}


@pytest.mark.parametrize(
    "request_",
    [
        Sample(bars=4, seed=1, late=(1.0,)),
        Vary(clip=beat(), seed=1, late=(1.0,)),
        Vary(clip=beat(), seed=1, keep=(42,), late=(1.0,)),
        Continue(clip=beat(), seed=1, late=(1.0,)),
        Infill(clip=beat(), seed=1, start=4.0, beats=8.0, late=(1.0,)),
        Groove(clip=beat(), feel=beat(2), seed=1, late=(1.0,)),
        Accompany(clip=Clip(tuple(Note(60 + k % 5, k / 2, 0.5, 90) for k in range(32)), 16.0), seed=1, late=(1.0,)),
        Sample(model="trio_16bar", bars=4, seed=1, late=(1.0,)),
        Fill(clip=Clip(tuple(note for note in beat().notes if note.pitch != 42), 16.0), seed=1, late=(1.0,)),
    ],
    ids=lambda request: type(request).__name__,
)
def test_every_verb_plays_with_the_feel_that_is_asked_for(generator, request_):
    assert came(generator.run(request_))["late"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("asked", [-1.5, 0.0, 1.5])
@pytest.mark.parametrize("name", ["density", "syncopation", "repetition"])
def test_as_much_of_it_is_played_as_is_asked(generator, name, asked):
    results = [generator.run(Sample(bars=8, seed=seed, **{name: (asked,)})) for seed in range(6)]
    assert np.mean([came(each)[name] for each in results]) == pytest.approx(asked, abs=0.5)


def test_no_syncopation_is_the_lowest_that_can_be_asked_of_a_share(generator):
    scale = generator.resident("drums_16bar").scales["syncopation"]
    assert scale.value(-2) == pytest.approx(0)
    assert scale.asked(scale.value(np.array([-2.0, -0.5, 0.0, 1.0]))) == pytest.approx([-2, -0.5, 0, 1])


@pytest.mark.parametrize("name", ["density", "repetition"])
def test_each_bar_has_what_is_asked_of_it(generator, name):
    rows = [
        [
            float(each)
            for each in came(generator.run(Sample(bars=8, seed=seed, **{name: (0.0, 0.0, 1.0, 2.0)})))[name].split(
                ","
            )
        ]
        for seed in range(6)
    ]
    assert np.mean(rows, axis=0)[:4] == pytest.approx([0, 0, 1, 2], abs=0.4)


@pytest.mark.parametrize(
    "made",
    [
        lambda seed, asked: Continue(clip=beat(), seed=seed, bars=4, density=asked),
        lambda seed, asked: Infill(clip=beat(), seed=seed, start=4.0, beats=4.0, density=asked),
        lambda seed, asked: Vary(clip=beat(), seed=seed, density=asked, model="drums_16bar"),
    ],
    ids=["continue", "infill", "vary"],
)
def test_what_is_around_new_bars_does_not_keep_them_from_what_is_asked(generator, made):
    few, many = (
        np.mean([came(generator.run(made(seed, (asked,))))["density"] for seed in range(4)])
        for asked in (-1.0, 1.0)
    )
    assert (few, many) == (pytest.approx(-1, abs=0.5), pytest.approx(1, abs=0.5))


@pytest.mark.parametrize("key", ["density.lead", "register.lead", "density.bass", "register.bass", "density.drums"])
def test_a_part_of_a_band_has_its_own(generator, key):
    low, high = (
        came(generator.run(Sample(model="trio_16bar", bars=8, seed=2, of_drum=((key, (asked,)),))))[key]
        for asked in (-1.0, 1.0)
    )
    assert low < -0.4 < 0.4 < high


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            lambda: Sample(model="drums_16bar", register=(1.0,)),
            "drums_16bar has no register to be asked for: it has",
        ),
        (
            lambda: Sample(model="drums_16bar", of_drum=(("density.bass", 1.0),)),
            "drums_16bar has no density.bass to be asked for: it has density, syncopation",
        ),
        (
            lambda: Sample(model="trio_16bar", of_drum=(("register.drums", 1.0),)),
            "trio_16bar has no register.drums to be asked for: it has density.lead, register.lead",
        ),
        (lambda: Sample(model="drummer", density=(1.0,)), "drummer has no density to be asked for: it has late"),
        (lambda: Sample(model="drums_2bar", late=(1.0,)), "drums_2bar has no late to be asked for: it has density"),
        (lambda: Humanize(clip=beat(), density=(1.0,)), "humanize changes no density, which notes there are"),
        (lambda: Humanize(clip=beat(), late=(4.0,)), "late must be in -3..3, not 4"),
        (lambda: Humanize(clip=beat(), late=(0.0, float("nan"))), "late must be in -3..3, not nan"),
        (lambda: Humanize(clip=beat(), of_drum=(("late.cowbell", 1.0),)), "there is no late.cowbell: of drums"),
        (lambda: Sample(of_drum=(("density.horns", 1.0),)), "there is no density.horns: of parts there are lead"),
    ],
)
def test_what_a_model_has_not_is_said_with_what_it_has(generator, request_, sentence):
    with pytest.raises(ClipError, match=sentence.replace(".", r"\.")):
        generator.run(request_())


def test_a_model_that_has_what_is_asked_answers_where_none_is_named(generator):
    assert generator.run(Sample(bars=2, seed=1, register=(1.0,))).model == "trio_16bar"
    assert generator.run(Sample(bars=2, seed=1, density=(1.0,))).model == "drums_16bar"
    assert generator.run(Sample(bars=2, seed=1, of_drum=(("density.bass", 1.0),))).model == "trio_16bar"
    assert generator.run(Sample(bars=2, seed=1, of_drum=(("late.snare", 1.0),))).model == "drums_16bar"


@pytest.mark.parametrize(
    "clip",
    [Clip((Note(36, 0.0, 0.25, 100),), 4.0), Clip((), 4.0), Clip((Note(36, 0.0, 0.25, 1),), 1.0, 1.0)],
    ids=["one hit", "none", "a bar of one beat"],
)
def test_little_to_move_is_moved_as_far_as_it_goes(generator, clip):
    asked = dict.fromkeys(FEEL, (2.0,))
    results = generator.run(Humanize(clip=clip, seed=1, **asked))
    assert len(results.clips[0].notes) == len(clip.notes)
    assert all(any(name in remark for remark in results.remarks) for name in ("swing", "accent"))
