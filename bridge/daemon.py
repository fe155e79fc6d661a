"""The daemon's life in the order in which it happens: start, run, stop. The one place that composes everything.

A single loop waits for the OSC socket, the model process and signals; what is to be done when, the service says.
"""

import logging
import math
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from typing import Any

from bridge.addresses import shown_address
from bridge.cards import Cards
from bridge.channel import Channel
from bridge.config import Config
from bridge.controls_file import ControlsFile
from bridge.engine_queue import Loaded
from bridge.errors import StartError
from bridge.log import set_up_log
from bridge.midi.ports import MidiPorts
from bridge.model_process import ModelProcess
from bridge.model_worker import CannotStart, Recipe
from bridge.osc import OscSocket
from bridge.playing.controls import Control
from bridge.playing.musician import Musician, Stage
from bridge.realtime import ask_for_realtime, steady_interpreter
from bridge.service import Service
from bridge.session import About
from bridge.slots import Slots
from bridge.wires import Wires

logger = logging.getLogger(__name__)

OnReady = Callable[[str, tuple[str, ...], float], None]
"""Called once, with the address as it is shown, the resident models, the default first, and the seconds it took."""

LARGEST_BOOT = 2**24
DEATHS_BEFORE_GIVING_UP = 3
"""Deaths in a row, none of them ready in between, after which nobody is kept waiting; starts go on."""

GENERATOR = "engine.generator:Generator"


def serve(config: Config, *, on_ready: OnReady | None = None, generator: str = GENERATOR) -> None:
    """Serve until a signal of endings() comes; PortError or StartError, each with what to do, if that cannot be."""
    set_up_log(config.log_level)
    with OscSocket(config.osc_host, config.osc_port) as wire, Wires(config) as wires, interrupts() as interrupted:
        Daemon(config, wire, wires, generator).run(interrupted, on_ready)


