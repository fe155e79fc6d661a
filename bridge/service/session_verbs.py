"""The verbs that tell what this daemon is and does: hello, ping, status, verbs, models, styles and so on. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import RequestError
from bridge.feels import Feels
from bridge.osc.access import PRIVATE
from bridge.osc.packet import Atom
from bridge.osc.replies import format_message
from bridge.osc.requests import Call
from bridge.osc.table import PROTOCOL_VERSION, TABLE
from bridge.service.queue import EngineQueue
from bridge.service.tickets import Ticket, Tickets
from engine.errors import EngineError
from engine.representation.attributes import ATTRIBUTES, HIGHEST, LOWEST
from engine.styles import forget_style, own_styles, styles_of
from engine.weights import Card, attributes_of

Handler = Callable[[Call, Ticket, float], None]
"""Answers one call, under its ticket, at a time."""


@dataclass(frozen=True, slots=True)
class About:
    """What stays the same while the daemon runs.

    look_at_cards gives the models that there are now, by name; why_not says why one is not there. allow are the
    addresses and networks beyond this machine that are answered, each of which is sent at most bytes_per_second.
    at_once: see EngineQueue.
    """

    version: str
    boot: int
    own_port: int
    look_at_cards: Callable[[], Mapping[str, Card]]
    timeout_seconds: float = 60.0
    allow: tuple[str, ...] = PRIVATE
    bytes_per_second: float = 1e6
    why_not: Callable[[str], str] = lambda _: ""
    styles: Path | None = None
    feels: Feels = field(default_factory=lambda: Feels(None))
    sounds: Path | None = None
    at_once: int = 1


@dataclass(slots=True)
class Engine:
    """What is known of the other process.

    down says why it is not there, if it will not come back by itself; problems why models are not.
    """

    started: float
    ready: bool = False
    device: str = ""
    loaded: tuple[str, ...] = ()
    down: str = ""
    ever_ready: bool = False
    problems: tuple[str, ...] = ()

    def became_ready(self, device: str, loaded: tuple[str, ...], problems: tuple[str, ...] = ()) -> None:
        """The models are warm."""
        self.ready, self.ever_ready, self.down = True, True, ""
        self.device, self.loaded, self.problems = device, loaded, problems

    @property
    def problem(self) -> str:
        """Why there is no model to ask."""
        return "; ".join(self.problems) if self.ready and not self.loaded else ""

    @property
    def default(self) -> str:
        """The model that answers where none is named, empty before there is one."""
        return self.loaded[0] if self.loaded else ""


class Session:
    """Answers from what is known; asks nobody."""

    def __init__(
        self,
        about: About,
        engine: Engine,
        tickets: Tickets,
        queue: EngineQueue,
        playing: Callable[[], Mapping[str, Atom]],
    ):
        self._about, self._engine, self._tickets, self._queue = about, engine, tickets, queue
        self._playing, self._cards = playing, about.look_at_cards()

    def handlers(self) -> dict[str, Handler]:
        """The verbs by name."""
        return {
            "hello": self._hello,
            "ping": self._ping,
            "status": self._status,
            "verbs": self._verbs,
            "models": self._models,
            "styles": self._styles,
            "attributes": self._attributes,
            "forget_style": self._forget_style,
            "feels": self._feels,
        }

    def card(self, name: str) -> Card:
        """The model of that name; RequestError that lists the names there are."""
        if name not in self._cards:
            self._cards = self._about.look_at_cards()
        if name not in self._cards:
            known = ", ".join(sorted(self._cards)) or "none"
            why = self._about.why_not(name) or f"there is no model {name!r}; the models are: {known}"
            raise RequestError("no_model", why)
        return self._cards[name]

    def cards_of(self, name: str | None) -> list[Card]:
        """The model of that name, RequestError if there is none; without one those in memory, the default first."""
        if name is not None:
            return [self.card(name)]
        return [self._cards[each] for each in self._engine.loaded if each in self._cards]

    def _answers(self, verb: str | None) -> str:
        """The model that answers a verb where none is named: that was loaded last of those that have it."""
        able = [card.name for card in self.cards_of(None) if verb is None or verb in card.verbs]
        if verb is not None and not able:
            raise RequestError("no_model", f"no loaded model can {verb}")
        return able[0] if able else self._engine.default

    def _hello(self, call: Call, ticket: Ticket, now: float) -> None:
        about: dict[str, Atom] = {
            "server": "vaebridge",
            "version": self._about.version,
            "protocol": PROTOCOL_VERSION,
        }
        about |= {"boot": self._about.boot, "model": self._engine.default, "device": self._engine.device}
        self._tickets.done(ticket, now, about)

    def _ping(self, call: Call, ticket: Ticket, now: float) -> None:
        self._tickets.done(ticket, now, {"boot": self._about.boot, "ready": int(self._engine.ready)})

    def _status(self, call: Call, ticket: Ticket, now: float) -> None:
        counts = self._tickets.counts
        facts: dict[str, Atom] = {"boot": self._about.boot, "ready": int(self._engine.ready)}
        facts |= {"model": self._engine.default, "device": self._engine.device, "queue": len(self._queue)}
        facts |= {"together": self._queue.together, "together_max": self._queue.most_together}
        facts |= {"requests": counts.requests, "failed": counts.failed, "dropped": counts.dropped}
        facts |= {"p50_ms": counts.percentile_ms(50), "p99_ms": counts.percentile_ms(99)}
        playing = self._playing()
        problem = "; ".join(filter(None, (self._engine.problem, str(playing.get("problem", "")))))
        self._tickets.done(ticket, now, {**facts, **playing, **({"problem": problem} if problem else {})})

    def _verbs(self, call: Call, ticket: Ticket, now: float) -> None:
        model, loaded = call.values.get("model"), call.values.get("loaded")
        cards = self.cards_of(model) if model or loaded else self._cards.values()
        can = {verb for card in cards for verb in card.verbs}
        names = [name for name, verb in TABLE.items() if verb.request is None or name in can]
        self._tickets.send(ticket, (format_message("verb", ticket.id, name) for name in names), len(names))
        self._tickets.done(ticket, now, {"count": len(names)})

    def _models(self, call: Call, ticket: Ticket, now: float) -> None:
        self._cards = self._about.look_at_cards()
        rows = [
            (name, card.family, card.bars, card.steps_per_bar, int(name in self._engine.loaded))
            for name, card in sorted(self._cards.items())
            if card.verbs  # those of sound have none: nothing that is asked of models is asked of them
        ]
        self._tickets.send(ticket, (format_message("model", ticket.id, *row) for row in rows), len(rows))
        self._tickets.done(ticket, now, {"count": len(rows)})

    def _styles(self, call: Call, ticket: Ticket, now: float) -> None:
        card = self.card(call.values.get("model") or self._answers(call.values.get("verb")))
        names = self.styles_of(card)
        self._tickets.send(ticket, (format_message("style", ticket.id, name) for name in names), len(names))
        self._tickets.done(ticket, now, {"model": card.name, "count": len(names)})

    def styles_of(self, card: Card) -> tuple[str, ...]:
        """The styles that can be asked of a model: its own, then those of the drummer who plays its hits."""
        return styles_of(card, self.cards_of(None), own_styles(self._about.styles))

    def _forget_style(self, call: Call, ticket: Ticket, now: float) -> None:
        try:
            forget_style(self._about.styles, call.values["name"])
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error
        self._tickets.done(ticket, now, {"name": call.values["name"]})

    def _feels(self, call: Call, ticket: Ticket, now: float) -> None:
        names = self._about.feels.names()
        self._tickets.send(ticket, (format_message("feel", ticket.id, name) for name in names), len(names))
        self._tickets.done(ticket, now, {"count": len(names)})

    def _attributes(self, call: Call, ticket: Ticket, now: float) -> None:
        """Those of a model, and the feel of the drummer in memory, who plays the hits of models without one."""
        card = self.card(call.values.get("model") or self._answers(call.values.get("verb")))
        scales = attributes_of(card, self.cards_of(None))
        rows = [
            (
                name,
                float(mean),
                float(deviation),
                ATTRIBUTES[name.partition(".")[0]].unit,
                float(LOWEST),
                float(HIGHEST),
            )
            for name, (mean, deviation) in scales.items()
        ]
        self._tickets.send(ticket, (format_message("attribute", ticket.id, *row) for row in rows), len(rows))
        self._tickets.done(ticket, now, {"model": card.name, "count": len(rows)})
