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
from bridge.config import Config
from bridge.controls_file import ControlsFile
from bridge.errors import StartError
from bridge.feels import Feels
from bridge.log import set_up_log
from bridge.midi.connections import Connections
from bridge.osc.access import is_loopback
from bridge.osc.socket import BATCH, OscSocket
from bridge.page.process import PageProcess
from bridge.playing.controls import Control
from bridge.playing.ensemble import Ensemble, Stage
from bridge.playing.slots import Slots
from bridge.realtime import ask_for_realtime, spare_the_old, steady_interpreter
from bridge.replicas.recipe import model_process
from bridge.service.service import Service
from bridge.service.session_verbs import About
from bridge.worker.cards import Cards
from bridge.worker.children import Children
from bridge.worker.messages import CannotStart, Loaded, Report

logger = logging.getLogger(__name__)

OnReady = Callable[[str, tuple[str, ...], float], None]
"""Called once, with the address as it is shown, the resident models, the default first, and the seconds it took."""

LARGEST_BOOT = 2**24
ANY_NUMBER = 4096
"""Of signals that came at once."""

DEATHS_BEFORE_GIVING_UP = 3
"""Deaths in a row, none of them ready in between, after which nobody is kept waiting; starts go on."""

STUMBLE_SECONDS = 0.01
"""How long the loop waits at least after a bug, which may be met again and again."""

MIDI_PATIENCE_SECONDS = 2.0
"""How long the news that the models are there waits for the MIDI ports."""

SPARE_SECONDS = 0.2
"""How much longer the end of the children is waited for than they may take."""

MOST_BATCHES = 16
"""Batches of datagrams taken in at a time: more than the kernel holds where nobody has given it more room."""

SLICE_SECONDS = 0.003
"""How long datagrams are handled before everything else has its turn."""

GOODBYE_SECONDS = 0.5
"""How long whoever waits is answered when the daemon stops."""

GENERATOR = "engine.verbs.generator:Generator"


def serve(config: Config, *, on_ready: OnReady | None = None, generator: str = GENERATOR) -> None:
    """Serve until a signal of endings() comes; PortError or StartError, each with what to do, if that cannot be."""
    set_up_log(config.log_level)
    with OscSocket(config.osc_host, config.osc_port) as wire, interrupts() as interrupted:
        warn_of_others(wire.host, config.allow)
        Daemon(config, wire, generator).run(interrupted, on_ready)


def warn_of_others(host: str, allow: tuple[str, ...]) -> None:
    """Say at the start who else may ask, where that is not this machine alone."""
    if not is_loopback(host):
        who = ", ".join(("this machine", *allow))
        logger.warning("listening beyond this machine: %s may ask, and have notes played; allow names who may", who)


