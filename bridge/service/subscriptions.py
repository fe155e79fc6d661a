"""What clients are told without asking: each beat, what plays, its notes, the state. Pure: writes to the outbox."""

import math
from collections.abc import Callable, Mapping
from functools import partial

from bridge.errors import RequestError
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.packet import Atom
from bridge.osc.replies import format_push
from bridge.service.bars import Bars
from bridge.service.busy import MAX_SUBSCRIBERS, SUBSCRIBERS, BusyError
from bridge.service.clients import Client

TOPICS = ("beat", "play", "status", "notes")
SILENT_SECONDS = 60.0
"""A client from which nothing has come for so long is told nothing more."""

STATE_SECONDS = 0.5


class Subscriptions:
    """The subscribers of each topic.

    place and next_beat_at are the song's; state: the keys of topic status; bars: what topic notes tells.
    """

    def __init__(
        self,
        outbox: Outbox,
        place: Callable[[float], tuple[int, float] | None],
        next_beat_at: Callable[[float], float],
        state: Callable[[], Mapping[str, Atom]],
        bars: Callable[[Callable[[bytes], None]], Bars],
    ):
        self._outbox, self._place, self._next_beat_at, self._state = outbox, place, next_beat_at, state
        self._clients: dict[str, dict[tuple[str, int], Client]] = {topic: {} for topic in TOPICS}
        self._bars = bars(partial(self._tell, "notes"))
        self._told_beat: tuple[int, int] | None = None
        self._told_state: Mapping[str, Atom] = {}
        self._next_state = math.inf

    def subscribe(self, client: Client, topic: str, now: float, *, on: bool) -> None:
        """Tell a client from now on, or no more."""
        if topic not in TOPICS:
            raise RequestError("bad_request", f"topic must be beat, play, status or notes, not {topic!r}")
        clients = self._clients[topic]
        if not on:
            clients.pop(client.address, None)
            self._listen(topic)
            return
        if len(clients) >= MAX_SUBSCRIBERS and client.address not in clients:
            raise BusyError(SUBSCRIBERS)
        clients[client.address] = client
        self._listen(topic)
        if topic == "status":
            self._told_state = {}
        if topic in ("status", "notes"):
            self._next_state = now

    @property
    def are_sounded(self) -> bool:
        """Whether somebody sounds the notes that play by himself."""
        return bool(self._clients["notes"])

    def playing(self, slot: str, now: float) -> None:
        """A slot begins to play, or, empty, nothing plays any more."""
        self._forget_silent("play", now)
        self._tell("play", format_push("playing", slot))

    def run_due(self, now: float) -> None:
        """Tell the beat, the bars and the state, if they are new."""
        if self._clients["beat"]:
            self._tell_beat(now)
        self._bars.run_due(now)
        if now >= self._next_state:
            self._forget_silent("notes", now)
            self._tell_state(now)

    def next_due(self, now: float) -> float:
        """When there may be something to tell, inf if nobody wants to know."""
        beat = self._next_beat_at(now) if self._clients["beat"] else math.inf
        return min(beat, self._bars.next_due(now), self._next_state)

    def _tell_beat(self, now: float) -> None:
        place = self._place(now)
        beat = None if place is None else (place[0], int(place[1] + 1e-6))
        if beat is not None and beat != self._told_beat:
            self._forget_silent("beat", now)
            self._tell("beat", format_push("beat", *beat))
        self._told_beat = beat

    def _tell_state(self, now: float) -> None:
        self._forget_silent("status", now)
        watched = self._clients["status"] or self._clients["notes"]
        self._next_state = now + STATE_SECONDS if watched else math.inf
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
        if len(self._clients[topic]) < len(clients):
            self._listen(topic)

    def _listen(self, topic: str) -> None:
        """Where clients of the topic notes come or go the bars are told anew."""
        if topic == "notes":
            self._bars.listen(self.are_sounded)
