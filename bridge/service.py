"""Requests in, answers out: what each verb of the protocol does.

Pure: no socket, thread or sleep. Time is a number that is passed in; datagrams leave through the outbox, jobs for
the engine through take_job. Every datagram is answered, or counted and logged.
"""

import contextlib
import itertools
import logging
import math

from bridge.clients import Address, Client, Clients
from bridge.delays import Delays
from bridge.engine_queue import (
    EngineQueue,
    Entry,
    Finished,
    Job,
    LiveEntry,
    Load,
    Loaded,
    Ready,
    Refused,
    Report,
    Run,
)
from bridge.errors import PacketError, RequestError
from bridge.ledger import Counts, Ledger, Ticket
from bridge.musician import Musician
from bridge.osc_packet import Atom, Message, read_packet
from bridge.outbox import Outbox, Parcel
from bridge.play_verbs import PlayVerbs, Ports
from bridge.protocol import PREFIX, TABLE, Call, engine_request, parse_id, parse_request, slots_of
from bridge.replies import format_clip, format_fail, sorted_clip
from bridge.session import About, Engine, Handler, Session
from bridge.slot_verbs import SlotVerbs
from bridge.slots import Slots, checked_size
from bridge.uploads import Uploads
from engine.requests import Humanize

logger = logging.getLogger(__name__)

