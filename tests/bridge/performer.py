"""A performer on JACK: ports of our own that are plugged into the daemon's, and everything that comes back.

And a wire that tells what a program sends, to compare with what the daemon makes of it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

import rtmidi

from bridge.playing.tempo_follower import tick_seconds
from tests.bridge.jack import PERIOD_SECONDS, Jack

DAEMON_IN, DAEMON_OUT = "vaebridge in:in", "vaebridge out:out"
WAIT_SECONDS = 60.0

TICK = 0xF8
MOST_WAITING = 65_536

WAKING_SECONDS = 0.001
"""So much later than its time a period may begin: 0.5 ms have been seen beside a busy program for each core."""


class Performer:
    """Keys that play to the daemon, ears that hear it."""

    def __init__(self, jack: Jack, name: str = "performer"):
        self.jack, self.name = jack, name
        self.heard: list[tuple[float, bytes]] = []
        self._came, self._closed = threading.Condition(), False
        self.keys = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, f"{name} keys")
        self.keys.open_virtual_port("out")
        self.ears = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, f"{name} ears", MOST_WAITING)
        self.ears.ignore_types(timing=False)
        self.ears.open_virtual_port("in")
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

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
            self._listening.join()
            self.keys.delete()
            self.ears.delete()

    def _listen(self) -> None:
        """No callback: JACK's thread would wait for Python's lock, and lose messages while the machine is busy."""
        while not self._closed:
            while (event := self.ears.get_message()) is not None:
                with self._came:
                    self.heard.append((time.perf_counter(), bytes(event[0])))
                    self._came.notify_all()
            time.sleep(0.001)

    def wait_until(self, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Return when what is heard makes something true; TimeoutError if that does not come."""
        with self._came:
            if not self._came.wait_for(holds, seconds):
                raise TimeoutError(f"heard {len(self.heard)} messages, the last {self.heard[-5:]}")

    def play(self, *message: int) -> float:
        self.keys.send_message(message)
        return time.perf_counter()

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


class Wire:
    """The MIDI clock that a port sends. Moments are JACK's own, for Python would delay messages, and lose some."""

    def __init__(self, jack: Jack, source: str):
        self._ear = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "wire", MOST_WAITING)
        self._ear.ignore_types(timing=False)
        self._ear.open_virtual_port("in")
        self._now, self._ticks = 0.0, list[float]()
        self._is_going, self._longest_gap = False, 0.0
        jack.wait_for("wire:in")
        jack.connect(source, "wire:in")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._ear.delete()

    def is_steady(self, tempo_bpm: float, count: int) -> bool:
        """Whether the last ticks came at this tempo, each in the period that is its own.

        A server that is late by a period leaves some out, and with it does any clock that counts its frames.
        """
        self._hear()
        late = [at - index * tick_seconds(tempo_bpm) for index, at in enumerate(self._ticks[-count:])]
        return len(late) == count and max(late) - min(late) < PERIOD_SECONDS + WAKING_SECONDS

    def longest_gap(self) -> float:
        """Seconds from one tick to the next, at most, where nothing else came between."""
        self._hear()
        return self._longest_gap

    def _hear(self) -> None:
        while (event := self._ear.get_message()) is not None:
            message, interval = event
            self._now += interval
            is_tick = message == [TICK]
            if is_tick:
                self._ticks.append(self._now)
                if self._is_going:
                    self._longest_gap = max(self._longest_gap, interval)
            self._is_going = is_tick
