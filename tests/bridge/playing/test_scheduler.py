import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.playing.scheduler import MAX_PLANNED, MOST_AT_ONCE, TOO_LATE_SECONDS, PlannedNote, Scheduler
from bridge.playing.transport import Transport
from tests.bridge.song import song


def note(pitch: int = 36, start: float = 0.0, end: float | None = None, *, voice: str = "a") -> PlannedNote:
    return PlannedNote(voice, 10, pitch, 100, start, start + 1 if end is None else end)


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def transport() -> Transport:
    """Two beats a second, beat 0 at 0."""
    return song()


@pytest.fixture
def scheduler(transport: Transport, sent: list[bytes]) -> Scheduler:
    return Scheduler(transport, sent.append)


def on(pitch: int = 36, channel: int = 10) -> bytes:
    return bytes((0x90 | channel - 1, pitch, 100))


def off(pitch: int = 36, channel: int = 10) -> bytes:
    return bytes((0x80 | channel - 1, pitch, 64))


def hanging(sent: list[bytes]) -> Counter[tuple[int, int]]:
    """The notes on without an off; asserts that none was struck while it sounded, nor ended twice."""
    sounding: Counter[tuple[int, int]] = Counter()
    for status, pitch, *_ in sent:
        key = (status & 0x0F, pitch)
        if status & 0xF0 == 0x90:
            sounding[key] += 1
            assert sounding[key] == 1, "a note overlaps itself"
        elif status & 0xF0 == 0x80:
            sounding[key] -= 1
            assert sounding[key] == 0, "an off without its on"
    return +sounding


def test_a_note_sounds_at_its_beat_and_ends_at_its_end(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note(start=2.0, end=3.0))
    assert scheduler.next_due() == 1.0
    scheduler.run_due(0.999)
    assert sent == []
    scheduler.run_due(1.0)
    assert sent == [on()]
    assert scheduler.next_due() == 1.5
    scheduler.run_due(1.5)
    assert sent == [on(), off()]


def test_with_a_latency_everything_is_sent_that_much_earlier(sent: list[bytes]) -> None:
    scheduler = Scheduler(song(latency_seconds=0.02), sent.append)
    scheduler.plan(note(start=2.0))
    assert scheduler.next_due() == pytest.approx(0.98)
    scheduler.run_due(0.9801)
    assert sent == [on()]
    assert 0 <= scheduler.punctuality.late_ms[0] < 0.2


def test_a_note_struck_again_is_ended_first_and_the_old_end_does_not_cut_the_new(
    scheduler: Scheduler, sent: list[bytes]
) -> None:
    scheduler.plan(note(start=0.0, end=1.0))
    scheduler.plan(note(start=0.5, end=2.0))
    for now in (0.0, 0.25, 0.5):
        scheduler.run_due(now)
    assert sent == [on(), off(), on()]
    scheduler.run_due(1.0)
    assert sent[3:] == [off()]


def test_where_one_note_ends_and_the_next_begins_the_end_goes_first(
    scheduler: Scheduler, sent: list[bytes]
) -> None:
    scheduler.plan(note(start=0.02, end=0.04))
    scheduler.plan(note(start=0.0, end=0.02))
    scheduler.run_due(0.01)
    assert sent == [on(), off(), on()]


def test_a_note_without_length_still_ends(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note(start=1.0, end=1.0))
    scheduler.run_due(0.5)
    assert sent == [on(), off()]


def test_a_note_too_late_is_left_out_and_counted(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note())
    scheduler.run_due(TOO_LATE_SECONDS + 0.001)
    assert sent == []
    assert scheduler.punctuality.skipped == 1


def test_dropping_a_voice_leaves_the_others_and_what_sounds(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note(36, 0.0, 1.0))
    scheduler.run_due(0.0)
    scheduler.plan(note(38, 0.5, 1.0))
    scheduler.plan(note(42, 0.5, 1.0, voice="b"))
    scheduler.drop("a")
    scheduler.run_due(0.25)
    assert sent == [on(36), on(42)]
    assert scheduler.sounding == 2


def test_dropping_a_stretch_leaves_what_is_outside(scheduler: Scheduler) -> None:
    for beat in (1.0, 2.0, 3.0):
        scheduler.plan(note(start=beat))
    scheduler.drop(first=2.0, last=3.0)
    assert scheduler.planned == 2


def test_silence_ends_what_sounds_and_lets_come_what_is_planned(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note(36, 0.0, 1.0))
    scheduler.plan(note(38, 0.5, 1.0))
    scheduler.run_due(0.0)
    scheduler.silence()
    assert sent == [on(36), off(36)]
    scheduler.run_due(0.25)
    assert sent[2:] == [on(38)]


def test_ending_all_at_a_beat_shortens_what_would_sound_longer(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note(end=8.0))
    scheduler.run_due(0.0)
    scheduler.end_at(4.0)
    scheduler.run_due(2.0)
    assert sent == [on(), off()]


def test_the_percentiles_of_lateness_are_never_beyond_the_latest(scheduler: Scheduler) -> None:
    for late_ms in (0.1, 0.2, 0.3):
        scheduler.punctuality.add(late_ms)
    assert 0.2 < scheduler.punctuality.percentile_ms(99) <= scheduler.punctuality.most_ms


