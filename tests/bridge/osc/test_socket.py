import select
import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from bridge.errors import PortError
from bridge.osc.access import PRIVATE, Guests
from bridge.osc.socket import BATCH, OscSocket


@pytest.fixture
def wire() -> Iterator[OscSocket]:
    with OscSocket("127.0.0.1", 0) as bound:
        yield bound


def send(wire: OscSocket, count: int) -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        for index in range(count):
            sender.sendto(b"%d" % index, ("127.0.0.1", wire.port))
        select.select([wire], [], [], 5)
        source: tuple[str, int] = sender.getsockname()
        return source


def test_a_port_that_is_taken_is_named_with_the_way_out(wire: OscSocket) -> None:
    with pytest.raises(PortError, match=rf"UDP port {wire.port} of 127\.0\.0\.1 .* --osc-port {wire.port + 1} "):
        OscSocket("127.0.0.1", wire.port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 64 + ".b", "a\0b"])
def test_a_host_that_is_not_there_is_one_sentence(host: str) -> None:
    with pytest.raises(PortError, match=r"there is no host .* --osc-host takes an address of this machine"):
        OscSocket(host, 0)


@pytest.mark.parametrize(
    ("listens", "host"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")]
)
def test_a_datagram_is_answered_over_ipv6_as_over_ipv4(listens: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with OscSocket(listens, 0) as wire, socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"question", (host, wire.port))
        select.select([wire], [], [], 10)
        ((content, source),) = wire.receive()
        assert content == b"question"
        assert wire.send(b"answer", source)
        assert client.recv(100) == b"answer"


def test_the_address_of_a_link_local_client_keeps_its_link(
    wire: OscSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ("fe80::1", 9000, 0, 1)
    came = [(b"question", [], 0, source)]

    def recvmsg(*_: int) -> object:
        if not came:
            raise BlockingIOError
        return came.pop()

    linked = SimpleNamespace(recvmsg=recvmsg, recvfrom=lambda _: (recvmsg()[0], source))  # type: ignore[index]
    monkeypatch.setattr(wire, "_socket", linked)
    ((_, (host, port)),) = wire.receive()
    assert socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4] == source, "where a reply would go"
    assert Guests(PRIVATE).admits(host)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(PortError, match=r"203\.0\.113\.1"):
        OscSocket("203.0.113.1", 0)


def test_datagrams_come_with_their_source_in_order(wire: OscSocket) -> None:
    source = send(wire, 3)
    assert wire.receive() == [(b"0", source), (b"1", source), (b"2", source)]
    assert wire.receive() == []


def test_a_flood_is_taken_in_batches(wire: OscSocket) -> None:
    send(wire, BATCH + 10)
    assert [len(wire.receive()) for _ in range(2)] == [BATCH, 10]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts")
def test_what_the_kernel_drops_is_counted(wire: OscSocket) -> None:
    send(wire, 50_000)
    while wire.receive():
        pass
    send(wire, 1)
    wire.receive()
    assert wire.lost > 0


def test_a_datagram_that_cannot_be_sent_is_no_error(wire: OscSocket) -> None:
    assert wire.send(b"x", ("127.0.0.1", wire.port))
    assert not wire.send(bytes(70_000), ("127.0.0.1", wire.port))
