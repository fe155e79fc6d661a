import pytest

from bridge.errors import RequestError
from bridge.playing.playback import Playback, plan_clip
from bridge.playing.scheduler import Scheduler
from bridge.playing.slots import Slots
from engine.clip import Clip, Note, Part
from tests.bridge.song import song


class Stage:
    """A playback, a beat a second, and what it sends, as (beat, channel, pitch) of each note on."""

    def __init__(self) -> None:
        self.now, self.struck, self.told = 0.0, list[tuple[float, int, int]](), list[str]()
        self.transport, self.slots = song(60.0), Slots()
        self.scheduler = Scheduler(self.transport, self._send)
        self.playback = Playback(self.transport, self.scheduler, self.slots, self.told.append)

    def _send(self, message: bytes) -> None:
        if message[0] & 0xF0 == 0x90:
            self.struck.append((round(self.now, 3), (message[0] & 0x0F) + 1, message[1]))

    def run(self, until: float) -> None:
        while self.now < until:
            self.playback.run_due(self.now)
            self.scheduler.run_due(self.now)
            due = min(self.playback.next_due(), self.scheduler.next_due())
            self.now = max(self.now + 1e-3, min(due, until))


def beat_clip(*starts: float, beats: float = 4.0, pitch: int = 36) -> Clip:
    return Clip(tuple(Note(pitch, start, 0.25, 100) for start in starts), beats)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.slots.put("a", beat_clip(0.0, 2.0))
    stage.slots.put("b", beat_clip(0.0, 1.0, pitch=38))
    return stage


def test_a_clip_plays_once_from_its_line(stage: Stage) -> None:
    stage.playback.play("a", 4.0, loop=False, channel=10)
    stage.run(20)
    assert [beat for beat, _, _ in stage.struck] == pytest.approx([4.0, 6.0], abs=2e-3)
    assert stage.told == ["a", ""]
    assert not stage.playback.playing


