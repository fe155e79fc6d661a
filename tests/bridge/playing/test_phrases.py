import pytest

from bridge.playing.phrases import Phrases
from bridge.playing.recorder import Recorder
from bridge.playing.transport import Transport


def played(*beats: float) -> Recorder:
    recorder = Recorder(Transport())
    for beat in beats:
        recorder.note_on(beat, 10, 36, 100)
        recorder.note_off(beat + 0.1, 10, 36)
    return recorder


def closed(
    recorder: Recorder, *, bars: int = 2, takes_pickup: bool = True, first: float = 0.0
) -> dict[float, list[float]]:
    """The starts of each clip by the line on which it closes, over eight bars."""
    phrases = Phrases(Transport(), recorder)
    phrases.bars, phrases.takes_pickup = bars, takes_pickup
    phrases.restart(first)
    lines = ((line, phrases.close(line)) for line in (first + 4.0 * bar for bar in range(1, 9)))
    return {line: [round(note.start_beats, 6) for note in clip.notes] for line, clip in lines if clip}


def test_two_bars_are_closed_on_the_next_line() -> None:
    assert closed(played(0.0, 5.0)) == {8.0: [0.0, 5.0]}


def test_the_first_window_begins_with_the_bar_in_which_somebody_begins() -> None:
    assert closed(played(5.0, 9.0)) == {12.0: [1.0, 5.0]}


def test_windows_follow_each_other_until_one_is_empty() -> None:
    assert closed(played(0.0, 8.0, 28.0)) == {8.0: [0.0], 16.0: [0.0]}


def test_after_an_empty_window_the_next_begins_with_its_first_note() -> None:
    assert closed(played(0.0, 20.0)) == {8.0: [0.0], 28.0: [0.0]}


def test_what_is_played_in_the_last_beat_alone_is_the_pickup_of_the_next_bar() -> None:
    assert closed(played(3.5, 4.0, 6.0)) == {12.0: [0.0, 2.0, 7.5]}


def test_a_pickup_that_nothing_follows_is_the_end_of_its_own_window() -> None:
    assert closed(played(3.5)) == {12.0: [7.5]}
    assert closed(played(3.5), bars=1) == {8.0: [3.5]}


def test_through_takes_every_bar_as_it_is() -> None:
    assert closed(played(3.5, 4.0), bars=1, takes_pickup=False) == {4.0: [3.5], 8.0: [0.0]}


def test_a_note_a_hair_early_opens_the_window_that_it_is_early_for() -> None:
    assert closed(played(3.95, 6.0)) == {12.0: [-0.05, 2.0]}


def test_a_note_before_the_beginning_is_not_heard() -> None:
    assert closed(played(0.0, 9.0), first=8.0) == {16.0: [1.0]}


@pytest.mark.parametrize("bars", [1, 3, 5])
def test_windows_have_any_number_of_bars(bars: int) -> None:
    assert closed(played(0.0), bars=bars) == {4.0 * bars: [0.0]}
