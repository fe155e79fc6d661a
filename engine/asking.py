"""Work that says what it asks of a network and waits for the answer, so that like questions are answered together.

Whoever asks is a generator: it yields an Ask, is sent the answer, and returns what it has made. Knows no model.
"""

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from engine.pausing import look

Made = TypeVar("Made")


class Ask(Protocol):
    """A question. Those of one kind can be answered together, so many that their sizes come to MOST."""

    @property
    def kind(self) -> Hashable:
        """What it has in common with those that are answered with it."""

    @property
    def size(self) -> int:
        """How much of MOST it takes."""

    def answers(self, asks: "Sequence[Any]") -> Sequence[Any]:
        """The answers to asks of this kind, this one among them, each as if it were alone."""


Asking = Generator[Ask, Any, Made]
"""Yields what it asks, is sent the answers, returns what it has made."""

MOST = 2048
"""Rows × steps that are answered together: more are hardly faster, and whoever is in a hurry would wait longer."""


def alone(asking: Asking[Made]) -> Made:
    """What comes of one, each of whose questions is answered at once."""
    (made,) = (made for _, made in together([lambda: asking]))
    if isinstance(made, Exception):
        raise made
    return made


def together(begin: Sequence[Callable[[], Asking[Made]]]) -> Iterator[tuple[int, Made | Exception]]:
    """What comes of several, each by its place as soon as it is done; its error where it fails.

    Where an answer to several fails, it is not known whose fault that is: each of them begins again, alone.
    """
    waiting: dict[int, tuple[Asking[Made], Ask]] = {}
    again: list[int] = []

    def go_on(place: int, asking: Asking[Made], answer: Any) -> Iterator[tuple[int, Made | Exception]]:
        look()
        try:
            ask = asking.throw(answer) if isinstance(answer, Exception) else asking.send(answer)
        except StopIteration as done:
            yield place, done.value
        except Exception as error:  # its own, which is no concern of the others
            yield place, error
        else:
            waiting[place] = asking, ask

    for place, start in enumerate(begin):
        yield from go_on(place, start(), None)
    while waiting:
        places = _of_one_kind({place: ask for place, (_, ask) in waiting.items()})
        group = [waiting.pop(place) for place in places]
        answers: Sequence[Any]
        try:
            answers = group[0][1].answers([ask for _, ask in group])
        except Exception as error:
            if len(group) > 1:
                again += places
                continue
            answers = [error]
        for place, (asking, _), answer in zip(places, group, answers, strict=True):
            yield from go_on(place, asking, answer)
    for place in again:
        yield from ((place, made) for _, made in together([begin[place]]))


def _of_one_kind(asks: dict[int, Ask]) -> list[int]:
    """The places of those that are answered next: the first, and those like it that fit."""
    first = next(iter(asks.values()))
    chosen, size = list[int](), 0
    for place, ask in asks.items():
        if ask.kind == first.kind and (not chosen or size + ask.size <= MOST):
            chosen.append(place)
            size += ask.size
    return chosen
