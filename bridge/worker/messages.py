"""What the daemon and the model process say to each other. Plain values; either side knows only them."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

from engine.clip import Clip
from engine.requests import ContinueSound, Request, Results


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the process is to be. generator is MODULE:CLASS, made as engine.verbs.generator.Generator is."""

    models: tuple[str, ...]
    weight_folders: tuple[Path, ...]
    device: str = "auto"
    drum_map: Path | None = None
    styles: Path | None = None
    log_level: str = "info"
    generator: str = "engine.verbs.generator:Generator"


@dataclass(frozen=True, slots=True)
class CannotStart:
    """Why there will be no generator: a sentence for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Ask the engine for a request's results. first: others that run pause for it."""

    number: int
    request: Request
    first: bool = False


@dataclass(frozen=True, slots=True)
class Together:
    """Ask the engine for the results of several requests, which it runs together."""

    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Ask the engine to make a model resident, and perhaps the default."""

    number: int
    name: str
    default: bool = True


@dataclass(frozen=True, slots=True)
class Sound:
    """Ask the engine for sound, which takes seconds: it is made beside the requests."""

    number: int
    request: ContinueSound


@dataclass(frozen=True, slots=True)
class Drop:
    """Give up the Sound of that number; one that has ended is left alone."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is warm. problems: sentences about weights that could not be loaded."""

    device: str
    loaded: tuple[str, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HaveBegun:
    """Requests that were handed over together are being run; before, another process could still run them."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A clip on its way, which takes milliseconds to unpack where it is large; and how much is in it."""

    content: bytes
    notes: int
    parts: int

    def clip(self) -> Clip:
        """The clip."""
        unpacked: Clip = pickle.loads(self.content)
        return unpacked


@dataclass(frozen=True, slots=True)
class Finished:
    """The results of a Run or a Sound; the clips apart, so that each is unpacked when its turn comes."""

    number: int
    about: Results
    clips: tuple[Packed, ...]

    @classmethod
    def of(cls, number: int, results: Results) -> "Finished":
        """The results, packed."""
        packed = (Packed(pickle.dumps(clip, -1), len(clip.notes), len(clip.parts)) for clip in results.clips)
        return cls(number, replace(results, clips=()), tuple(packed))

    def results(self) -> Results:
        """The results, all unpacked."""
        return replace(self.about, clips=tuple(packed.clip() for packed in self.clips))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Load is done; loaded are all resident models, the default first."""

    number: int
    name: str
    ms: float
    loaded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that cannot be done; code is one of the protocol's."""

    number: int
    code: str
    text: str


Job = Run | Load | Sound
Report = Ready | HaveBegun | Finished | Loaded | Refused
