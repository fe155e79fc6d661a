"""The service without a socket, process or sleep: time is a number, the engine a list of jobs."""

import math
import struct
from dataclasses import replace

import pytest

from bridge.addresses import Address
from bridge.errors import ClockError
from bridge.osc.packet import Message, read_packet, write_message
from bridge.playing.clock import Clock
from bridge.playing.ensemble import Ensemble, Stage
from bridge.playing.slots import Slots
from bridge.service.service import Service
from bridge.service.session_verbs import About
from bridge.worker.messages import Finished, Job, Load, Loaded, Ready, Refused, Run
from engine.clip import Clip, Note
from engine.requests import Decode, Results, Sample
from engine.weights import Card

HOME = ("127.0.0.1", 9000)
UNIX = 1_700_000_000.0
CARD = Card(
    name="m",
    config="c",
    family="f",
    bars=2,
    steps_per_bar=16,
    verbs=("sample", "humanize", "drumify", "vary", "interpolate"),
    styles=("funk",),
    sha256="",
)
CLIP = Clip((Note(36, 0.0, 0.25, 100),), 4.0)


class FakeWires:
    """Ports that are open as long as why_none is empty; no Link."""

    names, why_none = ("vaebridge in", "vaebridge out"), ""

    def link_clock(self, tempo_bpm: float, beats_per_bar: float, now: float) -> Clock:
        raise ClockError("there is no Link here")


class Studio:
    """A service with a ensemble, their time, and everything that they have sent."""

    def __init__(self, *, ready: bool = True) -> None:
        self.now, self.cards = 100.0, {"m": CARD}
        self.sent, self.wires, self.slots = list[bytes](), FakeWires(), Slots()
        self.ensemble = Ensemble(Stage(send=self.sent.append, slots=self.slots, on_playing=self._on_playing))
        about = About("1.0", 7, 8710, lambda: self.cards, timeout_seconds=60.0)
        self.service = Service(about, self.slots, self.ensemble, self.wires, self.now)
        if ready:
            self.service.engine_verbs.report(Ready("cpu", ("m",)), self.now)

    def _on_playing(self, slot: str) -> None:
        self.service.playing.subscriptions.playing(slot, self.now)

    def send(self, verb: str, *arguments: int | float | str, after: float = 0.0) -> None:
        self.receive(write_message(f"/vae/{verb}", *arguments), after)

    def receive(self, datagram: bytes, after: float = 0.0, source: Address = HOME) -> None:
        self.now += after
        self.service.reception.admit(datagram, source)
        while self.handle_next():
            pass

    def handle_next(self) -> bool:
        return self.service.handle_next(self.now, UNIX + self.now)

    def said(self, after: float = 0.0) -> list[Message]:
        """Let time pass; what is sent then."""
        self.now += after
        self.ensemble.run_due(self.now)
        self.service.run_due(self.now)
        return [message for content, _ in self.service.outbox.due(self.now) for message in read_packet(content)]

    def job(self) -> Job:
        job = self.service.engine_verbs.take(self.now)
        assert job is not None
        return job

    def finish(self, job: Job) -> None:
        self.service.engine_verbs.report(Finished.of(job.number, Results((CLIP,), "m", 5, 1.0)), self.now)


def ends(messages: list[Message]) -> list[tuple[object, ...]]:
    """The id and verb of each done, the id and code of each fail."""
    found: list[tuple[object, ...]] = []
    for message in messages:
        if message.address == "/vae/done":
            found.append(message.arguments[:2])
        elif message.address == "/vae/fail":
            found.append((message.arguments[0], message.arguments[2]))
    return found


def in_bundle(seconds_ahead: float, studio: Studio, *elements: bytes) -> bytes:
    timetag = int((UNIX + studio.now + seconds_ahead + 2208988800) * 2**32)
    sized = b"".join(struct.pack(">i", len(each)) + each for each in elements)
    return b"#bundle\0" + struct.pack(">Q", timetag) + sized


@pytest.fixture
def studio() -> Studio:
    return Studio()


