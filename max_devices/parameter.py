"""What Live knows of a control: its names, range and first value. Knows no box."""

from dataclasses import dataclass
from typing import Any

FLOAT, INT, ENUM = 0, 1, 2
"""parameter_type. An INT holds 0..255 alone: whole numbers beyond that are a FLOAT shown without decimals."""

WHOLE, DECIMAL = 0, 1
"""parameter_unitstyle."""

AUTOMATED, STORED, HIDDEN = 0, 1, 2
"""parameter_invisible: automated and saved with the set; saved alone; neither, and no undo step either."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What Live knows of a control. long_name finds its value in saved sets: it never changes.

    items: of a menu, in place of low..high. whole: shown without decimals.
    """

    long_name: str
    short_name: str
    low: float = 0.0
    high: float = 1.0
    initial: float | None = None
    items: tuple[str, ...] = ()
    whole: bool = False
    visibility: int = AUTOMATED

    @property
    def kind(self) -> int:
        """FLOAT, INT or ENUM."""
        if self.items:
            return ENUM
        return INT if self.whole and self.low >= 0 and self.high <= 255 else FLOAT

    def attributes(self) -> dict[str, Any]:
        """As a box carries it."""
        values: dict[str, Any] = {
            "parameter_longname": self.long_name,
            "parameter_shortname": self.short_name,
            "parameter_annotation_name": self.long_name,
            "parameter_type": self.kind,
            "parameter_unitstyle": WHOLE if self.whole or self.items else DECIMAL,
            "parameter_mmin": 0.0 if self.items else float(self.low),
            "parameter_mmax": float(len(self.items) - 1 if self.items else self.high),
            "parameter_modmode": 0,
            "parameter_invisible": self.visibility,
        }
        if self.items:
            values["parameter_enum"] = list(self.items)
        if self.initial is not None:
            values |= {"parameter_initial_enable": 1, "parameter_initial": [self.initial]}
        return values
