"""Who asks: clients are (IP address, reply port); and what they were answered, so that a repeat is not run again.

Bounded in clients and bytes. Knows no socket.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from bridge.addresses import Address

REMEMBERED_SECONDS = 10.0
MAX_CLIENTS = 256
MAX_REMEMBERED_BYTES = 8 * 2**20
ENTRY_BYTES = 400
"""What remembering costs beside the request and the datagrams."""


@dataclass(slots=True)
class Answer:
    """What one request was answered so far. ended is when it was whole, else None; size is the bytes of both."""

    size: int
    datagrams: list[bytes] = field(default_factory=list)
    ended: float | None = None


@dataclass(slots=True)
class Client:
    """One client, and its answers by the repeat_key of their requests; size is the bytes of all of them.

    Those that have ended are in the order of their end. source is from where it was heard first.
    """

    address: Address
    source: Address
    last_seen: float
    under_way: dict[bytes, Answer] = field(default_factory=dict)
    ended: OrderedDict[bytes, Answer] = field(default_factory=OrderedDict)
    size: int = 0


class Clients:
    """All clients that were heard lately, the one heard last at the end."""

    def __init__(self) -> None:
        self._clients: OrderedDict[Address, Client] = OrderedDict()
        self._registered: OrderedDict[Address, int] = OrderedDict()
        self._remembered_bytes = 0

    def register(self, source: Address, reply_port: int) -> None:
        """What hello says: replies to this source go to that port."""
        self._registered.pop(source, None)
        if reply_port == source[1]:  # where they go anyway
            return
        self._registered[source] = reply_port
        while len(self._registered) > MAX_CLIENTS:
            self._registered.popitem(last=False)

    def find(self, source: Address, reply_port: int | None, now: float) -> Client:
        """The client behind a request: the key on it, else what hello registered, else the source port."""
        port = reply_port or self._registered.get(source, source[1])
        client = self._clients.pop((source[0], port), None) or Client((source[0], port), source, now)
        client.last_seen = now
        self._clients[client.address] = client
        if len(self._clients) > MAX_CLIENTS:
            self._forget_one()
        return client

    def recall(self, client: Client, repeat_key: bytes, now: float) -> Answer | None:
        """What the same request was answered in the last 10 seconds, if it was; so far, if it is under way."""
        while client.ended and now - self._oldest(client) > REMEMBERED_SECONDS:
            self._forget_oldest(client)
        return client.under_way.get(repeat_key) or client.ended.get(repeat_key)

    def begin(self, client: Client, repeat_key: bytes) -> None:
        """Note that a request is under way; of one that has vanished meanwhile nothing is noted, here and below."""
        self.abandon(client, repeat_key)
        if self._clients.get(client.address) is client:
            client.under_way[repeat_key] = Answer(0)
            self._add(client, client.under_way[repeat_key], ENTRY_BYTES + len(repeat_key))

    def keep(self, client: Client, repeat_key: bytes, datagram: bytes) -> bool:
        """Remember a part of its answer; older ones give way. False if there is no room, and it is forgotten."""
        answer = client.under_way.get(repeat_key)
        if answer is None:
            return False
        answer.datagrams.append(datagram)
        self._add(client, answer, len(datagram))
        if self._remembered_bytes > MAX_REMEMBERED_BYTES:
            self.abandon(client, repeat_key)
        return repeat_key in client.under_way

    def end(self, client: Client, repeat_key: bytes, now: float) -> None:
        """Its answer is whole."""
        answer = client.under_way.pop(repeat_key, None)
        if answer is not None:
            answer.ended = now
            client.ended[repeat_key] = answer

    def abandon(self, client: Client, repeat_key: bytes) -> None:
        """A request that is under way will have no answer to be remembered: the same may run again."""
        answer = client.under_way.pop(repeat_key, None)
        if answer is not None:
            self._weigh(client, -answer.size)

    def _forget_one(self) -> None:
        """The client heard longest ago of the source that has most: one with many reply ports drives out none."""
        source, _ = Counter(client.source for client in self._clients.values()).most_common(1)[0]
        vanished = next(client for client in self._clients.values() if client.source == source)
        del self._clients[vanished.address]
        self._weigh(vanished, -vanished.size)
        vanished.under_way.clear()
        vanished.ended.clear()

    def _add(self, client: Client, answer: Answer, size: int) -> None:
        """Answers have become larger: the oldest of the client that has most are forgotten."""
        answer.size += size
        self._weigh(client, size)
        while self._remembered_bytes > MAX_REMEMBERED_BYTES:
            holder = max((each for each in self._clients.values() if each.ended), key=_size, default=None)
            if holder is None:
                return
            self._forget_oldest(holder)

    def _weigh(self, client: Client, size: int) -> None:
        client.size += size
        self._remembered_bytes += size

    def _oldest(self, client: Client) -> float:
        ended = next(iter(client.ended.values())).ended
        assert ended is not None
        return ended

    def _forget_oldest(self, client: Client) -> None:
        _, answer = client.ended.popitem(last=False)
        self._weigh(client, -answer.size)


def _size(client: Client) -> int:
    return client.size
