"""Whatever clients, players, ports and the engine do, in any order: the music and the service live on.

The service and the ensemble, composed as the daemon composes them, round an engine that stands in this process.
Time is a number. In CI the examples are the same each time; by hand --hypothesis-seed gives others, and
VAEBRIDGE_TEST_EXAMPLES more.
"""

import logging
import math
import os
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.errors import ClockError
from bridge.osc.packet import read_packet, write_message
from bridge.osc.replies import note_atoms
from bridge.osc.table import NOTES_PER_MESSAGE, TABLE
from bridge.playing.clock import Clock, InternalClock
from bridge.playing.controls import Control
from bridge.playing.ensemble import Ensemble, Stage
from bridge.playing.live_settings import MODES
from bridge.playing.scheduler import MAX_PLANNED
from bridge.playing.slots import Slots
from bridge.service.service import Service
from bridge.service.session_verbs import About
from bridge.worker.messages import Finished, Job, Load, Loaded, Ready, Refused
from engine.clip import Clip
from engine.requests import VERBS, Encode, Interpolate, Request, Results, Sample
from tests.bridge.anything import CLIPS, LIVE, MESSAGES, PARTS, PLAYS, beats, requests
from tests.bridge.service.test_service import CARD

UNIX = 1_700_000_000.0
CLIENTS = (("127.0.0.1", 9000), ("127.0.0.1", 9001))
PORTS = ("vaebridge in", "keys")
CARDS = {
    "m": replace(CARD, verbs=tuple(VERBS), styles=("funk", "rock")),
    "tokens": replace(CARD, name="tokens", verbs=("sample", "vary", "interpolate"), styles=()),
}
MOST_STEPS_AT_ONCE = 500
"""So often something may be due at once, again and again: as often as all that can be planned needs."""

MOST_WAITING = 50_000
SLOWEST_ENGINE_SECONDS = 400.0
"""After so long, everything that was asked for has been answered or given up."""


A_BAR = st.sampled_from([0.0, 2.2])
"""How long something is left to itself: at the first tempo, until the next bar has been decided."""


class FakeLink(InternalClock):
    """A Link session with nobody else in it."""

    source = "link"


class FakeWires:
    """Ports that may go, and a Link that may be missing."""

    names, why_none, has_link = PORTS, "", True

    def link_clock(self, tempo_bpm: float, beats_per_bar: float, now: float) -> Clock:
        if not self.has_link:
            raise ClockError("there is no Link here")
        return FakeLink(tempo_bpm)


class Engine:
    """Takes jobs and answers them in its manner: prompt, late, refuses, or not at all."""

    def __init__(self) -> None:
        self.manner, self.loaded = "prompt", ("m", "tokens")
        self.jobs: list[tuple[float, Job]] = []

    def submit(self, job: Job, now: float) -> None:
        seconds = {"prompt": 0.01, "refuses": 0.01, "late": 3.0, "hangs": math.inf}[self.manner]
        self.jobs.append((now + seconds, job))

    @property
    def next_due(self) -> float:
        return min((at for at, _ in self.jobs), default=math.inf)

    def reports(self, now: float) -> list[Finished | Loaded | Refused]:
        done = [job for at, job in self.jobs if at <= now]
        self.jobs = [each for each in self.jobs if each[0] > now]
        return [self._report(job) for job in done]

    def _report(self, job: Job) -> Finished | Loaded | Refused:
        if self.manner == "refuses":
            return Refused(job.number, "no_model", "not today")
        if isinstance(job, Load):
            others = tuple(each for each in self.loaded if each != job.name)
            self.loaded = (job.name, *others) if job.default else (*others, job.name)
            return Loaded(job.number, job.name, 1.0, self.loaded)
        return Finished.of(job.number, Results(*self._played(job.request), latent=(0.5,) * 300))

    def _played(self, request: Request) -> tuple[tuple[Clip, ...], str, int, float]:
        clip = getattr(request, "clip", None) or beats(8, 8.0)
        clips: tuple[Clip, ...] = (clip,) * request.count
        if isinstance(request, Sample):
            clips = (beats(8, 4.0 * (request.bars or 2)),) * request.count
        elif isinstance(request, Interpolate):
            clips = (request.clips[0],) * len(request.points)
        elif isinstance(request, Encode):
            clips = ()
        return clips, "m", 7 if request.seed is None else request.seed, 1.0


