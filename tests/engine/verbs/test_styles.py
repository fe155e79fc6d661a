"""Styles: players, programmed music, one's own, mixtures; what a clip is recognised to be."""

import time

import numpy as np
import pytest
import tomlkit

from engine.clip import Clip, Note
from engine.errors import ClipError, KeptError
from engine.files import read_toml
from engine.representation.attributes import FEEL
from engine.requests import Accompany, Drumify, Humanize, LearnStyle, Sample
from engine.styles import PROGRAMMED, forget_style, mixture, own_styles
from engine.verbs.generator import Generator
from engine.weights import Library, shipped_folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return tmp_path_factory.mktemp("own") / "styles"


@pytest.fixture(scope="module")
def generator(own):
    generator = Generator(Library([shipped_folder()]), device="cpu", own=own)
    for name in ("trio_16bar", "drummer", "drums_16bar"):
        generator.load(name)
    return generator


def pattern(tempo_bpm, bars=4, *, kick=(), snare=(), hat=(), tom=(), velocity=100):
    drums = ((36, kick), (38, snare), (42, hat), (47, tom))
    notes = [
        Note(pitch, 4 * bar + step / 4, 0.25, velocity)
        for bar in range(bars)
        for pitch, steps in drums
        for step in steps
    ]
    return Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 4.0 * bars, tempo_bpm=tempo_bpm)


EIGHTHS, SIXTEENTHS = range(0, 16, 2), range(16)
FOUR, BACKBEAT = (0, 4, 8, 12), (4, 12)
HOUSE = pattern(124, kick=FOUR, snare=BACKBEAT, hat=SIXTEENTHS)
ROCK = pattern(100, kick=(0, 8, 10), snare=BACKBEAT, hat=EIGHTHS)


def swung(bars, *, late_ms, loud, seed, tempo_bpm=100.0):
    """Bars as somebody plays them, who is so late, and so loud."""
    rng, clip = np.random.default_rng(seed), pattern(tempo_bpm, bars, kick=(0, 7, 10), snare=BACKBEAT, hat=EIGHTHS)
    beats = late_ms * tempo_bpm / 60000
    notes = [
        Note(
            note.pitch,
            max(0.0, note.start_beats + beats + rng.normal(0, 0.008)),
            0.25,
            int(loud + rng.integers(-9, 9)),
        )
        for note in clip.notes
    ]
    return Clip(tuple(notes), clip.length_beats, tempo_bpm=tempo_bpm)


@pytest.mark.parametrize(
    ("clip", "style"),
    [
        (HOUSE, "house"),
        (pattern(100, kick=FOUR, hat=EIGHTHS), "house"),
        (pattern(138, kick=FOUR, hat=(2, 6, 10, 14)), "techno"),
        (pattern(140, kick=(0, 3, 10), snare=(8,), hat=SIXTEENTHS), "trap"),
        (pattern(174, kick=(0, 10), snare=BACKBEAT, hat=EIGHTHS), "drumandbass"),
        (pattern(90, kick=(0, 7, 10), snare=BACKBEAT, hat=EIGHTHS), "boombap"),
        (ROCK, ""),
        (pattern(124, kick=(0, 8), snare=BACKBEAT, hat=EIGHTHS), ""),
        (pattern(124, kick=FOUR, snare=BACKBEAT, tom=SIXTEENTHS), ""),
        (pattern(60, kick=FOUR, hat=EIGHTHS), ""),
    ],
)
def test_what_a_clip_is_is_chosen_and_said(generator, clip, style):
    results = generator.run(Humanize(clip=clip, seed=1))
    assert dict(results.facts).get("style", "") == style
    assert any(f"played as {style}" in remark for remark in results.remarks) == bool(style)
    assert any("nobody in the data plays" in remark for remark in results.remarks) == bool(style)


def test_a_house_kick_does_not_stagger(generator):
    for seed in range(8):
        (played,) = generator.run(Humanize(clip=HOUSE, seed=seed)).clips
        off = [
            (b.start_beats - a.start_beats) * 60000 / 124
            for a, b in zip(HOUSE.notes, played.notes, strict=True)
            if a.pitch == 36
        ]
        assert np.std(off) < 5
        assert max(map(abs, off)) < 20