MAX_BAD_PACKET_REPLIES = 10
MAX_BARS = 512
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
        self._musician, self._live_numbers = musician, itertools.count(-1, -1)
        self._clients, self._queue = Clients(), EngineQueue()
        self._ledger = Ledger(self._clients, self.outbox, self.counts)
        self._uploads = Uploads(self._ledger, self.slots)
        self._delays = Delays()
        self._bad_packets: dict[str, list[float]] = {}
        self.playing = PlayVerbs(musician, self._ledger, self.outbox, ports)
        self._session = Session(about, self.engine, self._ledger, self._queue, self.playing.state)
        self._handlers: dict[str, Handler] = {
            **self._session.handlers(),
            **SlotVerbs(self.slots, self._ledger).handlers(),
            **self.playing.handlers(),
            "sync": self._sync,
            "cancel": self._cancel,
            "load": self._load,
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
        self._uploads.expire(now)
        self.playing.run_due(now)

    def next_due(self, now: float) -> float:
        """When run_due or the outbox have something to do, inf if nothing is planned."""
        running = self._queue.running_since + self.about.timeout_seconds if self._queue.running else math.inf
        dues = (self._delays.next_due(), self._uploads.next_expiry(), self.playing.next_due(now))
        return min(*dues, self.outbox.next_due(), running)

    def take_job(self, now: float) -> Job | None:
        """The job that the engine is to run now: what the next bar needs goes before everything that waits."""
        if not self.engine.ready or self._queue.running is not None:
            return None
        request = self._musician.take_request(now)
        if request is None:
            return self._queue.start_next(now)
        return self._queue.start(LiveEntry(Run(next(self._live_numbers), request)), now)

    def running_too_long(self, now: float) -> bool:
        """End the running request with a timeout if its time is up; the engine must then be started anew."""
        if self._queue.running is None or now - self._queue.running_since < self.about.timeout_seconds:
            return False
        entry = self._queue.take_running()
        assert entry is not None
        if isinstance(entry, Entry):
            self._ledger.fail(entry.ticket, "timeout", f"it ran for {self.about.timeout_seconds:g} s", now)
        return True

    def engine_reports(self, report: Report, now: float) -> None:
        """Take what the engine has to say."""
        if isinstance(report, Ready):
            self.engine.became_ready(report.device, report.loaded)
            self._musician.models = tuple(sorted(report.loaded))
            for problem in report.problems:
                logger.warning("%s", problem)
            return
        entry = self._queue.take_running(report.number)
        if entry is None:
            return
        if isinstance(entry, LiveEntry):
            self._report_live(entry.job, report, now)
        elif isinstance(report, Refused):
            self._ledger.fail(entry.ticket, report.code, report.text, now)
        elif isinstance(report, Loaded):
            self.engine.loaded = report.loaded
            self._musician.models = tuple(sorted(report.loaded))
            self._ledger.done(entry.ticket, now, {"model": report.name, "ms": report.ms})
        else:
            try:
                self._finish(entry, report, now)
            except Exception as error:
                logger.exception("the results of %s met a bug", entry.ticket.verb)
                self._fail_of_bug(entry.ticket, error, now)

    def _report_live(self, job: Run, report: Finished | Loaded | Refused, now: float) -> None:
        if isinstance(report, Finished):
            self._musician.answered(job.request, report.results, now)
        elif isinstance(report, Refused):
            self._musician.refused(job.request, report.text)

    def engine_went_down(self, why: str, now: float, *, for_good: bool = False) -> None:
        """The engine is gone: what ran fails, what waits waits for the next, unless there will be none."""
        self.engine.ready, self.engine.started, self.engine.down = False, now, why if for_good else ""
        entry = self._queue.take_running()
        self._musician.engine_died(now)
        gone = [entry] if isinstance(entry, Entry) else []
        gone += list(self._queue.drain()) if for_good else []
        for each in gone:
            self._ledger.fail(each.ticket, "engine_down", why, now)

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
                    self._fail_of_bug(ticket, error, now)

    def _fail_of_bug(self, ticket: Ticket, error: Exception, now: float) -> None:
        self._ledger.fail(ticket, "internal", f"{type(error).__name__}: {error}", now)

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
        if call.verb.needs_id:
            self._upload(call, client, source, now)
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
                self._make_music(call, ticket, now)
            else:
                self._handlers[call.verb.name](call, ticket, now)
        except RequestError as error:
            self._ledger.fail(ticket, error.code, str(error), now)

    def _upload(self, call: Call, client: Client, source: Address, now: float) -> None:
        """A message of an upload; while the models warm up it fails at its begin."""
        try:
            self._check_warm(now)
        except RequestError as error:
            if call.verb.name != "clip/begin":
                return
            ticket = self._ledger.open(client, call.id, call.verb.answer, None, now)
            assert ticket is not None
            self._ledger.fail(ticket, error.code, str(error), now)
            return
        if not self._uploads.handle(call, client, now):
            self._drop(f"{call.verb.name} {call.id}: no such upload is open", source)

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
        if known is not None and known.needs_id and self._uploads.fail(client, number, error, now):
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

    # The queue's own verbs

    def _sync(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ledger.when_all_earlier_ended(ticket, now)

    def _cancel(self, call: Call, ticket: Ticket, now: float) -> None:
        def forget(cancelled: Ticket) -> None:
            self._queue.remove(cancelled)
            self._uploads.forget(cancelled)

        self._ledger.cancel(ticket.client, call.values["target"], now, forget)
        self._ledger.done(ticket, now, {})

    def _load(self, call: Call, ticket: Ticket, now: float) -> None:
        self._enqueue(Entry(ticket, Load(ticket.number, self._session.card(call.values["model"]).name)), now)

    # Making music

    def _make_music(self, call: Call, ticket: Ticket, now: float) -> None:
        """Queue what a call asks of the engine, about the clips that are in its slots now."""
        clips = [self.slots[name] for name in slots_of(call)]
        request = engine_request(call, clips)
        if too_long := [clip.bars for clip in clips if clip.bars > MAX_BARS]:
            raise RequestError("too_big", f"{call.verb.name} takes {MAX_BARS} bars, not {too_long[0]}")
        if request.model is not None:
            self._session.card(request.model)
        to_slot = "" if call.verb.name == "interpolate" else call.values.get("to", "")
        job = Run(ticket.number, request)
        self._enqueue(Entry(ticket, job, call.values.get("group", ""), to_slot), now)

    def _enqueue(self, entry: Entry, now: float) -> None:
        """Let a job wait its turn; it takes the place of the older ones of its group."""
        for older in self._queue.older_of_group(entry):
            self._queue.remove(older.ticket)
            self._ledger.fail(older.ticket, "stale", "a newer request of its group has come", now)
        if self._queue.full:
            raise RequestError("busy", f"{len(self._queue)} requests are waiting already")
        self._queue.put(entry)

    def _finish(self, entry: Entry, report: Finished, now: float) -> None:
        """Send the results, and keep the first where it was asked for."""
        ticket, results = entry.ticket, report.results
        request = entry.job.request if isinstance(entry.job, Run) else None
        clips = results.clips if isinstance(request, Humanize) else tuple(map(sorted_clip, results.clips))
        if ticket.ended:  # cancelled while it ran
            return
        try:
            for clip in clips:
                checked_size(clip)
            if entry.to_slot:
                self.slots.put(entry.to_slot, clips[0])
        except RequestError as error:
            self._ledger.fail(ticket, error.code, str(error), now)
            return
        for index, clip in enumerate(clips):
            for datagram in format_clip(ticket.id, index, clip):
                self._ledger.send(ticket, datagram)
        about: dict[str, Atom] = {"model": results.model, "seed": results.seed}
        about |= {"results": len(clips), "ms": results.ms}
        if results.as_taps:
            about["as"] = "taps"
        if results.remarks:
            about["remark"] = "; ".join(results.remarks)
        self._ledger.done(ticket, now, about, timed=True)


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
