"""Attributes, styles of one's own and feels with names over OSC, against a daemon with the shipped models."""

import math

import pytest

from engine.clip import Clip, Note
from engine.styles import PROGRAMMED
from tests.bridge.peer import Peer

ROWS = [(36, 0), (36, 2.5), (38, 1), (38, 3), *((42, step / 2) for step in range(8))]


def beat(bars: int = 2, late: float = 0.0) -> Clip:
    notes = [Note(pitch, 4 * bar + start + late, 0.25, 90) for bar in range(bars) for pitch, start in ROWS]
    return Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 4.0 * bars)


@pytest.fixture
def client(ensemble: Peer) -> Peer:
    ensemble.upload("a", beat())
    ensemble.upload("late", beat(8, late=0.06))
    return ensemble


def test_attributes_tell_mean_deviation_unit_and_range(client: Peer) -> None:
    answer = client.ask("attributes", "model", "drummer")
    rows = {str(name): rest for name, *rest in answer.rows("attribute")}
    assert list(rows) == ["late", "tightness", "loudness", "dynamics", "swing", "accent"]
    mean, deviation, unit, low, high = rows["late"]
    assert (unit, low, high) == ("ms", -3.0, 3.0)
    assert float(deviation) > 0 > float(mean)
    assert answer.keys == {"model": "drummer", "count": 6}


def test_of_a_model_whose_hits_the_drummer_plays_they_are_hers_too(client: Peer) -> None:
    names = {name for name, *_ in client.ask("attributes", "model", "drums_16bar").rows("attribute")}
    assert {"density", "syncopation", "repetition", "late", "accent"} <= names
    names = {name for name, *_ in client.ask("attributes", "model", "trio_16bar").rows("attribute")}
    assert {"density.lead", "register.bass", "density.drums", "late"} <= names
    rows = {
        name: unit for name, _, _, unit, *_ in client.ask("attributes", "model", "melody_2bar").rows("attribute")
    }
    assert rows["interval"] == rows["register"] == "semitones"


def test_a_model_of_tokens_makes_what_is_asked_and_tells_what_came(client: Peer) -> None:
    keys = client.ask("sample", "model", "melody_2bar", "count", 4, "seed", 1, "register", 1.5, "density", -1).keys
    assert float(keys["register"]) == pytest.approx(1.5, abs=0.6)
    assert float(keys["density"]) == pytest.approx(-1, abs=0.6)


def test_what_came_stands_in_the_done_under_the_name(client: Peer) -> None:
    keys = client.ask("humanize", "slot", "a", "seed", 1, "late", 1, "late.snare", -1.5, "tightness", 0.5).keys
    assert float(keys["late"]) == pytest.approx(1, abs=0.1)
    assert float(keys["late.snare"]) == pytest.approx(-1.5, abs=0.1)
    assert float(keys["tightness"]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("written", [("-1,1",), (-1, 1), (-1.0, 1.0)])
def test_one_a_bar_is_a_text_or_several_numbers(client: Peer, written: tuple[object, ...]) -> None:
    keys = client.ask("humanize", "slot", "a", "late", *written, "seed", 1).keys
    assert [float(each) for each in str(keys["late"]).split(",")] == pytest.approx([-1, 1], abs=0.1)


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("humanize", ("slot", "a", "late", 4), "late must be in -3..3, not 4"),
        ("humanize", ("slot", "a", "late", "much"), "late takes a number, or one a bar as 0,0,1,2, not 'much'"),
        ("humanize", ("slot", "a", "late.cowbell", 1), "there is no late.cowbell: of drums there are kick"),
        ("humanize", ("slot", "a", "density", 1), "humanize has no key 'density'"),
        ("sample", ("model", "drums_2bar", "late", 1), "drums_2bar has no late to be asked for: it has density"),
        ("sample", ("model", "drums_16bar", "interval", 1), "has no interval to be asked for: it has"),
        ("sample", ("style", "polka"), "there is no style 'polka'; there are: "),
        ("sample", ("style", "funk:x"), "style takes a name, or several with shares"),
        ("learn_style", ("name", "a b", "slots", "a"), "a name has 1 to 40 letters"),
        ("learn_style", ("name", "house", "slots", "a"), "house is a style that is there already"),
        ("learn_style", ("name", "Sequenced", "slots", "a"), "Sequenced is a style that is there already"),
        ("learn_style", ("name", "con", "slots", "a"), "first a letter or digit, not 'con'"),
        ("learn_style", ("name", "-x", "slots", "a"), "first a letter or digit, not '-x'"),
        ("steer", ("late.cowbell", 1), "there is no late.cowbell: there are kick, snare"),
        ("forget_style", ("name", "nobody"), "there is no style of your own 'nobody'; there are: "),
        ("feel_save", ("name", "a/b", "slot", "a"), "a name has 1 to 40 letters"),
        ("groove", ("slot", "a", "feel", "nobody"), "there is no feel 'nobody'; there are: "),
        ("groove", ("slot", "a"), "groove takes from SLOT or feel NAME, one of the two"),
        ("groove", ("slot", "a", "from", "a", "feel", "x"), "groove takes from SLOT or feel NAME, one of the two"),
    ],
)
def test_what_is_wrong_is_told(client: Peer, verb: str, arguments: tuple[object, ...], words: str) -> None:
    answer = client.ask(verb, *arguments)  # type: ignore[arg-type]
    assert answer.code == "bad_request"
    assert words in answer.text


