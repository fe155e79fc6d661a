import pytest

from bridge.escapes import shown


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\x1b[2Jred", r"\x1b[2Jred"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("gnp.\u202eexe\u2066", r"gnp.\u202eexe\u2066"),
        ("line\u2028end", r"line\u2028end"),
        ("a\udc80.mid", r"a\udc80.mid"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_as_its_escape(text: str, read: str) -> None:
    assert shown(text) == read


@pytest.mark.parametrize("text", ["", r"C:\new\x1b.mid", "Träumerei 夜 🥁", "'quoted' \"twice\" [red]"])
def test_all_else_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text
