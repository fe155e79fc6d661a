"""The verb continue in the live modes: bars answered with the next ones, a loop that goes on and comes back."""

from collections.abc import Sequence

import pytest

from bridge.errors import RequestError
from engine.clip import Clip, Note, Part
from engine.requests import Continue, Request
from tests.bridge.playing.test_live import Band, band, start  # noqa: F401

THEME = Clip((Note(36, 0.0, 1.0, 100),), 8.0)
"""Two bars: its pitch is 36, those of what goes on from it are 40 and up."""


@pytest.fixture
def loop(band: Band) -> Band:  # noqa: F811
    """A loop that goes on from the theme, two bars at a time."""
    band.slots.put("a", THEME)
    start(band, "loop", verb="continue", slot="a")
    return band


def in_bars(band: Band) -> list[int]:  # noqa: F811
    """The pitch of each bar that sounds."""
    return [min(pitches) for pitches in band.bars().values()]


def asked(requests: Sequence[Request]) -> list[tuple[int | None, int, int]]:
    """Of each request the bars, the fill, and how many bars it goes on from."""
    found = [each for each in requests if isinstance(each, Continue)]
    assert len(found) == len(requests)
    return [(each.bars, each.fill_in, each.clip.bars) for each in found]


def test_what_is_played_is_answered_with_as_many_bars_that_come_next(band: Band) -> None:  # noqa: F811
    start(band, "answer", verb="continue", bars=2)
    band.strike(0.0, 5.5)
    band.run(20)
    assert asked(band.requests) == [(2, 0, 2)]
    assert band.bars() == {2: {40}, 3: {40}}


def test_an_answer_ends_in_a_fill_where_it_is_asked_for(band: Band) -> None:  # noqa: F811
    start(band, "answer", verb="continue", bars=1, fill_in=1)
    band.strike(0.0)
    band.run(8)
    assert asked(band.requests) == [(1, 1, 1)]


def test_a_loop_goes_on_from_its_clip_and_that_comes_back_after_16_bars(loop: Band) -> None:
    loop.run(4 * 19.9)
    turn = [36, 40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 45, 45, 46, 46]
    assert in_bars(loop) == [*turn, 36, 47, 47], "the theme strikes in its first bar alone"
    assert loop.live.missed == 0


def test_each_time_it_goes_on_from_all_since_the_clip_and_ends_in_a_fill_before_that_comes_back(loop: Band) -> None:
    loop.run(4 * 18.5)
    turn = [(2, 0, 2), (2, 0, 4), (2, 0, 6), (2, 0, 8), (2, 0, 10), (2, 0, 12), (2, 1, 14)]
    assert asked(loop.requests) == [*turn, (2, 0, 2)]
    last = loop.requests[6]
    assert isinstance(last, Continue)
    assert [note.pitch for note in last.clip.notes if note.start_beats % 8 == 0] == [36, 40, 41, 42, 43, 44, 45]


def test_the_first_bars_are_those_of_the_clip_however_slow_the_engine_is(band: Band) -> None:  # noqa: F811
    band.engine_seconds = 1000.0
    band.slots.put("a", THEME)
    start(band, "loop", verb="continue", slot="a")
    band.run(3.9)
    assert band.struck == [(0.0, 36)]


@pytest.mark.parametrize(
    ("bars", "clip_bars", "turn"),
    [(1, 2, [1] * 15), (3, 2, [3] * 5), (4, 1, [4] * 3), (8, 8, [8]), (None, 12, [12]), (64, 1, [64])],
)
def test_it_turns_after_whole_passages_16_bars_at_the_least(
    band: Band,  # noqa: F811
    bars: int | None,
    clip_bars: int,
    turn: list[int],
) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0 * clip_bars))
    start(band, "loop", verb="continue", slot="a", bars=bars)
    passage = turn[0]
    band.run(4 * passage * (len(turn) + 1) + 3)
    assert [(each[0], each[1]) for each in asked(band.requests)][: len(turn)] == [
        (passage, int(place == len(turn) - 1)) for place in range(len(turn))
    ]
    assert band.bars()[passage * (len(turn) + 1)] == {36}


@pytest.mark.parametrize("fill_in", [0, 1])
def test_a_fill_that_is_turned_on_or_off_is_in_every_passage_or_in_none(loop: Band, fill_in: int) -> None:
    loop.live.steer({"fill_in": fill_in})
    loop.run(4 * 16)
    assert {fill for _, fill, _ in asked(loop.requests)} == {fill_in}


