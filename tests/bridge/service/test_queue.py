"""Whose turn it is, in simulated time: an engine that takes a while, clients that ask and ask again."""

import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest

from bridge.addresses import Address
from bridge.service.busy import MAX_WAITING
from bridge.service.clients import Client
from bridge.service.joining import LONGEST_BARS, MOST_RESULTS, TOGETHER, fitting, share
from bridge.service.queue import MAX_SERVED, EngineQueue, Entry
from bridge.service.tickets import Ticket
from bridge.worker.messages import Job, Load, Run, Together
from engine.clip import Clip
from engine.requests import Groove, Humanize, Interpolate, Request, Sample, verb_of
from engine.weights import Card

JOB_SECONDS = 0.01


@dataclass
class Crowd:
    """Clients by number. answers counts the jobs that ended, took are their times in jobs of the engine."""

    queue: EngineQueue = field(default_factory=EngineQueue)
    now: float = 0.0
    numbers: int = 0
    answers: Counter[Address] = field(default_factory=Counter)
    took: dict[Address, list[float]] = field(default_factory=dict)
    waiting: list[Entry] = field(default_factory=list)

    def ask(self, client: Address, **request: str) -> Entry | None:
        """One more job of a client; whose had to leave for it."""
        self.numbers += 1
        ticket = Ticket(self.numbers, Client(client, client, 0.0), self.numbers, "sample", None, self.now)
        entry = Entry(ticket, Run(self.numbers, Sample(**request)))  # type: ignore[arg-type]
        self.waiting.append(entry)
        leaves = self.queue.put(entry)
        self.waiting = [each for each in self.waiting if each is not leaves]
        return leaves

    def waits(self, client: Address) -> bool:
        return any(each.client == client for each in self.waiting)

    def work(self) -> Address | None:
        """Let the engine end one job and begin the next; whose ended."""
        self.now += JOB_SECONDS
        ended = None
        for begun in self.queue.take_under_way():
            assert isinstance(begun, Entry)
            ended = begun.client
            self.answers[ended] += 1
            self.took.setdefault(ended, []).append((self.now - begun.ticket.received) / JOB_SECONDS)
        begun = self.queue.begin_next(self.now, ("m",))
        self.waiting = [each for each in self.waiting if each.job is not begun]
        return ended


def client(number: int) -> Address:
    return "127.0.0.1", number


def test_128_clients_that_ask_again_as_soon_as_they_may_get_about_the_same() -> None:
    crowd, clients = Crowd(), [client(number) for number in range(128)]
    for _ in range(128 * 8):
        for each in clients:
            if not crowd.waits(each):
                crowd.ask(each)
        assert len(crowd.queue) <= MAX_WAITING
        crowd.work()
    assert len(crowd.answers) == 128
    assert min(crowd.answers.values()) >= max(crowd.answers.values()) / 2


