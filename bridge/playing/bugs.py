"""Keeps an exception in one part of the playing from ending the rest."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def guarded(part: str, give_way: Callable[[Exception], None] = lambda error: None) -> Iterator[None]:
    """Log any exception of a part, call give_way with it, and go on after the block."""
    try:
        yield
    except Exception as error:
        logger.exception("%s met a bug", part)
        give_way(error)
