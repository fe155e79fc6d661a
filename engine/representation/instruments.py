"""The names of the nine drums. Imports nothing, so that what only names them loads no numpy."""

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
