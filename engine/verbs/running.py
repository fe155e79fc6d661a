"""What every model does with a request: the method of its verb's name runs it, and what it made comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from engine.clip import Clip
from engine.errors import ModelError
from engine.requests import Request, verb_of


@dataclass(frozen=True, slots=True)
class Played:
    """What a verb made: its clips and what to say of them, or the point of the latent space that encode finds."""

    clips: list[Clip]
    as_taps: bool = False
    remarks: tuple[str, ...] = ()
    latent: tuple[float, ...] = ()


class RunsVerbs:
    """Runs a request with the method that has the name of its verb, continue_ for a word of Python."""

    def play(self, request: Request) -> Played:
        """Whatever is asked for; ModelError where there is no such method."""
        verb = verb_of(request)
        run: Callable[[Any], Played] | None = getattr(self, verb + "_" * iskeyword(verb), None)
        if run is None:
            raise ModelError(f"no model can {verb}")
        return run(request)
