"""The names of the nine drums, and of the parts of a band.

Imports nothing, so that what only names them loads no numpy.
"""

INSTRUMENTS = (
    "kick",
    "snare",
    "closed_hat",
    "open_hat",
    "low_tom",
    "mid_tom",
    "high_tom",
    "crash",
    "ride",
)
"""The nine classes, in the order of the representation."""

PARTS = ("lead", "bass", "drums")
