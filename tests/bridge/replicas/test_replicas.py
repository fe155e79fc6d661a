"""Two replicas on a Ray that is started for them, and daemons that have theirs there."""

import contextlib
import itertools
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.errors import ConfigError, StartError
from bridge.replicas import cluster
from bridge.replicas.recipe import RayRecipe
from bridge.worker.children import Child
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
from engine.clip import Clip, Note
from engine.requests import ContinueSound, Humanize, Request, Sample
from engine.weights import Library, shipped_folder
from tests.bridge.conftest import Daemon
from tests.bridge.peer import Peer
from tests.missing import missing

STIFF = Clip(tuple(Note(36 + 2 * (i % 4), i / 4, 0.25, 100) for i in range(32)), 8.0)
WAIT_SECONDS = 60.0
SERVE = "from bridge.entry import main; main()"


class Relay:
    """The relay process, asked as the daemon asks it."""

    def __init__(self, recipe: RayRecipe):
        self.child = Child("bridge.replicas.relay", recipe)
        self.child.channel.set_blocking(True)
        self._numbers = itertools.count(1)
        self.unread: list[Report] = []
        self.begun: Ready = self.child.channel.read()[0]

    def tell(self, kind: Callable[..., Job], *about: object) -> int:
        """Hand over a job; its number."""
        number = next(self._numbers)
        self.child.channel.put(kind(number, *about))
        return number

    def hear(self, number: int) -> Report:
        """What became of a job; what is said of others stays unread."""
        while not (found := [each for each in self.unread if getattr(each, "number", None) == number]):
            self.unread += self.child.channel.read()
        self.unread.remove(found[0])
        return found[0]

    def ask(self, request: Request) -> Report:
        return self.hear(self.tell(Run, request))

    def pid_and_loaded(self) -> tuple[int, tuple[str, ...]]:
        """A replica's, and the models that it has."""
        report = self.ask(Sample(bars=1))
        assert isinstance(report, Finished)
        return int(report.about.remarks[0]), report.about.remarks[1:]


@pytest.fixture(scope="module")
def ray() -> None:
    """Skips a test where Ray is missing; where CI runs it fails instead."""
    if find_spec("ray") is None:
        missing("Ray is missing; pip install 'vaebridge[ray]'")


