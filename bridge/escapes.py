"""Text from outside as it may be shown: nothing in it reaches a terminal or a log but as characters to read."""

import re

UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # control characters: C0, DEL, C1
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of the text after it
    r"\u2028\u2029"  # ends of lines
    r"\ud800-\udfff]"  # bytes of a file's name that are no UTF-8: they could not be printed at all
)


def shown(text: str) -> str:
    r"""The text with what is unsafe written as its escape: \x1b, \n, \u202e."""
    return UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
