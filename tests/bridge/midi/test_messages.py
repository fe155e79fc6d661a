import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.midi.messages import Messages, data_bytes

ON, OFF, TICK = bytes((0x99, 36, 100)), bytes((0x99, 36, 0)), b"\xf8"


def read(*contents: bytes) -> list[bytes]:
    messages = Messages()
    return [message for content in contents for message in messages.read(content)]


@pytest.mark.parametrize("message", [ON, TICK, b"\xc9\x05", b"\xf2\x00\x01", b"\xfa", b"\xe0\x00\x40"])
def test_a_whole_message_is_itself(message: bytes) -> None:
    assert read(message) == [message]


def test_a_status_that_is_left_out_is_the_one_before() -> None:
    assert read(ON, b"\x24\x00", b"\x26\x50") == [ON, OFF, bytes((0x99, 38, 80))]


def test_several_messages_at_once_are_several() -> None:
    assert read(ON + b"\x24\x00" + b"\xc9\x05") == [ON, OFF, b"\xc9\x05"]


def test_a_tick_between_the_bytes_of_a_note_is_a_tick_and_leaves_the_status() -> None:
    assert read(b"\x99\x24\xf8\x64", TICK, b"\x24\x00") == [TICK, ON, TICK, OFF]


def test_a_system_message_ends_the_running_status() -> None:
    messages = Messages()
    assert [*messages.read(ON), *messages.read(b"\xf2\x00\x01"), *messages.read(b"\x24\x00")] == [
        ON,
        b"\xf2\x00\x01",
    ]
    assert messages.incomplete == 2


def test_sysex_is_left_out() -> None:
    assert read(b"\xf0\x01\x02\xf7", ON, b"\xf0\x01\xf8\x02\xf7") == [ON, TICK]


def test_bytes_that_belong_to_nothing_are_counted() -> None:
    messages = Messages()
    assert list(messages.read(b"\x24\x64")) == []
    assert list(messages.read(b"\x99\x24")) == []
    assert messages.incomplete == 3


MESSAGES = st.one_of(
    st.tuples(st.integers(0x80, 0xEF), st.integers(0, 127), st.integers(0, 127)).map(
        lambda each: bytes(each[: 1 + data_bytes(each[0])])
    ),
    st.sampled_from([TICK, b"\xfa", b"\xfc", b"\xf6"]),
)


@given(st.lists(MESSAGES))
def test_whatever_is_sent_in_one_piece_with_running_status_comes_out_message_by_message(sent: list[bytes]) -> None:
    wire, status = bytearray(), 0
    for message in sent:
        wire += message[1:] if message[0] == status else message
        status = message[0] if message[0] < 0xF0 else status if message[0] >= 0xF8 else 0
    assert read(bytes(wire)) == sent


@given(st.lists(st.binary(max_size=8)))
def test_whatever_comes_only_whole_messages_go_on(contents: list[bytes]) -> None:
    for message in read(*contents):
        assert len(message) == 1 + data_bytes(message[0])
        assert all(byte < 0x80 for byte in message[1:])
