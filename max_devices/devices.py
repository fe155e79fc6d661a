"""The five devices: what stands where, and what each control is to Live."""

from collections.abc import Callable
from dataclasses import dataclass

from max_devices.controls import CENTRED, Controls
from max_devices.parameter import Parameter
from max_devices.patcher import Patcher

TOOL_WIDTH = 176
"""Pixels: Live's own MIDI Tools are 152 to 182 wide."""

MIDI_EFFECT, GENERATOR, TRANSFORMATION = "mmmm", "nagg", "natt"

FOLDERS = {
    MIDI_EFFECT: "Presets/MIDI Effects/Max MIDI Effect",
    GENERATOR: "MIDI Tools/Max Generators",
    TRANSFORMATION: "MIDI Tools/Max Transformations",
}
"""Where Live looks for each kind, in its User Library."""

PADS = {
    "Kick": "Kick",
    "Snare": "Snare",
    "Closed Hat": "Cl Hat",
    "Open Hat": "Op Hat",
    "Low Tom": "Low Tom",
    "Mid Tom": "Mid Tom",
    "High Tom": "High Tom",
    "Crash": "Crash",
    "Ride": "Ride",
}
"""The drum classes of the models in their order, and their short names."""

TEMPERATURE = Parameter("Temperature", "Temp", high=2.0, initial=1.0)
TEMPERATURE_TIP = "How far the model strays: 0 is its safest, 2 is wild."
TIMING, VELOCITY = Parameter("Timing", "Timing", initial=1.0), Parameter("Velocity", "Velocity", initial=1.0)
TIMING_TIP = "How much of the played timing the notes take on."
VELOCITY_TIP = "How much of the played velocity the notes take on."
STYLE_TIP = "The style that the model plays in."
HUMANIZE_TIP = "Played timing and velocity for the notes of the clip."
INFILL_TIP = "Makes the beats of the selected notes anew, on their pads; without a selection those of the loop."
HERE_TIP = "The pad fills the clip in the detail view, also when an envelope moves it and another clip is in view."
ORIGINAL_TIP = "The clip as it was, and back again."


@dataclass(frozen=True, slots=True)
class Device:
    """name: in Live, and of its file; code: its own source in code/; width: in pixels; tool: what the js is told.

    place sets its controls down.
    """

    name: str
    kind: str
    purpose: str
    code: str
    width: int
    place: Callable[[Controls], None]
    tool: str = ""

    @property
    def file(self) -> str:
        """What Live loads."""
        return f"{self.name}.amxd"

    @property
    def script(self) -> str:
        """The js inside."""
        return f"vae_{self.code}"

    def patcher(self) -> Patcher:
        """Its boxes and lines."""
        controls = Controls(self.kind, self.script, self.purpose, width=self.width)
        self.place(controls)
        return controls.finish(tool=self.tool)


def place_bridge(controls: Controls) -> None:
    """The whole instrument in three sections: the connection, the verbs, the parameters."""
    controls.header(width=160, line=60, advice=36)
    controls.text("Model", (8, 104, 40, 18))
    controls.filled_menu("model", "Model", "default", (50, 105, 118, 15), "The model that plays.")
    controls.text("Style", (8, 124, 40, 18))
    controls.filled_menu("style", "Style", "any", (50, 125, 118, 15), STYLE_TIP)
    controls.divider(173)
    _place_verbs(controls)
    controls.divider(343)
    _place_parameters(controls)
    play = ("Temperature", "Amount", "Similarity", "Position", "Bars", "Results", "Notes", "Target")
    controls.patcher.bank("Play", *play)
    controls.patcher.bank("Drums", *list(PADS)[:7])
    controls.patcher.bank("Cymbals", *list(PADS)[7:])
    verbs = ("Generate", "Humanize", "Drumify", "Fill", "Vary", "Continue", "Infill", "Groove")
    controls.patcher.bank("Press", *(f"Press {verb}" for verb in verbs))
    others = ("Store A", "Morph", "Store B", "Previous", "Next", "Original", "Keep", "Die")
    controls.patcher.bank("Results", *(f"Press {other}" for other in others))


