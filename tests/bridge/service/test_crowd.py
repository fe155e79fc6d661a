"""What one client does to the others, through the whole service, in simulated time."""

import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from bridge.addresses import Address
from bridge.osc import packet as osc_packet
from bridge.osc.outbox import MAX_MUSIC
from bridge.osc.packet import Message, read_packet, write_message
from bridge.playing.slots import MAX_SLOTS
from bridge.service.busy import MAX_SYNCS, MAX_WAITING
from bridge.worker.messages import Finished, Loaded
from engine.clip import Clip, Note
from engine.requests import Results
from tests.bridge.service.test_service import CARD, Studio, ends, in_bundle

A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)
FAR, FOREIGN = ("192.168.1.5", 1), ("8.8.8.8", 1)
LARGE = Clip(tuple(Note(36 + i % 8, i / 16, 0.1, 100) for i in range(4096)), 256.0)
OF_LARGE = 2 + -(-4096 // 48)
"""The datagrams of such a clip."""


@pytest.fixture
def studio() -> Studio:
    studio = Studio()
    studio.service.slots.put("large", LARGE)
    return studio


def ask(studio: Studio, client: Address, verb: str, *arguments: int | float | str) -> None:
    studio.receive(write_message(f"/vae/{verb}", *arguments), source=client)


def all_told(studio: Studio, seconds: float = 0.0) -> dict[Address, list[Message]]:
    """What each client is sent from now on, so many seconds long."""
    found: dict[Address, list[Message]] = defaultdict(list)
    until = studio.now + seconds
    while True:
        for content, address in studio.service.outbox.due(studio.now):
            found[address] += read_packet(content)
        if studio.now >= until:
            return found
        studio.now = min(until, studio.now + 1 / 1024)


def told(studio: Studio, client: Address, seconds: float = 0.0) -> list[Message]:
    """What one of them is sent."""
    return all_told(studio, seconds)[client]


def status(studio: Studio, client: Address = B) -> dict[str, object]:
    ask(studio, client, "status", 999)
    (done,) = [each for each in told(studio, client, 0.01) if each.arguments[:2] == (999, "status")]
    return dict(zip(map(str, done.arguments[2::2]), done.arguments[3::2], strict=True))


# Repeats


def test_two_requests_are_the_same_only_if_they_say_the_same(studio: Studio) -> None:
    assert hash(-1.0) == hash(-2.0), "which is why contents are compared"
    steered: list[object] = []
    studio.ensemble.live.steer = lambda turned, _: steered.append(turned["density"])  # type: ignore[method-assign]
    for density in (-1.0, -2.0, -2.0):
        ask(studio, A, "steer", 7, "density", density)
    assert steered == ["-1", "-2"]


def test_two_points_are_the_same_only_if_their_numbers_are(studio: Studio) -> None:
    for number in (-1.0, -2.0, -2.0):
        ask(studio, A, "decode", 7, "size", 1)
        ask(studio, A, "latent", 7, 0, 1, number)
    jobs = []
    while job := studio.service.engine_verbs.take(studio.now):
        jobs.append(job)
        studio.finish(job)
    assert [job.request.z for job in jobs] == [(-1.0,), (-2.0,)]  # type: ignore[union-attr]


def test_a_repeat_in_another_bundle_is_a_repeat(studio: Studio) -> None:
    message = write_message("/vae/clip", 1, "a", 4.0, 0)
    for datagram in (message, in_bundle(-1.0, studio, message), in_bundle(-2.0, studio, message)):
        studio.receive(datagram, source=A)
        told(studio, A)
    assert studio.service.counts.requests == 1


# Answers


def test_an_answer_of_32_large_clips_is_written_only_as_it_is_sent(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("bridge.osc.replies.write_message", lambda address, *_: written.append(address) or b"")
    ask(studio, A, "sample", 1)
    report = Finished.of(studio.job().number, Results((LARGE,) * 32, "m", 5, 1.0))
    studio.service.engine_verbs.report(report, studio.now)
    assert (len(studio.service.outbox), written) == (32 * OF_LARGE + 1, [])


def test_who_has_much_to_come_gets_no_more_music_and_nobody_else_notices(studio: Studio) -> None:
    tracemalloc.start()
    for number in range(1, 8001):
        ask(studio, A, "clip/get", number, "slot", "large")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert MAX_MUSIC <= len(studio.service.outbox) <= MAX_MUSIC + 2 * OF_LARGE + 8000
    ask(studio, B, "clip/get", 1, "slot", "large", "count", 48)
    at_once, later = all_told(studio, 0.01), all_told(studio, 2.0)
    assert ends(at_once[B]) == [(1, "clip/get")]
    told_a = Counter(code for _, code in ends(at_once[A] + later[A]))
    music = MAX_MUSIC // (OF_LARGE + 1) + 1
    assert told_a["clip/get"] == music
    assert told_a["busy"] == 4096 + MAX_MUSIC - music * (OF_LARGE + 1)
    assert studio.service.counts.failed == 8000 - music
    studio.service.drop_unsent(0)
    assert status(studio)["dropped"] == 8000 - music - told_a["busy"], "what there was no room for is counted"


def test_results_for_a_client_with_much_to_come_are_busy_and_leave_its_slot(studio: Studio) -> None:
    ask(studio, A, "sample", 1, "to", "kept")
    job = studio.job()
    for number in range(2, 200):
        ask(studio, A, "clip/get", number, "slot", "large")
    studio.finish(job)
    assert "kept" not in studio.service.slots
    assert (1, "busy") in ends(told(studio, A, 2.0))


def test_stop_and_panic_work_for_a_client_to_whom_nothing_more_can_be_said(studio: Studio) -> None:
    for number in range(1, 20_000):
        ask(studio, A, "clip/get", number, "slot", "large")
    dropped = studio.service.counts.dropped + studio.service.outbox.lost
    ask(studio, A, "clip", 30_000, "a", 4.0, 0)
    assert "a" in studio.service.slots
    assert studio.service.counts.dropped + studio.service.outbox.lost == dropped + 1
    told(studio, A, 2.0)
    ask(studio, A, "clip", 30_000, "a", 4.0, 0)
    assert ends(told(studio, A)) == [(30_000, "clip")], "a repeat is told what got lost"


def test_a_long_answer_is_repeated_from_memory_within_its_bounds(studio: Studio) -> None:
    ask(studio, A, "sample", 1)
    job = studio.job()
    studio.service.engine_verbs.report(Finished.of(job.number, Results((LARGE,) * 4, "m", 5, 1.0)), studio.now)
    first = told(studio, A, 1.0)
    assert len(first) == 4 * OF_LARGE + 1
    ask(studio, A, "sample", 1)
    assert told(studio, A, 1.0) == first


def test_what_is_asked_again_and_not_remembered_takes_no_memory(studio: Studio) -> None:
    tracemalloc.start()
    for number in range(1, 40):
        ask(studio, A, "clip/get", number, "slot", "large")
    assert len(told(studio, A, 1.0)) == 39 * (OF_LARGE + 1)
    assert tracemalloc.get_traced_memory()[0] < 1e6
    tracemalloc.stop()


def test_a_bug_in_writing_an_answer_ends_that_one(studio: Studio) -> None:
    studio.service.slots.keep("huge", Clip((Note(36, 0.0, 1e300, 100),), 4.0))
    ask(studio, A, "clip/get", 1, "slot", "huge")
    ask(studio, A, "sync", 2)
    ask(studio, B, "ping", 3)
    heard = all_told(studio)
    assert ends(heard[B]) == [(3, "ping")]
    assert ends(heard[A]) == [(1, "internal"), (2, "sync")]
    assert not left_open(studio)


# Tickets


def left_open(studio: Studio) -> int:
    """How many requests have not ended: a daemon that stops ends them."""
    failed = studio.service.counts.failed
    studio.service.shut_down(studio.now)
    return studio.service.counts.failed - failed


def calls(work: Callable[[], object]) -> int:
    """How many calls of Python functions some work takes, the steps of generators among them."""
    count = 0

    def see(frame: object, event: str, about: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("verb", ["clip/get", "clip"])
def test_ending_four_times_as_many_requests_is_four_times_the_work(studio: Studio, verb: str) -> None:
    counts = []
    for many in (300, 1200):
        for number in range(1, many + 1):
            arguments = ("slot", "large", "count", 0) if verb == "clip/get" else ("a", 4.0, 0)
            ask(studio, A, verb, number, *arguments)
            if number % 30 == 0:
                ask(studio, A, "sync", number + 10_000)
        counts.append(calls(lambda: studio.service.shut_down(studio.now)))
        assert not left_open(studio)
        told(studio, A, 1.0)
    assert counts[1] < 5 * counts[0]


def test_a_daemon_that_has_to_go_ends_what_it_has_time_for(studio: Studio) -> None:
    for number in range(1, 6):
        ask(studio, A, "sample", number)
    looks = iter((True, True, True, False))
    studio.service.shut_down(studio.now, lambda: next(looks))
    assert ends(told(studio, A)) == [(number, "cancelled") for number in (1, 2, 3)]


def test_cancelling_among_thousands_is_no_more_work_than_among_a_few(studio: Studio) -> None:
    def cancel() -> None:
        ask(studio, A, "cancel", 5000, "target", 10)

    counts = []
    for number in range(1, 2001):
        ask(studio, A, "clip/get", number, "slot", "large", "count", 0)
        if number in (20, 2000):
            counts.append(calls(cancel))
            ask(studio, A, "clip/get", 10, "slot", "large", "count", 0)
    assert counts[1] < 2 * counts[0]


def test_syncs_of_one_client_leave_room_for_those_of_others(studio: Studio) -> None:
    for client in (A, B):
        ask(studio, client, "sample", 1)
    for number in range(2, MAX_SYNCS + 10):
        ask(studio, A, "sync", number)
    ask(studio, B, "sync", 2)
    assert ends(told(studio, B)) == []
    studio.finish(studio.job())
    studio.finish(studio.job())
    assert (2, "sync") in ends(told(studio, B, 0.1))


def test_a_client_that_was_forgotten_meanwhile_can_still_cancel(studio: Studio) -> None:
    ask(studio, A, "sample", 1)
    for port in range(1000, 1300):
        ask(studio, ("127.0.0.1", port), "ping", 1)
    ask(studio, A, "cancel", 2, "target", 1)
    assert sorted(ends(told(studio, A, 0.1))) == [(1, "cancelled"), (2, "cancel")]


# Places


def test_a_newcomer_gets_a_place_in_the_queue_and_is_served_next(studio: Studio) -> None:
    ask(studio, A, "sample", 1000)
    job = studio.job()
    for number in range(1, MAX_WAITING + 6):
        ask(studio, A, "sample", number)
    ask(studio, B, "sample", 1)
    too_many = [*range(MAX_WAITING + 1, MAX_WAITING + 6), MAX_WAITING]
    assert ends(told(studio, A, 0.1)) == [(number, "busy") for number in too_many]
    studio.finish(job)
    studio.finish(studio.job())
    assert ends(told(studio, B)) == [(1, "sample")]


@pytest.mark.parametrize(
    ("verb", "arguments"), [("clip/begin", ("a", 2, 4.0)), ("decode", ("size", 2))], ids=["uploads", "decodes"]
)
def test_a_newcomer_gets_a_place_among_what_comes_in_parts(
    studio: Studio, verb: str, arguments: tuple[int | float | str, ...]
) -> None:
    for number in range(1, 65):
        ask(studio, A, verb, number, *arguments)
    ask(studio, B, verb, 1, *arguments)
    assert ends(told(studio, A)) == [(64, "busy")]
    assert ends(told(studio, B)) == []


def test_messages_dated_ahead_of_one_source_leave_room_for_those_of_others(studio: Studio) -> None:
    bundle = in_bundle(5.0, studio, *[write_message("/vae/ping", 1)] * 1200)
    for port in range(10, 15):
        studio.receive(bundle, source=("127.0.0.1", port))
    dropped = studio.service.counts.dropped
    studio.receive(in_bundle(5.0, studio, write_message("/vae/ping", 7)), source=B)
    assert studio.service.counts.dropped == dropped
    studio.now += 6.0
    for _ in range(200):
        studio.service.run_due(studio.now)
    assert (7, "ping") in ends(told(studio, B, 1.0))


def test_a_large_bundle_is_handled_message_by_message_in_turns(studio: Studio) -> None:
    bundle = in_bundle(-1.0, studio, *(write_message("/vae/ping", number) for number in range(1, 1001)))
    studio.service.reception.admit(bundle, A)
    studio.service.reception.admit(write_message("/vae/ping", 7), B)
    for _ in range(2):
        assert studio.handle_next()
    assert studio.service.counts.requests == 2
    assert studio.service.next_due(studio.now) <= studio.now
    assert ends(told(studio, B)) == [(7, "ping")]


def test_of_a_large_bundle_no_message_is_read_before_its_turn(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    reader = osc_packet.OscMessage
    monkeypatch.setattr(osc_packet, "OscMessage", lambda content: read.append(content) or reader(content))
    pings = [write_message("/vae/ping", number) for number in range(1, 2001)]
    studio.service.reception.admit(in_bundle(0.0, studio, *pings), A)
    studio.handle_next()
    assert read == pings[:1]
    while studio.handle_next():
        pass
    assert read == pings


def test_a_message_of_a_bundle_that_cannot_be_read_ends_no_other(studio: Studio) -> None:
    ping = write_message("/vae/ping", 1)
    content = in_bundle(0.0, studio, b"/\xff\0\0", ping)
    studio.receive(content, source=A)
    assert [each.arguments[:2] for each in told(studio, A)] == [(0, "-"), (1, "ping")]


def test_garbage_is_turned_away_one_by_one_too(studio: Studio) -> None:
    for _ in range(100):
        studio.service.reception.admit(b"garbage", A)
    assert studio.handle_next()
    assert studio.service.counts.dropped == 1


def test_what_the_inbox_has_no_room_for_is_counted(studio: Studio) -> None:
    for _ in range(5000):
        studio.service.reception.admit(write_message("/vae/ping", 1), A)
    assert studio.service.counts.dropped == 5000 - 4096


# Slots


def test_whoever_has_most_slots_gives_one_and_is_told(studio: Studio) -> None:
    studio.service.slots.keep("live", LARGE)
    for number in range(1, MAX_SLOTS):
        ask(studio, A, "clip", number, f"a{number}", 4.0, 0)
    assert [each.arguments for each in told(studio, A, 1.0) if each.address == "/vae/clip/gone"] == [("a1",)]
    ask(studio, A, "play", 900, "slot", "a2", "loop", 1)
    studio.said(0.01)
    told(studio, A)
    ask(studio, B, "sample", 1, "to", "b")
    studio.finish(studio.job())
    assert [each.arguments for each in told(studio, A) if each.address == "/vae/clip/gone"] == [("a3",)]
    assert {"live", "large", "a2", "b"} <= {name for name, _ in studio.service.slots.items()}
    for number in range(600, 650):
        ask(studio, B, "clip", number, f"b{number}", 4.0, 0)
    assert not [each for each in told(studio, B, 1.0) if each.address == "/vae/clip/gone"], "others have more"


def test_a_slot_that_plays_may_go(studio: Studio) -> None:
    ask(studio, A, "clip", 1, "a", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    ask(studio, A, "play", 2, "slot", "a", "loop", 1)
    studio.said(0.1)
    for number in range(3, 2 * MAX_SLOTS):
        ask(studio, A, "clip", number, f"a{number}", 4.0, 0)
    assert "a" not in studio.service.slots
    for _ in range(100):
        studio.said(0.1)
    assert studio.ensemble.scheduler.sounding == 0


# Who may ask


def test_only_who_is_allowed_is_answered_and_others_are_counted(studio: Studio) -> None:
    for client in (A, FAR, FOREIGN):
        ask(studio, client, "ping", 1)
    sent = studio.service.outbox.due(studio.now)
    assert {address for _, address in sent} == {A, FAR}
    assert (studio.service.counts.requests, studio.service.counts.dropped) == (2, 1)
    ask(studio, ("192.168.1.5", 4321), "ping", 2, "reply_port", 1234)
    assert {address for _, address in studio.service.outbox.due(studio.now)} == {("192.168.1.5", 1234)}


def test_an_address_beyond_this_machine_gets_no_more_bytes_than_its_rate(studio: Studio) -> None:
    for port in range(1, 200):
        ask(studio, ("192.168.1.5", 1), "clip/get", port, "slot", "large", "reply_port", port)
    sent, until = 0, studio.now + 5.0
    while studio.now < until:
        due = studio.service.outbox.due(studio.now)
        sent += sum(len(content) for content, address in due)
        studio.now = min(until, max(studio.now + 1e-5, studio.service.outbox.next_due()))
    assert 4.7e6 <= sent <= 5.1e6


# The daemon's own port


def test_a_request_that_names_the_daemons_own_port_is_refused_at_its_source(studio: Studio) -> None:
    for number, verb in enumerate(("hello", "ping", "clip/begin", "sample"), 1):
        arguments = ("me", 8710) if verb == "hello" else ("reply_port", 8710)
        ask(studio, A, verb, number, *arguments)
    assert ends(told(studio, A)) == [(number, "bad_request") for number in range(1, 5)]
    ask(studio, A, "ping", 5)
    assert ends(told(studio, A)) == [(5, "ping")]
    assert studio.service.counts.failed == 4


def test_what_comes_from_the_daemons_own_port_is_not_answered(studio: Studio) -> None:
    itself = ("127.0.0.1", 8710)
    ask(studio, itself, "ping", 1)
    ask(studio, itself, "hello", 2, "me", 8710)
    ask(studio, itself, "ping", "no id")
    assert studio.service.outbox.due(studio.now) == []
    assert (studio.service.counts.dropped, studio.service.counts.failed) == (3, 0)


# What is told


def test_a_load_that_takes_too_long_says_how_long_it_took(studio: Studio) -> None:
    studio.cards["n"] = CARD
    ask(studio, A, "load", 1, "model", "m")
    studio.job()
    assert studio.service.engine_verbs.running_too_long(studio.now + 300)
    (fail,) = told(studio, A)
    assert fail.arguments[2:] == ("timeout", "loading m took more than 300 s")


def test_a_request_whose_model_takes_too_long_says_so(studio: Studio) -> None:
    studio.cards["n"] = CARD
    ask(studio, A, "sample", 1, "model", "n")
    studio.job()
    assert studio.service.engine_verbs.running_too_long(studio.now + 300)
    (fail,) = told(studio, A)
    assert fail.arguments[2:] == ("timeout", "loading n took more than 300 s")


def test_a_request_that_takes_too_long_says_how_long_it_ran(studio: Studio) -> None:
    ask(studio, A, "sample", 1)
    studio.job()
    assert studio.service.engine_verbs.running_too_long(studio.now + 60)
    (fail,) = told(studio, A)
    assert fail.arguments[2:] == ("timeout", "it ran for more than 60 s")


def test_the_parts_of_an_upload_that_come_while_it_warms_up_are_counted() -> None:
    studio = Studio(ready=False)
    ask(studio, A, "clip/notes", 1, 0, 1, 36, 0.0, 0.25, 100, 0)
    ask(studio, A, "latent", 2, 0, 1, 0.5)
    assert studio.service.counts.dropped == 2


def test_what_was_loaded_after_its_time_is_there_all_the_same(studio: Studio) -> None:
    ask(studio, A, "load", 1, "model", "m")
    number = studio.job().number
    studio.service.engine_verbs.running_too_long(studio.now + 301)
    studio.service.engine_verbs.report(Loaded(number, "m", 1.0, ("m",)), studio.now)
    assert ends(told(studio, A)) == [(1, "timeout")]
