from collections import Counter
from collections.abc import Iterator

from bridge.osc.outbox import (
    BURST,
    BURST_BYTES,
    DATAGRAMS_PER_SECOND,
    MAX_IN_ALL,
    MAX_MUSIC,
    MAX_WAITING,
    MOST_AT_ONCE,
    Budget,
    Host,
    Lane,
    Outbox,
    Parcel,
)

A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)


def filled(count: int, ticket: int = 1) -> Outbox:
    outbox = Outbox()
    outbox.due(100.0)
    for index in range(count):
        outbox.put(Parcel(b"%d" % index, A, ticket))
    return outbox


def test_a_short_answer_goes_at_once() -> None:
    assert len(filled(BURST).due(100.0)) == BURST


def test_a_long_answer_is_paced_and_keeps_its_order() -> None:
    outbox, now, sent = filled(500), 100.0, []
    while outbox:
        sent += outbox.due(now)
        now = max(now, outbox.next_due()) if outbox else now
    assert [content for content, _ in sent] == [b"%d" % index for index in range(500)]
    assert now - 100.0 >= (500 - BURST) / DATAGRAMS_PER_SECOND * 0.99
    assert outbox.next_due() == float("inf")


def test_a_long_answer_to_one_holds_up_no_other() -> None:
    outbox = filled(500)
    outbox.due(100.0)
    outbox.put(Parcel(b"short", B, 2))
    assert outbox.due(100.0) == [(b"short", B)]


def test_what_is_withdrawn_is_not_sent() -> None:
    outbox = filled(500)
    outbox.put(Parcel(b"other", A, 2))
    outbox.withdraw(A, 1)
    assert outbox.due(100.0) == [(b"other", A)]


def test_what_nobody_waits_for_is_bounded_and_counted() -> None:
    assert filled(MAX_WAITING + 10, ticket=0).lost == 10
    assert len(filled(MAX_WAITING + 10, ticket=0)) == MAX_WAITING


def long_answer(count: int, written: list[int]) -> Iterator[bytes]:
    for index in range(count):
        written.append(index)
        yield b"%d" % index


def test_a_long_answer_is_written_as_it_is_sent() -> None:
    outbox, written = Outbox(), list[int]()
    outbox.put(Parcel(long_answer(500, written), A, 1, 500))
    assert (len(outbox), written) == (500, [])
    assert len(outbox.due(5.0)) == len(written) == BURST
    assert len(outbox) == 500 - BURST


def test_an_answer_shorter_than_was_said_leaves_nothing_waiting() -> None:
    outbox = Outbox()
    outbox.put(Parcel(long_answer(3, []), A, 1, 5))
    outbox.put(Parcel(b"next", A, 2))
    assert [content for content, _ in outbox.due(5.0)] == [b"0", b"1", b"2", b"next"]
    assert (len(outbox), outbox.next_due()) == (0, float("inf"))


def test_what_is_withdrawn_while_it_is_sent_goes_no_further() -> None:
    outbox, written = Outbox(), list[int]()
    outbox.put(Parcel(long_answer(500, written), A, 1, 500))
    outbox.put(Parcel(b"fail", A, 0))
    outbox.due(5.0)
    outbox.withdraw(A, 1)
    assert len(outbox) == 1
    assert outbox.due(6.0) == [(b"fail", A)]
    assert len(written) == BURST


def test_withdrawing_does_not_go_through_what_waits() -> None:
    budget = Budget(DATAGRAMS_PER_SECOND, BURST, 0.0)
    lane = Lane(Host(budget, is_far=False), budget)
    for ticket in range(1, MAX_MUSIC):
        lane.add(Parcel(b"x", A, ticket))
    before = list(lane.parcels)
    for ticket in range(1, MAX_MUSIC):
        lane.withdraw(ticket)
    assert list(lane.parcels) == before, "they are passed over when their turn comes"
    assert lane.take() is None
    assert not lane.parcels


