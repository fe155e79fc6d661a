import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.playing.live import Live
from bridge.playing.live_settings import MODES, LiveSettings
from bridge.playing.recorder import Recorder
from bridge.playing.scheduler import Scheduler
from bridge.playing.slots import Slots
from engine.clip import Clip, Note
from engine.requests import Continue, Drumify, Humanize, Interpolate, Request, Results, Sample, Vary
from tests.bridge.song import song

BEGINS_AT = 0.05
"""The song begins shortly after a performer has started it."""

ENGINE_SECONDS = 0.01

Answer = Callable[[Request, int], tuple[Clip, ...]]


def played(request: Request, number: int) -> tuple[Clip, ...]:
    """What stands for the model: each answer has a pitch of its own, 40 and up, on the beats of its clip."""
    bars = request.bars or 0 if isinstance(request, Sample | Continue) else 0
    clip = None if bars else getattr(request, "clip", None)
    clip = clip or (request.clips[0] if isinstance(request, Interpolate) else None)
    beats = clip.length_beats if clip else 4.0 * bars
    notes = tuple(Note(40 + number % 80, float(beat), 0.25, 100) for beat in range(int(beats)))
    return tuple(Clip(notes[: len(notes) - extra], beats) for extra in range(request.count))


class Band:
    """A live mode with all that it plays on, an engine that takes its time, and what is struck."""

    def __init__(self, tempo_bpm: float = 120.0, **about: Any) -> None:
        self.song, self.now = song(tempo_bpm, **{"at": BEGINS_AT, **about}), 0.0
        self.struck: list[tuple[float, int]] = []
        self.scheduler = Scheduler(self.song, self._send)
        self.recorder, self.slots = Recorder(self.song), Slots()
        self.live = Live(self.song, self.scheduler, self.recorder, self.slots)
        self.requests: list[Request] = []
        self.engine_seconds, self.answer = ENGINE_SECONDS, played
        self._working: tuple[float, Request] | None = None

    def _send(self, message: bytes) -> None:
        if message[0] & 0xF0 == 0x90:
            self.struck.append((round(self.song.beat_at(self.now), 2), message[1]))

    def strike(self, *beats: float, pitch: int = 36) -> None:
        for beat in beats:
            self.recorder.note_on(beat, 10, pitch, 100)
            self.recorder.note_off(beat + 0.1, 10, pitch)

    def run(self, until_beat: float) -> None:
        until = self.song.time_at(until_beat)
        while self.now < until:
            self._work()
            self.live.run_due(self.now)
            self._work()
            self.live.run_due(self.now)
            self.scheduler.run_due(self.now)
            done = self._working[0] if self._working else math.inf
            due = min(self.live.next_due(), self.scheduler.next_due(), done, until)
            self.now = max(self.now + 1e-4, due)

    def _work(self) -> None:
        if self._working and self.now >= self._working[0]:
            request, self._working = self._working[1], None
            clips = self.answer(request, len(self.requests) - 1)
            self.live.answered(request, Results(clips, "fake", 7, 1.0), self.now)
        if self._working is None and (request := self.live.take_request()) is not None:
            self.requests.append(request)
            self._working = (self.now + self.engine_seconds, request)

    def bars(self) -> dict[int, set[int]]:
        """The pitches struck in each bar; an early hit belongs to the bar that it is early for."""
        found: dict[int, set[int]] = {}
        for beat, pitch in self.struck:
            found.setdefault(math.floor((beat + 0.13) / 4), set()).add(pitch)
        return found


@pytest.fixture
def band() -> Band:
    return Band()


def start(band: Band, mode: str, **settings: Any) -> None:
    own = {name: settings.pop(name) for name in list(settings) if name in LiveSettings.__dataclass_fields__}
    band.live.start(LiveSettings(mode=mode, **own, request=settings), band.now)


def test_two_bars_are_answered_in_the_next_two(band: Band) -> None:
    start(band, "answer", bars=2)
    band.strike(0.0, 5.5)
    band.run(20)
    assert band.bars() == {2: {40}, 3: {40}}
    assert band.struck[0] == (8.0, 40)
    assert isinstance(band.requests[0], Humanize)
    assert [note.start_beats for note in band.requests[0].clip.notes] == [0.0, 5.5]
    assert band.live.missed == 0


def test_the_last_clip_that_was_played_is_in_the_slot_live_whatever_the_mode(band: Band) -> None:
    band.strike(0.0, 5.5)
    band.run(9)
    assert [note.start_beats for note in band.slots["live"].notes] == [0.0, 5.5]
    assert band.requests == []