def _place_verbs(controls: Controls) -> None:
    """The buttons, two or three in a row; A and B beside Morph; then the results, to step through and to keep."""
    left, right, wide, high = 182, 262, 76, 22
    button = controls.button
    button("generate", "Generate", (left, 8, wide, high), "New bars, from nothing.")
    button("humanize", "Humanize", (right, 8, wide, high), HUMANIZE_TIP)
    button("drumify", "Drumify", (left, 34, wide, high), "Taps become a full drum part.")
    button("fill", "Fill", (right, 34, wide, high), "Adds the closed hat to the clip.")
    button("vary", "Vary", (left, 60, 48, high), "Variations of the clip, as near as Similarity says.")
    button("continue", "Continue", (left + 52, 60, 52, high), "The bars that come next.")
    button("infill", "Infill", (left + 108, 60, 48, high), INFILL_TIP)
    button("store_a", "Store A", (left, 86, 42, high), "The clip in the detail view is A.")
    button("groove", "Groove", (left + 44, 86, 36, high), "The notes of the clip with the feel of A.")
    button("morph", "Morph", (left + 82, 86, 32, high), "What lies between A and B, at Position.")
    button("store_b", "Store B", (left + 116, 86, 40, high), "The clip in the detail view is B.")
    button("previous", "<", (left, 114, 26, high), "The result before; the original comes first.")
    controls.text("no results", (left + 28, 116, 100, 18), name="result", align=CENTRED)
    button("next", ">", (left + 130, 114, 26, high), "The next result.")
    button("original", "Original", (left, 140, wide, high), ORIGINAL_TIP)
    button("keep", "Keep", (right, 140, wide, high), "Keeps what you hear and forgets the other results.")
    for letter in "ab":
        controls.kept(letter, f"Clip {letter.upper()}")


def _place_parameters(controls: Controls) -> None:
    """Four dials, then how much is made, then which notes are meant and where they go."""
    left = 352
    amount = Parameter("Amount", "Amount", initial=1.0)
    similarity, position = (
        Parameter("Similarity", "Similar", initial=0.7),
        Parameter("Position", "Position", initial=0.5),
    )
    controls.dial("temperature", TEMPERATURE, left + 5, 6, TEMPERATURE_TIP)
    controls.dial("amount", amount, left + 65, 6, "How much of the played timing and velocity Humanize takes on.")
    controls.dial("similarity", similarity, left + 125, 6, "How near Vary stays to the clip.")
    controls.dial("position", position, left + 185, 6, "Where Morph stands: 0 is A, 1 is B.")
    controls.text("Bars", (left, 60, 28, 18))
    controls.bars((left + 28, 61, 28, 15))
    controls.text("Results", (left + 62, 60, 42, 18))
    results = Parameter("Results", "Results", 1, 8, 1, whole=True)
    controls.number("count", results, (left + 104, 61, 24, 15), "How many results to choose from.")
    controls.text("Seed", (left + 134, 60, 28, 18))
    controls.seed((left + 162, 61, 56, 15))
    controls.button("die", "?", (left + 222, 61, 18, 15), "Draws a new seed.")
    notes = Parameter("Notes", "Notes", items=("All", "Selected", "Pads"), initial=0)
    controls.tabs("notes", notes, (left, 83, 152, 17), "Which notes Humanize and Infill change.")
    controls.target((left + 160, 84, 80, 15))
    for index, (pad, short_name) in enumerate(PADS.items()):
        down, across = divmod(index, 3)
        tip = f"Whether Humanize and Infill change the {pad.lower()} when Notes is at Pads."
        controls.toggle(f"pad{index + 1}", pad, short_name, (left + across * 81, 107 + down * 19, 78, 16), tip)