def test_a_client_with_much_to_come_gets_no_more_music_but_others_do() -> None:
    outbox = filled(MAX_MUSIC)
    assert not outbox.takes_music(A)
    assert outbox.takes_music(B)
    assert outbox.put(Parcel(b"fail", A, 0))


def test_what_has_begun_is_finished_in_a_full_lane() -> None:
    outbox = filled(MAX_WAITING, ticket=1)
    assert outbox.put(Parcel(b"done", A, 1))
    assert not outbox.put(Parcel(b"done", A, 2))
    assert outbox.lost == 1


def test_where_very_much_waits_each_client_has_its_share() -> None:
    outbox = Outbox()
    clients = [("127.0.0.1", port) for port in range(1, 11)]
    for client in clients:
        outbox.put(Parcel(iter(()), client, 1, MAX_IN_ALL // 10 + 1))
    assert not any(outbox.takes_music(client) for client in clients[:-1])
    assert outbox.takes_music(("127.0.0.1", 99))


def test_many_clients_are_served_in_turns_and_a_few_datagrams_at_a_time() -> None:
    outbox = Outbox()
    for port in range(100):
        for _ in range(10):
            outbox.put(Parcel(b"x", ("127.0.0.1", port), 1))
    served = [address for _ in range(16) for _, address in outbox.due(5.0)]
    assert len(outbox.due(5.0)) <= MOST_AT_ONCE
    assert set(Counter(served).values()) == {10}


FAR = [("192.168.1.2", port) for port in range(1, 41)]


def bytes_sent(outbox: Outbox, seconds: float) -> Counter[tuple[str, int]]:
    """What goes out in so much time, to each client."""
    sent: Counter[tuple[str, int]] = Counter()
    now = 100.0
    while now < 100.0 + seconds:
        for content, address in outbox.due(now):
            sent[address] += len(content)
        now = min(100.0 + seconds, max(now + 1e-5, outbox.next_due()))
    return sent


def test_an_address_beyond_this_machine_is_sent_so_many_bytes_a_second_whatever_its_ports() -> None:
    outbox = Outbox(bytes_per_second=1e5)
    for client in FAR:
        for _ in range(200):
            outbox.put(Parcel(bytes(1000), client, 1))
    sent = bytes_sent(outbox, 10.0)
    assert 0.95e6 <= sum(sent.values()) <= 1e6 + BURST_BYTES + 1000
    assert min(sent.values()) >= max(sent.values()) / 3, "and its clients take turns"


def test_this_machine_and_other_addresses_do_not_wait_for_one_that_is_paced() -> None:
    outbox = Outbox(bytes_per_second=1000.0)
    for client in (FAR[0], ("10.0.0.1", 1), A):
        for _ in range(100):
            outbox.put(Parcel(bytes(1000), client, 1))
    sent = bytes_sent(outbox, 1.0)
    assert sent[A] == 100_000
    assert 1000 <= sent[FAR[0]] <= 3000
    assert 1000 <= sent["10.0.0.1", 1] <= 3000


def test_all_ports_of_an_address_beyond_this_machine_share_what_may_wait() -> None:
    outbox = Outbox()
    for client in FAR:
        outbox.put(Parcel(iter(()), client, 1, MAX_MUSIC // 40 + 1))
    assert not outbox.takes_music(FAR[0])
    assert not outbox.takes_music(("192.168.1.2", 99))
    assert outbox.takes_music(("192.168.1.3", 99))


def test_lanes_of_clients_that_have_gone_are_forgotten() -> None:
    outbox = Outbox()
    for port in range(1000):
        outbox.put(Parcel(b"x", ("127.0.0.1", port), 0))
        outbox.due(port * 1.0)
    outbox.put(Parcel(iter(()), A, 1, MAX_IN_ALL))
    for _ in range(MAX_IN_ALL // 10):
        assert outbox.put(Parcel(b"x", B, 0)), (
            "where much waits, those who are there share the room, and nobody else"
        )
