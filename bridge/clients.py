"""Who asks: clients are (IP address, reply port); and what they were answered, so that a repeat is not run again.

Bounded in clients and bytes. Knows no socket.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

Address = tuple[str, int]

REMEMBERED_SECONDS = 10.0
MAX_CLIENTS = 256
MAX_REMEMBERED_BYTES = 8 * 2**20
ENTRY_BYTES = 400
"""What remembering costs beside the datagrams."""


@dataclass(slots=True)
class Answer:
    """What one request was answered; datagrams is None until it has ended."""

    at: float
    datagrams: list[bytes] | None = None

    @property
    def size(self) -> int:
        """The bytes that are kept."""
        return ENTRY_BYTES + sum(map(len, self.datagrams or ()))


@dataclass(slots=True)
class Client:
    """One client. answers: by the content of the request, id included; the ended ones in order of their end."""

    address: Address
    last_seen: float
    answers: OrderedDict[object, Answer] = field(default_factory=OrderedDict)


class Clients:
    """All clients that were heard lately, the one heard last at the end."""

    def __init__(self) -> None:
        self._clients: OrderedDict[Address, Client] = OrderedDict()
        self._registered: OrderedDict[Address, int] = OrderedDict()
        self._remembered_bytes = 0

    def register(self, source: Address, reply_port: int) -> None:
        """What hello says: replies to this source go to that port."""
        self._registered[source] = reply_port
        self._registered.move_to_end(source)
        while len(self._registered) > MAX_CLIENTS:
            self._registered.popitem(last=False)

    def find(self, source: Address, reply_port: int | None, now: float) -> Client:
        """The client behind a request: the key on it, else what hello registered, else the source port."""
        port = reply_port or self._registered.get(source, source[1])
        client = self._clients.pop((source[0], port), None) or Client((source[0], port), now)
        client.last_seen = now
        self._clients[client.address] = client
        while len(self._clients) > MAX_CLIENTS:
            _, vanished = self._clients.popitem(last=False)
            for content in list(vanished.answers):
                self.forget(vanished, content)
        return client

    def recall(self, client: Client, content: object, now: float) -> Answer | None:
        """What the same request was answered in the last 10 seconds, if it was."""
        self._expire(client, now)
        return client.answers.get(content)

    def begin(self, client: Client, content: object, now: float) -> None:
        """Note that a request is under way."""
        self._expire(client, now)
        answer = client.answers[content] = Answer(now)
        self._remembered_bytes += answer.size

    def remember(self, client: Client, content: object, datagrams: list[bytes], now: float) -> None:
        """Keep what a request was answered; the oldest answers give way."""
        self.forget(client, content)
        if self._clients.get(client.address) is not client:
            return  # it has been forgotten meanwhile
        answer = client.answers[content] = Answer(now, datagrams)
        self._remembered_bytes += answer.size
        for other in list(self._clients.values()):
            if self._remembered_bytes <= MAX_REMEMBERED_BYTES:
                return
            self._forget(other, 1 if other is client else 0)

    def forget(self, client: Client, content: object) -> None:
        """Let the same request run again."""
        answer = client.answers.pop(content, None)
        if answer is not None:
            self._remembered_bytes -= answer.size

    def _expire(self, client: Client, now: float) -> None:
        """Answers older than 10 s are forgotten, those under way stay."""
        old = []
        for content, answer in client.answers.items():
            if answer.datagrams is None:
                continue
            if now - answer.at <= REMEMBERED_SECONDS:
                break  # so are all that follow: a flood of requests must not go through them all each time
            old.append(content)
        for content in old:
            self.forget(client, content)

    def _forget(self, client: Client, keep: int) -> None:
        """Drop a client's ended answers but for the newest few."""
        ended = [content for content, answer in client.answers.items() if answer.datagrams is not None]
        for content in ended[: len(ended) - keep]:
            self.forget(client, content)