class Daemon:
    """The service and the musician between their edges: datagrams, MIDI, and the model process."""

    def __init__(self, config: Config, wire: OscSocket, wires: Wires, generator: str):
        self._wire, self._wires, self._began, self._deaths = wire, wires, time.monotonic(), 0
        self._model = ModelProcess(
            Recipe(
                models=config.models,
                weight_folders=config.weight_folders,
                device=config.device,
                drum_map=config.drum_map,
                log_level=config.log_level,
                generator=generator,
            )
        )
        cards = Cards(config.weight_folders)
        about = About(
            version=version_of("vaebridge"),
            boot=1 + secrets.randbelow(LARGEST_BOOT - 1),
            own_port=wire.port,
            look_at_cards=cards.look,
            why_not=cards.why_not,
            timeout_seconds=config.request_timeout_seconds,
        )
        slots, self._controls_file = Slots(), ControlsFile(config.controls)
        self._musician = Musician(
            Stage(
                send=wires.send,
                slots=slots,
                tempo_bpm=config.tempo,
                beats_per_bar=config.beats_per_bar,
                channel=config.channel,
                channels=config.channel_map,
                latency_seconds=config.latency_ms / 1000,
                controls=self._controls_file.read(),
                on_playing=lambda slot: self._service.playing.subscriptions.playing(slot, time.monotonic()),
                on_learned=self._learned,
            )
        )
        self._service = Service(about, slots, self._musician, wires, self._began)
        self._service.playing.begin(config.clock, config.live, config.bars, self._began)

    def run(self, interrupted: socket.socket, on_ready: OnReady | None) -> None:
        """Start, run until a signal comes, stop."""
        ask_for_realtime()
        logger.info("listening on %s", shown_address(self._wire.host, self._wire.port))
        self._on_ready = on_ready
        try:
            while not self._step(interrupted):
                pass
        finally:
            self._stop()

    def _step(self, interrupted: socket.socket) -> bool:
        """Do what is due, wait for what comes; whether a signal came."""
        wake = self._do_what_is_due(time.monotonic())
        channel, midi = self._model.channel, self._wires.midi
        readers: list[Any] = [self._wire, interrupted, *filter(None, (channel, midi))]
        writers = [channel] if channel and channel.is_sending else []
        timeout = None if wake == math.inf else max(0.0, wake - time.monotonic())
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if midi is not None and midi in readable:
            self._hear(midi)
        for each in writable:
            each.flush()
        if self._wire in readable:
            self._receive()
        if channel in readable:
            self._hear_model(channel)
        return interrupted in readable

    def _do_what_is_due(self, now: float) -> float:
        """Notes first, then timers, the next job, and what is to be sent; when to come back."""
        self._musician.run_due(now)
        self._check_ports(now)
        self._model.start_if_due(now)
        if self._service.jobs.running_too_long(now):
            self._model.kill(now)
            self._service.jobs.engine_went_down("the request before took too long, the models start anew", now)
        self._service.run_due(now)
        self._submit(now)
        self._send(now)
        dues = (self._musician.next_due(), self._service.next_due(now), self._wires.next_check)
        return min(*dues, self._model.next_start)

    def _hear(self, midi: MidiPorts) -> None:
        """What has come to the MIDI ports, before anything is planned on it."""
        now = time.monotonic()
        for at_seconds, port, message in midi.receive():
            self._musician.hear(at_seconds, port, message, now)

    def _check_ports(self, now: float) -> None:
        """Open again what has vanished."""
        if now >= self._wires.next_check:
            vanished, returned = self._wires.check(now)
            if vanished or returned:
                self._musician.ports_changed(vanished, returned, now)

    def _learned(self, target: str, control: Control | None) -> None:
        self._controls_file.write(self._musician.controls.bindings)
        if control is not None:
            self._service.playing.learned(target, control, time.monotonic())

    def _receive(self) -> None:
        lost_before = self._wire.lost
        for datagram, source in self._wire.receive():
            now = time.monotonic()
            self._service.receive(datagram, source, now, time.time())
            self._submit(now)
            self._musician.run_due(time.monotonic())
        if lost := self._wire.lost - lost_before:
            self._service.counts.dropped += lost
            logger.warning("%d datagrams came faster than they could be read and are lost", lost)

    def _submit(self, now: float) -> None:
        while job := self._service.jobs.take(now):
            self._model.submit(job)

    def _send(self, now: float) -> None:
        outbox, counts = self._service.outbox, self._service.counts
        for datagram, address in outbox.due(now):
            if not self._wire.send(datagram, address):
                counts.dropped += 1
        counts.dropped, outbox.lost = counts.dropped + outbox.lost, 0

    def _hear_model(self, channel: Channel | None) -> None:
        for report in self._model.read(time.monotonic()):
            now = time.monotonic()
            if report is None:
                self._model_died(now)
            elif isinstance(report, CannotStart):
                self._model_cannot_start(report.text, now)
            else:
                self._service.jobs.report(report, now)
                self._greet()
            if isinstance(report, Loaded):
                self._model.keep(report.loaded)

    def _greet(self) -> None:
        """Tell once that the models are there."""
        self._deaths = 0
        if self._on_ready is None or not self._service.engine.ready:
            return
        steady_interpreter()
        on_ready, self._on_ready = self._on_ready, None
        address = shown_address(self._wire.host, self._wire.port)
        on_ready(address, self._service.engine.loaded, time.monotonic() - self._began)

    def _model_died(self, now: float) -> None:
        self._deaths += 1
        for_good = self._deaths >= DEATHS_BEFORE_GIVING_UP
        self._service.jobs.engine_went_down("the model process died, it is started again", now, for_good=for_good)

    def _model_cannot_start(self, text: str, now: float) -> None:
        """At first that is the end; later the process is tried again."""
        if not self._service.engine.ever_ready:
            raise StartError(text)
        self._service.jobs.engine_went_down(text, now, for_good=True)

    def _stop(self) -> None:
        """End every note, answer whoever waits, let the models go."""
        now = time.monotonic()
        self._musician.panic(now)
        self._service.shut_down(now)
        while len(self._service.outbox):
            self._send(now)
            now += 1.0  # nothing is paced any more
        self._model.stop()
        logger.info(
            "stopped after %d requests, %d failed", self._service.counts.requests, self._service.counts.failed
        )


@contextmanager
def interrupts() -> Iterator[socket.socket]:
    """A socket that becomes readable on SIGTERM, Ctrl-C or the end of the terminal, instead of what they did."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    wakeup_before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = {each: signal.signal(each, lambda *_: None) for each in endings()}
    try:
        yield ours
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(wakeup_before)
        ours.close()
        theirs.close()


def endings() -> Iterator[signal.Signals]:
    """The signals that end a daemon; that of a terminal which is closed not where nohup has it ignored."""
    yield from (signal.SIGINT, signal.SIGTERM)
    if sys.platform == "win32":
        yield signal.SIGBREAK
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP
