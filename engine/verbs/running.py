"""What every model does with a request: the method of its verb's name runs it, and what it made comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from typing import Any

from engine.asking import Asking, alone
from engine.clip import Clip
from engine.errors import ModelError
from engine.requests import Request, Sample, clips_of, verb_of
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

    The method returns what it has made, or is a generator that asks the network (engine/asking.py) and returns it.

    knobs: the attributes that the request asks for, which the methods steer by, and measure.
    """

    knobs = Knobs({})

    def play(self, request: Request) -> Played:
        """What comes of `asking`, each question answered at once."""
        return alone(self.asking(request))

    def asking(self, request: Request) -> Asking[Played]:
        """Whatever is asked for, and what came of its attributes; ModelError where there is no such method."""
        verb = verb_of(request)
        run: Callable[[Any], Played | Asking[Played]] | None = getattr(self, verb + "_" * iskeyword(verb), None)
        if run is None:
            raise ModelError(f"no model can {verb}")
        self.knobs = Knobs(getattr(request, "asked", {}))
        played = run(request)
        if not isinstance(played, Played):
            played = yield from played
        facts, remarks = tuple(self.knobs.facts()), tuple(self.knobs.remarks())
        if not (facts or remarks):
            return played
        return replace(played, facts=(*played.facts, *facts), remarks=(*played.remarks, *remarks))


def in_meter(clip: Clip, request: Request) -> Clip:
    """The clip in the meter of the first that the request is about, if its bars are as long, or in its tempo."""
    if isinstance(request, Sample):
        return replace(clip, tempo_bpm=request.tempo or clip.tempo_bpm)
    first = next(iter(clips_of(request)), clip)
    same = clip.beats_per_bar == first.beats_per_bar and clip.beat_unit != first.beat_unit
    return replace(clip, beat_unit=first.beat_unit) if same else clip


def of_silence(clips: Sequence[Clip], request: Request) -> tuple[str, ...]:
    """What is to be said where clips with notes went in and some that come out have none."""
    silent = sum(not clip.notes for clip in clips)
    if not silent or not any(clip.notes for clip in clips_of(request)):
        return ()
    which = f"{silent} of {len(clips)} results {'are' if silent > 1 else 'is'}"
    return (f"{which} silent: the model plays no note there",)
