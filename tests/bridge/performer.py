"""A performer on JACK: ports of our own that are plugged into the daemon's, and everything that comes back."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import rtmidi

from tests.bridge.jack import Jack

DAEMON_IN, DAEMON_OUT = "vaebridge in:in", "vaebridge out:out"
WAIT_SECONDS = 20.0


class Performer:
    """Keys that play to the daemon, ears that hear it."""

    def __init__(self, jack: Jack, name: str = "performer"):
        self.jack, self.name = jack, name
        self.heard: list[tuple[float, bytes]] = []
        self._came, self._closed = threading.Condition(), False
        self.keys = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, f"{name} keys")
        self.keys.open_virtual_port("out")
        self.ears = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, f"{name} ears")
        self.ears.ignore_types(timing=False)
        self.ears.set_callback(self._hear)
        self.ears.open_virtual_port("in")

    def plug_in(self) -> None:
        """Connect to the daemon, as soon as it has its ports."""
        for port in (DAEMON_IN, DAEMON_OUT, f"{self.name} keys:out", f"{self.name} ears:in"):
            self.jack.wait_for(port)
        self.jack.connect(f"{self.name} keys:out", DAEMON_IN)
        self.jack.connect(DAEMON_OUT, f"{self.name} ears:in")

    def __enter__(self) -> "Performer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unplug; where the server has died, before it is started again."""
        if not self._closed:
            self._closed = True
            self.keys.delete()
            self.ears.delete()

    def _hear(self, event: tuple[list[int], float], _: object) -> None:
        with self._came:
            self.heard.append((time.monotonic(), bytes(event[0])))
            self._came.notify_all()

    def wait_until(self, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Return when what is heard makes something true; TimeoutError if that does not come."""
        with self._came:
            if not self._came.wait_for(holds, seconds):
                raise TimeoutError(f"heard {len(self.heard)} messages, the last {self.heard[-5:]}")

    def play(self, *message: int) -> float:
        self.keys.send_message(message)
        return time.monotonic()

    def tap(self, pitch: int = 36, velocity: int = 100) -> None:
        self.play(0x99, pitch, velocity)
        self.play(0x89, pitch, 0)

    @property
    def struck(self) -> list[tuple[float, int, int]]:
        """When each note on was heard, its pitch and velocity."""
        return [(at, each[1], each[2]) for at, each in list(self.heard) if each[0] & 0xF0 == 0x90 and each[2]]

    @property
    def hanging(self) -> Counter[tuple[int, int]]:
        """The notes that sound."""
        sounding: Counter[tuple[int, int]] = Counter()
        for _, message in list(self.heard):
            key = (message[0] & 0x0F, message[1])
            if message[0] & 0xF0 == 0x90 and message[2]:
                sounding[key] += 1
            elif message[0] & 0xE0 == 0x80:
                sounding[key] = 0
        return +sounding
