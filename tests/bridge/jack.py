"""A JACK server of the tests' own, without a sound card, and the programs that come with it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

PATIENCE_SECONDS = 10
MOST_STARTS = 3
"""A server that starts while another one does may fail: they share one registry of memory."""

PERIOD_FRAMES, SAMPLE_RATE = 256, 48_000
PERIOD_SECONDS = PERIOD_FRAMES / SAMPLE_RATE


class Jack:
    """A server under a name that nobody else has. libjack finds it by the environment, which must be its own."""

    def __init__(self) -> None:
        self.name = f"vb{os.getpid()}"
        self.environment = {"JACK_DEFAULT_SERVER": self.name, "JACK_NO_AUDIO_RESERVATION": "1"}
        self._programs: list[subprocess.Popen[bytes]] = []
        _forget_the_dead()
        self.start()

    def start(self) -> None:
        """Start the server, again if need be; it answers then."""
        options = f"-R -S -d dummy -r {SAMPLE_RATE} -p {PERIOD_FRAMES} -C 0 -P 0"  # -S: it waits for busy clients
        command = ["jackd", "-n", self.name, *options.split()]
        for _ in range(MOST_STARTS):
            self._process = self._popen(command)
            try:
                self.tell("jack_wait", "-w", "-t", str(PATIENCE_SECONDS))
            except RuntimeError as error:
                problem = error
                end(self._process)
            else:
                return
        raise problem

    def kill(self) -> None:
        """End the server as a crash does."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Let the server stand still until it is woken; its last thread does when this returns."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def wake(self) -> None:
        """Let the server go on."""
        self._process.send_signal(signal.SIGCONT)

    def transport(self, command: str) -> None:
        """Tell JACK's transport to play or to stop."""
        subprocess.run(
            ["jack_transport"],
            input=f"{command}\nquit\n",
            env=self._all(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
            check=False,  # it complains where its own history cannot be written
        )

    def close(self) -> None:
        """End the server in order; one that crashed is started for that, for it holds one of JACK's 8 places."""
        for program in self._programs:
            end(program)
        self._process.poll()
        while self._process.returncode != 0:
            if self._process.returncode is not None:
                self.start()
            end(self._process)
        for semaphore in Path("/dev/shm").glob(f"jack_sem.*_{self.name}_*"):
            semaphore.unlink()

    def tell(self, *command: str) -> str:
        """Run one of JACK's programs, and return what it says."""
        told = subprocess.run(
            command, env=self._all(), capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS, check=False
        )
        if told.returncode:
            raise RuntimeError(f"{' '.join(command)}: {told.stdout}{told.stderr}")
        return told.stdout

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program that stays; it is ended with the server, if not before."""
        self._programs.append(self._popen(command))
        return self._programs[-1]

    def connect(self, source: str, destination: str) -> None:
        self.tell("jack_connect", source, destination)

    def disconnect(self, source: str, destination: str) -> None:
        self.tell("jack_disconnect", source, destination)

    def ports(self) -> list[str]:
        """The full names of all ports."""
        return self.tell("jack_lsp").splitlines()

    def wait_for(self, port: str) -> None:
        """Return when there is a port."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while port not in (ports := self._ports_or_why_none()):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"there is no port {port}, only {ports}")

    def _ports_or_why_none(self) -> list[str]:
        """On a busy machine a server may be asked in vain, once."""
        try:
            return self.ports()
        except RuntimeError as error:
            return [str(error)]

    def _popen(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program; it ends with the tests, even if those are killed."""
        orphaned = ("setpriv", "--pdeathsig", "TERM")
        return subprocess.Popen(
            [*orphaned, *command],
            env=self._all(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _all(self) -> Mapping[str, str]:
        return {**os.environ, **self.environment}


@cache
def _forget_the_dead() -> None:
    """Once, and where no server runs, delete the data base of properties that all servers of a user share.

    What was killed may have left locks in it, which make clients hang, or end them.
    """
    if subprocess.run(["pgrep", "-x", "jackd"], stdout=subprocess.DEVNULL, check=False).returncode:
        for left in Path("/dev/shm").glob("jack_db-*"):
            shutil.rmtree(left, ignore_errors=True)


def end(program: subprocess.Popen[bytes]) -> None:
    """End a program with SIGTERM."""
    program.terminate()
    try:
        program.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
