import pytest

from bridge.playing.live_history import Variations
from bridge.playing.live_settings import LiveSettings
from engine.clip import Clip
from tests.bridge.song import song

A, B, C = (Clip((), beats) for beats in (4.0, 4.0 - 1e-3, 3.0))
ANSWER, LOOP, MORPH = LiveSettings(mode="answer"), LiveSettings(mode="loop"), LiveSettings(mode="morph")


@pytest.fixture
def variations() -> Variations:
    return Variations(song())


def begin(
    variations: Variations,
    line: float,
    new: Clip | None = None,
    settings: LiveSettings = LOOP,
    *,
    missed: bool = False,
) -> Clip | None:
    """What plays in the bar of a line, before which something new has come."""
    variations.new = new or variations.new
    playing = variations.begin_bar(line, settings, missed=missed)
    return playing.clip if playing else None


def test_a_new_one_begins_and_without_another_a_loop_goes_on(variations: Variations) -> None:
    assert [begin(variations, 0.0), begin(variations, 4.0, A), begin(variations, 8.0)] == [None, A, A]


def test_an_answer_plays_once_and_again_only_in_place_of_one_that_was_missed(variations: Variations) -> None:
    assert begin(variations, 0.0, A, ANSWER) is A
    assert begin(variations, 4.0, None, ANSWER) is None
    assert begin(variations, 8.0, None, ANSWER, missed=True) is A


def test_a_longer_one_goes_on_in_its_next_bar(variations: Variations) -> None:
    long = Clip((), 8.0)
    begin(variations, 0.0, long, ANSWER)
    assert [begin(variations, 4.0, None, ANSWER), begin(variations, 8.0, None, ANSWER)] == [long, None]


def test_what_evolves_goes_on_in_the_place_of_the_one_before(variations: Variations) -> None:
    begin(variations, 0.0, Clip((), 8.0), MORPH)
    begin(variations, 4.0, Clip((), 8.0), MORPH)
    assert variations.playing is not None
    assert variations.playing.origin_beat == 0.0


def test_going_back_plays_those_before_from_the_next_line_on_and_keeps_the_last(variations: Variations) -> None:
    for bar, clip in enumerate((A, B, C)):
        begin(variations, 4.0 * bar, clip)
    variations.undo()
    assert begin(variations, 12.0) is B
    variations.undo()
    assert [begin(variations, 16.0), begin(variations, 20.0)] == [A, A]
    assert variations.frozen


def test_freezing_leaves_out_what_has_not_begun(variations: Variations) -> None:
    begin(variations, 0.0, A, ANSWER)
    variations.new = B
    variations.freeze(True)
    assert [begin(variations, bar * 4.0, None, ANSWER) for bar in (1, 2)] == [A, A]


def test_what_was_gone_back_to_is_the_last_that_has_played_where_it_cannot_begin(variations: Variations) -> None:
    begin(variations, 0.0, A)
    begin(variations, 4.0, B)
    variations.undo()
    variations.forget_new()
    variations.playing = None
    assert begin(variations, 64.0) is A
