"""The live mode accompany: a melody gets bass and drums in the bar after, and these hear what was played before."""

from fractions import Fraction

import pytest

from bridge.errors import RequestError
from bridge.playing.live_settings import LiveSettings
from engine.clip import Clip, Note, Part
from engine.requests import Accompany, Request
from tests.bridge.playing.test_live import Band, band, start  # noqa: F401


def accompanied(request: Request, number: int) -> tuple[Clip, ...]:
    """A bass on beat 1 and a kick on beat 2, of a pitch of its own each bar."""
    notes = (Note(40 + number, 0.0, 1.0, 90), Note(70 + number, 1.0, 0.25, 90))
    return (Clip(notes, 4.0, parts=(Part("bass", 2, 33, 0, 1), Part("drums", 10, 0, 1, 1))),)


@pytest.fixture
def trio(band: Band) -> Band:  # noqa: F811
    band.answer = accompanied
    return band


def asked(trio: Band) -> list[Accompany]:
    found = [each for each in trio.requests if isinstance(each, Accompany)]
    assert len(found) == len(trio.requests)
    return found


def test_each_bar_of_a_melody_gets_bass_and_drums_in_the_next_bar(trio: Band) -> None:
    start(trio, "accompany")
    trio.strike(0.0, 5.0, 9.5, pitch=72)
    trio.run(15.8)
    assert trio.struck == [(4, 40), (5, 70), (8, 41), (9, 71), (12, 42), (13, 72)]
    assert trio.live.missed == 0


def test_what_is_asked_has_the_melody_so_far_and_what_was_played_to_it(trio: Band) -> None:
    start(trio, "accompany")
    trio.strike(0.0, 5.0, pitch=72)
    trio.run(9)
    first, second = asked(trio)
    assert [part.name for part in first.clip.parts] == ["lead"]
    assert (first.since, second.since) == (0.0, 4.0)
    assert [(part.name, part.channel) for part in second.clip.parts] == [("lead", 1), ("bass", 2), ("drums", 10)]
    assert [(note.pitch, note.start_beats) for note in second.clip.notes] == [
        (72, 0.0),
        (72, 5.0),
        (40, 0.0),
        (70, 1.0),
    ]


def test_it_remembers_eight_bars(trio: Band) -> None:
    start(trio, "accompany")
    trio.strike(*(float(beat) for beat in range(0, 48, 2)), pitch=72)
    trio.run(46)
    assert [request.clip.bars for request in asked(trio)] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]
    assert asked(trio)[-1].since == 28.0


def test_bass_and_drums_go_on_while_the_melody_rests(trio: Band) -> None:
    start(trio, "accompany")
    trio.strike(0.0, pitch=72)
    trio.run(15.8)
    assert trio.bars() == {1: {40, 70}, 2: {40, 70}, 3: {40, 70}}


def test_an_engine_that_is_late_never_makes_them_late(trio: Band) -> None:
    trio.engine_seconds = 0.5
    start(trio, "accompany")
    trio.strike(*(float(beat) for beat in range(24)), pitch=72)
    trio.run(23.8)
    assert trio.live.missed > 0
    assert all(Fraction(beat).denominator == 1 for beat, _ in trio.struck)


def test_a_jump_in_the_song_begins_a_new_song(trio: Band) -> None:
    start(trio, "accompany")
    trio.strike(0.0, 5.0, pitch=72)
    trio.run(9)
    trio.live.song_moved(trio.now)
    trio.strike(12.5, pitch=74)
    trio.run(17)
    assert asked(trio)[-1].clip.bars == 1


def test_key_scale_and_style_are_told_and_what_it_has_not_is_refused() -> None:
    settings = LiveSettings(mode="accompany", request={"key": "Am", "scale": "minor", "style": "band"})
    request = settings.build((Clip((Note(60, 0.0, 1.0, 90),), 4.0),))
    assert isinstance(request, Accompany)
    assert (request.key, request.scale, request.style) == ("Am", "minor", "band")
    with pytest.raises(RequestError, match="accompany with accompany has no timing"):
        LiveSettings(mode="accompany", request={"timing": 0.5})