def test_none_leaves_every_clip_to_its_hits(generator):
    plain = generator.run(Humanize(clip=ROCK, seed=4))
    assert generator.run(Humanize(clip=ROCK, seed=4, style="none")).clips == plain.clips
    results = generator.run(Humanize(clip=HOUSE, seed=4, style="none"))
    assert (results.facts, results.remarks) == ((), ())


def test_what_is_asked_for_goes_before_what_a_style_is_usually_like(generator):
    results = generator.run(Humanize(clip=HOUSE, seed=1, style="house", swing=(1.5,)))
    assert dict(results.facts)["swing"] == pytest.approx(1.5, abs=0.1)


def test_a_player_is_played_with_his_own_feel(generator):
    late = {}
    for player in ("drummer2", "drummer7"):
        (played,) = generator.run(Humanize(clip=ROCK, seed=1, style=player)).clips
        late[player] = np.mean(
            [b.start_beats - a.start_beats for a, b in zip(ROCK.notes, played.notes, strict=True)]
        )
    feels = generator.library.card("drummer").feels
    assert (late["drummer2"] > late["drummer7"]) == (feels["drummer2"][0] > feels["drummer7"][0])


@pytest.fixture(scope="module")
def mine(generator):
    clips = tuple(swung(8, late_ms=25, loud=110, seed=seed) for seed in range(2))
    return generator.run(LearnStyle(name="mine", clips=clips, sources=("a.mid", "b.mid")))


def test_a_style_is_learnt_in_seconds_and_kept_with_a_card(generator, mine, own):
    facts, style = dict(mine.facts), own_styles(own)["mine"]
    assert (facts["bars"], facts["near"]) == (16, style.near)
    assert style.near in generator.resident("drummer").prior.names
    assert (style.model, style.bars, style.clips, style.sources) == ("drummer", 16, 2, ("a.mid", "b.mid"))
    assert set(style.feel) == set(FEEL)
    assert style.feel["late"] > 1
    began = time.perf_counter()
    generator.run(LearnStyle(name="again", clips=(swung(64, late_ms=0, loud=80, seed=9),)))
    assert time.perf_counter() - began < 3


def test_it_plays_as_its_clips_are_played(generator, mine):
    (played,) = generator.run(Humanize(clip=ROCK, seed=2, style="mine")).clips
    late_ms = [(b.start_beats - a.start_beats) * 600 for a, b in zip(ROCK.notes, played.notes, strict=True)]
    assert np.mean(late_ms) == pytest.approx(25, abs=3)
    assert np.mean([note.velocity for note in played.notes]) == pytest.approx(110, abs=6)


def test_it_works_wherever_a_style_does(generator, mine):
    taps = Clip(tuple(Note(60, step / 2, 0.25, 90) for step in range(16)), 8.0)
    melody = Clip(tuple(Note(60 + step % 5, step / 2, 0.5, 90) for step in range(32)), 16.0)
    for style in ("mine", "funk:.7,mine:.3", "house", "drummer8"):
        for request in (
            Sample(bars=4, seed=1, style=style),
            Sample(model="drummer", bars=2, seed=1, style=style),
            Sample(model="trio_16bar", bars=4, seed=1, style=style),
            Drumify(clip=taps, seed=1, style=style),
            Drumify(model="drummer", clip=taps, seed=1, style=style),
            Accompany(clip=melody, seed=1, style=style),
        ):
            assert generator.run(request).clips[0].notes, (style, type(request).__name__, request.model)


def test_a_mixture_lies_between(generator, mine):
    def late(style):
        (played,) = generator.run(Humanize(clip=ROCK, seed=1, style=style)).clips
        return np.mean([b.start_beats - a.start_beats for a, b in zip(ROCK.notes, played.notes, strict=True)])

    assert late("drummer7") < late("drummer7:.5,mine:.5") < late("mine")


@pytest.mark.parametrize("text", ["", "funk:", "funk:x", "funk:-1", ",", "funk:.5,", "funk:nan", "funk:0"])
def test_what_is_no_mixture_is_refused(text):
    with pytest.raises(ClipError, match="style takes a name, or several with shares"):
        mixture(text)


def test_shares_sum_to_one_and_need_not_be_said():
    assert mixture("funk:2, rock:2") == {"funk": 0.5, "rock": 0.5}
    assert mixture("funk") == {"funk": 1.0}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("house", "already"),
        ("funk", "already"),
        ("none", "already"),
        ("a b", "letters"),
        ("a/b", "letters"),
        ("", "letters"),
    ],
)
def test_a_name_that_cannot_be_is_refused(generator, name, sentence):
    with pytest.raises(ClipError, match=sentence):
        generator.run(LearnStyle(name=name, clips=(ROCK,)))


