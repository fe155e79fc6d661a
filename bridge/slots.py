"""The clips that the daemon keeps by name."""

from collections.abc import Mapping
from typing import Any

from bridge.errors import RequestError
from bridge.protocol import MAX_NOTES
from engine.clip import Clip, Note, Part
from engine.errors import EngineError

MAX_SLOTS = 256
LONGEST_BEATS = 2.0**14


class Slots:
    """At most 256 clips by name, global to the daemon."""

    def __init__(self) -> None:
        self._clips: dict[str, Clip] = {}

    def __getitem__(self, name: str) -> Clip:
        return self._clips[self._known(name)]

    def __contains__(self, name: str) -> bool:
        return name in self._clips

    def put(self, name: str, clip: Clip) -> None:
        """Keep a clip; too_big if it is the 257th or has more than 4,096 notes."""
        checked_size(clip)
        if name not in self._clips and len(self._clips) >= MAX_SLOTS:
            raise RequestError("too_big", f"all {MAX_SLOTS} slots are taken; /vae/clip/clear empties one")
        self._clips[name] = clip

    def keep(self, name: str, clip: Clip) -> None:
        """Keep a clip of the daemon's own; where all slots are taken by others, another of them must be cleared."""
        if name in self._clips or len(self._clips) < MAX_SLOTS:
            self._clips[name] = clip

    def clear(self, name: str) -> None:
        """Empty a slot; no_clip if it is empty already."""
        del self._clips[self._known(name)]

    def _known(self, name: str) -> str:
        if name not in self._clips:
            raise RequestError("no_clip", f"the slot {name!r} is empty; /vae/clip/list lists those that are not")
        return name

    def items(self) -> list[tuple[str, Clip]]:
        """Every name and clip."""
        return sorted(self._clips.items())


def checked_clip(
    notes: tuple[Note, ...], beats: float, values: Mapping[str, Any], parts: tuple[Part, ...] = ()
) -> Clip:
    """The clip that an upload describes; RequestError if its length, meter or tempo is out of range."""
    if beats > LONGEST_BEATS or any(max(note.start_beats, note.duration_beats) > LONGEST_BEATS for note in notes):
        raise RequestError("too_big", f"a clip may have {LONGEST_BEATS:.0f} beats")
    try:
        return Clip(notes, beats, values.get("beats_per_bar", 4.0), values.get("tempo", 120.0), parts)
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error


def checked_size(clip: Clip) -> Clip:
    """The clip, unless it has more than 4,096 notes."""
    if len(clip.notes) > MAX_NOTES:
        raise RequestError("too_big", f"a clip may have {MAX_NOTES} notes, not {len(clip.notes)}")
    return clip
