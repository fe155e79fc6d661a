"""What every model does with a request: the method of its verb's name runs it, and what it made comes back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import Any

from engine.clip import Clip
from engine.errors import ModelError
from engine.requests import Request, verb_of
from engine.verbs.steering.knobs import Knobs


@dataclass(frozen=True, slots=True)
class Played:
    """What a verb made: its clips and what to say of them, or the point of the latent space that encode finds."""

    clips: list[Clip]
    as_taps: bool = False
    remarks: tuple[str, ...] = ()
    latent: tuple[float, ...] = ()
    facts: tuple[tuple[str, float | str], ...] = ()


class RunsVerbs:
    """Runs a request with the method that has the name of its verb, continue_ for a word of Python.

    knobs: the attributes that the request asks for, which the methods steer by, and measure.
    """

    knobs = Knobs({})

    def play(self, request: Request) -> Played:
        """Whatever is asked for, and what came of its attributes; ModelError where there is no such method."""
        verb = verb_of(request)
        run: Callable[[Any], Played] | None = getattr(self, verb + "_" * iskeyword(verb), None)
        if run is None:
            raise ModelError(f"no model can {verb}")
        self.knobs = Knobs(getattr(request, "asked", {}))
        played = run(request)
        facts, remarks = tuple(self.knobs.facts()), tuple(self.knobs.remarks())
        return replace(played, facts=(*played.facts, *facts), remarks=(*played.remarks, *remarks))
