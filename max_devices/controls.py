"""What our devices are made of: controls that speak to one js, and the js that speaks to the daemon. No device.

Every control says `NAME value` to the js, every button `press NAME`; the js shows things by the names of the boxes.
"""

from typing import Any

from max_devices.parameter import HIDDEN, STORED, Parameter
from max_devices.patcher import Box, Patcher, Rect

DAEMON_PORT, REPLY_PORT, LAST_REPLY_PORT = 8710, 8711, 8799
LARGEST_SEED = 2**24 - 1

SHORT = 8
"""Letters of a short name."""

GEAR = "\u2699"

PAD_STEPS = 1000
"""Of an XY pad on each side: it knows whole numbers alone."""

REST_MS = 300
"""How long a pad must rest until the dials take its place over: two undo steps, not hundreds."""

COLUMNS, LEFT, TOP, ACROSS, DOWN, TRUNK = 9, 30, 20, 124, 96, 14
"""Where the controls stand in the patch: in rows, each above the box that names it; their cords join a trunk."""

LEFT_ALIGNED, CENTRED, RIGHT_ALIGNED = 0, 1, 2
GREEN, RED = [0.25, 0.78, 0.35, 1.0], [0.85, 0.27, 0.22, 1.0]


class Controls:
    """The controls of a device as they are set down one by one; finish wires them to the js.

    shown is where a control stands in the device; tip is what Live's Info View says of it.
    """

    def __init__(self, kind: str, script: str, description: str, *, width: int):
        self.patcher = Patcher(kind, width=width, description=description)
        self._script = script
        self._speakers: list[Box] = []

    def dial(self, name: str, parameter: Parameter, left: int, top: int, tip: str) -> Box:
        """A dial with its short name above and its value below."""
        return self._speaking("live.dial", name, parameter, (left, top, 50, 48), tip)

    def number(self, name: str, parameter: Parameter, shown: Rect, tip: str, **more: Any) -> Box:
        """A box with a number."""
        return self._speaking("live.numbox", name, parameter, shown, tip, **more)

    def menu(self, name: str, parameter: Parameter, shown: Rect, tip: str) -> Box:
        """A menu that opens."""
        return self._speaking("live.menu", name, parameter, shown, tip)

    def tabs(self, name: str, parameter: Parameter, shown: Rect, tip: str) -> Box:
        """Choices side by side."""
        lines = {"num_lines_patching": 1, "num_lines_presentation": 1}
        return self._speaking("live.tab", name, parameter, shown, tip, **lines)

    def toggle(self, name: str, text: str, short_name: str, shown: Rect, tip: str) -> Box:
        """A button that stays down; it starts so."""
        parameter = Parameter(text, short_name, items=("off", "on"), initial=1)
        return self._speaking("live.text", name, parameter, shown, tip, mode=1, text=text, texton=text)

    def button(self, name: str, text: str, shown: Rect, tip: str) -> Box:
        """A button that is pressed. Live maps keys and MIDI to what it could automate, and to nothing else."""
        long_name = f"Press {name.replace('_', ' ').title()}"
        parameter = Parameter(long_name, text, items=("off", "on"), initial=0)
        words = {"mode": 0, "outputmode": 1, "text": text, "texton": text}
        box = self._control("live.text", name, parameter, shown, tip, **words)
        self._speak(box, "message", text=f"press {name}")
        return box

    def text(self, text: str, shown: Rect, *, name: str = "", align: int = LEFT_ALIGNED, **more: Any) -> Box:
        """Words on the device, in the colour of Live's theme."""
        words: dict[str, Any] = {"text": text, "textjustification": align, **more}
        return self.patcher.add("live.comment", self._place(), name=name, shown=shown, **words)

    def divider(self, left: int) -> None:
        """A line between two sections."""
        self.patcher.add("live.line", self._place(), shown=(left, 8, 5, 153), justification=1)

    def header(self, *, width: int, line: int, advice: int) -> None:
        """What every device shows at its top left: the light, one line, and what to do, each with its height.

        The gear shows the ports in place of the words.
        """
        look: dict[str, Any] = {"oncolor": GREEN, "offcolor": RED, "useoffcolor": 1, "ignoreclick": 1}
        self.patcher.add("led", self._place(), name="light", shown=(8, 8, 12, 12), parameter_enable=0, **look)
        self.text("not connected yet", (22, 5, width - 32, line), name="line")
        self.text("", (8, 5 + line, width, advice), name="advice")
        gear = Parameter("Gear", "Gear", items=("off", "on"), initial=0, visibility=HIDDEN)
        words = {"mode": 1, "text": GEAR, "texton": GEAR}
        self._speaking("live.text", "gear", gear, (width - 8, 6, 16, 15), "Shows the ports.", **words)
        self._ports()

    def _ports(self) -> None:
        """The port for replies, which the device itself may move, and the daemon's."""
        reply = Parameter(
            "Reply Port", "Port", REPLY_PORT, LAST_REPLY_PORT, REPLY_PORT, whole=True, visibility=STORED
        )
        daemon = Parameter("Daemon Port", "Daemon", 1, 65535, DAEMON_PORT, whole=True, visibility=STORED)
        reply_tip = "The UDP port on which this device hears the daemon; each has its own."
        self.text("Reply Port", (22, 5, 66, 18), name="port_text", hidden=1)
        self.number("port", reply, (90, 6, 46, 15), reply_tip, hidden=1)
        self.text("Daemon Port", (22, 24, 66, 18), name="daemon_text", hidden=1)
        self.number("daemon_port", daemon, (90, 25, 46, 15), "The UDP port of vaebridge serve.", hidden=1)

    def bars(self, shown: Rect) -> None:
        """How long a result is."""
        self.number("bars", Parameter("Bars", "Bars", 1, 64, 2, whole=True), shown, "How many bars are made.")

    def seed(self, shown: Rect) -> None:
        """The number that makes a result come again."""
        seed = Parameter("Seed", "Seed", 0, LARGEST_SEED, 0, whole=True, visibility=STORED)
        self.number("seed", seed, shown, "The same seed gives the same notes; at 0 the daemon draws one each time.")

    def target(self, shown: Rect) -> None:
        """Where results go."""
        target = Parameter("Target", "Target", items=("This Clip", "New Clip"), initial=0)
        self.menu("target", target, shown, "Where new notes are written.")

    def filled_menu(self, name: str, text: str, first: str, shown: Rect, tip: str) -> None:
        """A menu that the daemon fills. What is saved is the name that was chosen: its place changes."""
        parameter = Parameter(text, text, items=(first, "-"), initial=0, visibility=HIDDEN)
        self.menu(name, parameter, shown, tip)
        self.kept(name, f"{text} Name")

    def kept(self, name: str, long_name: str) -> None:
        """A list that the js writes and the set keeps; it is said anew when Live undoes or recalls."""
        left, top, width, _ = self._place()
        parameter = Parameter(long_name, long_name[:SHORT], is_list=True, visibility=STORED)
        box = self.patcher.add(
            f"pattr kept_{name} @thru 0",
            (left, top, width, 22),
            name=f"kept_{name}",
            parameter=parameter,
            saved_object_attributes={"parameter_enable": 1, "parameter_mappable": 0},
        )
        self._speak(box, f"prepend kept {name}")

    def pad(self, shown: Rect, x: Box, y: Box) -> None:
        """An XY pad: dragged, it speaks to the js; at rest, it moves the dials x and y; they move it in turn."""
        look: dict[str, Any] = {"leftvalue": 0, "rightvalue": PAD_STEPS, "bottomvalue": 0, "topvalue": PAD_STEPS}
        look |= {"parameter_enable": 0, "annotation_name": "Pad", "annotation": "Drag between the four clips."}
        pad = self.patcher.add("pictslider", self._place(), name="pad", shown=shown, **look)
        patch, top = self.patcher, self._next_row()
        both = patch.add("pak 0 0", (670, top + 30, 100, 22))
        place = patch.add("prepend set", (670, top + 60, 100, 22))
        patch.connect(both, place)
        patch.connect(place, pad)
        for axis, (name, dial) in enumerate((("x", x), ("y", y))):
            left = 30 + axis * 280
            part = patch.add(f"/ {PAD_STEPS}.", (left, top, 60, 22))
            says = patch.add(f"prepend pad_{name}", (left + 120, top + 30, 80, 22))
            split = patch.add("t b f", (left, top + 30, 100, 22))
            rest = patch.add(f"delay {REST_MS}", (left, top + 60, 80, 22))
            value = patch.add("f", (left + 90, top + 90, 60, 22))
            whole = patch.add(f"* {PAD_STEPS}.", (670 + axis * 110, top, 60, 22))
            patch.connect(pad, part, outlet=axis)
            patch.connect(part, says)
            patch.connect(part, split)
            patch.connect(split, rest)
            patch.connect(split, value, outlet=1, inlet=1)
            patch.connect(rest, value)
            patch.connect(value, dial)
            patch.connect(dial, whole)
            patch.connect(whole, both, inlet=axis)
            self._speakers.append(says)

    def finish(self, *, tool: str = "") -> Patcher:
        """Wire the controls to the js, the js to the daemon, a tool to its notes; an effect passes MIDI on."""
        patch, top = self.patcher, self._next_row()
        ports = {"inlets": 4, "outlets": 4} if tool else {"inlets": 2, "outlets": 3}
        js = patch.add_js(self._script, (30, top + 60, 520, 22), arguments=tool, **ports)
        for speaker in self._speakers:
            patch.connect(speaker, js, trunk=TRUNK)
        patch.connect(patch.add("live.thisdevice", (30, top, 110, 22)), js)
        replies = patch.add(f"udpreceive {REPLY_PORT} @quiet 1 @defer 1", (160, top, 200, 22))
        patch.connect(replies, js, inlet=1)
        patch.connect(js, patch.add(f"udpsend 127.0.0.1 {DAEMON_PORT}", (30, top + 110, 150, 22)))
        patch.connect(js, replies, outlet=1)
        patch.connect(js, patch.add(f"udpsend 127.0.0.1 {REPLY_PORT}", (360, top + 110, 150, 22)), outlet=2)
        if tool:
            notes = patch.add("live.miditool.in", (380, top, 110, 22), name="tool_in")
            patch.connect(notes, js, inlet=2)
            patch.connect(notes, js, outlet=1, inlet=3)
            patch.connect(js, patch.add("live.miditool.out", (530, top + 110, 120, 22)), outlet=3)
        else:
            midi = patch.add("midiin", (620, top, 60, 22))
            patch.connect(midi, patch.add("midiout", (620, top + 60, 60, 22)))
        return patch

    def _speaking(self, what: str, name: str, parameter: Parameter, shown: Rect, tip: str, **more: Any) -> Box:
        """A control that says its value."""
        box = self._control(what, name, parameter, shown, tip, **more)
        self._speak(box, f"prepend {name}")
        return box

    def _control(self, what: str, name: str, parameter: Parameter, shown: Rect, tip: str, **more: Any) -> Box:
        left, top, width, _ = self._place()
        at = (left, top, min(width, shown[2]), shown[3])
        return self.patcher.add(what, at, name=name, shown=shown, parameter=parameter, annotation=tip, **more)

    def _speak(self, control: Box, what: str, **more: Any) -> None:
        """Below its control, the box that gives it a name."""
        left, top, _, _ = control.at
        speaker = self.patcher.add(what, (left, top + 56, ACROSS - 10, 22), **more)
        self.patcher.connect(control, speaker)
        self._speakers.append(speaker)

    def _place(self) -> Rect:
        """The next free place in the patch."""
        down, across = divmod(len(self.patcher.boxes) - len(self._speakers), COLUMNS)
        return LEFT + across * ACROSS, TOP + down * DOWN, ACROSS - 10, 18

    def _next_row(self) -> int:
        """Where nothing stands below."""
        return max(box.at[1] + box.at[3] for box in self.patcher.boxes) + 40