@pytest.fixture(scope="module")
def relay(ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Two replicas with the real generator, on a Ray of their own."""
    recipe = RayRecipe(
        models=("drummer",),
        weight_folders=(shipped_folder(),),
        device="cpu",
        styles=tmp_path_factory.mktemp("own"),
        generator="tests.bridge.replicas.fallible:Fallible",
        replicas=2,
        app="vaebridge-test",
    )
    relay = Relay(recipe)
    yield relay
    relay.child.channel.close()
    relay.child.process.wait(WAIT_SECONDS)


def test_a_replica_plays_what_an_engine_here_plays(relay: Relay) -> None:
    from engine.verbs.generator import Generator

    here = Generator(Library([shipped_folder()]), device="cpu")
    here.load("drummer")
    for request in (Humanize(clip=STIFF, seed=7, count=3), Sample(bars=4, seed=7)):
        report = relay.ask(request)
        assert isinstance(report, Finished)
        assert [clip.notes for clip in report.results().clips] == [clip.notes for clip in here.run(request).clips]


def test_all_replicas_work_at_once(relay: Relay) -> None:
    numbers = [relay.tell(Run, Sample(bars=1, style="sleep .4")) for _ in range(4)]
    reports = [relay.hear(number) for number in numbers]
    assert len({each.about.remarks[0] for each in reports if isinstance(each, Finished)}) == 2


def test_requests_that_are_handed_over_together_run_together_at_all_replicas(relay: Relay) -> None:
    asked = [Humanize(clip=STIFF, seed=seed) for seed in range(40)]
    alone = relay.ask(asked[7])
    relay.child.channel.put(Together(tuple(Run(1000 + place, each) for place, each in enumerate(asked))))
    reports = [relay.hear(1000 + place) for place in range(len(asked))]
    assert all(isinstance(each, Finished) for each in reports)
    assert reports[7].results().clips == alone.results().clips
    assert len({each.about.remarks[0] for each in reports}) == 2
    assert max(dict(each.about.facts)["together"] for each in reports) >= 4
    begun = [number for each in relay.unread if isinstance(each, HaveBegun) for number in each.numbers]
    assert sorted(begun) == list(range(1000, 1040))
    relay.unread.clear()


def test_a_request_in_a_hurry_does_not_wait_for_those_that_run_together(relay: Relay) -> None:
    runs = tuple(Run(2000 + place, Sample(bars=1, style="sleep .1")) for place in range(32))
    relay.child.channel.put(Together(runs))
    relay.child.channel.put(Run(-1, Sample(bars=1), first=True))
    relay.hear(-1)
    assert sum(isinstance(each, Finished) for each in relay.unread) < len(runs) - 1
    for run in runs:
        relay.hear(run.number)


def test_what_a_replica_refuses_is_refused_with_its_code(relay: Relay) -> None:
    report = relay.ask(Sample(bars=1, style="no such style"))
    assert isinstance(report, Refused)
    assert report.code == "bad_request"
    report = relay.ask(Sample(bars=1, style="bug"))
    assert isinstance(report, Refused)
    assert (report.code, report.text) == ("internal", "RuntimeError: a bug")


def test_sound_is_given_up_at_the_replica_that_makes_it(relay: Relay, tmp_path: Path) -> None:
    number = relay.tell(Sound, ContinueSound(path=tmp_path / "a.wav", to=tmp_path / "b.wav"))
    until_there(tmp_path / "b.begun")
    relay.child.channel.put(Drop(number))
    until_there(tmp_path / "b.wav")
    assert isinstance(relay.hear(number), Refused)


def test_a_model_is_loaded_by_all_replicas_also_those_that_begin_later(relay: Relay) -> None:
    report = relay.hear(relay.tell(Load, "melody_2bar", False))
    assert isinstance(report, Loaded)
    assert report.loaded == ("drummer", "melody_2bar")
    before = {relay.pid_and_loaded() for _ in range(30)}
    assert {loaded for _, loaded in before} == {report.loaded}
    assert len(before) == 2
    dying = relay.ask(Sample(bars=1, style="crash"))
    assert isinstance(dying, Refused)
    assert dying.code == "engine_down"
    deadline = time.monotonic() + WAIT_SECONDS
    while not (new := {relay.pid_and_loaded() for _ in range(10)} - before):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert {loaded for _, loaded in new} == {report.loaded}


def test_a_replica_that_dies_costs_nobody_else_anything(relay: Relay) -> None:
    numbers = [relay.tell(Run, Sample(bars=1, style="sleep .5")) for _ in range(2)]  # one at each replica
    lost = relay.hear(relay.tell(Run, Sample(bars=1, style="crash")))
    reports = [relay.hear(number) for number in numbers]
    down = [lost, *(each for each in reports if isinstance(each, Refused))]
    assert {each.code for each in down if isinstance(each, Refused)} == {"engine_down"}
    assert isinstance(relay.ask(Sample(bars=1)), Finished)


def until_there(path: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_address_at_which_nobody_listens_is_told_at_once(ray: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listened to
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        command = [sys.executable, "-c", SERVE, "serve", "--no-midi", "--osc-port", "0"]
        told = subprocess.run(
            [*command, "--engine", f"ray://{place}"], capture_output=True, text=True, timeout=WAIT_SECONDS
        )
    assert told.returncode == 1
    assert f"no Ray answers at {place}" in told.stderr
    assert "Traceback" not in told.stderr
    assert time.monotonic() - began < 10


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"pip install 'vaebridge\[ray\]'"):
        cluster.Replicas(RayRecipe(models=(), weight_folders=()))


@pytest.mark.parametrize("engine", ["ray://", "ray://here", "ray:auto", "remote", "ray://a:b", "ray://h:1/x"])
def test_an_address_that_is_none_is_refused(engine: str) -> None:
    with pytest.raises(ConfigError, match="ray://HOST:PORT"):
        Config(engine=engine)


def test_replicas_are_rays() -> None:
    with pytest.raises(ConfigError, match="replicas"):
        Config(replicas=2)
    assert Config(engine="ray://auto", replicas=2).ray == "auto"
    assert Config(engine="ray://[::1]:10001").ray == "[::1]:10001"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_was_started_for_a_daemon_ends_with_it(
    ray: None, start: Callable[..., Daemon], number: signal.Signals
) -> None:
    daemon = start("fake", engine="ray://auto", replicas=2)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        assert peer.ask("sample").keys["model"]
        assert peer.ask("sample", "style", "crash").code == "engine_down"
        assert peer.ask("sample").keys["model"]
    sessions = set(daemon.pids)
    assert len(of_sessions(sessions)) > len(sessions)
    daemon.process.send_signal(number)
    daemon.process.wait(WAIT_SECONDS)
    deadline = time.monotonic() + 10
    while left := of_sessions(sessions):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def of_sessions(leaders: set[int]) -> list[str]:
    """The processes of some sessions: each child of a daemon leads one, of which all that it starts is."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            content = file.read_text()
            state, _, _, session = content.rpartition(")")[2].split()[:4]
            if int(session) in leaders and state != "Z":
                found.append(content.partition(")")[0])
    return found
