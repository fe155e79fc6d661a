"""Work that takes a while looks now and then whether somebody is in a hurry, and lets them go first."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

One = TypeVar("One")

_serve: ContextVar[Callable[[], None] | None] = ContextVar("serve", default=None)


@contextmanager
def letting_first(serve: Callable[[], None]) -> Iterator[None]:
    """Within it, in this thread, `look` calls serve; while serve runs nobody else goes first."""
    before = _serve.set(serve)
    try:
        yield
    finally:
        _serve.reset(before)


def looking(each: Iterable[One]) -> Iterator[One]:
    """Each, when it has been looked."""
    for one in each:
        look()
        yield one


def look() -> None:
    """Called by what takes long, at least once a millisecond or so."""
    serve = _serve.get()
    if serve is None:
        return
    before = _serve.set(None)
    try:
        serve()
    finally:
        _serve.reset(before)
