"""From datagrams to messages: access, turns of the sources, what is no OSC, and timetags. Pure.

Knows no verb.
"""

from collections.abc import Iterator

from bridge.addresses import Address
from bridge.errors import PacketError
from bridge.osc.access import Guests
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.packet import Element, Message, read_message, split_packet
from bridge.osc.replies import format_fail
from bridge.service.delayed import Delays
from bridge.service.inbox import Inbox
from bridge.service.tickets import Counts

MAX_BAD_PACKET_REPLIES = 10
"""A second, to one address."""

MAX_BAD_PACKET_SOURCES = 256


class Reception:
    """What has come and is not handled yet. What is turned away is counted and logged."""

    def __init__(self, guests: Guests, own_port: int, counts: Counts, outbox: Outbox):
        self._guests, self._own_port, self._counts, self._outbox = guests, own_port, counts, outbox
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

    def take(self, now: float, unix_now: float) -> list[tuple[Message, Address]]:
        """The next message of the source whose turn it is; none where that is dated ahead, or no OSC.

        The messages of a bundle are handled in order, those of one dated ahead when they are due.
        """
        item, source = self._inbox.take()
        try:
            elements = [item] if isinstance(item, Element) else split_packet(item)
            self._inbox.put_back(elements[1:], source)
            messages = [read_message(each) for each in elements[:1]]
        except PacketError as error:
            self._refuse(source, str(error), now)
            return []
        return [(each, source) for each in messages if not self._is_delayed(each, source, now, unix_now)]

    def due(self, now: float) -> Iterator[tuple[Message, Address]]:
        """The messages dated ahead that are to be handled now, or the first of them."""
        return self._delays.due(now)

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
