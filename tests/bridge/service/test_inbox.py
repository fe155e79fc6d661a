from bridge.osc.packet import Element
from bridge.service.inbox import MOST_IN_ALL, MOST_OF_ONE, Inbox

A, B, C = (("127.0.0.1", port) for port in (1, 2, 3))


def taken(inbox: Inbox, count: int) -> list[object]:
    return [inbox.take()[0] for _ in range(count)]


def test_sources_take_turns_and_each_keeps_its_order() -> None:
    inbox = Inbox()
    for index in range(3):
        inbox.put(b"a%d" % index, A)
    inbox.put(b"b0", B)
    inbox.put(b"b1", B)
    assert taken(inbox, 5) == [b"a0", b"b0", b"a1", b"b1", b"a2"]
    assert not inbox


def test_what_is_put_back_comes_first_when_its_sources_turn_has_come() -> None:
    inbox, elements = Inbox(), [Element(b"/%d\0\0" % index) for index in range(3)]
    inbox.put(b"bundle", A)
    inbox.put(b"a", A)
    inbox.put(b"b", B)
    assert inbox.take() == (b"bundle", A)
    inbox.put_back(elements[1:], A)
    assert taken(inbox, 4) == [b"b", elements[1], elements[2], b"a"]


def test_one_source_may_have_so_many_and_loses_what_comes_then() -> None:
    inbox = Inbox()
    lost = [inbox.put(b"x", A) for _ in range(MOST_OF_ONE + 2)]
    assert lost[-3:] == [[], [A], [A]]
    assert inbox.put(b"x", B) == []


def test_large_datagrams_count_as_many() -> None:
    inbox = Inbox()
    lost = sum(len(inbox.put(bytes(64_000), A)) for _ in range(1000))
    assert 1000 - lost <= MOST_OF_ONE / 62


def test_where_all_is_full_the_source_that_has_most_makes_room_for_another() -> None:
    inbox = Inbox()
    floods = [("127.0.0.1", port) for port in range(10, 19)]
    for _ in range(MOST_OF_ONE):
        for flood in floods:
            inbox.put(b"flood", flood)
    (loser,) = inbox.put(b"quiet", A)
    assert loser in floods
    (loser,) = inbox.put(b"flood", floods[0])
    assert loser == floods[0], "who has as many as the others gets no room from them"
    assert b"quiet" in taken(inbox, len(floods) + 1)


def test_all_sources_together_are_bounded() -> None:
    inbox, kept = Inbox(), 0
    for index in range(3 * MOST_IN_ALL):
        lost = inbox.put(b"x", ("127.0.0.1", 1 + index % 50))
        kept += 1 - len(lost)
    assert kept == MOST_IN_ALL
    assert len(taken(inbox, kept)) == MOST_IN_ALL
    assert not inbox


def test_a_large_datagram_takes_the_place_of_as_many_small_ones_as_it_counts() -> None:
    inbox = Inbox()
    for index in range(MOST_IN_ALL):
        assert inbox.put(b"x", ("127.0.0.1", 10 + index % 8)) == []
    assert len(inbox.put(bytes(10_000), A)) == 10