def place_humanize(controls: Controls) -> None:
    """Two dials and a button."""
    controls.header(width=150, line=70, advice=60)
    controls.divider(163)
    controls.dial("timing", TIMING, 176, 12, TIMING_TIP)
    controls.dial("velocity", VELOCITY, 234, 12, VELOCITY_TIP)
    controls.button("humanize", "Humanize", (172, 76, 116, 52), HUMANIZE_TIP)
    controls.button("original", "Original", (172, 134, 116, 27), ORIGINAL_TIP)
    controls.patcher.bank("Humanize", "Timing", "Velocity", "Press Humanize", "Press Original")


def place_morph(controls: Controls) -> None:
    """An XY pad between four clips: A and B below, C and D above."""
    controls.header(width=150, line=70, advice=60)
    controls.divider(163)
    controls.button("store3", "Store C", (172, 8, 52, 19), "The clip in the detail view is C.")
    controls.button("store4", "Store D", (264, 8, 52, 19), "The clip in the detail view is D.")
    controls.button("store1", "Store A", (172, 142, 52, 19), "The clip in the detail view is A.")
    controls.button("store2", "Store B", (264, 142, 52, 19), "The clip in the detail view is B.")
    controls.divider(323)
    x = controls.dial("x", Parameter("X", "X", initial=0.5), 349, 8, "From A to B, and from C to D.")
    y = controls.dial("y", Parameter("Y", "Y", initial=0.5), 349, 62, "From A and B up to C and D.")
    controls.button("here", "Here", (332, 119, 36, 19), HERE_TIP)
    controls.button("original", "Original", (370, 119, 46, 19), ORIGINAL_TIP)
    controls.target((332, 144, 84, 15))
    for letter in "abcd":
        controls.kept(letter, f"Clip {letter.upper()}")
    controls.pad((172, 31, 144, 107), x, y)
    controls.patcher.bank("Morph", "X", "Y", "Target", "Press Here", "Press Original")
    controls.patcher.bank("Store", *(f"Press Store{number}" for number in range(1, 5)))


def place_generator(controls: Controls) -> None:
    """A MIDI Tool that makes notes."""
    controls.header(width=160, line=56, advice=16)
    controls.dial("temperature", TEMPERATURE, 8, 79, TEMPERATURE_TIP)
    controls.text("Style", (60, 78, 34, 18))
    controls.filled_menu("style", "Style", "any", (94, 79, 74, 15), STYLE_TIP)
    controls.text("Bars", (60, 98, 50, 18))
    controls.bars((112, 99, 56, 15))
    controls.text("Seed", (60, 118, 50, 18))
    controls.seed((112, 119, 56, 15))
    controls.text("experimental", (8, 149, 160, 18))
    controls.patcher.bank("Generate", "Temperature", "Bars")


def place_transformation(controls: Controls) -> None:
    """A MIDI Tool that plays the notes it is given."""
    controls.header(width=160, line=56, advice=16)
    controls.dial("timing", TIMING, 24, 79, TIMING_TIP)
    controls.dial("velocity", VELOCITY, 102, 79, VELOCITY_TIP)
    controls.text("Seed", (8, 131, 60, 18))
    controls.seed((112, 132, 56, 15))
    controls.text("experimental", (8, 149, 160, 18))
    controls.patcher.bank("Humanize", "Timing", "Velocity")


DEVICES = (
    Device(
        "VAE Bridge",
        MIDI_EFFECT,
        "makes, plays and varies the drums of the clip in view",
        "bridge.js",
        600,
        place_bridge,
    ),
    Device("VAE Humanize", MIDI_EFFECT, "makes the clip in view breathe", "humanize.js", 296, place_humanize),
    Device("VAE Morph", MIDI_EFFECT, "an XY pad between four clips", "morph.js", 424, place_morph),
    Device(
        "VAE Generator",
        GENERATOR,
        "a MIDI Tool that makes drums (Live 12, experimental)",
        "tool.js",
        TOOL_WIDTH,
        place_generator,
        "generator",
    ),
    Device(
        "VAE Transformation",
        TRANSFORMATION,
        "a MIDI Tool that plays your drums (Live 12, experimental)",
        "tool.js",
        TOOL_WIDTH,
        place_transformation,
        "transformation",
    ),
)
