"""Anything that a client or a player may send, legal or not: strategies for Hypothesis, and clips of all sizes."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from bridge.osc.table import TABLE, Argument, Verb
from bridge.playing.controls import TARGETS
from bridge.playing.live_settings import MODES
from engine.clip import Clip, Note, Part


def beats(count: int, length: float, beats_per_bar: float = 4.0, parts: tuple[Part, ...] = ()) -> Clip:
    notes = tuple(Note(36 + i % 12, i * length / max(1, count), 0.25, 100) for i in range(count))
    return Clip(notes, length, beats_per_bar, 120.0, parts)


CLIPS = {
    "nothing": beats(0, 4.0),
    "one": beats(1, 4.0),
    "bar": beats(16, 4.0),
    "7/8": beats(14, 7.0, 3.5),
    "100 bars": beats(40, 400.0),
    "too many bars": beats(2, 2100.0),
    "longest": beats(20, 16384.0, 64.0),
    "shortest": beats(3, 0.001, 0.25),
    "beyond its end": Clip((Note(36, -0.125, 900.0, 100), Note(36, 0.0, 0.25, 1), Note(40, 700.0, 0.25, 100)), 4.0),
    "muted": Clip((Note(36, 0.0, 1.0, 100, mute=True), Note(37, 3.9, 4.0, 127)), 4.0),
    "two parts": beats(8, 4.0, parts=(Part("x", 1, 0, 0, 4), Part("y", 16, 0, 4, 4))),
    "4096 notes": beats(4096, 64.0),
    "4096 notes at once": Clip(tuple(Note(i % 128, 0.0, 0.25, 100) for i in range(4096)), 0.25),
}

SLOTS = ("a", "b", "live", "empty")
NAMES: dict[tuple[str, str], Sequence[Any]] = {
    ("slot", "s"): SLOTS,
    ("from", "s"): SLOTS,
    ("to", "s"): SLOTS,
    ("mode", "s"): ("off", "dance", *MODES),
    ("verb", "s"): ("vary", "humanize", "drumify", "sample", "interpolate", "fly"),
    ("at", "s"): ("bar", "beat", "now", "noon"),
    ("source", "s"): ("internal", "midi", "link", "sundial"),
    ("topic", "s"): ("beat", "play", "status", "weather"),
    ("target", "s"): (*TARGETS, "volume"),
    ("target", "i"): tuple(range(1, 30)),
    ("model", "s"): ("m", "tokens", "nobody"),
    ("style", "s"): ("funk", "rock", "polka"),
    ("clear", "s"): ("model", "style", "seed,timing", "density", "temperature,volume"),
    ("chords", "s"): ("C", "C Am F G7"),
    ("only", "s"): ("36,38", "400"),
    ("keep", "s"): ("36,38", "400"),
    ("keep_slot", "s"): SLOTS,
    ("group", "s"): ("g",),
    ("client", "s"): ("me",),
    ("bpm", "f"): (3.0, 60.0, 120.0, 240.0, 600.0, 0.0, 1e9),
    ("beats_per_bar", "f"): (4.0, 3.5, 0.25, 64.0, 0.0),
    ("beats", "f"): (4.0, 0.5, 16384.0, 0.0),
    ("bars", "i"): (1, 2, 4, 16, 64, 65, 0),
    ("count_in", "i"): (0, 1, 8, 9),
    ("channel", "i"): (1, 10, 16, 17),
    ("reply_port", "i"): (9000, 9001, 8710, 0),
    ("total", "i"): (0, 1, 48, 4096, 4097),
    ("size", "i"): (1, 4, 5000),
    ("i", "i"): (0, 1, 2, 5, -1, 2**24),
    ("f", "f"): (0.0, 0.5, 1.0, 2.0, -3.0, 7.0),
    ("s", "s"): ("closed_hat", "x", ""),
}


def values(argument: Argument) -> st.SearchStrategy[Any]:
    """Mostly what its name has, sometimes something of another kind."""
    pool = NAMES.get((argument.name, argument.kind)) or NAMES[argument.kind, argument.kind]
    return st.sampled_from([*pool, *pool, *pool, "?" if argument.kind != "s" else 3])


def of(verb: Verb) -> st.SearchStrategy[list[Any]]:
    """The arguments of a request: what it needs, and up to three other keys; now and then one is missing."""
    needed = st.tuples(*(st.tuples(st.just(key.name), values(key)) for key in verb.keys if key.required))
    others = [st.tuples(st.just(key.name), values(key)) for key in verb.keys if not key.required]
    more = st.lists(st.one_of(others), max_size=3, unique_by=lambda pair: pair[0]) if others else st.just([])
    pairs = st.builds(lambda *parts: [atom for part in parts for pair in part for atom in pair], needed, more)
    first = st.tuples(*(values(each) for each in verb.positional if each.required))
    whole = st.builds(lambda a, b: [*a, *b], first, pairs)
    return st.one_of(whole, whole, whole, whole, whole.map(lambda all_of_it: all_of_it[:-1]))


LIVE = ("live", "steer", "play", "stop", "freeze", "undo", "tempo", "clock", "learn", "panic")
PARTS = frozenset({"clip/notes", "clip/part", "latent"})
"""Verbs that alone are answered by nobody."""


def requests(names: Sequence[str]) -> st.SearchStrategy[tuple[str, list[Any]]]:
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), of(TABLE[name])))


MESSAGES = st.one_of(
    st.tuples(
        st.sampled_from([0x99, 0x89, 0x90, 0x80]), st.sampled_from([36, 38, 60]), st.sampled_from([0, 1, 127])
    ),
    st.tuples(st.just(0xB0), st.sampled_from([1, 2, 3, 64]), st.sampled_from([0, 63, 64, 127])),
    st.tuples(st.just(0xC9), st.sampled_from([0, 1, 5])),
    st.sampled_from(
        [(0xFA,), (0xFB,), (0xFC,), (0xF8,), (0xF2, 3, 0), (0xF2, 127, 127), (0xFE,), (0xE0, 1, 1), ()]
    ),
)


PLAYS = st.builds(
    lambda *pairs: ("play", [atom for pair in pairs for atom in pair]),
    st.tuples(st.just("slot"), st.sampled_from("ab")),
    st.tuples(st.just("channel"), st.integers(1, 3)),
    st.tuples(st.just("loop"), st.integers(0, 1)),
    st.tuples(st.just("at"), st.sampled_from(["bar", "now"])),
)