@pytest.mark.parametrize("clips", [(), (Clip((), 4.0),)])
def test_nothing_that_sounds_is_refused(generator, clips):
    with pytest.raises(ClipError, match="at least one note that sounds"):
        generator.run(LearnStyle(name="silence", clips=clips))


def test_one_hit_is_enough(generator, own):
    generator.run(LearnStyle(name="hit", clips=(Clip((Note(36, 0.0, 0.25, 100),), 4.0),)))
    assert own_styles(own)["hit"].bars == 1
    assert generator.run(Humanize(clip=ROCK, seed=1, style="hit")).clips[0].notes


def test_other_weights_have_it_learnt_again(generator, own, mine):
    path = own / "mine.toml"
    card = path.read_text()
    try:
        path.write_text(card.replace(own_styles(own)["mine"].sha256, "0" * 64))
        with pytest.raises(ClipError, match="learnt with other weights of drummer: learn it again"):
            generator.run(Humanize(clip=ROCK, style="mine"))
    finally:
        path.write_text(card)


def test_a_style_that_is_forgotten_is_gone(generator, own):
    generator.run(LearnStyle(name="gone", clips=(ROCK,)))
    forget_style(own, "gone")
    with pytest.raises(ClipError, match="there is no style 'gone'; there are: afrobeat"):
        generator.run(Humanize(clip=ROCK, style="gone"))
    with pytest.raises(ClipError, match="there is no style of your own 'gone'"):
        forget_style(own, "gone")
    assert not list(own.glob("gone*"))


def test_a_style_whose_card_is_damaged_can_be_forgotten(tmp_path):
    for name in ("mine.toml", "mine.safetensors", "other.toml"):
        (tmp_path / name).write_text("name = [")
    forget_style(tmp_path, "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["other.toml"]


def test_only_a_file_of_the_folder_can_be_forgotten(tmp_path):
    (tmp_path / "x.toml").touch()
    with pytest.raises(ClipError, match=r"there is no style of your own '\.\./x'"):
        forget_style(tmp_path / "own", "../x")


@pytest.mark.parametrize(
    "text", ["funk:1e308,rock:1e308", "funk:1e308,rock:1e-300", "funk:nan", "funk:inf", "funk:0"]
)
def test_shares_that_have_no_sum_are_refused(text):
    with pytest.raises(ClipError, match="style takes a name, or several with shares"):
        mixture(text)


def test_every_programmed_style_names_attributes_that_there_are():
    for about in PROGRAMMED.values():
        assert {name.partition(".")[0] for name in about.feel} <= set(FEEL)


def test_a_melody_is_no_style_of_drums(generator):
    melody = Clip(tuple(Note(97 + k % 2, k / 2, 0.5, 90) for k in range(16)), 8.0)
    with pytest.raises(ClipError, match="clips of drums"):
        generator.run(LearnStyle(name="melody", clips=(melody,)))


def test_a_card_has_a_version_and_one_of_a_newer_vaebridge_is_refused_and_stays(generator, own, mine):
    path = own / "mine.toml"
    card = path.read_text()
    assert card.startswith("version = 1\n")
    try:
        path.write_text(card.replace("version = 1", "version = 2"))
        with pytest.raises(KeptError, match="has the version 2, this vaebridge knows those up to 1"):
            generator.run(Humanize(clip=ROCK, style="mine"))
        path.write_text(card.replace("version = 1\n", ""))
        assert "mine" in own_styles(own)
    finally:
        path.write_text(card)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "own").write_text("a file")
    generator = Generator(Library([shipped_folder()]), device="cpu", own=tmp_path / "own")
    generator.load("drummer")
    with pytest.raises(KeptError, match="cannot be written"):
        generator.run(LearnStyle(name="mine", clips=(ROCK,)))


@pytest.mark.parametrize(
    "damaged",
    [
        {"feel": 3},
        {"distance": "far"},
        {"distance": float("inf")},
        *({"feel": {"late": each}} for each in ("q", float("nan"))),
    ],
)
def test_a_damaged_card_is_no_style(tmp_path, mine, own, damaged):
    content = read_toml(own / "mine.toml") | damaged
    (tmp_path / "mine.toml").write_text(tomlkit.dumps(content))
    assert own_styles(tmp_path) == {}
