"""Requests in, answers out: what each verb of the protocol does.

Pure: no socket, thread or sleep. Time is a number that is passed in; datagrams leave through the outbox, jobs for
the engine through take_job. Every datagram is answered, or counted and logged.
"""

import contextlib
import logging
import math

from bridge.calls import Call, parse_id, parse_request
from bridge.clients import Address, Client, Clients
from bridge.delays import Delays
from bridge.engine_queue import EngineQueue
from bridge.errors import PacketError, RequestError
from bridge.jobs import Jobs
from bridge.latents import Latents
from bridge.ledger import Counts, Ledger, Ticket
from bridge.osc_packet import Message, read_packet
from bridge.outbox import Outbox, Parcel
from bridge.play_verbs import PlayVerbs, Ports
from bridge.playing.musician import Musician
from bridge.protocol import PREFIX, TABLE, Verb
from bridge.replies import format_fail
from bridge.session import About, Engine, Handler, Session
from bridge.slot_verbs import SlotVerbs
from bridge.slots import Slots
from bridge.uploads import Uploads

logger = logging.getLogger(__name__)

MAX_BAD_PACKET_REPLIES = 10
UNANSWERED = frozenset({"/vae/done", "/vae/fail"})
SHORT_OF_A_CONTENT = frozenset(
    {"hello", "ping", "status", "sync", "cancel", "verbs", "models", "styles", "clip/get", "clip/list"}
)
"""Verbs that a repeat simply asks again: their answer may have changed, and costs nothing."""


