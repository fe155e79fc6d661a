import random

import pytest

from bridge.midi.listener import Arrivals, Listener


def test_the_first_message_came_when_it_was_seen() -> None:
    assert Arrivals().moment(0.0, 9.99, 10.0) == 10.0


def test_messages_seen_together_keep_their_intervals() -> None:
    arrivals = Arrivals()
    arrivals.moment(0.0, 9.99, 10.0)
    moments = [arrivals.moment(interval, 11.0, 12.0) for interval in (1.5, 0.25, 0.125)]
    assert moments == pytest.approx([11.5, 11.75, 11.875], abs=0.002)


def test_a_message_came_after_the_look_that_did_not_see_it() -> None:
    arrivals = Arrivals()
    arrivals.moment(0.0, 9.99, 10.0)
    assert arrivals.moment(0.0, 20.0, 20.004) == 20.0


def test_a_message_came_before_the_look_that_saw_it() -> None:
    arrivals = Arrivals()
    arrivals.moment(0.0, 9.99, 10.0)
    assert arrivals.moment(100.0, 20.0, 20.004) == pytest.approx(20.004)


def test_a_clock_seen_at_irregular_looks_arrives_as_it_was_played() -> None:
    chance, arrivals, look = random.Random(1), Arrivals(), 100.0
    errors = []
    for tick in range(1000):
        played = 100.001 + tick * 0.020833
        last_look = look
        while look < played:
            last_look, look = look, look + chance.uniform(0.0005, 0.004)
        interval = 0.020833 if tick else 0.0
        errors.append(arrivals.moment(interval, last_look, look) - played)
    assert max(map(abs, errors[100:])) < 0.0005


@pytest.mark.parametrize("drift", [-0.0005, 0.0005])
def test_a_clock_that_is_a_little_faster_or_slower_than_ours_is_followed(drift: float) -> None:
    arrivals = Arrivals()
    for tick in range(100_000):
        played = 1 + tick * 0.02
        moment = arrivals.moment(0.02 * (1 + drift) if tick else 0.0, played - 0.002, played + 0.002)
    assert moment == pytest.approx(played, abs=0.0021)


class FakeInput:
    """An rtmidi.MidiIn that has heard these messages, each so long after the one before."""

    def __init__(self, *events: tuple[list[int], float]):
        self.events = list(events)

    def ignore_types(self, **_: bool) -> None:
        """Nothing is ignored here."""

    def get_message(self) -> tuple[list[int], float] | None:
        return self.events.pop(0) if self.events else None


def test_all_that_lies_in_the_queue_is_taken_at_one_look() -> None:
    listener = Listener(FakeInput(([0x90, 36, 100], 0.0), ([0x80, 36, 0], 0.25)))
    assert [message for _, message in listener.look()] == [b"\x90\x24\x64", b"\x80\x24\x00"]
    assert list(listener.look()) == []


def test_sysex_and_active_sensing_are_left_out() -> None:
    listener = Listener(FakeInput(([0xF0, 1, 0xF7], 0.0), ([0xFE], 0.0), ([0xF8], 0.0)))
    assert [message for _, message in listener.look()] == [b"\xf8"]