def test_a_loop_plays_on_and_takes_up_what_its_slot_holds_by_then(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(2.5)
    stage.slots.put("a", beat_clip(1.0))
    stage.run(8)
    assert [beat for beat, _, _ in stage.struck] == pytest.approx([0.0, 2.0, 5.0], abs=2e-3)


def test_a_slot_that_is_cleared_plays_to_its_end(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(1)
    stage.slots.clear("a")
    stage.run(12)
    assert len(stage.struck) == 2
    assert not stage.playback.playing


def test_an_early_first_hit_sounds_before_the_line_of_the_repeat(stage: Stage) -> None:
    stage.slots.put("e", beat_clip(-0.1, 1.0))
    stage.playback.play("e", 0.0, loop=True, channel=10)
    stage.run(5)
    assert [beat for beat, _, _ in stage.struck] == pytest.approx([0.0, 1.0, 3.9], abs=2e-3)


def test_another_clip_on_the_channel_takes_over_on_its_line(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(3.5)
    stage.playback.play("b", 4.0, loop=True, channel=10)
    stage.run(8)
    pitches = [(round(beat), pitch) for beat, _, pitch in stage.struck]
    assert pitches == [(0, 36), (2, 36), (4, 38), (5, 38)]


def test_another_clip_on_another_channel_plays_beside_it(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=False, channel=10)
    stage.playback.play("b", 0.0, loop=False, channel=2)
    stage.run(4)
    assert sorted(stage.struck)[:2] == [(0.0, 2, 38), (0.0, 10, 36)]


def test_the_parts_of_a_clip_play_on_their_channels(stage: Stage) -> None:
    clip = beat_clip(0.0, 1.0)
    stage.slots.put("p", Clip(clip.notes, 4.0, parts=(Part("bass", 2, 0, 0, 1), Part("drums", 10, 0, 1, 1))))
    stage.playback.play("p", 0.0, loop=False, channel=5)
    stage.run(4)
    assert [channel for _, channel, _ in stage.struck] == [2, 10]


def test_stopping_on_a_line_plays_until_there(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(3.5)
    stage.playback.stop(4.0)
    stage.run(8)
    assert len(stage.struck) == 2
    assert not stage.playback.playing


def test_stopping_at_once_ends_what_sounds(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(0.1)
    assert stage.scheduler.sounding == 1
    stage.playback.stop_now()
    assert stage.scheduler.sounding == stage.scheduler.planned == 0
    assert stage.told[-1] == ""


def test_when_the_song_moves_a_loop_goes_on_in_its_phase(stage: Stage) -> None:
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.run(3.5)
    stage.scheduler.drop()
    stage.now = 17.0
    stage.playback.song_moved(17.0)
    stage.run(21)
    assert [beat for beat, _, _ in stage.struck[2:]] == pytest.approx([18.0, 20.0], abs=2e-3)


def test_what_was_to_begin_begins_on_the_next_line_of_the_moved_song(stage: Stage) -> None:
    stage.playback.play("a", 100.0, loop=False, channel=10)
    stage.playback.song_moved(0.0)
    stage.run(4)
    assert [beat for beat, _, _ in stage.struck] == pytest.approx([0.0, 2.0], abs=2e-3)


def test_an_empty_slot_is_refused(stage: Stage) -> None:
    with pytest.raises(RequestError, match="empty"):
        stage.playback.play("z", 0.0, loop=False, channel=10)


def test_a_clip_shorter_than_a_step_does_not_loop_without_end(stage: Stage) -> None:
    stage.slots.put("s", beat_clip(0.0, beats=1e-6))
    stage.playback.play("s", 0.0, loop=True, channel=10)
    stage.run(1)
    assert len(stage.struck) <= 4


def test_a_muted_note_is_not_played(stage: Stage) -> None:
    stage.slots.put("m", Clip((Note(36, 0.0, 1.0, 100, mute=True),), 4.0))
    stage.playback.play("m", 0.0, loop=False, channel=10)
    stage.run(4)
    assert stage.struck == []


def test_a_bar_of_a_clip_holds_what_is_early_for_it_and_not_what_is_early_for_the_next(stage: Stage) -> None:
    clip = beat_clip(-0.1, 3.9, 4.0, 7.95, beats=8.0)
    plan_clip(stage.scheduler, "v", clip, 4.0, channel=10, first=4.0, last=8.0)
    stage.now = 3.0
    stage.run(9)
    assert [beat for beat, _, _ in stage.struck] == pytest.approx([3.9, 4.0], abs=2e-3)


def test_what_stands_beyond_the_end_of_a_loop_is_not_played_and_does_not_pile_up(stage: Stage) -> None:
    stage.slots.put("far", beat_clip(0.0, 4.0, 1000.0))
    stage.playback.play("far", 0.0, loop=True, channel=10)
    stage.run(40)
    assert [beat for beat, _, _ in stage.struck] == [*range(0, 40, 4)]
    assert stage.scheduler.planned <= 1


def test_what_stands_beyond_the_end_of_a_clip_is_played_once_and_can_be_stopped(stage: Stage) -> None:
    stage.slots.put("far", beat_clip(0.0, 10.0, 20.0))
    stage.playback.play("far", 0.0, loop=False, channel=10)
    stage.run(12)
    stage.playback.stop(16.0)
    stage.run(30)
    assert [beat for beat, _, _ in stage.struck] == [0, 10]
    assert not stage.playback.playing


def test_after_a_long_sleep_a_loop_is_planned_from_where_the_song_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []
    monkeypatch.setattr("bridge.playing.playback.plan_clip", lambda *_, **__: planned.append(stage.now))
    stage.playback.play("a", 0.0, loop=True, channel=10)
    stage.playback.run_due(0.0)
    stage.playback.run_due(86_401.0)
    assert len(planned) == 2
    assert stage.playback.next_due() == 86_403.5


def test_clips_full_of_notes_are_planned_a_few_at_a_time(stage: Stage) -> None:
    full = Clip(tuple(Note(i % 128, 0.0, 0.25, 100) for i in range(4096)), 0.25)
    for channel in range(1, 17):
        stage.slots.put(f"{channel}", full)
        stage.playback.play(f"{channel}", 0.0, loop=True, channel=channel)
    for times in range(1, 17):
        stage.playback.run_due(0.0)
        assert stage.scheduler.planned <= times * 4096
    assert len(stage.told) == 16, "each has had its turn"


def test_whoever_plays_again_and_again_while_the_song_stands_piles_nothing_up(stage: Stage) -> None:
    for number in range(100):
        stage.playback.play("ab"[number % 2], 0.0, loop=True, channel=1 + number % 2)
    assert stage.playback.playing == 2
    stage.run(4)
    assert stage.told == ["a", "b"]
