"""What clients are told without asking: each beat, what plays, the state. Pure: it writes to the outbox."""

import math
from collections.abc import Callable, Mapping

from bridge.errors import RequestError
from bridge.osc.clients import Client
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.packet import Atom
from bridge.osc.replies import format_push
from bridge.service.busy import MAX_SUBSCRIBERS, SUBSCRIBERS, BusyError

TOPICS = ("beat", "play", "status")
SILENT_SECONDS = 60.0
"""A client from which nothing has come for so long is told nothing more."""

STATE_SECONDS = 0.5


class Subscriptions:
    """The subscribers of each topic. place and next_beat_at are the song's; state: the keys of topic status."""

    def __init__(
        self,
        outbox: Outbox,
        place: Callable[[float], tuple[int, float] | None],
        next_beat_at: Callable[[float], float],
        state: Callable[[], Mapping[str, Atom]],
    ):
        self._outbox, self._place, self._next_beat_at, self._state = outbox, place, next_beat_at, state
        self._clients: dict[str, dict[tuple[str, int], Client]] = {topic: {} for topic in TOPICS}
        self._told_beat: tuple[int, int] | None = None
        self._told_state: Mapping[str, Atom] = {}
        self._next_state = math.inf

    def subscribe(self, client: Client, topic: str, now: float, *, on: bool) -> None:
        """Tell a client from now on, or no more."""
        if topic not in TOPICS:
            raise RequestError("bad_request", f"topic must be beat, play or status, not {topic!r}")
        clients = self._clients[topic]
        if not on:
            clients.pop(client.address, None)
            return
        if len(clients) >= MAX_SUBSCRIBERS and client.address not in clients:
            raise BusyError(SUBSCRIBERS)
        clients[client.address] = client
        if topic == "status":
            self._told_state, self._next_state = {}, now

    def playing(self, slot: str, now: float) -> None:
        """A slot begins to play, or, empty, nothing plays any more."""
        self._forget_silent("play", now)
        self._tell("play", format_push("playing", slot))

    def run_due(self, now: float) -> None:
        """Tell the beat and the state, if they are new."""
        if self._clients["beat"]:
            self._tell_beat(now)
        if now >= self._next_state:
            self._tell_state(now)

    def next_due(self, now: float) -> float:
        """When there may be something to tell, inf if nobody wants to know."""
        return min(self._next_beat_at(now) if self._clients["beat"] else math.inf, self._next_state)

    def _tell_beat(self, now: float) -> None:
        place = self._place(now)
        beat = None if place is None else (place[0], int(place[1] + 1e-6))
        if beat is not None and beat != self._told_beat:
            self._forget_silent("beat", now)
            self._tell("beat", format_push("beat", *beat))
        self._told_beat = beat

    def _tell_state(self, now: float) -> None:
        self._forget_silent("status", now)
        self._next_state = now + STATE_SECONDS if self._clients["status"] else math.inf
        state = dict(self._state())
        if state != self._told_state:
            self._told_state = state
            self._tell("status", format_push("state", *(atom for pair in state.items() for atom in pair)))

    def _tell(self, topic: str, datagram: bytes) -> None:
        for address in self._clients[topic]:
            self._outbox.put(Parcel(datagram, address, 0))

    def _forget_silent(self, topic: str, now: float) -> None:
        clients = self._clients[topic]
        self._clients[topic] = {
            address: client for address, client in clients.items() if now - client.last_seen < SILENT_SECONDS
        }