def test_clients_that_want_much_and_those_that_want_little_get_the_same() -> None:
    crowd, greedy, modest = Crowd(), [client(number) for number in range(3)], client(9)
    for _ in range(300):
        for each in greedy:
            for _ in range(MAX_WAITING // 2):
                crowd.ask(each)
        if not crowd.waits(modest):
            crowd.ask(modest)
        crowd.work()
    assert max(crowd.answers.values()) - min(crowd.answers.values()) <= 4


def test_one_that_keeps_64_waiting_makes_another_wait_for_the_job_that_runs_and_no_longer() -> None:
    crowd, greedy, modest = Crowd(), client(1), client(2)
    for turn in range(500):
        while crowd.ask(greedy) is None:
            pass
        if turn % 5 == 4 and not crowd.waits(modest):
            crowd.ask(modest)
        crowd.work()
    assert len(crowd.took[modest]) >= 90
    assert max(crowd.took[modest]) <= 2 + 1e-6


def test_the_newest_of_the_one_that_has_most_makes_room() -> None:
    crowd = Crowd()
    for _ in range(MAX_WAITING):
        assert crowd.ask(client(1)) is None
    newest = crowd.waiting[-1]
    refused = crowd.ask(client(1))
    assert refused is not None
    assert refused.ticket.id == crowd.numbers, "it has no more room itself"
    assert crowd.ask(client(2)) is newest
    assert len(crowd.queue) == MAX_WAITING


def test_the_jobs_of_one_client_stay_in_order() -> None:
    crowd = Crowd()
    for number in (1, 2, 1, 2, 1):
        crowd.ask(client(number))
    served = [crowd.work() for _ in range(6)]
    assert served == [None, client(1), client(2), client(1), client(2), client(1)]


@pytest.mark.parametrize(("asking", "first"), [((101, 100), 100), ((99, 98), 99)])
def test_who_was_served_is_known_of_a_bounded_number(asking: tuple[int, int], first: int) -> None:
    crowd = Crowd()
    for number in range(MAX_SERVED + 100):
        crowd.ask(client(number))
        crowd.work()
    crowd.work()
    for number in asking:
        crowd.ask(client(number))
    crowd.work()
    assert crowd.work() == client(first), "of those that are known the one served longest ago, else who asked first"


def test_a_load_takes_its_clients_turn() -> None:
    crowd = Crowd()
    crowd.numbers += 1
    ticket = Ticket(crowd.numbers, Client(client(1), client(1), 0.0), 1, "load", None, 0.0)
    crowd.queue.put(Entry(ticket, Load(1, "m")))
    assert crowd.queue.begin_next(0.0, ("m",)) == Load(1, "m")
    crowd.ask(client(1))
    crowd.ask(client(2))
    assert crowd.queue.begin_next(0.0, ("m",)) == Run(3, Sample())


# What goes together

CLIP = Clip((), 8.0)
LONG = Clip((), 4.0 * (LONGEST_BARS + 1))


def fits(request: Request) -> bool:
    return isinstance(request, Humanize)


def put(crowd: Crowd, whose: Address, request: Request, group: str = "") -> Entry:
    crowd.numbers += 1
    ticket = Ticket(crowd.numbers, Client(whose, whose, 0.0), crowd.numbers, verb_of(request), None, crowd.now)
    entry = Entry(ticket, Run(crowd.numbers, request), group)
    assert crowd.queue.put(entry) is None
    return entry


def numbers(job: Job | Together | None) -> list[int]:
    """Those of the requests that are handed over."""
    assert isinstance(job, Run | Together)
    return [job.number] if isinstance(job, Run) else [run.number for run in job.runs]


def test_what_waits_and_fits_goes_together_round_the_clients() -> None:
    crowd = Crowd()
    for whose in (1, 1, 1, 2, 3, 2):
        put(crowd, client(whose), Humanize(clip=CLIP))
    assert numbers(crowd.queue.begin_next(0.0, ("m",), fits)) == [1, 4, 5, 2, 6, 3]
    assert (crowd.queue.together, crowd.queue.most_together) == (6, 6)
    assert not len(crowd.queue)


def test_no_more_go_together_than_there_is_room_for_and_the_rest_has_the_next_turn() -> None:
    crowd = Crowd()
    for number in range(3):
        for _ in range(TOGETHER):
            put(crowd, client(number), Humanize(clip=CLIP))
    shares: Counter[int] = Counter()
    for _ in range(3):
        handed = numbers(crowd.queue.begin_next(0.0, ("m",), fits))
        assert len(handed) == TOGETHER
        shares.update((number - 1) // TOGETHER for number in handed)
        assert max(shares.values()) - min(shares.values()) <= 1
        crowd.queue.take_under_way()
        for number in handed:
            crowd.queue.take_ended(number)


def test_what_does_not_fit_goes_alone_and_is_not_overtaken_by_its_clients_own() -> None:
    crowd = Crowd()
    for whose, request in (
        (1, Humanize(clip=CLIP)),
        (2, Sample()),
        (2, Humanize(clip=CLIP)),
        (3, Humanize(clip=CLIP)),
    ):
        put(crowd, client(whose), request)
    assert numbers(crowd.queue.begin_next(0.0, ("m",), fits)) == [1, 4]
    crowd.queue.take_ended(1)
    assert crowd.queue.begin_next(0.0, ("m",), fits) is None, "one of them still runs"
    crowd.queue.take_ended(4)
    assert numbers(crowd.queue.begin_next(0.0, ("m",), fits)) == [2]
    crowd.queue.take_ended(2)
    assert numbers(crowd.queue.begin_next(0.0, ("m",), fits)) == [3]


def test_what_has_not_begun_when_the_engine_goes_down_waits_for_the_next() -> None:
    crowd = Crowd()
    entries = [put(crowd, client(number), Humanize(clip=CLIP)) for number in range(3)]
    crowd.queue.begin_next(0.0, ("m",), fits)
    assert crowd.queue.take_under_way() == []
    assert numbers(crowd.queue.begin_next(0.0, ("m",), fits)) == [1, 2, 3]
    crowd.queue.have_begun((1, 2, 3), 0.5)
    assert crowd.queue.take_under_way() == entries
    assert not len(crowd.queue)


def test_the_next_are_handed_over_while_those_before_end() -> None:
    crowd = Crowd()
    entries = [put(crowd, client(number), Humanize(clip=CLIP)) for number in range(4)]
    crowd.queue.begin_next(0.0, ("m",), fits)
    crowd.queue.have_begun((1, 2, 3, 4), 0.0)
    late = put(crowd, client(9), Humanize(clip=CLIP))
    for number in (1, 2):
        assert crowd.queue.begin_next(0.0, ("m",), fits) is None, "more than half of them are under way"
        crowd.queue.take_ended(number)
    assert crowd.queue.begin_next(0.0, ("m",), fits) == Together((late.job,))
    put(crowd, client(1), Humanize(clip=CLIP))
    assert crowd.queue.begin_next(0.0, ("m",), fits) is None, "one has not begun"
    assert crowd.queue.take_under_way() == entries[2:]
    again = numbers(crowd.queue.begin_next(0.0, ("m",), fits))
    assert sorted(again) == [5, 6], "what had not begun waits for the next engine"


def test_nothing_is_handed_over_while_one_runs_alone() -> None:
    crowd = Crowd()
    for number in range(2):
        put(crowd, client(number), Sample())
    assert isinstance(crowd.queue.begin_next(0.0, ("m",), fits), Run)
    assert crowd.queue.begin_next(0.0, ("m",), fits) is None


def test_time_counts_from_when_they_have_begun() -> None:
    crowd = Crowd()
    for number in range(2):
        put(crowd, client(number), Humanize(clip=CLIP))
    crowd.queue.begin_next(0.0, ("m",), fits)
    assert crowd.queue.deadline(2.0) == 2.0
    crowd.queue.have_begun((1, 2), 1.5)
    assert crowd.queue.deadline(2.0) == 3.5
    assert crowd.queue.take_late(3.0, 2.0) == []
    assert len(crowd.queue.take_late(3.5, 2.0)) == 2


def card(name: str, config: str, *verbs: str) -> Card:
    return Card(name=name, config=config, family="f", bars=2, steps_per_bar=16, verbs=verbs, sha256="")


DRUMMER = card("ours", "drummer", "humanize", "sample", "groove", "interpolate")
PHRASES = card("theirs", "drums_16bar", "sample")


@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        (Humanize(clip=CLIP), True),
        (Humanize(clip=CLIP, model="ours"), True),
        (Humanize(clip=CLIP, model="nobody"), False),
        (Humanize(clip=LONG), False),
        (Humanize(clip=CLIP, temperature=0.0), False),
        (Humanize(clip=CLIP, count=MOST_RESULTS), True),
        (Humanize(clip=CLIP, count=MOST_RESULTS + 1), False),
        (Sample(), False),
        (Sample(model="ours"), True),
        (Sample(model="ours", bars=LONGEST_BARS + 1), False),
        (Sample(model="theirs"), False),
        (Groove(clip=CLIP, feel=LONG), False),
        (Interpolate(clips=(CLIP, CLIP)), True),
    ],
)
def test_short_requests_to_a_drummer_fit(request_: Request, fits: bool) -> None:
    assert fitting([DRUMMER, PHRASES])(request_) is fits