def test_who_plays_on_is_answered_on_and_on(band: Band) -> None:
    start(band, "answer", bars=1)
    band.strike(0.0, 4.0, 8.0)
    band.run(24)
    assert band.bars() == {1: {40}, 2: {41}, 3: {42}}


def test_an_answer_that_is_early_for_its_line_sounds_before_it(band: Band) -> None:
    band.answer = lambda request, number: (Clip((Note(50, -0.08, 0.25, 100), Note(51, 1.0, 0.25, 100)), 4.0),)
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(8)
    assert band.struck == [(3.92, 50), (5.0, 51)]


def test_an_early_hit_whose_moment_has_gone_by_when_the_answer_comes_sounds_at_once(band: Band) -> None:
    band.answer = lambda request, number: (Clip((Note(50, -0.12, 0.25, 100),), 4.0),)
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(8)
    [(beat, pitch)] = band.struck
    assert (pitch, band.scheduler.punctuality.skipped) == (50, 0)
    assert 3.875 < beat < 3.92


def test_an_answer_that_misses_its_line_is_counted_and_the_last_one_repeats(band: Band) -> None:
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(5)
    band.engine_seconds = 0.5
    band.strike(5.0)
    band.run(16)
    assert band.live.missed == 1
    assert band.bars() == {1: {40}, 2: {40}}, "the repeat, and not the answer that came late"


def test_the_first_answer_that_misses_its_line_leaves_silence(band: Band) -> None:
    band.engine_seconds = 0.5
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(12)
    assert (band.live.missed, band.struck) == (1, [])


def test_taps_become_drums_that_go_on_until_there_are_new_taps(band: Band) -> None:
    start(band, "drumify", bars=1)
    band.strike(0.0)
    band.run(11.5)
    band.strike(13.0)
    band.run(23.5)
    assert isinstance(band.requests[0], Drumify)
    assert band.bars() == {1: {40}, 2: {40}, 3: {40}, 4: {41}, 5: {41}}


def test_through_plays_each_bar_one_bar_later(band: Band) -> None:
    start(band, "through")
    band.strike(3.5, 4.0, 12.0)
    band.run(20)
    assert band.bars() == {1: {40}, 2: {41}, 4: {42}}


def test_a_loop_plays_a_new_variation_each_time_round(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 8.0))
    start(band, "loop", slot="a")
    band.run(23.8)
    assert [type(request) for request in band.requests[:3]] == [Vary, Vary, Vary]
    assert list(band.bars().values()) == [{40}, {40}, {41}, {41}, {42}, {42}]
    assert band.live.missed == 0


def test_a_loop_asks_for_the_next_variation_before_its_line_and_not_long_before(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 8.0))
    start(band, "loop", slot="a")
    band.run(6)
    assert len(band.requests) == 1
    band.run(7.9)
    assert len(band.requests) == 2


def test_a_clip_longer_than_the_loop_plays_its_first_bars(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 16.0))
    start(band, "loop", slot="a", bars=1)
    band.run(15.5)
    assert {round(beat) % 4 for beat, _ in band.struck} == {0, 1, 2, 3}
    assert [len(pitches) for pitches in band.bars().values()] == [1, 1, 1, 1][: len(band.bars())]


