"""What keeps a bug in one part of the music from ending the rest."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def guarded(part: str, give_way: Callable[[Exception], None] = lambda error: None) -> Iterator[None]:
    """Log whatever a part of the music raises, and let that part give way; what follows goes on."""
    try:
        yield
    except Exception as error:
        logger.exception("%s met a bug", part)
        give_way(error)
