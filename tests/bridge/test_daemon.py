"""The daemon's life as a process: starting, dying, being flooded, stopping."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from bridge.daemon import endings, warn_of_others
from bridge.osc.remote import Remote
from bridge.playing.slots import MAX_NOTES
from bridge.service.busy import MAX_WAITING
from engine.clip import Clip, Note
from engine.requests import Sample, Vary
from engine.weights import Card
from tests.bridge.conftest import ROOT, Daemon, free_port
from tests.bridge.peer import Peer, datagram, stiff_clip

Start = Callable[..., Daemon]


@pytest.fixture
def running(start: Start) -> Daemon:
    daemon = start("fake")
    daemon.wait_until_ready()
    return daemon


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def wait_until_ready(peer: Peer, seconds: float = 20) -> None:
    deadline = time.perf_counter() + seconds
    while peer.insist("ping").keys["ready"] == 0:
        assert time.perf_counter() < deadline, "it did not become ready again"


def wait_until_listening(daemon: Daemon) -> None:
    while "listening" not in daemon.log.read_text():
        assert daemon.process.poll() is None, daemon.log.read_text()


# Starting


def test_while_warming_up_all_but_ping_hello_and_status_are_busy(start: Start) -> None:
    daemon = start("fake", test_start_seconds=3)
    wait_until_listening(daemon)
    with Peer(daemon.port) as peer:
        assert peer.ask("ping").keys["ready"] == 0
        assert peer.ask("status").is_done
        assert peer.ask("hello", "test", peer.port).is_done
        busy = [peer.ask(verb) for verb in ("sample", "models", "clip/list", "verbs", "sync")]
        busy.append(peer.ask("clip/begin", "a", 1, 4.0))
        assert {answer.code for answer in busy} == {"busy"}
        assert all(answer.text.startswith("warming up, ") and answer.text.endswith(" s") for answer in busy)
        daemon.wait_until_ready()
        assert peer.ask("sample").is_done


def test_a_second_daemon_on_the_port_says_so_in_one_sentence(running: Daemon, start: Start) -> None:
    second = start("fake", osc_port=running.port)
    assert second.process.wait(10) != 0
    said = [line for line in second.log.read_text().splitlines() if str(running.port) in line]
    assert any("--osc-port" in line for line in said), second.log.read_text()
    with Peer(running.port) as peer:
        assert peer.ask("sample").is_done


@pytest.mark.parametrize("host", ["::1", "::"])
def test_it_serves_over_ipv6(start: Start, host: str) -> None:
    daemon = start("fake", osc_host=host)
    assert f"[{host}]:{daemon.port}" in daemon.wait_until_ready()
    with Peer(daemon.port, "::1") as peer:
        assert peer.ask("sample").is_done
    with Remote(host, daemon.port) as remote:
        assert remote.run(Sample()).clips


def test_the_largest_answer_comes_whole(running: Daemon) -> None:
    clip = Clip(tuple(Note(36 + i % 8, i / 4, 0.25, 100) for i in range(MAX_NOTES)), MAX_NOTES / 4)
    with Remote("127.0.0.1", running.port) as remote:
        results = remote.run(Vary(clip=clip, count=16))
    assert [len(each.notes) for each in results.clips] == [MAX_NOTES] * 16


def test_send_is_answered_on_a_port_whose_last_owner_had_answers_sent_elsewhere(
    running: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as before, socket.socket(type=socket.SOCK_DGRAM) as elsewhere:
        for each in (before, elsewhere):
            each.bind(("127.0.0.1", 0))
        port, hello = before.getsockname()[1], ("last owner", elsewhere.getsockname()[1])
        before.sendto(datagram("/vae/hello", 1, *hello), ("127.0.0.1", running.port))
        elsewhere.settimeout(10)
        assert elsewhere.recv(4096)

    class OnThatPort(socket.socket):
        def connect(self, place: Any) -> None:
            self.bind(("127.0.0.1", port))
            super().connect(place)

    monkeypatch.setattr("bridge.osc.remote.socket.socket", OnThatPort)
    with Remote("127.0.0.1", running.port) as remote:
        assert remote.run(Sample()).clips


def test_each_start_has_another_boot(running: Daemon, start: Start) -> None:
    other = start("fake")
    other.wait_until_ready()
    with Peer(running.port) as one, Peer(other.port) as two:
        assert one.ask("ping").keys["boot"] != two.ask("ping").keys["boot"]


def test_serves_own_process_never_imports_torch(daemon: Daemon) -> None:
    with Peer(daemon.port) as peer:
        assert peer.ask("sample").is_done
    assert "torch" not in Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "torch" in Path(f"/proc/{daemon.model_pid}/maps").read_text()


def test_who_may_ask_is_said_where_others_than_this_machine_may(caplog: pytest.LogCaptureFixture) -> None:
    for host in ("127.0.0.1", "::1"):
        warn_of_others(host, ("10.0.0.0/8",))
    assert not caplog.records
    warn_of_others("0.0.0.0", ("10.0.0.0/8", "192.168.1.5"))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "this machine, 10.0.0.0/8, 192.168.1.5 may ask, and have notes played" in record.message


# Dying


def test_a_killed_model_process_fails_the_running_request_and_is_back_soon(running: Daemon) -> None:
    with Peer(running.port) as peer:
        peer.send("sample", 500, "style", "sleep 30")
        queued(peer, 0)
        peer.send("sample", 501)
        queued(peer, 1)
        killed = time.perf_counter()
        os.kill(running.model_pid, signal.SIGKILL)
        answer = peer.answer(500)
        assert answer.code == "engine_down"
        assert time.perf_counter() - killed < 1
        assert peer.answer(501).is_done, "what was queued waits for the restart"
        assert time.perf_counter() - killed < 10
        assert peer.ask("sample").is_done
        assert peer.ask("status").keys["ready"] == 1


def queued(peer: Peer, many: int) -> None:
    """Wait until so many requests wait."""
    until = time.perf_counter() + 10
    while peer.insist("status").keys["queue"] != many:
        assert time.perf_counter() < until


def test_all_that_go_together_are_told_and_what_still_waits_goes_on(running: Daemon) -> None:
    together, alone = ("model", "drummer"), ("bars", 16, "model", "drummer")
    with Peer(running.port) as peer, Peer(running.port) as other:
        peer.send("sample", 600, "style", "sleep 0.5", *alone)
        queued(other, 0)
        for number, style in ((601, "sleep 0.1"), (602, "crash"), (603, "sleep 0")):
            peer.send("sample", number, "style", style, *together)
        peer.send("sample", 604, *alone)
        queued(other, 4)
        assert peer.answer(600).is_done
        assert peer.answer(601).is_done, "it was done before"
        assert [peer.answer(number).code for number in (602, 603)] == ["engine_down"] * 2
        assert peer.answer(604).is_done, "what was queued waits for the restart"
        status = peer.ask("status").keys
        assert (status["together"], status["together_max"]) == (1, 3)


def test_a_request_that_kills_the_model_process_does_so_once(running: Daemon) -> None:
    with Peer(running.port) as peer:
        for _ in range(2):
            assert peer.ask("sample", "style", "crash").code == "engine_down"
            wait_until_ready(peer)
        assert peer.ask("sample").is_done


def test_a_failed_request_is_run_again_when_it_is_repeated(running: Daemon) -> None:
    with Peer(running.port) as peer:
        peer.send("sample", 502, "style", "crash")
        assert peer.answer(502).code == "engine_down"
        wait_until_ready(peer)
        peer.send("sample", 502, "style", "crash")
        assert peer.answer(502).code == "engine_down"


def test_clips_outlive_the_model_process(running: Daemon) -> None:
    with Peer(running.port) as peer:
        peer.upload("kept", stiff_clip())
        killed = running.model_pid
        os.kill(killed, signal.SIGKILL)
        while Path(f"/proc/{killed}").exists():  # until the daemon has noticed
            peer.ask("ping")
        wait_until_ready(peer)
        assert len(peer.ask("humanize", "slot", "kept").notes()) == 48


def write_card(folder: Path, name: str) -> None:
    card = Card(name=name, config="c", family="f", bars=2, steps_per_bar=16, verbs=("sample",), sha256="")
    (folder / f"{name}.toml").write_text(tomlkit.dumps(asdict(card)), encoding="utf-8")


@pytest.fixture
def two_models(start: Start, tmp_path: Path) -> Daemon:
    """A daemon with the model one. The other, two, is loaded as soon as there is a file `gate` in the folder."""
    for name in ("one", "two"):
        write_card(tmp_path, name)
    daemon = start("fake", weights=tmp_path, models="one", test_gate=tmp_path / "gate")
    daemon.wait_until_ready()
    return daemon


def loaded(peer: Peer) -> set[str]:
    return {str(row[0]) for row in peer.ask("models").rows("model") if row[4]}


def test_a_model_that_was_loaded_is_there_again_after_a_restart(two_models: Daemon, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    with Peer(two_models.port) as peer:
        assert peer.ask("load", "model", "two").keys["model"] == "two"
        assert peer.ask("sample", "style", "crash").code == "engine_down"
        wait_until_ready(peer)
        assert peer.ask("sample").keys["model"] == "two"
        assert loaded(peer) == {"one", "two"}


def test_requests_are_answered_while_a_model_is_loaded(two_models: Daemon, tmp_path: Path) -> None:
    with Peer(two_models.port) as peer:
        peer.send("load", 900, "model", "two")
        assert {peer.ask("sample").keys["model"] for _ in range(20)} == {"one"}, "the old one serves until then"
        assert loaded(peer) == {"one"}
        (tmp_path / "gate").touch()
        assert peer.answer(900).keys["model"] == "two"
        assert peer.ask("sample").keys["model"] == "two"


def test_a_request_waits_for_the_model_that_it_names_and_holds_up_nobody(
    two_models: Daemon, tmp_path: Path
) -> None:
    with Peer(two_models.port) as peer:
        peer.send("sample", 901, "model", "two")
        peer.send("sample", 902)
        assert peer.answer(902).keys["model"] == "one"
        (tmp_path / "gate").touch()
        assert peer.answer(901).keys["model"] == "two"
        assert peer.ask("sample").keys["model"] == "one", "the default stays"
        assert loaded(peer) == {"one", "two"}


def test_requests_whose_model_cannot_be_loaded_fail(start: Start, tmp_path: Path) -> None:
    write_card(tmp_path, "missing")
    daemon = start("fake", weights=tmp_path)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        for number in (903, 904):
            peer.send("sample", number, "model", "missing")
        assert [peer.answer(number).code for number in (903, 904)] == ["no_model"] * 2


def test_what_is_loaded_when_the_model_process_dies_fails(two_models: Daemon, tmp_path: Path) -> None:
    with Peer(two_models.port) as peer:
        peer.send("load", 905, "model", "two")
        peer.send("sample", 906, "model", "two")
        assert peer.ask("sample", "style", "crash").code == "engine_down"
        assert peer.answer(905).code == "engine_down"
        (tmp_path / "gate").touch()
        assert peer.answer(906).is_done, "what has not begun waits for the next"


def test_a_model_that_comes_into_a_folder_is_found(start: Start, tmp_path: Path) -> None:
    daemon = start("fake", weights=tmp_path)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        assert peer.ask("load", "model", "late").code == "no_model"
        write_card(tmp_path, "late")
        assert "late" in {row[0] for row in peer.ask("models").rows("model")}
        write_card(tmp_path, "later")
        assert peer.ask("load", "model", "later").is_done


def test_a_request_that_hangs_times_out_and_the_next_is_served(start: Start) -> None:
    daemon = start("fake", request_timeout_seconds=0.5)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        assert peer.ask("sample", "style", "sleep 60").code == "timeout"
        wait_until_ready(peer)
        assert peer.ask("sample").is_done


def test_a_model_process_that_is_stopped_in_its_tracks_times_out(start: Start) -> None:
    daemon = start("fake", request_timeout_seconds=0.5)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        peer.upload("large", stiff_clip(4096, 512.0))
        os.kill(daemon.model_pid, signal.SIGSTOP)
        slots = ("from", "large", "to", "large", "from2", "large", "to2", "large")
        peer.send("interpolate", 503, *slots, "position", 0.5, "position2", 0.5)
        assert peer.ask("ping").is_done
        assert peer.answer(503).code == "timeout"
        wait_until_ready(peer)
        assert peer.ask("sample").is_done


def test_the_model_process_does_not_outlive_a_killed_daemon(running: Daemon) -> None:
    model = Path(f"/proc/{running.model_pid}")
    running.process.kill()
    running.process.wait()
    deadline = time.perf_counter() + 5
    while model.exists() and "State:\tZ" not in (model / "status").read_text():
        assert time.perf_counter() < deadline, "the model process lives on"


def test_it_serves_and_stops_where_its_standard_streams_are_closed(tmp_path: Path) -> None:
    port = free_port()
    settings = {"VAEBRIDGE_OSC_PORT": str(port), "VAEBRIDGE_MIDI": "0", "VAEBRIDGE_CONTROLS": str(tmp_path / "c")}
    command = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "bridge.entry", "serve")
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings})
    with Peer(port) as peer:
        wait_until_ready(peer)
        assert peer.ask("sample").is_done
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


# Floods and garbage


def test_10000_requests_in_a_second_are_survived(running: Daemon) -> None:
    requests = [datagram("/vae/sample", number, "bars", 1) for number in range(1, 10_001)]
    with Peer(running.port) as flood, Peer(running.port) as peer:
        memory = []
        for _ in range(3):
            began = time.perf_counter()
            for index, request in enumerate(requests):
                flood.send_raw(request)
                while index / len(requests) > time.perf_counter() - began:  # 10,000 a second, and no faster
                    pass
            status = peer.insist("status").keys
            assert int(status["queue"]) <= MAX_WAITING + 1
            assert int(status["requests"]) > 1000
            memory.append(memory_kb(running.process.pid))
        assert int(status["failed"]) + int(status["dropped"]) > 1000, status
        assert memory[2] - memory[0] < 8_000, f"{memory} KB"
        assert "busy" in {flood.hear().arguments[2] for _ in range(2000)}
        assert peer.insist("sample").is_done
    assert len(running.log.read_bytes()) < 1_000_000


def test_8000_requests_for_a_large_clip_hold_up_nobody_and_end_with_the_daemon(running: Daemon) -> None:
    with Peer(running.port) as flood, Peer(running.port) as peer:
        assert peer.upload("large", stiff_clip(4096, 512.0)).is_done
        before = memory_kb(running.process.pid)
        began = time.perf_counter()
        for number in range(1, 8001):
            flood.send("clip/get", number, "slot", "large")
        assert peer.insist("ping").is_done
        assert len(peer.insist("humanize", "slot", "large").notes()) == 4096
        assert time.perf_counter() - began < 60
        assert memory_kb(running.process.pid) - before < 100_000
        for number in range(1, 8001):
            flood.send("clip/get", number, "slot", "large")
        sent = time.perf_counter()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
        assert time.perf_counter() - sent < 2
    assert "Traceback" not in running.log.read_text()


def mangled(chance: random.Random, content: bytes) -> bytes:
    """The datagram with some bytes changed, cut off, doubled or put in."""
    mutable = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(mutable) + 1)
        match chance.randrange(4):
            case 0:
                mutable[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del mutable[at : at + chance.randint(1, 8)]
            case 2:
                mutable[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                mutable[at:at] = mutable[: chance.randrange(64)]
    return bytes(mutable)


def test_fuzz_changes_nothing_for_the_others(running: Daemon) -> None:
    chance = random.Random(1)
    valid = [
        datagram("/vae/ping", 1),
        datagram("/vae/clip", 2, "a", 4.0, 1, 36, 0.0, 0.25, 100, 0),
        datagram("/vae/clip/begin", 3, "a", 2, 4.0),
        datagram("/vae/clip/notes", 3, 0, 1, 36, 0.0, 0.25, 100, 0),
        datagram("/vae/clip/part", 3, 0, 1, 0, 0, 2, "drums"),
        datagram("/vae/clip/end", 3),
        datagram("/vae/humanize", 4, "slot", "a", "timing", 0.5, "only", "36"),
        datagram("/vae/interpolate", 5, "from", "a", "to", "a"),
        b"#bundle\0\0\0\0\0\0\0\0\1\0\0\0\20" + datagram("/vae/ping", 6),
    ]
    with Peer(running.port) as fuzz, Peer(running.port) as peer:
        for _ in range(20):
            for _ in range(150):
                fuzz.send_raw(mangled(chance, chance.choice(valid)))
                fuzz.send_raw(chance.randbytes(chance.randrange(2000)))
            assert peer.ask("ping").is_done
        fuzz.send_raw(chance.randbytes(60_000))
        peer.upload("after", stiff_clip())
        assert len(peer.ask("humanize", "slot", "after").notes()) == 48
        assert running.process.poll() is None
    assert "Traceback" not in running.log.read_text(), running.log.read_text()[-3000:]


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it_cleanly_within_2_seconds(running: Daemon, number: signal.Signals) -> None:
    with Peer(running.port) as peer:
        peer.send("sample", 1, "style", "sleep 30")
        peer.send("sample", 2)
        assert peer.ask("ping").is_done
        model = running.model_pid
        sent = time.perf_counter()
        running.process.send_signal(number)
        assert [peer.answer(each).code for each in (1, 2)] == ["cancelled"] * 2
        assert running.process.wait(5) == 0
        assert time.perf_counter() - sent < 2
    assert not Path(f"/proc/{model}").exists()
    assert "Traceback" not in running.log.read_text()


def test_where_the_end_of_the_terminal_is_ignored_it_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert list(endings()) == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_while_the_models_warm_up_stops_it_within_2_seconds(start: Start) -> None:
    daemon = start("fake", test_start_seconds=30)
    wait_until_listening(daemon)
    sent = time.perf_counter()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(5) == 0
    assert time.perf_counter() - sent < 2


def test_what_cannot_start_says_why_in_one_sentence(start: Start) -> None:
    daemon = start(device="toaster")
    assert daemon.process.wait(60) != 0
    assert "device must be auto, cpu, cuda" in daemon.log.read_text()


def test_broken_weights_leave_a_daemon_that_says_so(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("name = 1", encoding="utf-8")
    daemon = start(weights=tmp_path, models="mine")
    daemon.wait_until_ready()
    assert "mine.toml" in daemon.log.read_text()
    with Peer(daemon.port) as peer:
        assert peer.ask("sample").code == "no_model"
        assert "mine" not in {row[0] for row in peer.ask("models").rows("model")}
        assert "mine.toml is no" in str(peer.ask("status").keys["problem"])
        assert "mine.toml is no" in peer.ask("sample", "model", "mine").text
        assert peer.ask("load", "model", "drummer").is_done
        assert "mine.toml" not in str(peer.ask("status").keys["problem"])


def test_serve_is_a_command(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from bridge.cli.main import main; main()", "serve", "--osc-port", "99999"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "osc_port" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


# Bugs


@pytest.mark.parametrize(
    "part",
    [
        "EngineVerbs.report",
        "EngineVerbs.take",
        "MidiPorts.run_due",
        "Ensemble.next_due",
        "Ensemble.run_due",
        "Ensemble.panic",
        "Service.next_due",
        "Reception.admit",
        "Service.handle_next",
        "Service.run_due",
        "Service.shut_down",
    ],
)
def test_a_bug_in_any_part_of_the_loop_is_logged_and_ends_nothing(start: Start, part: str) -> None:
    daemon = start("fake", "stumble", part)
    daemon.wait_until_ready()
    with Peer(daemon.port) as peer:
        for _ in range(20):
            assert peer.insist("ping").is_done
        assert part == "EngineVerbs.report" or peer.insist("sample").is_done
        assert processor_share(daemon.process.pid, 0.5) < 0.5
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    if part not in ("EngineVerbs.report", "Ensemble.panic", "Service.shut_down"):  # they are called once here
        assert "RuntimeError: a bug that nobody expects" in daemon.log.read_text()


def processor_share(pid: int, seconds: float) -> float:
    """How much of one processor a process takes."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    before = ticks()
    time.sleep(seconds)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


SERVE_FAKE = """
import functools
from bridge import daemon
daemon.serve = functools.partial(daemon.serve, generator="tests.bridge.fake_generator:FakeGenerator")
from bridge.cli.main import main
main()
"""


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full, and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_output_that_nobody_reads_stops_neither_the_daemon_nor_its_end(full_pipe: int) -> None:
    port = free_port()
    settings = ("--osc-port", str(port), "--no-midi", "--log-level", "debug")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE_FAKE, "serve", *settings], cwd=ROOT, stdout=full_pipe, stderr=full_pipe
    )
    try:
        with Peer(port) as peer:
            while peer.insist("ping").keys["ready"] == 0:
                pass
            for _ in range(100):  # each is a line of the log, in either process or in both
                assert peer.ask("sample").is_done
                assert peer.ask("sample", "style", "bug").code == "internal"
            sent = time.perf_counter()
            process.terminate()
            assert process.wait(10) == 0
            assert time.perf_counter() - sent < 2
    finally:
        process.kill()
        process.wait()