def test_a_groove_takes_the_place_of_several() -> None:
    assert share(Humanize(clip=CLIP)) < share(Groove(clip=CLIP, feel=CLIP)) < TOGETHER


def test_where_there_are_several_engines_so_many_requests_run_at_once() -> None:
    crowd = Crowd(EngineQueue(at_once=2))
    for number in range(3):
        crowd.ask(client(number))
    first, second = (crowd.queue.begin_next(0.0, ("m",)) for _ in range(2))
    assert isinstance(first, Run)
    assert isinstance(second, Run)
    assert crowd.queue.begin_next(0.0, ("m",)) is None
    assert crowd.queue.take_ended(first.number) is not None
    assert isinstance(crowd.queue.begin_next(0.0, ("m",)), Run)


def test_whether_there_is_room_costs_little_however_many_wait_and_run() -> None:
    crowd, calls = Crowd(), Counter[str]()
    for number in range(TOGETHER + MAX_WAITING):
        put(crowd, client(number), Humanize(clip=CLIP))
        if number == TOGETHER - 1:
            assert len(numbers(crowd.queue.begin_next(0.0, ("m",), fits))) == TOGETHER
    sys.setprofile(lambda _, event, __: calls.update([event]))
    began = crowd.queue.begin_next(0.0, ("m",), fits)
    sys.setprofile(None)
    assert began is None
    assert calls["call"] < 10 * MAX_WAITING