def test_a_style_is_learnt_listed_played_mixed_and_forgotten(client: Peer) -> None:
    learnt = client.ask("learn_style", "name", "mine", "slots", "late,a").keys
    assert (learnt["name"], learnt["bars"], learnt["model"]) == ("mine", 10, "drummer")
    assert float(learnt["distance"]) > 0
    styles = {name for (name,) in client.ask("styles", "verb", "humanize").rows("style")}
    assert {"mine", "drummer8", *PROGRAMMED} <= styles
    for style in ("mine", "funk:.7,mine:.3"):
        assert client.ask("humanize", "slot", "a", "style", style).is_done
        assert client.ask("sample", "style", style, "bars", 2).is_done
    assert client.ask("forget_style", "name", "mine").keys == {"name": "mine"}
    assert client.ask("humanize", "slot", "a", "style", "mine").code == "bad_request"
    assert ("mine",) not in client.ask("styles", "verb", "humanize").rows("style")


def test_a_style_is_learnt_from_slots_that_are_there(client: Peer) -> None:
    assert client.ask("learn_style", "name", "mine", "slots", "a,nowhere").code == "no_clip"
    assert client.ask("learn_style", "name", "mine", "slots", "a", "model", "nobody").code == "no_model"


def test_a_feel_is_kept_listed_and_lent(client: Peer) -> None:
    assert client.ask("feel_save", "name", "push", "slot", "late").keys == {"name": "push", "slot": "late"}
    assert ("push",) in client.ask("feels").rows("feel")
    lent = client.ask("groove", "slot", "a", "feel", "push", "seed", 1)
    of_slot = client.ask("groove", "slot", "a", "from", "late", "seed", 1)
    assert len(lent.notes()) == len(beat().notes)
    for one, other in zip(lent.notes(), of_slot.notes(), strict=True):
        assert math.isclose(float(one[1]), float(other[1]), abs_tol=0.02)


def test_what_programmed_music_a_clip_is_is_told(client: Peer) -> None:
    notes = [Note(36, float(k), 0.25, 100) for k in range(8)] + [Note(42, k + 0.5, 0.25, 90) for k in range(8)]
    client.upload("house", Clip(tuple(sorted(notes, key=lambda n: n.start_beats)), 8.0, tempo_bpm=124.0))
    keys = client.ask("humanize", "slot", "house").keys
    assert keys["style"] == "house"
    assert "nobody in the data plays house" in str(keys["remark"])
    assert "style" not in client.ask("humanize", "slot", "house", "style", "none").keys
