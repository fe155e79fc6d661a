from bridge.outbox import BURST, DATAGRAMS_PER_SECOND, MAX_UNCLAIMED, Outbox, Parcel

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
    assert filled(MAX_UNCLAIMED + 10, ticket=0).lost == 10
    assert len(filled(MAX_UNCLAIMED + 10, ticket=0)) == MAX_UNCLAIMED


def test_a_late_parcel_is_written_when_it_is_sent() -> None:
    outbox, told = Outbox(), []
    outbox.put(Parcel(lambda now: b"%d" % now, A, 1, told.append))
    assert outbox.due(5.0) == [(b"5", A)]
    assert told == [b"5"]


def test_lanes_of_clients_that_have_gone_are_forgotten() -> None:
    outbox = Outbox()
    for port in range(1000):
        outbox.put(Parcel(b"x", ("127.0.0.1", port), 0))
        outbox.due(port * 1.0)
    assert len(outbox._lanes) < 5
