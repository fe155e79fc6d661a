"""Bytes to whole MIDI messages. Pure.

Systems hand over one whole message at a time, but not every program that sends keeps to that: a status byte that is
the same as the last may be left out (running status), and a clock tick may lie between the bytes of a note.
"""

from collections.abc import Iterator

DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2, 0xF1: 1, 0xF2: 2, 0xF3: 1}
"""How many follow a status byte; none follows those that are not here."""

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
FIRST_CHANNEL_MODE = 120
"""This controller and those after it are no controllers: they end notes, or all sound."""

SYSEX, END_OF_SYSEX, FIRST_REAL_TIME = 0xF0, 0xF7, 0xF8


def data_bytes(status: int) -> int:
    """How many bytes follow a status byte."""
    return DATA_BYTES.get(status if status >= SYSEX else status & 0xF0, 0)


def ends_notes(message: bytes) -> bool:
    """Whether a message ends a note, or all notes of its channel."""
    if len(message) != 3:
        return False
    kind = message[0] & 0xF0
    if kind == CONTROL:
        return message[1] >= FIRST_CHANNEL_MODE
    return kind == NOTE_OFF or (kind == NOTE_ON and not message[2])


def _is_whole(content: bytes) -> bool:
    """Whether it is just one message, as it nearly always is."""
    if not content or content[0] < 0x80 or content[0] in (SYSEX, END_OF_SYSEX):
        return False
    return len(content) == 1 + data_bytes(content[0]) and max(content[1:], default=0) < 0x80


class Messages:
    """The messages of one port. incomplete counts the bytes that belong to none."""

    def __init__(self) -> None:
        self.incomplete = 0
        self._status = 0

    def read(self, content: bytes) -> Iterator[bytes]:
        """The whole messages in what one port has heard; sysex is left out."""
        if _is_whole(content):
            self._remember(content[0])
            yield content
        else:
            yield from self._split(content)
        if self._status >= SYSEX:
            self._status = 0

    def _split(self, content: bytes) -> Iterator[bytes]:
        data, in_sysex = bytearray(), False
        for byte in content:
            if byte >= FIRST_REAL_TIME:
                yield bytes((byte,))
            elif byte >= 0x80:
                self.incomplete += len(data)
                data.clear()
                in_sysex = byte == SYSEX
                self._remember(byte)
                if not in_sysex and byte != END_OF_SYSEX and not data_bytes(byte):
                    yield bytes((byte,))
            elif in_sysex:
                continue
            elif not self._status:
                self.incomplete += 1
            else:
                data.append(byte)
                if len(data) == data_bytes(self._status):
                    yield bytes((self._status, *data))
                    data.clear()
                    if self._status >= SYSEX:
                        self._status = 0
        self.incomplete += len(data)

    def _remember(self, status: int) -> None:
        """Real-time messages leave the running status as it is, other system messages end it."""
        if status < FIRST_REAL_TIME:
            self._status = status if data_bytes(status) else 0
