"""A Live set with our devices in it, played by harness.js in a process of its own: its commands as methods."""

import itertools
import json
import selectors
import subprocess
import time
from pathlib import Path
from typing import Any

from max_devices import devices
from max_devices.build import join
from max_devices.parameter import HIDDEN
from tests.bridge.conftest import free_port

HARNESS = Path(__file__).parent / "harness.js"
WAIT_SECONDS = 30.0
DEVICES = {device.name: device for device in devices.DEVICES}

Note = dict[str, Any]


def drums(count: int, *, every: float = 0.25, **more: Any) -> list[Note]:
    """That many stiff hits of kick, closed hat and snare, each with what the daemon knows nothing of."""
    return [
        {
            "pitch": (36, 42, 38)[index % 3],
            "start_time": index // 3 * every,
            "duration": every / 2,
            "velocity": 100,
            "probability": 0.5,
            "velocity_deviation": 7,
            "release_velocity": 11,
            "mpe": index,
            **more,
        }
        for index in range(count)
    ]


class RefusedError(Exception):
    """What Live, Max or the test's own command would not do."""


class Ableton:
    """A Live set. speed: how many times faster its time runs; default: the model that the daemon names."""

    def __init__(self, daemon_port: int, *, speed: float = 1.0, default: str = "drums_16bar"):
        self.daemon_port, self.speed, self.default = daemon_port, speed, default
        self._ids = itertools.count(1)
        self._node = subprocess.Popen(
            ["node", "--expose-internals", str(HARNESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._node.stdout is not None
        self._selector, self._buffer = selectors.DefaultSelector(), b""
        self._selector.register(self._node.stdout, selectors.EVENT_READ)
        self.devices: list[Device] = []

    def close(self) -> None:
        for device in list(self.devices):
            device.close()
        assert self._node.stdin is not None
        self._node.stdin.close()
        self._node.wait(10)

    def ask(self, command: str, **settings: Any) -> Any:
        """One command and what came of it."""
        assert self._node.stdin is not None
        number = next(self._ids)
        self._node.stdin.write(json.dumps({"ask": number, "command": command, **settings}).encode() + b"\n")
        deadline = time.perf_counter() + WAIT_SECONDS
        while True:
            answer = json.loads(self._line(deadline, settings))
            if answer["ask"] == number:
                break
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer.get("value")

    def _line(self, deadline: float, settings: dict[str, Any]) -> bytes:
        while b"\n" not in self._buffer:
            if not self._selector.select(max(0.0, deadline - time.perf_counter())):
                raise TimeoutError(f"{settings}\n{[device.shown() for device in self.devices]}")
            assert self._node.stdout is not None
            content = self._node.stdout.read(1 << 20)
            assert content, "the harness has died"
            self._buffer += content
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def load(self, name: str, *, track: int = 0, **saved: Any) -> "Device":
        """A device on a track, with what the set has saved of it; not yet told that Live is there."""
        made, device = DEVICES[name], Device(self, f"device{next(self._ids)}", name)
        boxes = [box for box in made.patcher().boxes if box.name]
        values: dict[str, Any] = {
            box.name: box.parameter.initial or 0 for box in boxes if box.parameter and box.object_name != "pattr"
        }
        values |= {"port": free_port(), "daemon_port": self.daemon_port, **saved}
        told = {
            box.name: {
                "what": box.object_name,
                "visibility": box.parameter.visibility if box.parameter else HIDDEN,
                "long_name": box.parameter.long_name if box.parameter else "",
            }
            for box in boxes
        }
        self.ask(
            "load",
            name=device.name,
            code=join(made).decode(),
            boxes=told,
            saved=values,
            speed=self.speed,
            track=track,
            daemon_port=self.daemon_port,
            args=[made.tool] if made.tool else [],
        )
        self.devices.append(device)
        return device

    def connected(self, name: str, **saved: Any) -> "Device":
        """A device that has found the daemon and knows its verbs and styles."""
        return self.load(name, **saved).start().ready()

    def reopened(self) -> tuple[dict[int, int], list["Device"]]:
        """The set saved, closed and opened again: the clips' new ids by their old ones, and its devices."""
        saved = [(device.kind, device.saved()) for device in self.devices]
        for device in list(self.devices):
            device.close()
        ids = {int(old): new for old, new in self.ask("reopen").items()}
        return ids, [self.connected(kind, **values) for kind, values in saved]

    def clip(self, notes: list[Note] | None = None, **place: Any) -> int:
        """A clip, now in the detail view."""
        return int(self.ask("clip", notes=notes or [], **place))

    def notes(self, clip: int) -> list[Note]:
        """The notes of a clip, in the order in which Live reads them out."""
        found: list[Note] = self.ask("notes", id=clip)
        return sorted(found, key=lambda note: (note["start_time"], note["pitch"]))

    def state(self) -> dict[str, Any]:
        """undo_steps, calls, ignored, deleted, tracks, detail."""
        state: dict[str, Any] = self.ask("state")
        return state

    def traffic(self) -> dict[str, Any]:
        """symbols, largest (bytes), most_atoms, sent, heard, messages (the last 500 to the daemon)."""
        traffic: dict[str, Any] = self.ask("traffic")
        return traffic


class Device:
    """One of our devices on a track. kind: what Live calls it."""

    def __init__(self, ableton: Ableton, name: str, kind: str):
        self.ableton, self.name, self.kind = ableton, name, kind

    def ask(self, command: str, **settings: Any) -> Any:
        return self.ableton.ask(command, name=self.name, **settings)

    def start(self) -> "Device":
        self.ask("start")
        return self

    def ready(self) -> "Device":
        """Wait until it has found the daemon and knows what that can do."""
        self.until("line", f"Connected: {self.ableton.default}")
        self.ask("until_true", expression="offer.is_known()")
        return self

    def press(self, button: str) -> None:
        self.ask("press", button=button)

    def press_from_afar(self, button: str) -> None:
        """A mapped key or pad, or an envelope."""
        self.ask("press", button=button, from_afar=True)

    def choose(self, **items: str) -> None:
        """Pick items in menus, and wait until what the daemon has for them is known."""
        for control, item in items.items():
            self.ask("choose", control=control, item=item)
            self.ask("until_true", expression="offer.is_known()")

    def chosen(self, menu: str) -> str:
        """What a menu shows."""
        return str(self.shown()[menu]["_parameter_range"][int(self.ask("values")[menu])])

    def saved(self) -> dict[str, Any]:
        """What Live saves of it with the set."""
        saved: dict[str, Any] = self.ask("saved")
        return saved

    def apply(self) -> list[Note] | None:
        """A MIDI Tool: a person presses Apply; what it answered in that bang."""
        answered: list[Note] | None = self.ask("apply")
        return answered

    def set(self, **controls: float) -> None:
        for control, value in controls.items():
            self.ask("set", control=control, value=value)

    def until(self, box: str, says: str, *, silent: bool = False) -> None:
        """Wait until a box shows a text; silent: until it no longer does."""
        self.ask("until", box=box, says=says, silent=silent)

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.ask("shown")
        return shown

    def text(self, box: str) -> str:
        return str(self.shown().get(box, {}).get("set", ""))

    def errors(self) -> list[str]:
        errors: list[str] = self.ask("errors")
        return errors

    def close(self) -> None:
        """Take it off the track; whatever its script did wrong fails the test."""
        self.ableton.devices.remove(self)
        errors = self.ask("close")
        assert not errors, "\n".join(errors)
