import contextlib
import random
import select
import time

import pytest

from bridge.midi.listener import Arrivals, Heard, Listener


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
    """An rtmidi.MidiIn that hears note after note, as many as have been let through for all."""

    let_through = 0

    def __init__(self, *intervals: float):
        self.intervals = intervals
        self.heard = 0

    def ignore_types(self, **_: bool) -> None:
        """Nothing is ignored here."""

    def get_message(self) -> tuple[list[int], float] | None:
        if self.heard >= min(FakeInput.let_through, len(self.intervals)):
            return None
        self.heard += 1
        return [0x90, 36, 100], self.intervals[self.heard - 1]


def take(listener: Listener, count: int) -> list[Heard]:
    taken: list[Heard] = []
    while len(taken) < count:
        assert select.select([listener], [], [], 20)[0], taken
        taken += listener.take(256)
    return taken


def test_what_several_inputs_heard_between_two_looks_comes_in_the_order_of_arrival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.closing(Listener()) as listener:
        listener.listen("late", FakeInput(0.0, 99.0))  # it came just before it was seen
        listener.listen("early", FakeInput(0.0, 0.0))  # it came just after the look before
        monkeypatch.setattr(FakeInput, "let_through", 1)
        take(listener, 2)
        monkeypatch.setattr(FakeInput, "let_through", 2)
        assert [port for _, port, _ in take(listener, 2)] == ["early", "late"]


def test_an_input_that_was_left_is_looked_into_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    left = FakeInput(0.0)
    with contextlib.closing(Listener()) as listener:
        listener.listen("left", left)
        listener.listen("kept", FakeInput(0.0))
        listener.leave(left)
        monkeypatch.setattr(FakeInput, "let_through", 1)
        assert [port for _, port, _ in take(listener, 1)] == ["kept"]
    assert left.heard == 0


def test_what_comes_while_the_wake_up_ends_wakes_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Listener()) as listener:
        monkeypatch.setattr(FakeInput, "let_through", 3)
        one = FakeInput(0.0, 0.0, 0.0)
        listener.listen("one", one)
        take(listener, 3)

        class Late:
            """The moment between the last byte of the wake-up and its end."""

            def recv(self, size: int) -> bytes:
                wake.recv(size)
                listener.listen("late", FakeInput(0.0, 0.0, 0.0))
                deadline = time.monotonic() + 20
                while len(listener._heard) < 3 and time.monotonic() < deadline:
                    time.sleep(0.001)
                return b""

        listener.wake_up()
        wake = listener._wake
        monkeypatch.setattr(listener, "_wake", Late())
        assert len(listener.take(2)) == 2
        monkeypatch.setattr(listener, "_wake", wake)
        assert select.select([listener], [], [], 0)[0]
