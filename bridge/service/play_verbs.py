"""The verbs that play: play, stop, panic, live and its knobs, tempo, clock, subscribe, learn. Pure."""

import logging
import math
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Protocol

from bridge.errors import ClockError, RequestError
from bridge.osc.outbox import Outbox
from bridge.osc.packet import Atom
from bridge.osc.requests import Call
from bridge.osc.table import LESSON_SECONDS
from bridge.playing.clock import Clock
from bridge.playing.controls import Control
from bridge.playing.ensemble import Ensemble
from bridge.playing.knobs import CardsOf
from bridge.playing.live_settings import LiveSettings
from bridge.service.bars import Bars
from bridge.service.session_verbs import Handler
from bridge.service.subscriptions import Subscriptions
from bridge.service.tickets import Ticket, Tickets

logger = logging.getLogger(__name__)

SOURCES = ("internal", "midi", "link")
LIVE_NAMES = {"from": "from_slot", "to": "to_slot"}


class Ports(Protocol):
    """What there is outside: the names of the open MIDI ports, or why there are none; and Link."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the ports that are open."""

    @property
    def why_none(self) -> str:
        """Why nothing can be played, empty where it can."""

    def link_clock(self, tempo_bpm: float, beats_per_bar: float, now: float) -> Clock:
        """A clock in a Link session; ClockError where there can be none."""


