"""Requests in, answers out: what each verb of the protocol does.

Pure: no socket, thread or sleep; time is a number that is passed in. Requests come from the reception, answers
leave through the outbox, jobs for the engine through engine_verbs. Each request is answered, or counted and logged.
"""

import logging
import math
from collections.abc import Callable

from bridge.addresses import Address, shown_address
from bridge.errors import RequestError
from bridge.osc.access import Guests
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.replies import cut, format_push
from bridge.osc.requests import Call
from bridge.osc.table import CLIP, MAX_NAME_BYTES, POINT, SOUND
from bridge.playing.ensemble import Ensemble
from bridge.playing.slots import Slots
from bridge.service.busy import WARMING_UP, BusyError
from bridge.service.clients import Client, Clients
from bridge.service.engine_verbs import EngineVerbs
from bridge.service.latents import points
from bridge.service.multipart import Multipart
from bridge.service.play_verbs import PlayVerbs, Ports
from bridge.service.queue import EngineQueue
from bridge.service.reception import Reception
from bridge.service.session_verbs import About, Engine, Handler, Session
from bridge.service.slot_verbs import SlotVerbs
from bridge.service.tickets import Counts, Ticket, Tickets
from bridge.service.uploads import uploads

logger = logging.getLogger(__name__)

UNANSWERED = frozenset({"/vae/done", "/vae/fail"})
ALWAYS_RERUN = frozenset(
    {
        "hello",
        "ping",
        "status",
        "sync",
        "cancel",
        "verbs",
        "models",
        "styles",
        "attributes",
        "feels",
        "clip/get",
        "clip/list",
    }
)
"""Verbs of which a repeat is run again, not answered from memory: cheap, and the answer may have changed."""


