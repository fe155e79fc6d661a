import socket
from collections.abc import Iterator

import pytest

from bridge.worker.pipe import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    pair = Channel(ours), Channel(theirs)
    yield pair
    for end in pair:
        end.close()


def test_values_arrive_in_order(ends: tuple[Channel, Channel]) -> None:
    for value in ("a", (1, 2), None):
        ends[0].put(value)
    assert ends[1].read() == ["a", (1, 2), None]
    assert ends[1].read() == []


def test_a_value_that_is_larger_than_the_socket_never_blocks(ends: tuple[Channel, Channel]) -> None:
    ends[0].put(bytes(5_000_000))
    assert ends[0].waiting_bytes
    values: list[bytes] = []
    while not values:
        values = ends[1].read()
        ends[0].flush()
    assert len(values[0]) == 5_000_000
    assert not ends[0].waiting_bytes


def test_an_end_that_is_gone_is_told_by_read(ends: tuple[Channel, Channel]) -> None:
    ends[1].close()
    ends[0].put("nobody hears this")
    with pytest.raises(EOFError):
        ends[0].read()
