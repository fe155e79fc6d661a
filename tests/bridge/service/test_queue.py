"""Whose turn it is, in simulated time: an engine that takes a while, clients that ask and ask again."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from bridge.addresses import Address
from bridge.osc.clients import Client
from bridge.service.busy import MAX_WAITING
from bridge.service.queue import MAX_SERVED, EngineQueue, Entry
from bridge.service.tickets import Ticket
from bridge.worker.messages import Load, Run
from engine.requests import Sample

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
