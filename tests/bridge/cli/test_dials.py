"""What was asked against what came, in a line each."""

from bridge.cli.dials import dials

SCALES = {"swing": (0.05, 0.2), "syncopation": (0.05, 0.12)}


def lines(asked: dict[str, tuple[float, ...]], came: dict[str, float | str]) -> list[str]:
    return [line.replace("-" * 25, "") for line in dials(asked, came, SCALES, ascii_only=True)]


def test_a_bar_that_has_no_value_keeps_its_number() -> None:
    first, third = lines({"swing": (0.0, 1.0, 2.0)}, {"swing": "0.1,-,1.9"})
    assert first.split()[:2] == ["swing", "1"]
    assert first.endswith("asked +0.0, came +0.1, 0.07 sixteenths")
    assert third.split()[:2] == ["swing", "3"]
    assert third.endswith("asked +2.0, came +1.9, 0.43 sixteenths")


def test_a_share_is_told_in_its_unit_down_to_none() -> None:
    (line,) = lines({"syncopation": (-2.0,)}, {"syncopation": -2.0})
    assert line.endswith("came -2.0, 0.00 share")
