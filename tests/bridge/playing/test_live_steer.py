"""A knob that is turned is heard from the next bar line, without a gap."""

from collections import Counter

import pytest

from engine.clip import Clip, Note
from engine.requests import Humanize, Request, Vary
from tests.bridge.playing.test_live import Band, start

THEME = Clip((Note(36, 0.0, 1.0, 100),), 16.0)
LINE = 8.0


def beats_of(band: Band, first: float, last: float) -> Counter[float]:
    return Counter(round(beat) for beat, _ in band.struck if first - 0.13 <= beat < last - 0.13)


@pytest.fixture
def loop() -> Band:
    """A loop of four bars, whose variation 40 plays; each answer has a pitch of its own."""
    band = Band()
    band.slots.put("a", THEME)
    start(band, "loop", slot="a")
    band.run(3)
    return band


@pytest.mark.parametrize("seconds_before", [0.1, 0.13, 0.3, 1.0])
def test_a_knob_turned_100_ms_before_a_bar_line_is_heard_from_that_line_without_a_gap(
    loop: Band, seconds_before: float
) -> None:
    loop.run(LINE - seconds_before * 2)
    loop.live.steer({"temperature": 0.5})
    loop.run(15.5)
    assert loop.bars() == {0: {40}, 1: {40}, 2: {41}, 3: {41}}
    assert beats_of(loop, 0, 15.5) == Counter(range(16))
    assert loop.live.missed == 0


def test_what_is_made_anew_is_of_the_same_clip_and_seed_and_the_loop_stays_in_its_place(loop: Band) -> None:
    loop.run(5)
    loop.live.steer({"temperature": 0.5})
    loop.run(40)
    first, anew, following = loop.requests[:3]
    assert isinstance(first, Vary)
    assert isinstance(anew, Vary)
    assert isinstance(following, Vary)
    assert (anew.clip, anew.seed, anew.temperature) == (first.clip, 7, 0.5)
    assert (following.seed, following.temperature) == (None, 0.5)
    assert [loop.bars()[bar] for bar in (1, 2, 4)] == [{40}, {41}, {42}]


def test_while_one_is_made_the_last_of_many_turns_counts(loop: Band) -> None:
    loop.run(5)
    for value in range(20):
        loop.live.steer({"similarity": value / 20})
    loop.run(LINE)
    assert [each.similarity for each in loop.requests if isinstance(each, Vary)] == [0.5, 0.95]


def test_a_result_that_comes_after_the_line_waits_for_the_next_one_and_nothing_is_missed(loop: Band) -> None:
    loop.run(LINE - 0.2)
    loop.engine_seconds = 0.3
    loop.live.steer({"temperature": 0.5})
    loop.run(15.5)
    assert loop.bars() == {0: {40}, 1: {40}, 2: {40}, 3: {41}}
    assert beats_of(loop, 0, 15.5) == Counter(range(16))
    assert loop.live.missed == 0


def test_an_early_hit_that_was_struck_already_is_not_struck_again(loop: Band) -> None:
    def early(request: Request, number: int) -> tuple[Clip, ...]:
        late = 0.02 if number == 2 else 0.0
        notes = tuple(Note(40, beat - 0.12 + late, 0.1, 100) for beat in range(16))
        return (Clip(notes, 16.0),) * request.count

    loop.answer = early
    loop.live.steer({"temperature": 0.5})
    loop.run(LINE - 0.13)
    loop.engine_seconds = 0.0
    loop.live.steer({"temperature": 0.6})
    loop.run(15.5)
    assert beats_of(loop, 4, 15.5) == Counter(range(4, 16))


def test_while_frozen_it_stays_as_it_is(loop: Band) -> None:
    loop.live.freeze(True)
    loop.live.steer({"temperature": 0.5})
    loop.run(40)
    assert {pitch for _, pitch in loop.struck} == {40}


def test_an_answer_is_made_anew_too() -> None:
    band = Band()
    start(band, "answer", bars=2)
    band.strike(0.0, 5.5)
    band.run(11)
    band.live.steer({"timing": 0.5})
    band.run(20)
    assert band.bars() == {2: {40}, 3: {41}}


def test_what_cannot_be_asked_again_plays_on(loop: Band) -> None:
    loop.run(5)
    loop.live.undo()
    loop.live.steer({"temperature": 0.5})
    loop.run(15.5)
    assert beats_of(loop, 0, 15.5) == Counter(range(16))


@pytest.mark.parametrize("beats_before", [0.9, 0.7, 0.65, 0.61, 0.59, 0.5])
def test_a_knob_that_is_turned_while_the_next_variation_is_due_does_not_hold_it_up(
    loop: Band, beats_before: float
) -> None:
    loop.engine_seconds = 0.1
    loop.run(16 - beats_before)
    loop.live.steer({"temperature": 0.5})
    loop.run(31.5)
    bars = loop.bars()
    assert bars[4] != {40}, "the next variation has come"
    assert all(len(pitches) == 1 for pitches in bars.values())
    assert beats_of(loop, 0, 31.5) == Counter(range(32))


def test_a_knob_that_is_turned_as_the_song_moves_leaves_no_bar_silent(loop: Band) -> None:
    loop.engine_seconds = 0.1
    loop.run(5)
    loop.live.steer({"temperature": 0.5})
    loop.run(5.1)
    loop.live.song_moved(loop.now)
    loop.run(15.5)
    assert all(beats_of(loop, 8, 15.5)[beat] == 1 for beat in range(8, 16))


def test_what_is_asked_bar_by_bar_goes_on_from_one_variation_to_the_next() -> None:
    band = Band()
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    band.live.steer({"late": "0,2,1"})
    start(band, "loop", slot="a", verb="humanize")
    band.run(15.5)
    asked = [each.late for each in band.requests if isinstance(each, Humanize)]
    assert asked[:4] == [(0, 2, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1)]


def test_a_variation_that_is_made_anew_begins_with_its_own_bar() -> None:
    band = Band()
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 8.0))
    start(band, "loop", slot="a", verb="humanize")
    band.run(9)
    band.live.steer({"late": "0,1,2,3"})
    band.run(11)
    assert [each.late for each in band.requests if isinstance(each, Humanize)][-1] == (2, 3, 0, 1)