def test_a_request_goes_to_the_engine_and_its_results_come_back(studio: Studio) -> None:
    studio.send("sample", 1, "bars", 2)
    studio.finish(studio.job())
    messages = studio.said()
    assert [message.address for message in messages] == [
        "/vae/notes/begin",
        "/vae/notes",
        "/vae/notes/end",
        "/vae/done",
    ]
    assert messages[-1].arguments[2::2] == ("model", "seed", "results", "ms", "total_ms")


def test_one_request_runs_at_a_time(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.send("sample", 2)
    first = studio.job()
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.finish(first)
    studio.finish(studio.job())
    assert ends(studio.said()) == [(1, "sample"), (2, "sample")]


def test_a_bundle_dated_ahead_waits_for_its_time(studio: Studio) -> None:
    studio.receive(in_bundle(3.0, studio, write_message("/vae/ping", 1), write_message("/vae/ping", 2)))
    assert studio.service.next_due(studio.now) == pytest.approx(103.0, abs=0.01)
    assert studio.said(2.9) == []
    assert ends(studio.said(0.2)) == [(1, "ping"), (2, "ping")]


def test_a_bundle_dated_far_ahead_is_handled_after_10_seconds(studio: Studio) -> None:
    studio.receive(in_bundle(86_400.0, studio, write_message("/vae/ping", 1)))
    assert studio.said(9.9) == []
    assert ends(studio.said(0.2)) == [(1, "ping")]


def test_bundles_dated_ahead_are_bounded_and_counted(studio: Studio) -> None:
    bundle = in_bundle(5.0, studio, *[write_message("/vae/ping", 0)] * 1000)
    for _ in range(3):
        studio.receive(bundle)
    assert studio.service.counts.dropped == 3000 - 1024


def test_a_repeat_is_not_run_again_within_10_seconds_of_its_answer(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.send("sample", 1)
    studio.finish(studio.job())
    first = studio.said()
    studio.send("sample", 1, after=9.0)
    assert studio.said() == first
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.send("sample", 1, after=2.0)
    assert studio.job()


def test_what_failed_through_no_fault_of_its_own_runs_again(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.job()
    studio.service.engine_verbs.engine_went_down("it died", studio.now)
    assert ends(studio.said()) == [(1, "engine_down")]
    studio.service.engine_verbs.report(Ready("cpu", ("m",)), studio.now)
    studio.send("sample", 1)
    assert studio.job()


def test_what_waits_outlives_the_engine_unless_that_stays_away(studio: Studio) -> None:
    for number in (1, 2, 3):
        studio.send("sample", number)
    studio.job()
    studio.service.engine_verbs.engine_went_down("it died", studio.now)
    assert ends(studio.said()) == [(1, "engine_down")]
    studio.service.engine_verbs.engine_went_down("it died again", studio.now, for_good=True)
    assert ends(studio.said()) == [(2, "engine_down"), (3, "engine_down")]
    studio.send("sample", 4)
    studio.send("cancel", 5, "target", 4)
    assert ends(studio.said()) == [(4, "engine_down"), (5, "cancel")]


def test_a_request_that_runs_too_long_times_out(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.job()
    assert studio.service.next_due(studio.now) == studio.now + 60
    assert not studio.service.engine_verbs.running_too_long(studio.now + 59)
    assert studio.service.engine_verbs.running_too_long(studio.now + 61)
    assert ends(studio.said(61)) == [(1, "timeout")]


def test_a_result_that_comes_after_its_request_was_cancelled_is_not_sent(studio: Studio) -> None:
    studio.send("sample", 1)
    job = studio.job()
    studio.send("cancel", 2, "target", 1)
    assert sorted(ends(studio.said())) == [(1, "cancelled"), (2, "cancel")]
    studio.finish(job)
    assert studio.said() == []


def test_an_upload_without_a_chunk_for_5_seconds_times_out(studio: Studio) -> None:
    studio.send("clip/begin", 1, "a", 2, 4.0)
    studio.send("clip/notes", 1, 0, 1, 36, 0.0, 0.25, 100, 0, after=4.0)
    assert studio.said(4.9) == []
    assert ends(studio.said(0.2)) == [(1, "timeout")]
    studio.send("clip/notes", 1, 1, 1, 36, 0.0, 0.25, 100, 0)
    assert studio.said(20.0) == [], "one id, one answer"


def test_a_decode_without_a_chunk_for_5_seconds_times_out(studio: Studio) -> None:
    studio.send("decode", 1, "size", 2)
    studio.send("latent", 1, 0, 1, 0.5, after=4.0)
    assert studio.said(4.9) == []
    (fail,) = studio.said(0.2)
    assert fail.arguments[1:] == ("decode", "timeout", "1 of 2 numbers have not come for 5 s")
    studio.send("latent", 1, 1, 1, 0.5)
    assert studio.said(20.0) == [], "one id, one answer"


def test_decodes_that_wait_are_bounded(studio: Studio) -> None:
    for number in range(1, 66):
        studio.send("decode", number, "size", 2)
    assert ends(studio.said()) == [(65, "busy")]


def test_a_decode_asks_for_its_point_once_whatever_is_repeated(studio: Studio) -> None:
    for _ in range(2):
        studio.send("decode", 1, "size", 2)
        studio.send("latent", 1, 0, 2, 0.5, 0.25)
    job = studio.job()
    assert isinstance(job, Run)
    assert job.request == Decode(z=(0.5, 0.25))
    studio.finish(job)
    assert ends(studio.said()) == [(1, "decode")]
    assert studio.service.engine_verbs.take(studio.now) is None


def loads(studio: Studio) -> list[tuple[str, bool]]:
    """The models that the engine is asked to load now, and whether as the default."""
    jobs = iter(lambda: studio.service.engine_verbs.take(studio.now), None)
    return [(job.name, job.default) for job in jobs if isinstance(job, Load)]


def test_one_model_is_loaded_at_a_time_beside_the_request_that_runs(studio: Studio) -> None:
    studio.cards |= {name: replace(CARD, name=name) for name in ("n", "o")}
    studio.send("models", 1)
    studio.send("sample", 2)
    studio.send("load", 3, "model", "n")
    studio.send("load", 4, "model", "o")
    assert isinstance(studio.job(), Run)
    load = studio.job()
    assert isinstance(load, Load)
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.service.engine_verbs.report(Loaded(load.number, "n", 1.0, ("n", "m")), studio.now)
    assert loads(studio) == [("o", True)]


def test_a_model_that_several_requests_name_is_loaded_once(studio: Studio) -> None:
    studio.cards["n"] = replace(CARD, name="n")
    studio.send("sample", 1, "model", "n")
    studio.send("sample", 2, "model", "n")
    load = studio.job()
    assert (load.name, load.default) == ("n", False)  # type: ignore[union-attr]
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.service.engine_verbs.report(Loaded(load.number, "n", 1.0, ("m", "n")), studio.now)
    studio.finish(studio.job())
    studio.finish(studio.job())
    assert ends(studio.said()) == [(1, "sample"), (2, "sample")]
    assert studio.service.engine.default == "m"


def test_what_the_next_bar_needs_is_begun_while_others_run_and_one_at_a_time(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.send("sample", 1)
    job = studio.job()
    monkeypatch.setattr(studio.ensemble, "take_request", lambda: Sample(seed=7))
    live = studio.job()
    assert isinstance(live, Run)
    assert (live.request, live.first) == (Sample(seed=7), True)
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.finish(job)
    assert (1, "sample") in ends(studio.said(0.1))


def test_the_live_mode_has_a_model_loaded_that_it_names(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[str] = []
    monkeypatch.setattr(studio.ensemble, "take_request", lambda: Sample(model="n"))
    monkeypatch.setattr(studio.ensemble, "refused", lambda _, why: refusals.append(why))
    load = studio.job()
    assert (load.name, load.default) == ("n", False)  # type: ignore[union-attr]
    assert refusals == ["n is not loaded yet"]
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.service.engine_verbs.report(Loaded(load.number, "n", 1.0, ("m", "n")), studio.now)
    assert isinstance(studio.job(), Run)


def test_what_the_live_mode_waits_for_holds_up_no_client(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio.ensemble, "take_request", lambda: Sample(model="n"))
    assert isinstance(studio.job(), Load)
    studio.send("sample", 1)
    studio.finish(studio.job())
    assert ends(studio.said()) == [(1, "sample")]


def test_a_load_may_take_longer_than_a_request(studio: Studio) -> None:
    studio.send("load", 1, "model", "m")
    studio.job()
    assert not studio.service.engine_verbs.running_too_long(studio.now + 299)
    assert studio.service.engine_verbs.running_too_long(studio.now + 301)
    assert ends(studio.said(301)) == [(1, "timeout")]


def test_an_upload_that_is_cancelled_ends_once(studio: Studio) -> None:
    studio.send("clip/begin", 1, "a", 1, 4.0)
    studio.send("cancel", 2, "target", 1)
    studio.send("clip/notes", 1, 0, 1, 36, 0.0, 0.25, 100, 0)
    studio.send("clip/end", 1)
    assert sorted(ends(studio.said())) == [(1, "cancelled"), (2, "cancel")]
    assert "a" not in studio.service.slots


def test_uploads_are_bounded(studio: Studio) -> None:
    for number in range(1, 66):
        studio.send("clip/begin", number, "a", 2, 4.0)
    assert ends(studio.said()) == [(65, "busy")]


def test_syncs_are_bounded(studio: Studio) -> None:
    studio.send("sample", 1)
    for number in range(2, 70):
        studio.send("sync", number)
    assert [code for _, code in ends(studio.said())] == ["busy"] * 4
    studio.finish(studio.job())
    assert len(ends(studio.said() + studio.said(1.0) + studio.said(1.0))) == 65


def test_while_it_warms_up_only_three_verbs_work() -> None:
    studio = Studio(ready=False)
    for number, verb in enumerate(("ping", "status", "models", "sample"), 1):
        studio.send(verb, number, after=0.5)
    messages = studio.said()
    assert ends(messages) == [(1, "ping"), (2, "status"), (3, "busy"), (4, "busy")]
    assert messages[-1].arguments[3] == "warming up, 2 s"


def test_when_it_stops_everybody_is_told(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.job()
    studio.send("sample", 2)
    studio.send("clip/begin", 3, "a", 2, 4.0)
    studio.service.shut_down(studio.now)
    assert ends(studio.said()) == [(1, "cancelled"), (2, "cancelled"), (3, "cancelled")]


def test_the_status_counts(studio: Studio) -> None:
    for number in range(1, 11):
        studio.send("sample", number)
        job = studio.job()
        studio.now += 0.002
        studio.finish(job)
        studio.said()
    studio.send("dance", 50)
    studio.receive(b"garbage")
    studio.send("status", 51)
    (status,) = [message for message in studio.said() if message.address == "/vae/done"]
    keys = dict(zip(status.arguments[2::2], status.arguments[3::2], strict=True))
    assert (keys["requests"], keys["failed"], keys["dropped"]) == (12, 1, 1)
    assert keys["p50_ms"] == pytest.approx(2.0, abs=0.1)


def test_an_engine_refusal_is_the_requests_fail(studio: Studio) -> None:
    studio.send("sample", 1)
    studio.service.engine_verbs.report(Refused(studio.job().number, "bad_request", "no"), studio.now)
    assert ends(studio.said()) == [(1, "bad_request")]


def test_results_that_cannot_be_sent_are_internal(studio: Studio) -> None:
    studio.send("sample", 1)
    clip = Clip((Note(36, 0.0, 1e300, 100),), 4.0)
    report = Finished.of(studio.job().number, Results((CLIP, clip), "m", 5, 1.0))
    studio.service.engine_verbs.report(report, studio.now)
    assert ends(studio.said()) in ([(1, "internal")], [(1, "too_big")])
    studio.send("sample", 2)
    studio.finish(studio.job())
    assert ends(studio.said()) == [(2, "sample")]


def test_a_bug_fails_the_request_that_meets_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio.service.slots, "items", lambda: 1 / 0)
    studio.send("clip/list", 1)
    studio.send("ping", 2)
    assert ends(studio.said()) == [(1, "internal"), (2, "ping")]


def test_with_nothing_planned_nothing_is_due(studio: Studio) -> None:
    assert studio.service.next_due(studio.now) == math.inf


def test_styles_come_from_the_card(studio: Studio) -> None:
    studio.send("styles", 1, "model", "m")
    assert studio.said()[0].arguments == (1, "funk")
    studio.send("styles", 2, "model", "x")
    assert ends(studio.said()) == [(2, "no_model")]
