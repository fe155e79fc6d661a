"""What Live knows of a control: its names, range and first value. Knows no box."""

from dataclasses import dataclass
from typing import Any

FLOAT, INT, ENUM, BLOB = 0, 1, 2, 3
"""parameter_type. An INT holds 0..255 alone: whole numbers beyond that are a FLOAT shown without decimals. A BLOB
is a list, which Live saves and does not automate."""

WHOLE, DECIMAL = 0, 1
"""parameter_unitstyle."""

AUTOMATED, STORED, HIDDEN = 0, 1, 2
"""parameter_invisible: automated and saved with the set; saved alone; neither, and no undo step either."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What Live knows of a control. long_name finds its value in saved sets: it never changes.

    items: of a menu, in place of low..high. whole: shown without decimals. is_list: numbers and names, of no range.
    """

    long_name: str
    short_name: str
    low: float = 0.0
    high: float = 1.0
    initial: float | None = None
    items: tuple[str, ...] = ()
    whole: bool = False
    is_list: bool = False
    visibility: int = AUTOMATED

    @property
    def kind(self) -> int:
        """FLOAT, INT, ENUM or BLOB."""
        if self.is_list:
            return BLOB
        if self.items:
            return ENUM
        return INT if self.whole and self.low >= 0 and self.high <= 255 else FLOAT

    def attributes(self) -> dict[str, Any]:
        """As a box carries it."""
        values: dict[str, Any] = {
            "parameter_longname": self.long_name,
            "parameter_shortname": self.short_name,
            "parameter_type": self.kind,
            "parameter_invisible": self.visibility,
        }
        return values if self.is_list else values | self._range()

    def _range(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "parameter_annotation_name": self.long_name,
            "parameter_unitstyle": WHOLE if self.whole or self.items else DECIMAL,
            "parameter_mmin": 0.0 if self.items else float(self.low),
            "parameter_mmax": float(len(self.items) - 1 if self.items else self.high),
            "parameter_modmode": 0,
        }
        if self.items:
            values["parameter_enum"] = list(self.items)
        if self.initial is not None:
            values |= {"parameter_initial_enable": 1, "parameter_initial": [self.initial]}
        return values
