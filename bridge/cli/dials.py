"""What was asked of attributes against what came, drawn in a line each. Text in, text out."""

from collections.abc import Iterator, Mapping, Sequence

from engine.representation.attributes import ATTRIBUTES, HIGHEST, LOWEST, scale_of

WIDTH = 25
Scales = Mapping[str, Sequence[float]]


def dials(
    asked: Mapping[str, tuple[float, ...]], came: Mapping[str, float | str], scales: Scales, *, ascii_only: bool
) -> Iterator[str]:
    """A line for each attribute that was asked for, by bar one for each bar.

    asked and came in deviations; scales: mean and deviation of each in its unit, which is told as well.
    """
    marks = ("|", "o", "-") if ascii_only else ("┃", "●", "─")
    for name, values in asked.items():
        got = str(came[name]).split(",") if name in came else []
        for bar, each in enumerate(got):
            if each == "-":  # nothing in the bar can tell it
                continue
            wanted, value = values[bar % len(values)], float(each)
            label = f"{name} {bar + 1}" if len(got) > 1 else name
            told = _in_units(name, value, scales)
            yield f"{label:>16} {_dial(wanted, value, marks)} asked {wanted:+.1f}, came {value:+.1f}{told}"


def _dial(asked: float, came: float, marks: tuple[str, str, str]) -> str:
    at, needle, line = marks
    dial = [line] * WIDTH
    dial[_place(asked)] = at
    dial[_place(came)] = needle
    return "".join(dial)


def _place(value: float) -> int:
    share = (min(max(value, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST) if value == value else 0.5
    return round(share * (WIDTH - 1))


def _in_units(name: str, value: float, scales: Scales) -> str:
    """What that is in the attribute's unit; tightness as the spread that it is the less of."""
    bare = name.partition(".")[0]
    if (scale := scales.get(name, scales.get(bare))) is None:
        return ""
    absolute = scale_of(name, *scale).value(value)
    if bare == "tightness":
        return f", a spread of {-absolute:.1f} ms"
    digits = 1 if abs(absolute) >= 2 else 2
    return f", {absolute:.{digits}f} {ATTRIBUTES[bare].unit}"
