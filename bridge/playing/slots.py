"""The clips that the daemon keeps by name."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.addresses import Address
from bridge.errors import RequestError
from engine.clip import Clip, Note, Part, read_meter
from engine.errors import EngineError

MAX_SLOTS = 256
MAX_NOTES = 4096
LONGEST_BEATS = 2.0**14
WAY_OUT = "longer files are played without a daemon: `vaebridge VERB FILE`"
"""What is said beside what is too long."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A clip, and the address of the client that has put it there, None for one of the daemon's own."""

    clip: Clip
    owner: Address | None


class Slots:
    """At most 256 clips by name, global to the daemon, the one that was used longest ago first.

    on_gone is told the name of a slot that had to make room for another, and the client that had put it there.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self.on_gone: Callable[[str, Address], None] = lambda name, owner: None

    def __getitem__(self, name: str) -> Clip:
        self._kept.move_to_end(self._known(name))
        return self._kept[name].clip

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def put(self, name: str, clip: Clip, owner: Address | None = None) -> None:
        """Keep a clip; too_big if it has more than 4,096 notes. The 257th takes the place of another."""
        check_notes(len(clip.notes))
        self._store(name, Kept(clip, owner))

    def keep(self, name: str, clip: Clip) -> None:
        """Keep a clip of the daemon's own, of any size."""
        self._store(name, Kept(clip, None))

    def clear(self, name: str) -> None:
        """Empty a slot; no_clip if it is empty already."""
        del self._kept[self._known(name)]

    def _store(self, name: str, kept: Kept) -> None:
        if name not in self._kept and len(self._kept) >= MAX_SLOTS:
            self._make_room()
        self._kept[name] = kept
        self._kept.move_to_end(name)

    def _make_room(self) -> None:
        """Empty the slot that was used longest ago of the client that holds most, never one of the daemon's own."""
        held = Counter(kept.owner for kept in self._kept.values() if kept.owner is not None)
        if not held:
            raise RequestError(
                "too_big", f"all {MAX_SLOTS} slots are the daemon's own; /vae/clip/clear empties one"
            )
        holder, _ = held.most_common(1)[0]
        name = next(name for name, kept in self._kept.items() if kept.owner == holder)
        del self._kept[name]
        self.on_gone(name, holder)

    def _known(self, name: str) -> str:
        if name not in self._kept:
            raise RequestError("no_clip", f"the slot {name!r} is empty; /vae/clip/list lists those that are not")
        return name

    def items(self) -> list[tuple[str, Clip]]:
        """Every name and clip."""
        return sorted((name, kept.clip) for name, kept in self._kept.items())


def checked_clip(
    notes: tuple[Note, ...], beats: float, values: Mapping[str, Any], parts: tuple[Part, ...] = ()
) -> Clip:
    """The clip that an upload describes; RequestError if its length, meter or tempo is out of range."""
    if beats > LONGEST_BEATS or any(max(note.start_beats, note.duration_beats) > LONGEST_BEATS for note in notes):
        raise RequestError("too_big", f"a clip may have {LONGEST_BEATS:.0f} beats; {WAY_OUT}")
    try:
        beats_per_bar, beat_unit = values.get("beats_per_bar", 4.0), 4
        if meter := values.get("meter"):
            beats_per_bar, beat_unit = read_meter(meter)
        if beats_per_bar != values.get("beats_per_bar", beats_per_bar):
            raise RequestError(
                "bad_request", f"a bar of {meter} has {beats_per_bar:g} beats: leave beats_per_bar out"
            )
        return Clip(notes, beats, beats_per_bar, values.get("tempo", 120.0), parts, beat_unit=beat_unit)
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error


def check_notes(count: int) -> None:
    """RequestError if a clip cannot have so many notes."""
    if count > MAX_NOTES:
        raise RequestError("too_big", f"a clip may have {MAX_NOTES} notes, not {count}; {WAY_OUT}")
