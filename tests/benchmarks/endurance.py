"""Everything that goes wrong at once while a loop plays: `python -m tests.benchmarks.endurance`.

Broken datagrams, floods, clips beyond the limits, models and JACK servers that are killed, JACK clients that hang,
ports that come and go. Reports requests and how they ended, late bars, the longest silence of OSC, and memory.
"""

import argparse
import itertools
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pythonosc.osc_message import OscMessage

from engine.clip import Clip, Note
from tests.benchmarks.soak import mib_of, on_jack
from tests.bridge.conftest import ROOT, Daemon, launch
from tests.bridge.jack import Jack
from tests.bridge.peer import Peer, datagram, note_atoms, stiff_clip
from tests.bridge.performer import Performer

PING = """
import sys, time
from bridge.realtime import ask_for_realtime
from tests.bridge.peer import Peer
ask_for_realtime()
longest = 0.0
with Peer(int(sys.argv[1])) as peer:
    while True:
        asked = time.perf_counter()
        assert peer.ask("ping").is_done
        longest = max(longest, time.perf_counter() - asked)
        print(longest * 1000, flush=True)
        time.sleep(0.01)
"""
LARGE = Clip(tuple(Note(36 + i % 12, i / 8, 0.1, 100) for i in range(4096)), 512.0)
LONG = stiff_clip(400, 400.0)
"""100 bars: more than drumify takes."""

AT_ONCE = 64
"""Requests of one client that wait for their end; more of them would be lost in its own socket."""

END_SECONDS = 120.0
"""In which what is still open at the end must end: 256 requests may wait, some for 64 bars."""

OPEN_AND_CLOSE = """
import rtmidi, sys
number = 0
while True:
    port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, f"flicker {number % 7}")
    port.open_virtual_port("p")
    port.delete()
    number += 1
"""
STAND = """
import rtmidi, time
port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "hangs")
port.open_virtual_port("in")
time.sleep(600)
"""