def test_a_knob_is_heard_in_the_passage_that_plays_and_in_the_next(loop: Band) -> None:
    loop.run(9)
    loop.live.steer({"temperature": 0.5})
    loop.run(4 * 8)
    assert [each.temperature for each in loop.requests] == [1.0, 0.5, 0.5, 0.5, 0.5]


def test_frozen_the_passage_repeats_and_then_it_goes_on_from_it(loop: Band) -> None:
    loop.run(9)
    loop.live.freeze(True)
    loop.run(4 * 6 - 1)
    loop.live.freeze(False)
    loop.run(4 * 8 - 0.1)
    assert in_bars(loop) == [36, 40, 40, 40, 40, 41, 41]
    assert asked(loop.requests)[:2] == [(2, 0, 2), (2, 0, 4)], "what was repeated counts once"


def test_the_clip_repeats_while_it_is_frozen(loop: Band) -> None:
    loop.run(3)
    loop.live.freeze(True)
    loop.run(4 * 18)
    assert set(in_bars(loop)) == {36}
    assert loop.requests == []


def test_after_an_undo_it_goes_on_from_the_passage_before(loop: Band) -> None:
    loop.run(17)
    loop.live.undo()
    loop.run(4 * 7 - 1)
    assert in_bars(loop) == [36, 40, 40, 41, 40, 40]
    loop.live.freeze(False)
    loop.run(4 * 9 - 0.1)
    assert in_bars(loop)[-2:] == [42, 42]
    assert asked(loop.requests) == [(2, 0, 2), (2, 0, 4), (2, 0, 4), (2, 0, 6)]


def test_undo_of_the_first_passage_brings_the_clip_back(loop: Band) -> None:
    loop.run(9)
    loop.live.undo()
    loop.run(4 * 6)
    assert in_bars(loop)[2:] == [36, 36]


def test_another_clip_in_the_slot_begins_with_the_next_passage(loop: Band) -> None:
    loop.run(9)
    loop.slots.put("a", Clip((Note(37, 0.0, 1.0, 100),), 8.0))
    loop.run(4 * 7.9)
    assert in_bars(loop) == [36, 40, 40, 37, 41, 41]


def test_a_slot_that_is_emptied_is_told_and_what_plays_goes_on(loop: Band) -> None:
    loop.run(9)
    loop.slots.clear("a")
    loop.run(4 * 6 - 0.1)
    assert loop.live.problem == "the slot 'a' is empty"
    assert in_bars(loop) == [36, 40, 40, 40, 40]


def test_of_a_clip_with_a_melody_the_drums_go_on(band: Band) -> None:  # noqa: F811
    parts = (Part("bass", 2, 33, 0, 1), Part("drums", 10, 0, 1, 1))
    band.slots.put("a", Clip((Note(60, 0.0, 1.0, 100), Note(36, 1.0, 1.0, 100)), 8.0, parts=parts))
    start(band, "loop", verb="continue", slot="a")
    band.run(8)
    (request,) = band.requests
    assert isinstance(request, Continue)
    assert [note.pitch for note in request.clip.notes] == [36]


def test_when_the_song_moves_the_phrase_goes_on(loop: Band) -> None:
    loop.run(9)
    loop.scheduler.drop()
    loop.song.clock.start(loop.now, 61.5)
    loop.live.song_moved(loop.now)
    loop.run(71)
    assert loop.bars()[16] == {41}


def test_a_passage_that_is_late_is_missed_and_what_plays_repeats_until_it_is_there(loop: Band) -> None:
    loop.run(5)
    loop.engine_seconds = 2.5
    loop.run(4 * 6 - 0.1)
    assert loop.live.missed > 0
    assert list(loop.bars())[-2:] == [4, 5]
    assert asked(loop.requests)[0] == (2, 0, 2)


def test_a_clip_whose_bars_no_passage_can_have_is_refused(band: Band) -> None:  # noqa: F811
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0 * 65))
    with pytest.raises(RequestError, match=r"bars must be in 1\.\.64, not 65"):
        start(band, "loop", verb="continue", slot="a")
    start(band, "loop", verb="continue", slot="a", bars=4)
