"""What a performer's knobs and switches do, and how they are learned. Pure: it hears messages and names actions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bridge.errors import RequestError
from bridge.playing.live_settings import STEERED

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
PRESSED = 64
HOLD_SECONDS = 0.7

KNOBS = ("mode", "model", *STEERED)
SWITCHES = {
    "switch": "starts the live mode; while it plays a tap freezes it and lets it go, a long press stops it",
    "start": "starts and stops the live mode",
    "freeze": "keeps the variation that plays, and lets it go",
    "undo": "goes back to the variation before",
    "panic": "ends every note",
}
TARGETS = (*KNOBS, *SWITCHES)


@dataclass(frozen=True, slots=True)
class Control:
    """A knob or switch of a controller: kind is control or note, channel 1..16, number 0..127."""

    kind: str
    channel: int
    number: int

    def __post_init__(self) -> None:
        if self.kind not in ("control", "note") or not 1 <= self.channel <= 16 or not 0 <= self.number <= 127:
            raise RequestError("bad_request", "a control is control or note, on channel 1..16, with number 0..127")


@dataclass(frozen=True, slots=True)
class Action:
    """What a control has asked for. value: of a knob, in its range (0..1 for the mode and the model)."""

    target: str
    value: float = 0.0


class Controls:
    """Which control does what. on_learned is told each target and its new control, None if it has lost it."""

    def __init__(self, bindings: Mapping[str, Control], on_learned: Callable[[str, Control | None], None]):
        self._targets = {control: target for target, control in bindings.items()}
        self._on_learned = on_learned
        self._learning = ""
        self._pressed_at: float | None = None

    @property
    def bindings(self) -> dict[str, Control]:
        """The control of each target that has one."""
        return {target: control for control, target in self._targets.items()}

    def learn(self, target: str) -> None:
        """Let the next control that is moved be the one of a target, in place of the one it had."""
        self._learning = _checked(target)

    def forget(self, target: str) -> None:
        """Let no control have this target; stop learning it."""
        self._targets = {control: each for control, each in self._targets.items() if each != _checked(target)}
        self._learning = "" if self._learning == target else self._learning
        self._on_learned(target, None)

    def forget_lesson(self) -> None:
        """Stop learning, whatever the target."""
        self._learning = ""

    def hear(self, message: bytes, now: float, *, running: bool) -> list[Action] | None:
        """What a message asks for; None for one that is no control of ours."""
        heard = _read(message)
        if heard is None:
            return None
        control, value = heard
        if self._learning and value and (control.kind == "control" or self._learning in SWITCHES):
            self._learn(control)
            return []
        target = self._targets.get(control)
        return None if target is None else list(self._act(target, value, now, running))

    def run_due(self, now: float) -> list[Action]:
        """What a switch that is held asks for."""
        if now < self.next_due():
            return []
        self._pressed_at = None
        return [Action("stop")]

    def next_due(self) -> float:
        """When a switch that is pressed has been held."""
        return float("inf") if self._pressed_at is None else self._pressed_at + HOLD_SECONDS

    def _learn(self, control: Control) -> None:
        target, self._learning = self._learning, ""
        self._targets = {each: other for each, other in self._targets.items() if other != target}
        self._targets[control] = target
        self._on_learned(target, control)

    def _act(self, target: str, value: int, now: float, running: bool) -> Iterator[Action]:
        if target in STEERED:
            low, high = STEERED[target]
            yield Action(target, low + (high - low) * value / 127)
        elif target in KNOBS:
            yield Action(target, value / 128)
        elif target == "switch":
            yield from self._switch(value >= PRESSED, now, running)
        elif value >= PRESSED:
            yield Action("stop" if target == "start" and running else target)

    def _switch(self, pressed: bool, now: float, running: bool) -> Iterator[Action]:
        """Start when pressed; while running, freeze when released, unless it was held: see run_due."""
        if pressed and not running:
            yield Action("start")
        elif pressed:
            self._pressed_at = now
        elif self._pressed_at is not None:
            self._pressed_at = None
            yield Action("freeze")


def _checked(target: str) -> str:
    if target not in TARGETS:
        raise RequestError("bad_request", f"target must be {', '.join(TARGETS)}, not {target!r}")
    return target


def _read(message: bytes) -> tuple[Control, int] | None:
    """The control that a message moves, and where to."""
    kind, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
    if kind == CONTROL and len(message) == 3:
        return Control("control", channel, message[1]), message[2]
    if kind in (NOTE_ON, NOTE_OFF) and len(message) == 3:
        return Control("note", channel, message[1]), 127 if kind == NOTE_ON and message[2] else 0
    return None
