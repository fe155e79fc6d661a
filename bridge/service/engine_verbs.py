"""What the engine is asked and what it answers: requests become jobs, results become clips for whoever asked. Pure.

The live mode asks here as well, before everybody else. The daemon carries jobs and reports between the processes.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bridge.errors import RequestError
from bridge.feels import Feels
from bridge.osc.packet import Atom
from bridge.osc.replies import count_clip, count_latent, format_clip, format_latent
from bridge.osc.requests import Call, engine_request, slots_of
from bridge.osc.table import FEEL, FROM, TO_SLOT
from bridge.playing.ensemble import Ensemble
from bridge.playing.live_settings import LONGEST_CLIP_BARS
from bridge.playing.slots import WAY_OUT, Slots, check_notes
from bridge.service.busy import OTHERS_TURN, WAITING, BusyError
from bridge.service.joining import fitting
from bridge.service.queue import TIMES, Begun, EngineQueue, Entry, LiveEntry, NeededEntry
from bridge.service.session_verbs import Engine
from bridge.service.tickets import Ticket, Tickets
from bridge.worker.messages import (
    Drop,
    Finished,
    HaveBegun,
    Job,
    Load,
    Loaded,
    Ready,
    Refused,
    Report,
    Run,
    Sound,
    Together,
)
from engine.clip import Clip
from engine.errors import EngineError
from engine.midi.meters import DEFAULT_TEMPO_BPM
from engine.requests import ContinueSound, LearnStyle, Sample, request_with, settings_of
from engine.weights import Card

logger = logging.getLogger(__name__)

SOUND_SETTINGS = tuple(each.name for each in settings_of(ContinueSound))


class EngineVerbs:
    """The way to the engine and back. timeout_seconds is how long one job may run."""

    def __init__(
        self,
        engine: Engine,
        queue: EngineQueue,
        tickets: Tickets,
        slots: Slots,
        ensemble: Ensemble,
        *,
        card: Callable[[str], Card],
        feels: Feels,
        sounds: Path | None,
        timeout_seconds: float,
    ):
        self._engine, self._queue, self._tickets, self._slots = engine, queue, tickets, slots
        self._ensemble, self._card, self._timeout = ensemble, card, timeout_seconds
        self._feels, self._sounds = feels, sounds
        self._dropped: list[Drop] = []

    # What the daemon calls

    def take(self, now: float) -> Job | Together | Drop | None:
        """What the engine is to give up or begin now: what the next bar needs goes before what waits or runs."""
        if not self._engine.ready:
            return None
        if self._dropped:
            return self._dropped.pop()
        request = None if self._queue.is_live else self._ensemble.take_request()
        if request is not None and request.model not in (None, *self._engine.loaded):
            self._ensemble.refused(request, f"{request.model} is not loaded yet")
            if not self._queue.is_loading:
                return self._queue.begin_loading(str(request.model), now)
            request = None
        if request is None:
            if not len(self._queue):
                return None
            fits = fitting(card for name in self._engine.loaded if (card := self._known(name)))
            return self._queue.begin_next(now, self._engine.loaded, fits)
        return self._queue.begin(LiveEntry(Run(next(self._queue.own_numbers), request, first=True)), now)

    def _known(self, name: str) -> Card | None:
        """The card of a model in memory, None where it has gone from its folder."""
        try:
            return self._card(name)
        except RequestError:
            return None

    def running_too_long(self, now: float) -> bool:
        """Fail the jobs past their timeout; whether there were any: then the engine must be restarted."""
        late = self._queue.take_late(now, self._timeout)
        for begun in late:
            what = f"loading {begun.job.name} took" if isinstance(begun.job, Load) else "it ran for"
            text = f"{what} more than {TIMES[type(begun.job)] * self._timeout:g} s"
            for entry in self._asked_for([begun]):
                self._tickets.fail(entry.ticket, "timeout", text, now)
        return bool(late)

    def report(self, report: Report, now: float) -> None:
        """Take what the engine has to say."""
        if isinstance(report, Ready):
            self._engine.became_ready(report.device, report.loaded, report.problems)
            self._ensemble.models = tuple(sorted(report.loaded))
            for problem in report.problems:
                logger.warning("%s", problem)
            return
        if isinstance(report, HaveBegun):
            self._queue.have_begun(report.numbers, now)
            return
        if isinstance(report, Loaded):  # loaded now, whichever request asked for it
            self._engine.loaded = report.loaded
            self._ensemble.models = tuple(sorted(report.loaded))
        entry = self._queue.take_ended(report.number)
        if isinstance(entry, LiveEntry):
            self._report_live(entry.job, report, now)
        elif isinstance(report, Refused):
            for each in self._asked_for([entry] if entry else []):
                self._tickets.fail(each.ticket, report.code, report.text, now)
        elif isinstance(entry, Entry) and isinstance(report, Loaded):
            self._tickets.done(entry.ticket, now, {"model": report.name, "ms": report.ms})
        elif isinstance(entry, Entry) and isinstance(report, Finished):
            try:
                self._finish(entry, report, now)
            except Exception as error:
                logger.exception("the results of %s met a bug", entry.ticket.verb)
                self._tickets.fail_of_bug(entry.ticket, error, now)

    def engine_went_down(self, why: str, now: float, *, for_good: bool = False) -> None:
        """The engine is gone: what ran fails, what waits waits for the next, unless there will be none."""
        self._engine.ready, self._engine.started, self._engine.down = False, now, why if for_good else ""
        gone = self._asked_for(self._queue.take_under_way())
        self._ensemble.engine_died(now)
        gone += list(self._queue.drain()) if for_good else []
        for each in gone:
            self._tickets.fail(each.ticket, "engine_down", why, now)

    def deadline(self) -> float:
        """When running_too_long is to be asked, inf if nothing is under way."""
        return self._queue.deadline(self._timeout)

    def _asked_for(self, entries: Sequence[Begun]) -> list[Entry]:
        """The requests of these jobs, and those that wait for the models these jobs load."""
        asked = [each for each in entries if isinstance(each, Entry)]
        needed = [each.job.name for each in entries if isinstance(each, NeededEntry)]
        return asked + [waiting for name in needed for waiting in self._queue.take_waiting_for(name)]

    # What the service calls

    def load(self, call: Call, ticket: Ticket, now: float) -> None:
        """Queue the loading of a model."""
        self._enqueue(Entry(ticket, Load(ticket.number, self._card(call.values["model"]).name)), now)

    def make_music(self, call: Call, ticket: Ticket, now: float) -> None:
        """Queue what a call asks of the engine, about the clips that are in its slots now."""
        self._tickets.check_room(ticket)
        clips = self._clips_of(call)
        request = engine_request(call, clips)
        tempo_bpm = self._ensemble.transport.tempo_bpm
        if isinstance(request, Sample) and request.tempo is None and tempo_bpm != DEFAULT_TEMPO_BPM:
            request = replace(request, tempo=tempo_bpm)
        if too_long := [clip.bars for clip in clips if clip.bars > LONGEST_CLIP_BARS]:
            told = f"{call.verb.name} takes {LONGEST_CLIP_BARS} bars, not {too_long[0]}; {WAY_OUT}"
            raise RequestError("too_big", told)
        if request.model is not None:
            self._card(request.model)
        to_slot = call.values.get(TO_SLOT.name, "") if TO_SLOT in call.verb.keys else ""
        job = Run(ticket.number, request)
        self._enqueue(Entry(ticket, job, call.values.get("group", ""), to_slot), now)

    def _clips_of(self, call: Call) -> list[Clip]:
        """The clips that a call is about, in the order of the request's; a feel with a name lies in no slot."""
        clips, feel = [self._slots[name] for name in slots_of(call)], call.values.get(FEEL.name)
        if FEEL not in call.verb.keys:
            return clips
        if (feel is None) == (FROM not in call.values):
            raise RequestError("bad_request", f"{call.verb.name} takes from SLOT or feel NAME, one of the two")
        return clips if feel is None else [clips[0], self._feels[feel], *clips[1:]]

    def learn_style(self, call: Call, ticket: Ticket, now: float) -> None:
        """Queue the learning of a style from the clips that are in some slots now."""
        self._tickets.check_room(ticket)
        names, model = [name.strip() for name in call.values["slots"].split(",")], call.values.get("model")
        if model is not None:
            self._card(model)
        clips = tuple(self._slots[name] for name in names)
        request = LearnStyle(name=call.values["name"], clips=clips, sources=tuple(names), model=model)
        self._enqueue(Entry(ticket, Run(ticket.number, request)), now)

    def continue_sound(self, call: Call, ticket: Ticket, now: float) -> None:
        """Queue what comes after a file of the audio folder, for another file there."""
        places = {name: self._place_of(name, call.values[name]) for name in ("path", "to")}
        if places["path"] == places["to"]:
            raise RequestError("bad_request", "path and to must be two files")
        if model := call.values.get("model"):
            self._card(model)
        settings = {name: call.values[name] for name in SOUND_SETTINGS if name in call.values}
        try:
            job = Sound(ticket.number, request_with(ContinueSound, settings, **places))
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error
        self._enqueue(Entry(ticket, job, call.values.get("group", "")), now)

    def _place_of(self, key: str, name: str) -> Path:
        """The file of that name in the audio folder; RequestError where it would lie elsewhere."""
        if self._sounds is None:
            raise RequestError("bad_request", "there is no folder of sound: serve --audio-folder FOLDER names one")
        folder = self._sounds.resolve()
        try:
            place = Path(os.path.normpath(folder / name)).resolve()  # after a loop of links .. is not followed
        except RuntimeError as error:  # up to Python 3.12
            raise RequestError("bad_request", f"{key} leads through links that go round in a circle") from error
        if not place.is_relative_to(folder):
            raise RequestError("bad_request", f"{key} must lie in the audio folder, {folder}")
        return place

    def forget(self, ticket: Ticket) -> None:
        """A request has been cancelled: remove its job from the queue; sound that is being made is given up."""
        self._queue.remove(ticket)
        if sound := self._queue.sound_of(ticket):
            self._dropped.append(Drop(sound.number))

    def _enqueue(self, entry: Entry, now: float) -> None:
        """Let a job wait its turn; it takes the place of the older ones of its group."""
        for older in self._queue.older_of_group(entry):
            self._queue.remove(older.ticket)
            self._tickets.fail(older.ticket, "stale", "a newer request of its group has come", now)
        loser = self._queue.put(entry)
        if loser is entry:
            raise BusyError(WAITING)
        if loser is not None:
            self._tickets.fail(loser.ticket, "busy", OTHERS_TURN, now)

    def _finish(self, entry: Entry, report: Finished, now: float) -> None:
        """Send the results, and keep the first where it was asked for."""
        ticket, results, clips = entry.ticket, report.about, report.clips
        if ticket.ended:  # cancelled while it ran
            return
        try:
            check_notes(max((packed.notes for packed in clips), default=0))
            count = sum(count_clip(packed.notes, packed.parts) for packed in clips) + count_latent(results.latent)
            self._tickets.send(ticket, _written(ticket.id, report), count)
            if entry.to_slot:
                self._slots.put(entry.to_slot, clips[0].clip(), ticket.client.address)
        except RequestError as error:
            self._tickets.fail(ticket, error.code, str(error), now)
            return
        about: dict[str, Atom] = {"model": results.model, "seed": results.seed, "results": len(clips)}
        if isinstance(entry.job, Run) and isinstance(entry.job.request, LearnStyle):
            about = {"model": results.model}
        if isinstance(entry.job, Sound) and self._sounds is not None:
            written = entry.job.request.to.relative_to(self._sounds.resolve()).as_posix()
            about = {"model": results.model, "seed": results.seed, "path": written}
        about["ms"] = results.ms
        if parts := sum(packed.parts for packed in clips):
            about["parts"] = parts
        if results.meter:
            about["meter"] = results.meter
        if isinstance(entry.job, Run) and isinstance(entry.job.request, Sample) and entry.job.request.tempo:
            about["tempo"] = entry.job.request.tempo
        if results.latent:
            about["size"] = len(results.latent)
        if results.as_taps:
            about["as"] = "taps"
        about |= results.facts
        if results.remarks:
            about["remark"] = "; ".join(results.remarks)
        self._tickets.done(ticket, now, about, timed=True)

    def _report_live(self, job: Run, report: Finished | Loaded | Refused, now: float) -> None:
        if isinstance(report, Finished):
            self._ensemble.answered(job.request, report.results(), now)
        elif isinstance(report, Refused):
            self._ensemble.refused(job.request, report.text)


def _written(number: int, report: Finished) -> Iterator[bytes]:
    """The clips and the numbers of a z as datagrams, each clip unpacked when its turn comes."""
    for index, packed in enumerate(report.clips):
        yield from format_clip(number, index, packed.clip())
    yield from format_latent(number, report.about.latent)