class Service:
    """The whole protocol for all clients."""

    def __init__(self, about: About, slots: Slots, musician: Musician, ports: Ports, now: float):
        self.about, self.engine = about, Engine(started=now)
        self.counts, self.outbox, self.slots = Counts(), Outbox(), slots
        self._clients, queue = Clients(), EngineQueue()
        self._ledger = Ledger(self._clients, self.outbox, self.counts)
        self._delays = Delays()
        self._bad_packets: dict[str, list[float]] = {}
        self.playing = PlayVerbs(
            musician, self._ledger, self.outbox, ports, cards=lambda name: self._session.cards_of(name)
        )
        self._session = Session(about, self.engine, self._ledger, queue, self.playing.state)
        self.jobs = Jobs(
            self.engine,
            queue,
            self._ledger,
            slots,
            musician,
            card=self._session.card,
            timeout_seconds=about.timeout_seconds,
        )
        uploads, latents = Uploads(self._ledger, slots), Latents(self._ledger, self.jobs.make_music)
        self._collectors: dict[str, Uploads | Latents] = {"clip": uploads, "decode": latents}
        self._handlers: dict[str, Handler] = {
            **self._session.handlers(),
            **SlotVerbs(self.slots, self._ledger).handlers(),
            **self.playing.handlers(),
            "sync": self._sync,
            "cancel": self._cancel,
            "load": self.jobs.load,
        }

    # What the daemon calls

    def receive(self, datagram: bytes, source: Address, now: float, unix_now: float) -> None:
        """Handle a datagram; the messages of a bundle in order, those of one dated ahead when they are due."""
        try:
            messages = read_packet(datagram)
        except PacketError as error:
            self._bad_packet(source, str(error), now)
            return
        for message in messages:
            if message.due <= unix_now:
                self._handle(message, source, now)
            elif not self._delays.put(message, source, now, message.due - unix_now):
                self._drop("a message dated ahead, as too many wait already", source)

    def run_due(self, now: float) -> None:
        """Handle the delayed messages that are due, and end uploads that have stopped."""
        for message, source in self._delays.due(now):
            self._handle(message, source, now)
        for collector in self._collectors.values():
            collector.expire(now)
        self.playing.run_due(now)

    def next_due(self, now: float) -> float:
        """When run_due or the outbox have something to do, inf if nothing is planned."""
        dues = [self._delays.next_due(), self.playing.next_due(now)]
        dues += [collector.next_expiry() for collector in self._collectors.values()]
        return min(*dues, self.outbox.next_due(), self.jobs.deadline())

    def shut_down(self, now: float) -> None:
        """End every request that is open."""
        for ticket in self._ledger.all_open():
            self._ledger.fail(ticket, "cancelled", "the daemon is stopping", now)

    # From message to verb

    def _handle(self, message: Message, source: Address, now: float) -> None:
        """One message; a bug that it meets fails what it asked for, and nothing else."""
        try:
            self._read(message, source, now)
        except Exception as error:
            logger.exception("%s from %s:%d met a bug", message.address, *source)
            with contextlib.suppress(RequestError):
                client = self._clients.find(source, _reply_port(message), now)
                for ticket in self._ledger.find(client, parse_id(message)):
                    self._ledger.fail_of_bug(ticket, error, now)

    def _read(self, message: Message, source: Address, now: float) -> None:
        if not message.address.startswith(PREFIX) or message.address in UNANSWERED:
            self._drop(f"a message to {message.address[:80]}", source)
            return
        verb = message.address.removeprefix(PREFIX)
        try:
            number = parse_id(message)
        except RequestError as error:
            self._refuse(source, message, verb, error, now)
            return
        client = self._client_of(message, source, now)
        if client is None:
            return
        try:
            call = parse_request(message)
        except RequestError as error:
            self._fail_unread(client, message, number, verb, error, now)
            return
        collector = self._collector_of(call.verb)
        if collector is not None:
            self._collect(collector, call, client, source, now)
            return
        content = None if verb in SHORT_OF_A_CONTENT else _fingerprint(message)
        ticket = self._ledger.open(client, number, call.verb.answer, content, now)
        if ticket is not None:
            self._answer(call, ticket, now)

    def _answer(self, call: Call, ticket: Ticket, now: float) -> None:
        try:
            if not call.verb.while_warming_up:
                self._check_warm(now)
            if call.verb.request is not None:
                self.jobs.make_music(call, ticket, now)
            else:
                self._handlers[call.verb.name](call, ticket, now)
        except RequestError as error:
            self._ledger.fail(ticket, error.code, str(error), now)

    def _collector_of(self, verb: Verb) -> Uploads | Latents | None:
        """Who puts together what comes in several messages, of which this is one."""
        return self._collectors.get(verb.answer) if verb.needs_id else None

    def _collect(
        self, collector: Uploads | Latents, call: Call, client: Client, source: Address, now: float
    ) -> None:
        """A message of several; while the models warm up the first of them fails."""
        try:
            self._check_warm(now)
        except RequestError as error:
            if call.verb.name != collector.begins:
                return
            ticket = self._ledger.open(client, call.id, call.verb.answer, None, now)
            assert ticket is not None
            self._ledger.fail(ticket, error.code, str(error), now)
            return
        if not collector.handle(call, client, now):
            self._drop(f"{call.verb.name} {call.id}: its {collector.begins} is missing or has ended", source)

    def _check_warm(self, now: float) -> None:
        """Before the models have been ready once there is nothing to be had."""
        if self.engine.down:
            raise RequestError("engine_down", self.engine.down)
        if not self.engine.ever_ready:
            raise RequestError("busy", f"warming up, {math.ceil(now - self.engine.started)} s")

    def _client_of(self, message: Message, source: Address, now: float) -> Client | None:
        """Who asks; None for a request whose reply would come to ourselves."""
        port = _reply_port(message)
        if message.address == f"{PREFIX}hello" and port:
            self._clients.register(source, port)
        client = self._clients.find(source, port, now)
        if client.address[1] == self.about.own_port and source[1] == self.about.own_port:
            self._drop("a request that came from our own port", source)
            return None
        if client.address[1] == self.about.own_port:
            self._drop("a request whose reply_port is our own", source)
            return None
        return client

    def _fail_unread(
        self, client: Client, message: Message, number: int, verb: str, error: RequestError, now: float
    ) -> None:
        """A request that could not be read: it fails, and ends the upload it belongs to."""
        known = TABLE.get(verb)
        collector = self._collector_of(known) if known else None
        if collector is not None and collector.fail(client, number, verb, error, now):
            return
        content = _fingerprint(message)
        ticket = self._ledger.open(client, number, known.answer if known else verb, content, now)
        if ticket is not None:
            self._ledger.fail(ticket, error.code, str(error), now)

    def _refuse(self, source: Address, message: Message, verb: str, error: RequestError, now: float) -> None:
        """Answer a request without a readable id."""
        self.counts.failed += 1
        client = self._client_of(message, source, now)
        if client is not None:
            self.outbox.put(Parcel(format_fail(0, verb, error.code, str(error)), client.address, 0))

    def _bad_packet(self, source: Address, text: str, now: float) -> None:
        """Answer what is no OSC, at most 10 times a second to one address."""
        self._drop(text, source)
        recent = [at for at in self._bad_packets.get(source[0], []) if now - at < 1.0]
        if len(recent) < MAX_BAD_PACKET_REPLIES and source[1] != self.about.own_port:
            self.outbox.put(Parcel(format_fail(0, "-", "bad_packet", text), source, 0))
            recent.append(now)
        self._bad_packets = {source[0]: recent} if len(self._bad_packets) > 256 else self._bad_packets
        self._bad_packets[source[0]] = recent

    def _drop(self, what: str, source: Address) -> None:
        """Count what is not answered, and log it: each of the first ten, then each time the count doubles."""
        self.counts.dropped += 1
        if self.counts.dropped <= 10 or self.counts.dropped.bit_count() == 1:
            logger.warning("dropped %s from %s:%d (%d so far)", what, *source, self.counts.dropped)

    # Verbs about other requests

    def _sync(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ledger.when_all_earlier_ended(ticket, now)

    def _cancel(self, call: Call, ticket: Ticket, now: float) -> None:
        def forget(cancelled: Ticket) -> None:
            self.jobs.forget(cancelled)
            for collector in self._collectors.values():
                collector.forget(cancelled)

        self._ledger.cancel(ticket.client, call.values["target"], now, forget)
        self._ledger.done(ticket, now, {})


def _reply_port(message: Message) -> int | None:
    """The reply port that a message names: the key, or what follows the name in hello; None if there is none."""
    arguments = message.arguments
    places = [index + 1 for index, each in enumerate(arguments) if each == "reply_port"]
    if message.address == f"{PREFIX}hello" and not places:
        places = [2]
    for place in places:
        port = arguments[place] if place < len(arguments) else None
        if isinstance(port, int | float) and 0 < port < 65536 and float(port).is_integer():
            return int(port)
    return None


def _fingerprint(message: Message) -> int:
    """What two messages have in common only if they say the same, id included."""
    return hash((message.address, message.arguments))