def test_a_clip_shorter_than_the_loop_goes_round_within_it(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a", bars=2)
    band.run(16)
    pitches = list(band.bars().values())
    assert pitches[-1] == pitches[-2]


def test_a_late_variation_is_played_from_the_next_line_it_is_ready_for(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5)
    band.engine_seconds = 2.5
    band.run(24)
    assert band.live.missed > 0
    assert list(band.bars()) == [*range(6)], "no bar stays empty"
    assert len({*map(tuple, band.bars().values())}) > 1


def test_morph_is_generated_anew_each_bar_and_goes_on_in_its_place(band: Band) -> None:
    for name in "ab":
        band.slots.put(name, Clip((Note(36, 0.0, 1.0, 100),), 8.0))
    start(band, "morph", position=0.25)
    band.run(10)
    band.live.steer({"position": 0.75})
    band.run(16)
    assert isinstance(band.requests[0], Interpolate)
    assert [request.position for request in band.requests if isinstance(request, Interpolate)][-1] == 0.75
    assert {request.seed for request in band.requests[1:]} == {7}, "nothing changes but the position"
    assert all(len(pitches) == 1 for pitches in band.bars().values())


def test_frozen_the_variation_that_plays_repeats_and_nothing_is_asked(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5)
    band.live.freeze(True)
    asked = len(band.requests)
    band.run(16)
    assert len(band.requests) == asked
    kept = list(band.bars().values())
    assert kept[1:] == [kept[1]] * len(kept[1:])
    band.live.freeze(False)
    band.run(24)
    assert len(band.requests) > asked


def test_freezing_an_answer_loops_it(band: Band) -> None:
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(5)
    band.live.freeze(True)
    band.run(15.5)
    assert band.bars() == {1: {40}, 2: {40}, 3: {40}}


def test_undo_goes_back_to_the_variation_before_and_keeps_it(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(11)
    before, now = list(band.bars().values())[-2:]
    assert before != now
    band.live.undo()
    band.run(23)
    assert list(band.bars().values())[-2:] == [before, before]
    assert band.live.variations.frozen


def variations(band: Band) -> list[int]:
    return [min(pitches) for pitches in band.bars().values()]


def test_undo_twice_goes_back_twice_and_a_freeze_after_it_changes_nothing(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(15)
    assert variations(band) == [40, 41, 42, 43]
    band.live.undo()
    band.live.undo()
    band.live.freeze(True)
    band.run(23)
    assert variations(band) == [40, 41, 42, 43, 41, 41]


def test_freezing_before_there_is_anything_to_keep_keeps_nothing(band: Band) -> None:
    start(band, "answer", bars=1)
    band.live.freeze(True)
    assert not band.live.variations.frozen
    band.strike(1.0)
    band.run(8)
    assert band.struck


@pytest.mark.parametrize("beats_per_bar", [3.0, 3.5, 5.0])
def test_a_loop_of_another_meter_than_the_song_strikes_nothing_twice(beats_per_bar: float) -> None:
    band = Band(beats_per_bar=beats_per_bar)
    start(band, "loop", verb="sample", bars=2)
    band.run(60)
    assert max(Counter(beat for beat, _ in band.struck).values()) == 1


def test_of_several_variations_the_density_chooses(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 8.0))
    start(band, "loop", slot="a", density=-3.0)
    band.run(15)
    few = Counter(math.floor(beat / 8) for beat, _ in band.struck)
    assert band.requests[0].count == 5
    assert few[max(few)] <= 5


def test_the_count_in_clicks_until_it_begins(band: Band) -> None:
    start(band, "answer", bars=1, count_in=1)
    band.run(3.9)
    assert band.struck == [(0.0, 76), (1.0, 77), (2.0, 77), (3.0, 77)]


def test_what_is_played_during_the_count_in_is_not_answered(band: Band) -> None:
    start(band, "answer", bars=1, count_in=1)
    band.strike(1.0)
    band.run(8)
    assert band.requests == []


def test_when_the_engine_dies_it_is_silent_until_the_next_line_and_goes_on_with_the_last_clip(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5.1)
    band.engine_seconds = 1000.0
    band.live.engine_died(band.now)
    assert band.scheduler.sounding == 0
    struck = len(band.struck)
    band.run(7.8)
    assert len(band.struck) == struck
    band.run(15.5)
    assert len(band.struck) == struck + 8


def test_when_the_song_moves_it_begins_anew_on_the_next_line(band: Band) -> None:
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(4.5)
    band.scheduler.drop()
    band.recorder.forget()
    band.song.clock.start(band.now, 61.5)
    band.live.song_moved(band.now)
    band.strike(64.0)
    band.run(75)
    assert band.struck[-1][0] >= 68.0
    assert band.bars()[17] == {41}


def test_stopping_ends_what_sounds(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5.1)
    band.live.stop()
    assert band.scheduler.sounding == band.scheduler.planned == 0
    struck = len(band.struck)
    band.run(20)
    assert len(band.struck) == struck


def test_what_the_engine_refuses_is_told_and_the_last_clip_goes_on(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5)
    refuse = band.live.refused
    band.answer = lambda request, number: (refuse(request, "no such style"), played(request, number))[1]
    band.run(16)
    assert band.live.problem == "no such style"
    assert len(band.bars()) >= 3


@pytest.mark.parametrize("beats_per_bar", [3.0, 3.5, 5.0, 0.5])
def test_other_meters_are_answered_on_their_bar_lines(beats_per_bar: float) -> None:
    band = Band(beats_per_bar=beats_per_bar)
    start(band, "answer", bars=2)
    band.strike(0.0)
    band.run(beats_per_bar * 5)
    assert band.struck[0][0] == pytest.approx(2 * beats_per_bar, abs=0.02)


@pytest.mark.parametrize("tempo_bpm", [3.0, 600.0])
def test_any_tempo_is_answered_in_time(tempo_bpm: float) -> None:
    band = Band(tempo_bpm, at=0.0)
    band.engine_seconds = 0.004
    start(band, "answer", bars=2)
    band.strike(0.0)
    band.run(16)
    assert band.struck[0][0] == 8.0


@pytest.mark.parametrize("latency_seconds", [0.03, 0.08, 0.5])
def test_a_latency_is_made_up_for(latency_seconds: float) -> None:
    band = Band(latency_seconds=latency_seconds)
    start(band, "answer", bars=1)
    band.strike(0.0)
    band.run(8)
    assert band.live.missed == 0
    assert band.struck[0][0] == pytest.approx(4.0 - 2 * latency_seconds, abs=0.02)


def test_what_was_gone_back_to_is_still_there_when_the_song_moves(band: Band) -> None:
    start(band, "answer", bars=1)
    band.strike(0.0, 4.0, 8.0)
    band.run(13)
    band.live.undo()
    band.song.clock.start(band.now, 16.0)
    band.live.song_moved(band.now)
    band.run(23.5)
    assert band.live.variations.frozen
    assert band.bars()[4] == {41}, "and not silence for ever"


def test_an_undo_that_never_began_freezes_no_later_mode(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(9)
    band.live.undo()
    band.live.stop()
    assert not band.live.variations.frozen
    start(band, "answer", bars=1)
    band.live.undo()
    assert not band.live.variations.frozen


def test_after_a_long_sleep_the_bars_between_are_left_out(band: Band) -> None:
    band.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    start(band, "loop", slot="a")
    band.run(5)
    band.now += 86_400
    band.live.run_due(band.now)
    assert band.live.missed <= 2
    assert band.live.next_due() > band.now
    struck = len(band.struck)
    band.run(band.song.beat_at(band.now) + 8)
    assert len(band.struck) >= struck + 7


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mode": "dance"}, "mode must be off, answer"),
        ({"mode": "answer", "verb": "sample"}, "verb of answer must be humanize or vary or continue"),
        ({"mode": "loop", "bars": 65}, "bars must be in 1..64, not 65"),
        ({"mode": "answer", "bars": 17}, "bars of answer must be in 1..16, not 17"),
        ({"mode": "loop", "count_in": 9}, "count_in must be in 0..8"),
        ({"mode": "loop", "request": {"density": 4.0}}, "density must be in -3..3"),
        ({"mode": "loop", "request": {"temperature": 3.0}}, "temperature must be in 0..2"),
        ({"mode": "loop", "request": {"timing": 1.0}}, "loop with vary has no timing"),
        ({"mode": "loop", "request": {"fill_in": 1}}, "loop with vary has no fill_in"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        LiveSettings(**given)


def test_an_empty_slot_is_refused_at_once(band: Band) -> None:
    with pytest.raises(RequestError, match="empty"):
        start(band, "morph")


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["run", "strike", "start", "stop", "freeze", "let go", "undo", "die", "move", "tempo"]),
        st.floats(0.01, 6.0),
        st.sampled_from(sorted(MODES)),
        st.sampled_from([0.001, 0.02, 0.3, 3.0]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_whatever_happens_no_note_is_left_sounding(actions: list[tuple[str, float, str, float]]) -> None:
    band = Band()
    for name in "ab":
        band.slots.put(name, Clip((Note(36, 0.0, 1.0, 100), Note(38, 2.9, 4.0, 90)), 4.0))
    for name, value, mode, seconds in actions:
        beat, band.engine_seconds = band.song.beat_at(band.now), seconds
        if name == "run":
            band.run(beat + value)
        elif name == "strike":
            band.strike(beat)
        elif name == "start":
            start(band, mode, **({"slot": "a"} if mode == "loop" else {}))
        elif name == "stop":
            band.live.stop(beat + value if value > 3 else None)
        elif name in ("freeze", "let go"):
            band.live.freeze(name == "freeze")
        elif name == "undo":
            band.live.undo()
        elif name == "die":
            band.live.engine_died(band.now)
        elif name == "move":
            band.scheduler.drop()
            band.scheduler.silence()
            band.recorder.forget()
            band.song.clock.start(band.now, value)
            band.live.song_moved(band.now)
        else:
            band.song.set_tempo(40 + 50 * value, band.now)
    band.live.stop()
    band.run(band.song.beat_at(band.now) + 16)
    assert band.scheduler.sounding == band.scheduler.planned == 0