class Service:
    """The whole protocol for all clients."""

    def __init__(self, about: About, slots: Slots, ensemble: Ensemble, ports: Ports, now: float):
        self.about, self.engine = about, Engine(started=now)
        self.counts, self.outbox, self.slots = Counts(), Outbox(about.bytes_per_second), slots
        clients, queue = Clients(), EngineQueue(about.at_once)
        self.reception = Reception(Guests(about.allow), about.own_port, clients, self.counts, self.outbox)
        self._tickets = Tickets(clients, self.outbox, self.counts)
        slots.on_gone = self._tell_gone
        self.playing = PlayVerbs(
            ensemble, self._tickets, self.outbox, ports, cards=lambda name: self._session.cards_of(name)
        )
        ensemble.live.knobs.styles_of = lambda card: self._session.styles_of(card)
        self._session = Session(about, self.engine, self._tickets, queue, self.playing.state)
        self.engine_verbs = EngineVerbs(
            self.engine,
            queue,
            self._tickets,
            slots,
            ensemble,
            card=self._session.card,
            feels=about.feels,
            sounds=about.sounds,
            timeout_seconds=about.timeout_seconds,
        )
        self._multiparts = {
            CLIP: Multipart(uploads(slots, self._tickets, ensemble.hear_bar), self._tickets),
            POINT: Multipart(points(self._tickets, self.engine_verbs.make_music), self._tickets),
        }
        self._handlers: dict[str, Handler] = {
            **self._session.handlers(),
            **SlotVerbs(self.slots, self._tickets, about.feels).handlers(),
            **self.playing.handlers(),
            "sync": self._sync,
            "cancel": self._cancel,
            "load": self.engine_verbs.load,
            "learn_style": self.engine_verbs.learn_style,
            SOUND: self.engine_verbs.continue_sound,
        }

    # What the daemon calls

    def handle_next(self, now: float, unix_now: float) -> bool:
        """Handle the next request that has come; False if none waits."""
        if not self.reception:
            return False
        if request := self.reception.take(now, unix_now):
            self._handle(*request, now)
        return True

    def run_due(self, now: float) -> None:
        """Handle the delayed messages that are due, and time out requests of several that are not continued."""
        for call, client in self.reception.due(now):
            self._handle(call, client, now)
        for each in self._multiparts.values():
            each.expire(now)
        self.playing.run_due(now)

    def next_due(self, now: float) -> float:
        """When run_due, handle_next or the outbox have something to do, inf if nothing is planned."""
        dues = [self.reception.next_due(now), self.playing.next_due(now)]
        dues += [each.next_expiry() for each in self._multiparts.values()]
        return min(*dues, self.outbox.next_due(), self.engine_verbs.deadline())

    def shut_down(self, now: float, has_time: Callable[[], bool] = lambda: True) -> None:
        """End every request that is open, the oldest first, as long as there is time."""
        for ticket in self._tickets.all_open():
            if not has_time():
                return
            self._tickets.fail(ticket, "cancelled", "the daemon is stopping", now)

    def drop_unsent(self, count: int) -> None:
        """Count answers that could not be sent, and those for which the outbox had no room."""
        count, self.outbox.lost = count + self.outbox.lost, 0
        if count:
            self.counts.drop("answers that could not be sent", count=count)

    # From request to verb

    def _handle(self, call: Call, client: Client, now: float) -> None:
        """One request; a bug that it meets fails what it asked for, and nothing else."""
        try:
            if call.verb.begun_by:
                self._collect(call, client, now)
            else:
                self._answer(call, client, now)
        except Exception as error:
            logger.exception("%s from %s met a bug", call.verb.name, shown_address(*client.address))
            for ticket in self._tickets.find(client, call.id):
                self._tickets.fail_of_bug(ticket, error, now)

    def _answer(self, call: Call, client: Client, now: float) -> None:
        """A request of one message, unless it is a repeat."""
        repeat_key = None if call.verb.name in ALWAYS_RERUN and not call.error else call.repeat_key
        ticket = self._tickets.open(client, call.id, call.verb.answer, repeat_key, now)
        if ticket is None:
            return
        try:
            self._run(call, ticket, now)
        except RequestError as error:
            self._tickets.fail(ticket, error.code, str(error), now)

    def _run(self, call: Call, ticket: Ticket, now: float) -> None:
        if call.error:
            raise call.error
        if not call.verb.while_warming_up:
            self._check_warm(now)
        if call.verb.request is not None:
            self.engine_verbs.make_music(call, ticket, now)
        else:
            self._handlers[call.verb.name](call, ticket, now)

    def _collect(self, call: Call, client: Client, now: float) -> None:
        """One message of a request of several; one that belongs to none fails if it begins or cannot be read."""
        begin = call.verb.begun_by
        why = f"its {begin} is missing or has ended"
        try:
            if not call.error:
                self._check_warm(now)
            if self._multiparts[begin].handle(call, client, now):
                return
        except RequestError as error:
            why = str(error)
        if call.error or call.verb.begins:
            self._answer(call, client, now)
        else:
            self.counts.drop(f"{call.verb.name} {call.id}: {why}", client.address)

    def _check_warm(self, now: float) -> None:
        """BusyError until the models have been ready once."""
        if self.engine.down:
            raise RequestError("engine_down", self.engine.down)
        if not self.engine.ever_ready:
            raise BusyError(WARMING_UP.format(math.ceil(now - self.engine.started)))

    def _tell_gone(self, name: str, owner: Address) -> None:
        """A client's slot has made room for another."""
        self.outbox.put(Parcel(format_push("clip/gone", cut(name, MAX_NAME_BYTES)), owner, 0))

    # Verbs about other requests

    def _sync(self, call: Call, ticket: Ticket, now: float) -> None:
        self._tickets.when_all_earlier_ended(ticket, now)

    def _cancel(self, call: Call, ticket: Ticket, now: float) -> None:
        def forget(cancelled: Ticket) -> None:
            self.engine_verbs.forget(cancelled)
            for each in self._multiparts.values():
                each.forget(cancelled, now)

        self._tickets.cancel(ticket.client, call.values["target"], now, forget)
        self._tickets.done(ticket, now, {})
