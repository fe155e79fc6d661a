"""Feels with names: clips whose feel groove lends, each a MIDI file of its own in the user's folder.

So one is exported and imported by copying it, and any DAW reads it.
"""

from pathlib import Path

from bridge.errors import RequestError
from engine.clip import Clip
from engine.errors import EngineError, MidiFileError
from engine.midi.clips import clip_as_midi
from engine.midi.files import save_midi
from engine.midi.song import load_song
from engine.styles import checked_name


class Feels:
    """Those in a folder."""

    def __init__(self, folder: Path | None):
        self._folder = folder

    def names(self) -> list[str]:
        """All names, in their order."""
        return sorted(path.stem for path in self._folder.glob("*.mid")) if self._folder else []

    def __getitem__(self, name: str) -> Clip:
        """The clip of a name; RequestError, with those there are, where there is none."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise RequestError("bad_request", f"there is no feel {name!r}; there are: {known}")
        assert self._folder is not None
        try:
            return load_song(self._folder / f"{name}.mid").clip
        except (MidiFileError, OSError) as error:
            raise RequestError("bad_request", f"the feel {name} cannot be read: {error}") from error

    def save(self, name: str, clip: Clip) -> Path:
        """Keep a clip under a name, in place of the one it has; RequestError where that cannot be."""
        if self._folder is None:
            raise RequestError("bad_request", "there is no folder for feels: own names one")
        path = self._folder / f"{name}.mid"
        if not any(not note.mute for note in clip.notes):
            raise RequestError("bad_request", "a feel is saved from a clip with at least one note that sounds")
        try:
            checked_name(name)
            self._folder.mkdir(parents=True, exist_ok=True)
            save_midi(clip_as_midi(clip, text=f"vaebridge feel {name}"), path)
        except OSError as error:
            raise RequestError("bad_request", f"{path} cannot be written: {error.strerror or error}") from error
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error
        return path