class Errors(logging.Handler):
    """Keeps what is logged as an error: a bug that somebody has caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


class Daemon(RuleBasedStateMachine):
    """The daemon without its edges."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.ids = 100.0, 0
        self.wires, self.slots, self.engine, self.errors = FakeWires(), Slots(), Engine(), Errors()
        self.sounding: set[tuple[int, int]] = set()
        self.sent, self.ended = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
        self.again = Counter[tuple[int, int]]()
        self.alone: set[tuple[int, int]] = set()
        self.last: tuple[tuple[int, int], bytes] | None = None
        logging.getLogger().addHandler(self.errors)
        logging.getLogger("bridge").setLevel(logging.ERROR)
        self.ensemble = Ensemble(
            Stage(
                send=self.play_message,
                slots=self.slots,
                controls={"temperature": Control("control", 1, 1), "switch": Control("note", 1, 60)},
                on_playing=lambda slot: self.service.playing.subscriptions.playing(slot, self.now),
                on_learned=self.learned,
            )
        )
        about = About("1.0", 7, 8710, lambda: CARDS, timeout_seconds=60.0)
        self.service = Service(about, self.slots, self.ensemble, self.wires, self.now)
        self.service.playing.begin("internal", "off", None, self.now)
        self.report_ready()
        for slot, clip in (("a", "bar"), ("b", "7/8")):
            self.upload(0, slot, clip)

    def play_message(self, message: bytes) -> None:
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if kind == 0x90:
            assert key not in self.sounding, "a note is struck while it sounds"
            self.sounding.add(key)
        elif kind == 0x80:
            self.sounding.remove(key)

    def learned(self, target: str, control: Control | None) -> None:
        if control is not None:
            self.service.playing.learned(target, control, self.now)

    def report_ready(self) -> None:
        self.service.engine_verbs.report(Ready("cpu", self.engine.loaded), self.now)

    # One turn of the daemon's loop, in its order

    def turn(self) -> None:
        now, service = self.now, self.service
        for report in self.engine.reports(now):
            service.engine_verbs.report(report, now)
        self.ensemble.run_due(now)
        if service.engine_verbs.running_too_long(now):
            self.die()
            self.report_ready()
        service.run_due(now)
        self.submit()
        for datagram, address in service.outbox.due(now):
            if datagram.startswith((b"/vae/done\0", b"/vae/fail\0")):
                [message] = read_packet(datagram)
                self.ended[CLIENTS.index(address), int(message.arguments[0])] += 1

    def submit(self) -> None:
        while job := self.service.engine_verbs.take(self.now):
            self.engine.submit(job, self.now)

    def next_due(self) -> float:
        return min(self.ensemble.next_due(), self.service.next_due(self.now), self.engine.next_due)

    def run_for(self, seconds: float) -> None:
        until, at_once = self.now + seconds, 0
        while True:
            self.turn()
            due = self.next_due()
            at_once = at_once + 1 if due <= self.now else 0
            assert at_once < MOST_STEPS_AT_ONCE, "something stays due"
            if self.now >= until:
                return
            self.now = min(max(self.now + 1e-6, due), until)

    def die(self) -> None:
        self.engine.jobs.clear()
        self.service.engine_verbs.engine_went_down("the model process died, it is started again", self.now)

    # What happens

    def ask(self, client: int, verb: str, *arguments: Any, number: int | None = None) -> None:
        """A request under a new id, or under this one."""
        self.ids += number is None
        key = client, self.ids if number is None else number
        datagram = write_message(f"/vae/{verb}", key[1], *arguments)
        self.alone |= {key} if verb in PARTS and key not in self.sent else set()
        self.last = key, datagram
        self.receive(*self.last)

    def receive(self, key: tuple[int, int], datagram: bytes) -> None:
        self.sent[key] += 1
        self.service.reception.admit(datagram, CLIENTS[key[0]])
        while self.service.handle_next(self.now, UNIX + self.now):
            pass
        self.submit()
        self.ensemble.run_due(self.now)

    @rule(
        client=st.integers(0, 1),
        request=st.one_of(requests(list(TABLE)), requests(LIVE), requests(LIVE), PLAYS),
        number=st.sampled_from([None, None, None, 0]),
        again=st.sampled_from([False, False, False, True]),
        seconds=A_BAR,
    )
    def request(
        self, client: int, request: tuple[str, list[Any]], number: int | None, again: bool, seconds: float
    ) -> None:
        """Something legal or not; perhaps twice, as where a client believes it lost."""
        self.ask(client, request[0], *request[1], number=number)
        if again and self.last is not None:
            self.again[self.last[0]] += 1
            self.receive(*self.last)
        self.run_for(seconds)

    @rule(client=st.integers(0, 1), slot=st.sampled_from("aab"), clip=st.sampled_from(list(CLIPS)), seconds=A_BAR)
    def change_clip(self, client: int, slot: str, clip: str, seconds: float) -> None:
        self.upload(client, slot, clip)
        self.run_for(seconds)

    def upload(self, client: int, slot: str, clip: str) -> None:
        content = CLIPS[clip]
        meter = ("beats_per_bar", content.beats_per_bar)
        self.ask(client, "clip/begin", slot, len(content.notes), content.length_beats, *meter)
        number = self.ids
        for first in range(0, len(content.notes), NOTES_PER_MESSAGE):
            notes = content.notes[first : first + NOTES_PER_MESSAGE]
            self.ask(client, "clip/notes", first, len(notes), *note_atoms(notes), number=number)
        for index, part in enumerate(content.parts):
            place = (index, part.channel, part.program, part.first, part.count, part.name)
            self.ask(client, "clip/part", *place, number=number)
        self.ask(client, "clip/end", number=number)

    @rule(pair=st.sampled_from([(mode, verb) for mode in MODES for verb in MODES[mode].verbs]), seconds=A_BAR)
    def live(self, pair: tuple[str, str], seconds: float) -> None:
        """A mode that needs no clip begins whatever was steered, unless there are no ports."""
        mode, verb = pair
        self.ask(0, "live", "mode", mode, "verb", verb, *(("slot", "a") if mode == "loop" else ()))
        if self.wires.why_none == "" and (MODES[mode].listens or verb == "sample"):
            assert self.ensemble.live.running
            assert self.ensemble.live.settings is not None
            assert (self.ensemble.live.settings.mode, self.ensemble.live.settings.verb) == pair
        self.run_for(seconds)

    @rule(messages=st.lists(MESSAGES, max_size=6), port=st.sampled_from(PORTS))
    def hear(self, messages: list[tuple[int, ...]], port: str) -> None:
        for message in messages:
            self.ensemble.hear(self.now, port, bytes(message), self.now)

    @rule(port=st.sampled_from(PORTS), count=st.integers(1, 60), tempo_bpm=st.sampled_from([20.0, 120.0, 600.0]))
    def hear_ticks(self, port: str, count: int, tempo_bpm: float) -> None:
        for _ in range(count):
            self.ensemble.hear(self.now, port, b"\xf8", self.now)
            self.run_for(60 / 24 / tempo_bpm)

    @rule(vanished=st.booleans(), port=st.sampled_from(PORTS), are_all=st.booleans(), has_link=st.booleans())
    def plug(self, vanished: bool, port: str, are_all: bool, has_link: bool) -> None:
        self.wires.has_link = has_link
        self.wires.why_none = "there is no MIDI system" if vanished and are_all else ""
        self.ensemble.ports_changed([port] if vanished else [], [] if vanished else [port], self.now)

    @rule(manner=st.sampled_from(["prompt", "prompt", "late", "refuses", "hangs"]), is_lost=st.booleans())
    def change_engine(self, manner: str, is_lost: bool) -> None:
        self.engine.manner = manner
        if is_lost:
            self.die()
        else:
            self.report_ready()

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.0, 2.0, 4.0]), asleep=st.sampled_from([0, 0, 1, 30, 20_000]))
    def wait(self, seconds: float, asleep: int) -> None:
        """Perhaps the computer sleeps meanwhile, and everything is late."""
        self.now += seconds * asleep
        self.run_for(seconds)

    @rule(verb=st.sampled_from(["stop", "panic"]))
    def stop(self, verb: str) -> None:
        self.ask(0, verb)
        assert not self.sounding
        self.run_for(1.0)
        assert not self.sounding, "something plays after a stop"

    # What holds

    @invariant()
    def no_bug_is_hidden(self) -> None:
        assert not self.errors.found

    @invariant()
    def what_sounds_is_known_and_what_waits_is_bounded(self) -> None:
        scheduler = self.ensemble.scheduler
        assert scheduler.sounding == len(self.sounding)
        assert scheduler.planned <= MAX_PLANNED
        assert scheduler.ends <= 2 * len(self.sounding) + MAX_PLANNED
        assert self.ensemble.playback.playing <= 64
        assert len(self.service.outbox) <= MOST_WAITING

    @invariant()
    def the_state_can_be_told_and_is_sound(self) -> None:
        self.service.playing.state()
        live = self.ensemble.live
        kept = live.variations.played or live.variations.new
        assert not live.variations.frozen or (live.running and kept), "nothing is kept for ever"

    def teardown(self) -> None:
        """In the end everything is silent, and everything has been answered."""
        try:
            self.ask(0, "panic")
            assert not self.sounding
            self.engine.manner = "prompt"
            self.report_ready()
            until = self.now + SLOWEST_ENGINE_SECONDS
            while self.now < until:
                self.now += 5.0
                self.turn()
            assert not self.sounding
            for key in self.sent.keys() - self.alone:
                assert key[1] == 0 or self.ended[key] >= 1, (key, "has not ended")
                assert self.ended[key] <= self.again[key] + 1, (key, "has ended twice")
            failed = self.service.counts.failed
            self.service.shut_down(self.now)
            assert self.service.counts.failed == failed, "a request has been left open"
            assert not self.errors.found
        finally:
            logging.getLogger().removeHandler(self.errors)
            logging.getLogger("bridge").setLevel(logging.NOTSET)


Daemon.TestCase.settings = settings(
    max_examples=int(os.environ.get("VAEBRIDGE_TEST_EXAMPLES", "100")),
    stateful_step_count=40,
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=list(HealthCheck),
)
TestWhateverHappens = Daemon.TestCase
