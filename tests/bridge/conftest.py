import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.bridge.jack import Jack
from tests.bridge.peer import DAEMONS, Peer
from tests.bridge.performer import Performer
from tests.missing import missing

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
LAST_LINES = 20


class Starts(Protocol):
    def __call__(self, *arguments: str, **settings: object) -> "Daemon": ...


@dataclass
class Daemon:
    """A daemon that runs as a process of its own, as musicians run it."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def wait_until_ready(self) -> str:
        """What it says then: its address, models and seconds."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), self.log.read_text()
        return line

    @property
    def model_pid(self) -> int:
        """The process that holds the models."""
        return self.pid_of("bridge.worker.main")

    @property
    def pids(self) -> list[int]:
        """The daemon's children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def pid_of(self, module: str, number: int = 0) -> int:
        """The daemon's child that runs a module, or which of several."""
        lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.pids}
        return [pid for pid, line in sorted(lines.items()) if f"from {module} import".encode() in line][number]

    def tell(self) -> str:
        """Whether it still runs, and the end of its log."""
        code = self.process.poll()
        state = "still runs" if code is None else f"has ended with exit code {code}"
        lines = self.log.read_text().splitlines()[-LAST_LINES:]
        return "\n".join((f"the daemon {state}; the end of its log:", *lines))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def runs(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def launch(folder: Path, *arguments: str, **settings: object) -> Daemon:
    port = free_port()
    given = {"osc_port": port, "midi": 0, "controls": folder / "controls.toml", "own": folder / "own", **settings}
    environment = {**os.environ, **{f"VAEBRIDGE_{name.upper()}": str(value) for name, value in given.items()}}
    log = folder / f"daemon-{port}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bridge.run_daemon", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    daemon = Daemon(process, port, log)
    DAEMONS[port] = daemon.tell
    return daemon


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starts]:
    """Starts daemons; those that still run at the end are stopped."""
    started: list[Daemon] = []

    def starts(*arguments: str, **settings: object) -> Daemon:
        started.append(launch(tmp_path, *arguments, **settings))
        return started[-1]

    yield starts
    for daemon in started:
        daemon.process.kill()
        daemon.process.wait()


@pytest.fixture(scope="module")
def fake_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose generator is tests/bridge/fake_generator.py; one for all tests of a module."""
    daemon = launch(tmp_path_factory.mktemp("daemon"), "fake")
    daemon.wait_until_ready()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the real generator and the shipped weights."""
    daemon = launch(tmp_path_factory.mktemp("daemon"))
    assert "drummer" in daemon.wait_until_ready(), daemon.log.read_text()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def phrase_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the real generator, the shipped drummer and a model of phrases that nobody has trained."""
    from tests.engine.untrained import SMALL_PHRASES, write_random_weights

    folder = tmp_path_factory.mktemp("phrases")
    write_random_weights(folder, "drums_16bar", "phrases", spread=3.0, **SMALL_PHRASES)
    daemon = launch(folder, weights=folder, models="phrases,drummer")
    assert "phrases" in daemon.wait_until_ready(), daemon.log.read_text()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def band_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the real generator, the shipped drummer and a model of bands that nobody has trained."""
    from tests.engine.untrained import SMALL_BANDS, write_random_weights

    folder = tmp_path_factory.mktemp("bands")
    write_random_weights(folder, "trio_16bar", "bands", spread=3.0, **SMALL_BANDS)
    daemon = launch(folder, weights=folder, models="bands,drummer")
    assert "bands" in daemon.wait_until_ready(), daemon.log.read_text()
    yield daemon
    daemon.stop()


@pytest.fixture
def peer(fake_daemon: Daemon) -> Iterator[Peer]:
    """A client of the daemon with the fake generator."""
    with Peer(fake_daemon.port) as client:
        yield client


@pytest.fixture
def ensemble(daemon: Daemon) -> Iterator[Peer]:
    """A client of the daemon with the real generator."""
    with Peer(daemon.port) as client:
        yield client


@pytest.fixture
def needs() -> Callable[[str, str], None]:
    """Skips a test whose program is missing; where CI runs it fails instead."""
    import shutil

    def check(program: str, package: str) -> None:
        if shutil.which(program):
            return
        missing(f"{program} is missing; install {package}")

    return check


@pytest.fixture
def jack(needs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Jack]:
    """A JACK server of this test's own, which the test may kill; libjack in this process finds it."""
    for program in ("jackd", "jack_wait", "jack_lsp"):
        needs(program, "jackd2")
    server = Jack()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()


@pytest.fixture
def client(daemon_on_jack: Daemon) -> Iterator[Peer]:
    """A client of the daemon that a test has put on JACK."""
    with Peer(daemon_on_jack.port) as client:
        yield client


@pytest.fixture
def performer(jack: Jack, daemon_on_jack: Daemon) -> Iterator[Performer]:
    """A performer who is plugged into that daemon."""
    with Performer(jack) as performer:
        performer.plug_in()
        yield performer
