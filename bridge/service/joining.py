"""Which requests go through the networks together: those of drummers that are short and drawn. Pure."""

from collections.abc import Callable, Iterable

from engine.requests import (
    Decode,
    Drumify,
    Encode,
    Fill,
    Groove,
    Humanize,
    Interpolate,
    Request,
    Sample,
    Vary,
    clips_of,
    verb_of,
)
from engine.weights import Card

TOGETHER = 32
"""Results that are made together at most: they take some 65 ms, for which whoever comes then has to wait."""

MOST_RESULTS = 8
"""Of a request that goes together with others."""

LONGEST_BARS = 4
"""Of its clips and results."""

OF_DRUMMERS = (Sample, Humanize, Groove, Drumify, Fill, Interpolate, Vary, Encode, Decode)

CONFIGS = frozenset({"drummer"})
"""The models whose rows do not depend on the company: see engine/model/blocks.py."""


def share(request: Request) -> int:
    """How many of the results that are made together a request takes; a groove is chosen among many."""
    results = len(request.points) if isinstance(request, Interpolate) else getattr(request, "count", 1)
    return (4 if isinstance(request, Groove) else 1) * int(results)


def fitting(cards: Iterable[Card]) -> Callable[[Request], bool]:
    """Whether a request can go together with others, with these models in memory."""
    in_memory = {card.name: card for card in cards}

    def fits(request: Request) -> bool:
        if not isinstance(request, OF_DRUMMERS) or share(request) > MOST_RESULTS or request.temperature == 0:
            return False
        bars = max([getattr(request, "bars", None) or 1, *(clip.bars for clip in clips_of(request))])
        named = in_memory.values() if request.model is None else filter(None, [in_memory.get(request.model)])
        able = [card for card in named if verb_of(request) in card.verbs]
        return bars <= LONGEST_BARS and bool(able) and all(card.config in CONFIGS for card in able)

    return fits