class Daemon:
    """The service and the ensemble between their edges: datagrams, MIDI, and the model process."""

    def __init__(self, config: Config, wire: OscSocket, generator: str):
        self._wire, self._began, self._deaths = wire, time.perf_counter(), 0
        self._stumbled, self._wake, self._is_greeted, self._greet_at = False, math.inf, False, math.inf
        self._children = Children()
        self._midi = Connections(config, self._children, self._began)
        self._page = PageProcess(config, wire.port, self._children)
        self._model = model_process(config, wire.port, generator, self._children)
        cards = Cards(config.weight_folders)
        about = About(
            version=version_of("vaebridge"),
            boot=1 + secrets.randbelow(LARGEST_BOOT - 1),
            own_port=wire.port,
            look_at_cards=cards.look,
            why_not=cards.why_not,
            timeout_seconds=config.request_timeout_seconds,
            allow=config.allow,
            bytes_per_second=config.rate * 1000,
            styles=config.styles_folder,
            feels=Feels(config.feels_folder),
            sounds=config.audio_folder,
            at_once=config.replicas,
        )
        slots, self._controls_file = Slots(), ControlsFile(config.controls)
        self._ensemble = Ensemble(
            Stage(
                send=self._midi.send,
                slots=slots,
                tempo_bpm=config.tempo,
                beats_per_bar=config.beats_per_bar,
                channel=config.channel,
                channels=config.channel_map,
                latency_seconds=config.latency_ms / 1000,
                controls=self._controls_file.read(),
                on_playing=lambda slot: self._service.playing.subscriptions.playing(slot, time.perf_counter()),
                on_learned=self._learned,
            )
        )
        self._service = Service(about, slots, self._ensemble, self._midi, self._began)
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
        wake = self._do_what_is_due(time.perf_counter())
        model, midi, page = self._model.channel, self._midi.channels, self._page.channel
        channels = [*midi, *filter(None, (model, page))]
        readers: list[Any] = [self._wire, interrupted, *channels]
        timeout = None if wake == math.inf else max(0.0, wake - time.perf_counter())
        readable, writable, _ = select.select(
            readers, [each for each in channels if each.waiting_bytes], [], timeout
        )
        if not set(midi).isdisjoint(readable):
            self._try(self._hear)
        for each in writable:
            each.flush()
        if self._wire in readable:
            self._try(self._receive)
        self._try(self._handle_some)
        if model in readable:
            self._try(self._hear_model)
        if page in readable:
            self._try(self._page.look, time.perf_counter())
        return interrupted in readable and self._ends(interrupted)

    def _ends(self, interrupted: socket.socket) -> bool:
        """Whether the signals that came end the daemon; Ctrl-Z suspends it, but never while a note sounds."""
        if set(interrupted.recv(ANY_NUMBER)) - set(suspensions()):
            return True
        self._try(self._ensemble.scheduler.silence)
        if sys.platform != "win32":
            signal.raise_signal(signal.SIGSTOP)
        return False

    def _do_what_is_due(self, now: float) -> float:
        """Notes first, then timers, the next job, and what is to be sent; when to come back."""
        self._stumbled = False
        spare_the_old()
        for part in (
            self._ensemble.run_due,
            self._midi.run_due,
            self._follow_ports,
            self._children.run_due,
            self._model.start_if_due,
            self._page.start_if_due,
            self._end_late_jobs,
            self._service.run_due,
            self._submit,
            self._send,
            self._greet,
        ):
            self._try(part, now)
        self._wake = now + STUMBLE_SECONDS
        if not self._stumbled:
            self._try(self._plan_wake, now)
        return self._wake

    def _plan_wake(self, now: float) -> None:
        self._wake = min(
            self._ensemble.next_due(),
            self._service.next_due(now),
            self._midi.next_due(),
            self._children.next_due(now),
            self._model.next_start,
            self._page.next_start,
            self._greet_at,
        )

    def _try(self, part: Callable[..., None], *arguments: Any) -> None:
        """Run a part of the loop; what it throws is logged, and the music goes on."""
        try:
            part(*arguments)
        except StartError:
            raise
        except Exception:
            self._stumbled = True
            logger.exception("a bug in %s; the daemon goes on", part.__qualname__)

    def _hear(self) -> None:
        """What has come to the MIDI ports, before anything is planned on it."""
        now = time.perf_counter()
        for heard in self._midi.read(now):
            self._try(self._ensemble.hear, *heard, now)
        self._follow_ports(now)

    def _follow_ports(self, now: float) -> None:
        """Tell the ensemble which ports have vanished and returned."""
        vanished, returned = self._midi.take_changes()
        if vanished or returned:
            self._ensemble.ports_changed(vanished, returned, now)
        if returned:
            self._service.playing.ports_are_there(now)

    def _end_late_jobs(self, now: float) -> None:
        if self._service.engine_verbs.running_too_long(now):
            self._model.kill(now)
            self._engine_is_gone("the request before took too long, the models start anew", now)

    def _learned(self, target: str, control: Control | None) -> None:
        self._controls_file.write(self._ensemble.controls.bindings)
        if control is not None:
            self._service.playing.learned(target, control, time.perf_counter())

    def _receive(self) -> None:
        """Take in what has come, before the kernel runs out of room for more, with notes in between."""
        lost_before = self._wire.lost
        for _ in range(MOST_BATCHES):
            batch = self._wire.receive()
            for datagram, source in batch:
                self._service.reception.admit(datagram, source)
            if len(batch) < BATCH:
                break
            self._ensemble.run_due(time.perf_counter())
        if lost := self._wire.lost - lost_before:
            self._service.counts.drop("datagrams that came faster than they could be read", count=lost)

    def _handle_some(self) -> None:
        """Handle what was taken in, for a while, with notes in between."""
        until = time.perf_counter() + SLICE_SECONDS
        while (now := time.perf_counter()) < until and self._service.handle_next(now, time.time()):
            self._submit(now)
            self._ensemble.run_due(time.perf_counter())

    def _submit(self, now: float) -> None:
        while job := self._service.engine_verbs.take(now):
            self._model.submit(job)

    def _send(self, now: float) -> None:
        due = self._service.outbox.due(now)
        self._service.drop_unsent(sum(not self._wire.send(datagram, address) for datagram, address in due))

    def _hear_model(self) -> None:
        for report in self._model.read(time.perf_counter()):
            self._try(self._take_report, report, time.perf_counter())

    def _take_report(self, report: Report | CannotStart | None, now: float) -> None:
        if report is None:
            self._model_died(now)
        elif isinstance(report, CannotStart):
            self._model_cannot_start(report.text, now)
        else:
            self._deaths = 0
            self._service.engine_verbs.report(report, now)
            if isinstance(report, Loaded):
                self._model.keep(report.loaded)
            if not self._is_greeted:
                self._is_greeted, self._greet_at = True, now + MIDI_PATIENCE_SECONDS

    def _greet(self, now: float) -> None:
        """Tell once that the models are there, and with them the MIDI ports, unless those take their time."""
        if self._greet_at == math.inf or (now < self._greet_at and not self._midi.is_settled):
            return
        steady_interpreter()
        on_ready, self._greet_at = self._on_ready, math.inf
        if on_ready is not None:
            address = shown_address(self._wire.host, self._wire.port)
            on_ready(address, self._service.engine.loaded, now - self._began)

    def _model_died(self, now: float) -> None:
        self._deaths += 1
        for_good = self._deaths >= DEATHS_BEFORE_GIVING_UP
        self._engine_is_gone("the model process died, it is started again", now, for_good=for_good)

    def _engine_is_gone(self, why: str, now: float, *, for_good: bool = False) -> None:
        self._service.engine_verbs.engine_went_down(why, now, for_good=for_good)

    def _model_cannot_start(self, text: str, now: float) -> None:
        """At first that is the end; later the process is tried again."""
        if not self._service.engine.ever_ready:
            raise StartError(text)
        self._engine_is_gone(text, now, for_good=True)

    def _stop(self) -> None:
        """End every note, answer whoever waits, let the models go."""
        now = time.perf_counter()
        until = now + GOODBYE_SECONDS
        self._try(self._ensemble.panic, now)
        self._try(self._service.shut_down, now, lambda: time.perf_counter() < until)
        while len(self._service.outbox) and now < until:
            self._send(now)
            time.sleep(max(0.0, min(self._service.outbox.next_due(), until) - time.perf_counter()))
            now = time.perf_counter()
        self._model.stop(now)
        self._page.stop(now)
        self._midi.close(now)
        self._children.end_all(self._model.stop_seconds + SPARE_SECONDS)
        logger.info(
            "stopped after %d requests, %d failed", self._service.counts.requests, self._service.counts.failed
        )


@contextmanager
def interrupts() -> Iterator[socket.socket]:
    """A socket that tells of SIGTERM, Ctrl-C, Ctrl-Z or the end of the terminal, instead of what they did."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    wakeup_before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = {each: signal.signal(each, lambda *_: None) for each in (*endings(), *suspensions())}
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


def suspensions() -> tuple[signal.Signals, ...]:
    """The signal that suspends a daemon, Ctrl-Z, unless whoever started it has it ignored."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
        return ()
    return (signal.SIGTSTP,)