def test_panic_tells_every_channel(scheduler: Scheduler, sent: list[bytes]) -> None:
    scheduler.plan(note())
    scheduler.plan(note(start=1.0))
    scheduler.run_due(0.0)
    scheduler.panic()
    assert sent[:2] == [on(), off()]
    assert {message[0] for message in sent[2:]} == set(range(0xB0, 0xC0))
    assert scheduler.planned == scheduler.sounding == 0


def test_when_the_tempo_changes_what_is_planned_follows(
    transport: Transport, scheduler: Scheduler, sent: list[bytes]
) -> None:
    scheduler.plan(note(start=4.0))
    transport.set_tempo(240.0, 1.0)
    assert scheduler.next_due() == 1.5
    scheduler.run_due(1.5)
    assert sent == [on()]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.integers(0, 3), st.floats(0, 8), st.floats(0, 4), st.integers(1, 2)),
        st.tuples(st.just("run"), st.floats(0, 1)),
        st.tuples(st.just("drop"), st.sampled_from(["a", None])),
        st.tuples(st.just("silence"), st.sampled_from(["a", None])),
        st.tuples(st.just("end_at"), st.floats(0, 8)),
        st.tuples(st.just("tempo"), st.floats(3, 600)),
        st.tuples(st.just("jump"), st.floats(0, 8)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_no_note_hangs_overlaps_or_ends_twice(steps: list[tuple[object, ...]]) -> None:
    sent: list[bytes] = []
    transport, now = song(), 0.0
    scheduler = Scheduler(transport, sent.append)
    for name, *rest in steps:
        value = rest[0] if rest else None
        if name == "plan":
            pitch, start, length, channel = rest
            scheduler.plan(PlannedNote("ab"[channel - 1], channel, pitch, 100, start, start + length))  # type: ignore[arg-type, operator, index]
        elif name == "run":
            now += value  # type: ignore[operator]
            scheduler.run_due(now)
        elif name == "drop":
            scheduler.drop(value)  # type: ignore[arg-type]
        elif name == "silence":
            scheduler.silence(value)  # type: ignore[arg-type]
        elif name == "end_at":
            scheduler.end_at(value)  # type: ignore[arg-type]
        elif name == "tempo":
            transport.set_tempo(value, now)  # type: ignore[arg-type]
        elif name == "jump":
            transport.clock.start(now, value)  # type: ignore[arg-type]
        assert sum(hanging(sent).values()) == scheduler.sounding
    for _ in range(100):
        now = max(now, min(scheduler.next_due(), now + 1000))
        scheduler.run_due(now)
    assert not hanging(sent)


@given(st.lists(st.tuples(st.integers(0, 127), st.floats(0, 16), st.floats(0.01, 4)), max_size=50))
def test_every_planned_note_is_struck_once(notes: list[tuple[int, float, float]]) -> None:
    sent: list[bytes] = []
    scheduler = Scheduler(song(), sent.append)
    for pitch, start, length in notes:
        scheduler.plan(note(pitch, start, start + length))
    while (due := scheduler.next_due()) < float("inf"):
        scheduler.run_due(due)
    struck = [pitch for status, pitch, _ in sent if status & 0xF0 == 0x90]
    assert Counter(struck) == Counter(pitch for pitch, _, _ in notes)
    assert not hanging(sent)


def test_at_most_so_many_messages_go_at_once_and_the_others_in_the_next_runs(
    scheduler: Scheduler, sent: list[bytes]
) -> None:
    for number in range(2000):
        scheduler.plan(PlannedNote("a", 1 + number // 128, number % 128, 100, 0.0, 8.0))
    scheduler.run_due(0.0)
    assert len(sent) == MOST_AT_ONCE
    assert scheduler.next_due() <= 0.0
    for _ in range(4):
        scheduler.run_due(0.0)
    assert scheduler.sounding == 2000


def test_whoever_asks_again_and_again_to_end_at_a_beat_piles_nothing_up(scheduler: Scheduler) -> None:
    for pitch in range(100):
        scheduler.plan(note(pitch, end=64.0))
    scheduler.run_due(0.0)
    for _ in range(100):
        scheduler.end_at(8.0)
    scheduler.run_due(4.0)
    assert scheduler.sounding == 0
    assert scheduler.next_due() == math.inf, "no end is left over"


def test_the_far_ends_of_notes_that_are_struck_again_and_again_do_not_pile_up(
    transport: Transport, scheduler: Scheduler, sent: list[bytes]
) -> None:
    for beat in range(5000):
        scheduler.plan(note(start=float(beat), end=1e9))
        scheduler.run_due(transport.time_at(beat))
    for _ in range(2):
        scheduler.run_due(transport.time_at(1e9))
    assert scheduler.next_due() == math.inf, "there was no more than goes at once, twice"
    assert not hanging(sent)


def test_what_there_is_no_room_to_plan_is_counted(scheduler: Scheduler) -> None:
    for _ in range(MAX_PLANNED):
        scheduler.plan(note())
    assert not scheduler.plan(note())
    assert scheduler.punctuality.skipped == 1