class PlayVerbs:
    """Answers for the ensemble. cards: of the models that it may be told to use."""

    def __init__(self, ensemble: Ensemble, tickets: Tickets, outbox: Outbox, ports: Ports, cards: CardsOf):
        self._ensemble, self._tickets, self._ports = ensemble, tickets, ports
        self._transport = transport = ensemble.transport
        ensemble.live.knobs.cards = cards
        self._learning: list[tuple[str, Ticket]] = []
        self._begins: LiveSettings | None = None
        self._clocks: dict[str, Clock] = {"internal": transport.clock, "midi": transport.midi_clock}
        bars = partial(Bars, transport, ensemble.scheduler)
        self.subscriptions = Subscriptions(outbox, transport.place, transport.next_beat_at, self.state, bars)

    def handlers(self) -> dict[str, Handler]:
        """The verbs by name."""
        handlers: dict[str, Handler] = {
            "play": self._play,
            "stop": self._stop,
            "panic": self._panic,
            "live": self._live,
            "steer": self._steer,
            "freeze": self._freeze,
            "undo": self._undo,
            "learn": self._learn,
            "tempo": self._tempo,
            "clock": self._clock,
            "subscribe": self._subscribe,
        }
        return {name: _with_clock_errors(handler) for name, handler in handlers.items()}

    def state(self) -> Mapping[str, Atom]:
        """What status tells of the playing."""
        ensemble, live = self._ensemble, self._ensemble.live
        mode = live.settings.mode if live.running and live.settings else "off"
        punctuality = ensemble.scheduler.punctuality
        facts: dict[str, Atom] = {
            "clock": self._transport.clock.source,
            "tempo": self._transport.tempo_bpm,
            "playing": int(self._transport.clock.playing),
            "live": mode,
            "frozen": int(live.variations.frozen),
            "late_p50_ms": punctuality.percentile_ms(50),
            "late_p99_ms": punctuality.percentile_ms(99),
            "late_max_ms": punctuality.most_ms,
            "skipped": punctuality.skipped,
            "missed": live.missed,
            "ports": ", ".join(self._ports.names) or "none",
        }
        told = {"problem": ensemble.problem or self._ports.why_none, "remark": live.remark if live.running else ""}
        return facts | {name: text for name, text in told.items() if text}

    def learned(self, target: str, control: Control, now: float) -> None:
        """A control was learned: answer the learn request of its target."""
        for ticket in [ticket for each, ticket in self._learning if each == target]:
            told: dict[str, Atom] = {"target": target, control.kind: control.number, "channel": control.channel}
            self._tickets.done(ticket, now, told)
        self._learning = [each for each in self._learning if each[0] != target]

    def begin(self, source: str, mode: str, bars: int | None, now: float) -> None:
        """The clock and the live mode to begin with; ClockError or RequestError if that cannot be."""
        if source == "midi":
            self._ensemble.use_clock(self._clocks[source], now)
        elif source != "internal":
            self.use_clock(source, now)
        if mode != "off":
            values = {"mode": mode} | ({} if bars is None else {"bars": bars})
            self._ensemble.live.settings = self._begins = live_settings(values, has_live_clip=False)
            if empty := self._ensemble.live.empty_slots(self._begins):
                logger.warning("live %s begins when %s hold clips and it is started", mode, " and ".join(empty))
                self._begins = None

    def ports_are_there(self, now: float) -> None:
        """Start the live mode that was to begin, once there is something to play on."""
        if self._begins is not None and not self._ensemble.live.running:
            self._ensemble.start_live(self._begins, now)
        self._begins = None

    def run_due(self, now: float) -> None:
        """Notify subscribers, and time out learn requests for which no control moved."""
        self.subscriptions.run_due(now)
        for target, ticket in self._learning:
            if now >= ticket.received + LESSON_SECONDS:
                self._tickets.fail(ticket, "timeout", f"no control was moved for {target}", now)
            if ticket.ended:  # it may have been cancelled as well
                self._ensemble.controls.forget_lesson()
        self._learning = [each for each in self._learning if not each[1].ended]

    def next_due(self, now: float) -> float:
        """When run_due has something to do."""
        lessons = (ticket.received + LESSON_SECONDS for _, ticket in self._learning)
        return min(self.subscriptions.next_due(now), *lessons, math.inf)

    def _play(self, call: Call, ticket: Ticket, now: float) -> None:
        self._check_heard()
        values = call.values
        at = _choice("at", values.get("at", "bar"), ("bar", "beat", "now"))
        channel = values.get("channel")
        if channel is not None and not 1 <= channel <= 16:
            raise RequestError("bad_request", f"channel must be in 1..16, not {channel}")
        self._ensemble.play(values["slot"], at=at, loop=bool(values.get("loop", 0)), channel=channel, now=now)
        self._done(ticket, now, {"slot": values["slot"]})

    def _stop(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ensemble.stop(at=_choice("at", call.values.get("at", "now"), ("bar", "beat", "now")), now=now)
        self._done(ticket, now)

    def _panic(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ensemble.panic(now)
        self._done(ticket, now)

    def _live(self, call: Call, ticket: Ticket, now: float) -> None:
        if call.values["mode"] == "off":
            self._ensemble.live.stop()
            self._done(ticket, now, {"mode": "off"})
            return
        self._check_heard()
        settings = live_settings(call.values, has_live_clip=self._ensemble.has_live_clip)
        self._ensemble.live.knobs.check_able(settings)
        self._ensemble.start_live(settings, now)
        self._done(ticket, now, {"mode": settings.mode, "verb": settings.verb_name})

    def _steer(self, call: Call, ticket: Ticket, now: float) -> None:
        turned = {name: value for name, value in call.values.items() if name != "reply_port"}
        cleared = turned.pop("clear", "")
        self._ensemble.live.steer(turned, [name.strip() for name in cleared.split(",")] if cleared else ())
        self._done(ticket, now)

    def _freeze(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ensemble.live.freeze(bool(call.values.get("on", 1)))
        self._done(ticket, now, {"frozen": int(self._ensemble.live.variations.frozen)})

    def _undo(self, call: Call, ticket: Ticket, now: float) -> None:
        self._ensemble.live.undo()
        self._done(ticket, now, {"frozen": int(self._ensemble.live.variations.frozen)})

    def _learn(self, call: Call, ticket: Ticket, now: float) -> None:
        """The answer comes when a control has moved."""
        self._check_port()
        target = call.values["target"]
        if not call.values.get("on", 1):
            self._ensemble.controls.forget(target)
            self._end_lessons("cancelled", f"{target} is to be forgotten", now, target)
            self._done(ticket, now, {"target": target})
            return
        self._ensemble.controls.learn(target)
        self._end_lessons("stale", f"{target} is to be learned first", now)
        self._learning = [(target, ticket)]

    def _end_lessons(self, code: str, why: str, now: float, of: str = "") -> None:
        """Fail the learn requests of a target, or of all."""
        for ticket in [ticket for target, ticket in self._learning if of in ("", target)]:
            self._tickets.fail(ticket, code, why, now)
        self._learning = [each for each in self._learning if not each[1].ended]

    def _tempo(self, call: Call, ticket: Ticket, now: float) -> None:
        beats_per_bar = call.values.get("beats_per_bar")
        if beats_per_bar is not None and not 0.25 <= beats_per_bar <= 64:
            raise RequestError("bad_request", f"beats_per_bar must be in 0.25..64, not {beats_per_bar:g}")
        if beats_per_bar is None and "bpm" not in call.values:
            raise RequestError("bad_request", "tempo needs the key bpm, or beats_per_bar")
        if "bpm" in call.values:
            self._transport.set_tempo(call.values["bpm"], now)
        if beats_per_bar is not None:
            self._ensemble.set_meter(beats_per_bar, now)
        self._done(ticket, now, {"tempo": self._transport.tempo_bpm})

    def _clock(self, call: Call, ticket: Ticket, now: float) -> None:
        self.use_clock(_choice("source", call.values["source"], SOURCES), now)
        self._done(ticket, now, {"clock": self._transport.clock.source})

    def use_clock(self, source: str, now: float) -> None:
        """Keep the time of this source; ClockError where it cannot be had, no_port where there is no MIDI."""
        tempo_bpm = self._transport.tempo_bpm
        if source == "midi":
            self._check_port()
        if source not in self._clocks:
            meter = self._transport.beats_per_bar
            self._clocks[source] = self._ports.link_clock(tempo_bpm, meter, now)
        self._ensemble.use_clock(self._clocks[source], now)

    def _subscribe(self, call: Call, ticket: Ticket, now: float) -> None:
        topic, on = call.values["topic"], bool(call.values.get("on", 1))
        self.subscriptions.subscribe(ticket.client, topic, now, on=on)
        self._done(ticket, now, {"topic": topic, "on": int(on)})

    def _done(self, ticket: Ticket, now: float, keys: Mapping[str, Atom] | None = None) -> None:
        self._tickets.done(ticket, now, keys or {})

    def _check_heard(self) -> None:
        """no_port where there is neither a port nor a client that sounds the notes by itself."""
        if not self.subscriptions.are_sounded:
            self._check_port()

    def _check_port(self) -> None:
        if self._ports.why_none:
            raise RequestError("no_port", self._ports.why_none)


def live_settings(values: Mapping[str, Any], *, has_live_clip: bool) -> LiveSettings:
    """The live mode that keys describe; RequestError says what is accepted."""
    own = {each.name for each in fields(LiveSettings)} - {"request"}
    named = {LIVE_NAMES.get(name, name): value for name, value in values.items() if name != "reply_port"}
    given = {name: value for name, value in named.items() if name in own}
    if given["mode"] == "loop" and not has_live_clip and not {"slot", "verb"} & set(given):
        given["verb"] = "sample"
    return LiveSettings(**given, request={name: value for name, value in named.items() if name not in own})


def _choice(name: str, value: str, accepted: tuple[str, ...]) -> Any:
    if value not in accepted:
        raise RequestError("bad_request", f"{name} must be {', '.join(accepted)}, not {value!r}")
    return value


def _with_clock_errors(handler: Handler) -> Handler:
    """A handler whose ClockError becomes bad_request."""

    def answer(call: Call, ticket: Ticket, now: float) -> None:
        try:
            handler(call, ticket, now)
        except ClockError as error:
            raise RequestError("bad_request", str(error)) from error

    return answer
