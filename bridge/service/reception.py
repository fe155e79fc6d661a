"""From datagrams to requests and who asks: access, turns of the sources, timetags, what cannot be read. Pure.

Knows of the verbs only that hello says where a client listens.
"""

import logging
from collections.abc import Iterator

from bridge.addresses import Address, shown_address
from bridge.errors import PacketError
from bridge.osc.access import Guests
from bridge.osc.clients import Client, Clients
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.packet import Element, Message, read_message, split_packet
from bridge.osc.replies import format_fail
from bridge.osc.requests import Call, read_request
from bridge.osc.table import PREFIX
from bridge.service.delayed import Delays
from bridge.service.inbox import Inbox
from bridge.service.tickets import Counts

logger = logging.getLogger(__name__)

UNANSWERED = frozenset({"/vae/done", "/vae/fail"})

MAX_BAD_PACKET_REPLIES = 10
"""A second, to one address."""

MAX_BAD_PACKET_SOURCES = 256


class Reception:
    """What has come and is not handled yet. What is turned away is counted and logged."""

    def __init__(self, guests: Guests, own_port: int, clients: Clients, counts: Counts, outbox: Outbox):
        self._guests, self._own_port, self._clients = guests, own_port, clients
        self._counts, self._outbox = counts, outbox
        self._inbox, self._delays = Inbox(), Delays()
        self._bad_packets: dict[str, list[float]] = {}

    def admit(self, datagram: bytes, source: Address) -> None:
        """Take in a datagram from whoever may ask. It waits until its source's turn has come."""
        if not self._guests.admits(source[0]):
            self._counts.drop("a datagram from an address that is not allowed", source)
            return
        for loser in self._inbox.put(datagram, source):
            self._counts.drop("a datagram, as too many wait", loser)

    def __bool__(self) -> bool:
        """Whether take has something to do."""
        return bool(self._inbox)

    def take(self, now: float, unix_now: float) -> tuple[Call, Client] | None:
        """The next request of the source whose turn it is; None where it is dated ahead, or was turned away.

        The messages of a bundle are handled in order, those of one dated ahead when they are due.
        """
        item, source = self._inbox.take()
        try:
            elements = [item] if isinstance(item, Element) else split_packet(item)
            if not elements:
                return None
            self._inbox.put_back(elements[1:], source)
            message = read_message(elements[0])
        except PacketError as error:
            self._refuse(source, str(error), now)
            return None
        return None if self._is_delayed(message, source, now, unix_now) else self._read(message, source, now)

    def due(self, now: float) -> Iterator[tuple[Call, Client]]:
        """The requests dated ahead that are to be handled now, or the first of them."""
        for message, source in self._delays.due(now):
            if request := self._read(message, source, now):
                yield request

    def next_due(self, now: float) -> float:
        """When there is something to be handled, inf if nothing waits."""
        return now if self._inbox else self._delays.next_due()

    def _is_delayed(self, message: Message, source: Address, now: float, unix_now: float) -> bool:
        """Whether a message is dated ahead: then it waits."""
        if message.due <= unix_now:
            return False
        if not self._delays.put(message, source, now, message.due - unix_now):
            self._counts.drop("a message dated ahead, as too many wait already", source)
        return True

    def _read(self, message: Message, source: Address, now: float) -> tuple[Call, Client] | None:
        """What a message asks, and who; None where it is turned away."""
        if not message.address.startswith(PREFIX) or message.address in UNANSWERED:
            self._counts.drop(f"a message to {message.address[:80]}", source)
            return None
        call = read_request(message)
        client = self._client_of(call, source, now)
        if client is not None and not call.has_id:
            self._fail(call, str(call.error), client.address)
            return None
        return (call, client) if client else None

    def _client_of(self, call: Call, source: Address, now: float) -> Client | None:
        """Who asks; None where answers would come here."""
        port = call.reply_port
        if port == self._own_port != source[1]:
            text = f"reply_port must be where this client listens, not {port}, where the daemon does"
            self._fail(call, text, source)
            return None
        if call.verb.name == "hello" and port:
            self._clients.register(source, port)
        client = self._clients.find(source, port, now)
        if client.address[1] == self._own_port:
            self._counts.drop("a request that came from our own port", source)
            return None
        return client

    def _fail(self, call: Call, text: str, address: Address) -> None:
        """Answer a request that gets no ticket, as it has no id or nowhere to be answered."""
        self._counts.failed += 1
        logger.info("%s from %s failed: %s", call.verb.name, shown_address(*address), text)
        if call.id or not call.has_id:
            self._outbox.put(Parcel(format_fail(call.id, call.verb.name, "bad_request", text), address, 0))

    def _refuse(self, source: Address, text: str, now: float) -> None:
        """Answer what is no OSC, at most 10 times a second to one address."""
        self._counts.drop(text, source)
        recent = [at for at in self._bad_packets.get(source[0], []) if now - at < 1.0]
        if len(recent) < MAX_BAD_PACKET_REPLIES and source[1] != self._own_port:
            self._outbox.put(Parcel(format_fail(0, "-", "bad_packet", text), source, 0))
            recent.append(now)
        if len(self._bad_packets) > MAX_BAD_PACKET_SOURCES:
            self._bad_packets.clear()
        self._bad_packets[source[0]] = recent