@dataclass
class Tally:
    """What was asked and how it ended. A request is (client, id); silence is that of OSC."""

    requests: int = 0
    ends: Counter[tuple[int, int]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    longest_silence_ms: float = 0.0
    notes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Endured:
    """What came of it. unended and doubled: requests that ended not at all, or more than once.

    mib_*: what the daemon's own process holds, without the model's.
    """

    tally: Tally
    unended: int
    doubled: int
    missed: int
    hanging: int
    exit_code: int | None
    stop_seconds: float
    mib_before: float
    mib_after: float

    def __str__(self) -> str:
        tally = self.tally
        return (
            f"{tally.requests} requests, {self.unended} without an end, {self.doubled} with more than one; "
            f"{tally.broken} broken datagrams; {tally.notes} notes heard\n"
            f"ended as {', '.join(f'{code} {count}' for code, count in sorted(tally.codes.items()))}\n"
            f"beside {', '.join(f'{what} {count}' for what, count in sorted(tally.deeds.items()))}\n"
            f"late bars {self.missed}, hanging notes {self.hanging}, longest silence of OSC "
            f"{tally.longest_silence_ms:.0f} ms, stopped with {self.exit_code} after {self.stop_seconds:.2f} s\n"
            f"the daemon's own memory {self.mib_before:.1f} -> {self.mib_after:.1f} MiB\n"
            + "".join(f"{problem}\n" for problem in tally.problems)
        )


class Crowd:
    """One client that asks much at once, and counts how each request ends."""

    def __init__(self, port: int, tally: Tally):
        self._tally, self._open = tally, dict[int, str]()
        self._peer, self._next = Peer(port), 1
        self._key = self._peer.port

    def ask(self, verb: str, *arguments: object) -> None:
        """Ask, once there is room, and do not wait for the end."""
        self.listen(0.0)
        while len(self._open) >= AT_ONCE:
            self.listen(1.0)
        self._tally.requests += 1
        self._open[self._next] = f"{verb} {arguments}"
        self._peer.send(verb, self._next, *arguments)
        self._next += 1

    def upload(self, slot: str, clip: Clip) -> None:
        number = self._next
        self.ask("clip/begin", slot, len(clip.notes), float(clip.length_beats))
        for first in range(0, len(clip.notes), 48):
            chunk = clip.notes[first : first + 48]
            self._peer.send("clip/notes", number, first, len(chunk), *note_atoms(chunk))
        self._peer.send("clip/end", number)

    def listen(self, seconds: float) -> None:
        """Take what comes, waiting so long for the first of it."""
        while select.select([self._peer.socket], [], [], seconds)[0]:
            message, seconds = OscMessage(self._peer.socket.recv(65536)), 0.0
            if message.address in ("/vae/done", "/vae/fail") and message.params[0]:
                number = int(message.params[0])
                self._tally.ends[self._key, number] += 1
                self._tally.codes["done" if message.address == "/vae/done" else str(message.params[2])] += 1
                self._open.pop(number, None)

    def finish(self) -> int:
        """Wait for what is open; how many requests never ended."""
        deadline = time.perf_counter() + END_SECONDS
        while self._open and time.perf_counter() < deadline:
            self.listen(0.5)
        self._peer.socket.close()
        self._tally.problems += [f"without an end: {number} {asked}" for number, asked in self._open.items()]
        return len(self._open)


class Endurance:
    """The daemon, the loop that plays, and whoever makes trouble; each on a thread of its own."""

    def __init__(self, jack: Jack, daemon: Daemon, seconds: float, seed: int):
        self._jack, self._daemon, self._seconds, self._seed = jack, daemon, seconds, seed
        self._stop, self.tally, self._unended = threading.Event(), Tally(), 0
        self._performer: Performer | None = None

    def run(self) -> Endured:
        with Peer(self._daemon.port) as client:
            client.upload("beat", stiff_clip())
            client.upload("large", LARGE)
            self._plug_in()
            assert client.insist("live", "mode", "loop", "slot", "beat", "bars", 1).is_done
            before = mib_of(self._daemon.process.pid)
            self._make_trouble()
            after = mib_of(self._daemon.process.pid)
            status = client.insist("status").keys
            client.insist("stop")
            hanging = self._unplug()
        stop_seconds, exit_code = self._end()
        doubled = sum(count > 1 for count in self.tally.ends.values())
        missed = int(status["missed"])
        return Endured(self.tally, self._unended, doubled, missed, hanging, exit_code, stop_seconds, before, after)

    def _make_trouble(self) -> None:
        makers = [self._ping, self._fuzz, self._flood, self._play_wrongly, self._kill_models]
        threads = [threading.Thread(target=self._guard, args=(maker,)) for maker in makers]
        threads.append(threading.Timer(self._seconds, self._stop.set))
        for thread in threads:
            thread.start()
        self._guard(self._trouble_jack)  # here, since a server ends with the thread that has started it
        for thread in threads:
            thread.join()

    def _guard(self, maker: Callable[[random.Random], None]) -> None:
        """What ends a troublemaker is a problem of the daemon's, or of this program."""
        try:
            maker(random.Random(f"{self._seed} {maker.__name__}"))
        except Exception as error:
            self.tally.problems.append(f"{maker.__name__}: {type(error).__name__}: {error}")

    # Who makes trouble

    def _ping(self, _: random.Random) -> None:
        """Measure how long OSC is silent, in a process of its own that waits for nobody here."""
        with self._program(PING, str(self._daemon.port)) as program:
            assert program.stdout is not None
            while not self._stop.is_set():
                self.tally.longest_silence_ms = float(program.stdout.readline())

    def _fuzz(self, chance: random.Random) -> None:
        """Datagrams that are broken, or nearly right."""
        whole = [
            datagram("/vae/humanize", 0, "slot", "beat", "timing", 0.5),
            datagram("/vae/clip", 0, "fuzz", 4.0, 1, 36, 0.0, 0.25, 100, 0),
            datagram("/vae/steer", 0, "density", 1.0),
            datagram("/vae/clip/begin", 0, "fuzz", 10, 4.0),
            datagram("/vae/live", 0, "mode", "answer\x1b[2J\n"),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            while not self._stop.wait(0.001):
                content = bytearray(chance.choice(whole))
                for _ in range(chance.randrange(1, 6)):
                    content[chance.randrange(len(content))] = chance.randrange(256)
                broken = bytes(content) if chance.random() < 0.7 else chance.randbytes(chance.randrange(200))
                if b"/vae/live" not in broken and b"/vae/stop" not in broken:  # the loop is to go on
                    wire.sendto(broken, ("127.0.0.1", self._daemon.port))
                    self.tally.broken += 1

    def _flood(self, chance: random.Random) -> None:
        """Requests without pause, of several clients, most of them small and with large answers."""
        crowd = [Crowd(self._daemon.port, self.tally) for _ in range(4)]
        while not self._stop.is_set():
            one = chance.choice(crowd)
            match chance.randrange(6):
                case 0 | 1:
                    one.ask("clip/get", "slot", "large")
                case 2:
                    one.ask("sample", "bars", chance.choice((2, 2, 8, 64)), "count", chance.choice((1, 4)))
                case 3:
                    one.ask("humanize", "slot", "beat", "timing", chance.choice((0.5, 7.0)))
                case 4:
                    one.ask("clip", f"slot {chance.randrange(400)}", 4.0, 1, 36, 0.0, 0.25, 100, 0)
                case _:
                    one.ask("status")
        self._unended += sum(one.finish() for one in crowd)

    def _play_wrongly(self, chance: random.Random) -> None:
        """Clips beyond the limits, knobs beyond their ranges, modes that cannot be."""
        crowd = Crowd(self._daemon.port, self.tally)
        while not self._stop.wait(0.1):
            crowd.upload("beat", chance.choice((LONG, LARGE, stiff_clip(), Clip((), 4.0))))
            crowd.ask("clip/begin", "huge", 4097, 4.0)
            crowd.ask("clip", "endless", 1e9, 0)
            crowd.ask("steer", "temperature", chance.choice((0.5, 7.0)))
            crowd.ask("steer", "timing", chance.choice((0.5, 7.0)))
            verb = chance.choice(("vary", "drumify", "sample", "humanize", "nonsense"))
            crowd.ask("live", "mode", "loop", "slot", "beat", "bars", 1, "verb", verb)
        crowd.ask("live", "mode", "loop", "slot", "beat", "bars", 1)
        self._unended += crowd.finish()

    def _kill_models(self, chance: random.Random) -> None:
        while not self._stop.wait(chance.uniform(4, 9)):
            with suppress(ProcessLookupError, IndexError, FileNotFoundError):
                os.kill(self._daemon.model_pid, signal.SIGKILL)
                self.tally.deeds["models killed"] += 1

    def _trouble_jack(self, chance: random.Random) -> None:
        """One thing after the other, for they are all the same server's."""
        troubles = [self._flicker, self._let_a_client_hang, self._let_the_server_hang, self._kill_the_server]
        chance.shuffle(troubles)
        for trouble in itertools.cycle(troubles):
            if self._stop.wait(chance.uniform(0.5, 1.5)):
                return
            trouble()

    def _flicker(self) -> None:
        """Ports that come and go as fast as they can."""
        with self._program(OPEN_AND_CLOSE):
            self._stop.wait(3)
        self.tally.deeds["flickering ports"] += 1

    def _let_a_client_hang(self) -> None:
        with self._program(STAND) as program:
            self._stop.wait(1)
            program.send_signal(signal.SIGSTOP)
            self._stop.wait(4)
        self.tally.deeds["hanging clients"] += 1

    def _let_the_server_hang(self) -> None:
        self._jack.hang()
        self._stop.wait(2)
        self._jack.wake()
        self.tally.deeds["hanging servers"] += 1

    def _kill_the_server(self) -> None:
        self._unplug(gently=False)
        self._jack.kill()
        self._stop.wait(1)
        self._jack.start()
        self._plug_in()
        self.tally.deeds["servers killed"] += 1

    @contextmanager
    def _program(self, text: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A program that does not outlive this."""
        command = [sys.executable, "-c", text, *arguments]
        program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            yield program
        finally:
            program.kill()
            program.communicate()

    # Who listens

    def _plug_in(self) -> None:
        self._performer = Performer(self._jack, f"performer {self.tally.deeds['servers killed']}")
        self._performer.plug_in()

    def _unplug(self, *, gently: bool = True) -> int:
        """Hear no more; how many notes hang, once they had time to end."""
        assert self._performer
        performer, self._performer = self._performer, None
        if gently:
            with suppress(TimeoutError):
                performer.wait_until(lambda: not performer.hanging)
        self.tally.notes += len(performer.struck)
        performer.close()
        return sum(performer.hanging.values()) if gently else 0

    def _end(self) -> tuple[float, int | None]:
        """How long the daemon takes to stop, and its exit code."""
        began = time.perf_counter()
        self._daemon.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._daemon.process.wait(10)
        return time.perf_counter() - began, self._daemon.process.returncode


def endure(seconds: float, seed: int = 0) -> Endured:
    """Let everything go wrong for so long."""
    with TemporaryDirectory() as folder, on_jack() as jack, ExitStack() as stack:
        daemon = launch(Path(folder), midi=1, tempo=174)
        stack.callback(daemon.process.kill)
        daemon.wait_until_ready()
        endured = Endurance(jack, daemon, seconds, seed).run()
        log = daemon.log.read_text()
        endured.tally.problems += [line for line in log.splitlines() if "Error" in line or " ERROR " in line][:20]
        return endured


def main() -> None:
    """Endure and report; exit 1 if a request did not end once, a note hangs, or the daemon did not stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="which order of things")
    arguments = parser.parse_args()
    endured = endure(arguments.seconds, arguments.seed)
    sys.stdout.write(str(endured))
    good = not (endured.unended or endured.doubled or endured.hanging or endured.exit_code)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
