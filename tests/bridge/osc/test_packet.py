import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from bridge.errors import PacketError
from bridge.osc.packet import MOST_ARGUMENTS, MOST_NESTED, Message, read_packet, read_written, write_message

addresses = st.from_regex(r"/[a-z/]{0,20}", fullmatch=True)
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40)
atoms = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False, allow_infinity=False, width=32), texts
)


def bundle(timetag: int, *elements: bytes) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", timetag) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


@given(addresses, st.lists(atoms, max_size=20))
def test_what_is_written_is_read(address: str, arguments: list[int | float | str]) -> None:
    (message,) = read_packet(write_message(address, *arguments))
    assert (message.address, list(message.arguments), message.refusal) == (address, arguments, "")


@given(addresses, st.lists(atoms, max_size=20))
def test_what_is_written_is_read_fast_as_well(address: str, arguments: list[int | float | str]) -> None:
    assert read_written(write_message(address, *arguments)) == (address, tuple(arguments))


@given(st.binary(max_size=60))
def test_what_is_read_fast_is_refused_where_it_is_none_of_ours(content: bytes) -> None:
    with contextlib.suppress(PacketError):
        address, arguments = read_written(content)
        assert isinstance(address, str)
        assert all(isinstance(each, int | float | str) for each in arguments)


@given(addresses, st.lists(atoms, max_size=20))
def test_it_is_written_as_python_osc_writes_it(address: str, arguments: list[int | float | str]) -> None:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument, {int: "i", float: "f", str: "s"}[type(argument)])
    assert write_message(address, *arguments) == builder.build().dgram


@given(st.sampled_from([b"", b"/vae/ping\0\0\0", b"/a\0\0,if", b"#bundle\0" + bytes(8)]), st.binary(max_size=200))
def test_garbage_is_a_packet_error_or_messages(start: bytes, content: bytes) -> None:
    with contextlib.suppress(PacketError):
        assert all(isinstance(each, Message) for each in read_packet(start + content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"/vae",
        b"/vae/ping\0\0\0,i\0\0",
        b"/vae/ping\0\0\0,i\0\0\0\0",
        b"/\xff\0\0",
        b"#bundle\0",
        bundle(1, b"xxxx"),
        bundle(1) + struct.pack(">i", -4),
        bundle(1) + struct.pack(">i", 2**31 - 1),
        bundle(1) + struct.pack(">i", 6) + b"/a\0\0\0\0",
    ],
)
def test_what_is_no_osc_is_refused(content: bytes) -> None:
    with pytest.raises(PacketError):
        read_packet(content)


def test_the_messages_of_nested_bundles_come_in_order_with_their_times() -> None:
    one, two, three = (write_message("/vae/ping", number) for number in (1, 2, 3))
    later = (2208988800 + 1000) << 32
    packet = bundle(1, one, bundle(later, two), three)
    assert [(each.arguments[0], each.due) for each in read_packet(packet)] == [(1, 0.0), (2, 1000.0), (3, 0.0)]


def test_bundles_are_not_nested_without_end() -> None:
    packet = write_message("/vae/ping", 1)
    for _ in range(MOST_NESTED):
        packet = bundle(1, packet)
    assert len(read_packet(packet)) == 1
    with pytest.raises(PacketError, match="nested"):
        read_packet(bundle(1, packet))


@pytest.mark.parametrize(
    ("tags", "content", "meant"),
    [
        ("T", b"", 1),
        ("F", b"", 0),
        ("d", struct.pack(">d", 0.1), 0.1),
        ("h", struct.pack(">q", 2**40), 2**40),
    ],
)
def test_types_that_others_send_are_read(tags: str, content: bytes, meant: float) -> None:
    (message,) = read_packet(b"/a\0\0" + f",{tags}".encode().ljust(4, b"\0") + content)
    assert message.arguments == (meant,)


def test_a_message_of_more_arguments_than_any_verb_takes_is_refused_and_not_read() -> None:
    (message,) = read_packet(b"/vae/sample\0,i" + b"T" * MOST_ARGUMENTS + bytes(2) + struct.pack(">i", 7))
    assert message.arguments == (7,)
    assert message.refusal == "a message may have 1024 arguments, not 1025"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_must_be_finite(number: float) -> None:
    (message,) = read_packet(write_message("/a", 5, number))
    assert "finite" in message.refusal
    assert message.arguments[0] == 5


def test_a_note_message_is_small_enough_and_readable_by_others() -> None:
    numbers = [atom for _ in range(48) for atom in (36, 0.25, 0.25, 100, 0)]
    content = write_message("/vae/notes", 1, 0, 0, 48, *numbers)
    assert len(content) <= 1400
    assert OscMessage(content).params[4:] == numbers
