"""LevelDB's sorted table, the protocol buffers in it and their checksum: bytes in, bytes out.

Formats: LevelDB, table/format.cc, table/block.cc and util/crc32c.h (TensorFlow: core/lib/io/format.h), and
Protocol Buffers, "Encoding". Knows nothing of tensors.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError

Words = NDArray[np.uint32]

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48  # two block handles, padded to 40, and the magic number
TRAILER_BYTES = 5  # after each block: its compression and its masked checksum
MOST_ENTRIES = 10_000  # published checkpoints: about 150
MOST_KEY_BYTES = 1_000
CRC32C = 0x82F63B78  # Castagnoli's polynomial, bits reversed; RFC 3720, section 12.1
FILLING_WORD = bytes.fromhex("54641f64")  # what makes an empty register the full one that a checksum starts with
ROW_BYTES = 1 << 14


class Cursor:
    """Reads on through some bytes; past their end is a WeightsError that names what they are."""

    def __init__(self, content: bytes, name: str):
        self.content, self.name, self.position = content, name, 0

    def more(self) -> bool:
        """Whether anything is left."""
        return self.position < len(self.content)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.content) - self.position:
            raise WeightsError(f"{self.name} is cut short or damaged")
        self.position += count
        return self.content[self.position - count : self.position]

    def varint(self) -> int:
        """The next 0..2**64 - 1, seven bits a byte, the lowest first."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80 and value < 1 << 64:
                return value
        raise WeightsError(f"{self.name} is damaged: a number in it has no end")


def fields(content: bytes, name: str) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer by number: whole numbers, unsigned, or bytes."""
    cursor = Cursor(content, name)
    while cursor.more():
        number, wire = divmod(cursor.varint(), 8)
        if wire == 0:
            yield number, cursor.varint()
        elif wire == 2:
            yield number, cursor.take(cursor.varint())
        elif wire in (1, 5):
            yield number, int.from_bytes(cursor.take(8 if wire == 1 else 4), "little")
        else:
            raise WeightsError(f"{name} is damaged: it has a field of the unknown kind {wire}")


def read_table(content: bytes, name: str) -> dict[bytes, bytes]:
    """The entries of a sorted table; name is the file's, for what goes wrong."""
    if len(content) < FOOTER_BYTES or int.from_bytes(content[-8:], "little") != MAGIC:
        raise WeightsError(f"{name} is no index of a TensorFlow checkpoint, or is cut short")
    footer = Cursor(content[-FOOTER_BYTES:-8], name)
    footer.varint(), footer.varint()  # the block of what is known about the blocks: nothing, in checkpoints
    entries: dict[bytes, bytes] = {}
    last = None
    for _, handle in _entries(_block(content, footer, name), name):
        for key, value in _entries(_block(content, Cursor(handle, name), name), name):
            if last is not None and key <= last:
                raise WeightsError(f"{name} is damaged: its names are not in order")
            if len(entries) == MOST_ENTRIES:
                raise WeightsError(f"{name} lists more than {MOST_ENTRIES} tensors")
            entries[key], last = value, key
    return entries


def _block(content: bytes, handle: Cursor, name: str) -> bytes:
    offset, size = handle.varint(), handle.varint()
    end = offset + size
    if end + TRAILER_BYTES > len(content) - FOOTER_BYTES:
        raise WeightsError(f"{name} is cut short or damaged: a block of it lies outside the file")
    check_crc32c(content[offset : end + 1], int.from_bytes(content[end + 1 : end + 5], "little"), name)
    if content[end]:
        raise WeightsError(f"{name} is compressed; checkpoints as TensorFlow writes them are not")
    return content[offset:end]


def _entries(block: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Each key gives how many bytes it shares with the one before, then the others; restarts stand at the end."""
    restarts = int.from_bytes(block[-4:], "little")
    if 4 + 4 * restarts > len(block):
        raise WeightsError(f"{name} is damaged: a block of it has no entries")
    cursor, key = Cursor(block[: len(block) - 4 - 4 * restarts], name), b""
    while cursor.more():
        shared, own, length = cursor.varint(), cursor.varint(), cursor.varint()
        if shared > len(key) or shared + own > MOST_KEY_BYTES:
            raise WeightsError(f"{name} is damaged: a name in it is too long or has no beginning")
        key = key[:shared] + cursor.take(own)
        yield key, cursor.take(length)


def check_crc32c(content: bytes, masked: int, name: str) -> None:
    """Raise a WeightsError unless the masked checksum (LevelDB, util/crc32c.h) is that of the bytes."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    if crc32c(content) != (rotated >> 17 | rotated << 15) & 0xFFFFFFFF:
        raise WeightsError(f"{name} is damaged: its checksum is not that of its bytes")


def crc32c(content: bytes) -> int:
    """The CRC-32C, some two seconds a gigabyte.

    The register is linear: a row of 4,096 words, moved on by 16 KiB, adds to the row after it, until one row and
    then one word is left. Zeros in front change nothing, so they fill the first row.
    """
    held = np.zeros(-(-(len(content) + 4) // ROW_BYTES) * ROW_BYTES, np.uint8)
    start = len(held) - len(content)
    held[start - 4 : start] = np.frombuffer(FILLING_WORD, np.uint8)
    held[start:] = np.frombuffer(content, np.uint8)
    words: Words = held.view("<u4")
    for lanes in (ROW_BYTES // 4, 64, 1):
        words = _fold(words.reshape(-1, lanes))
    return int(_moved(words, 1)[0]) ^ 0xFFFFFFFF


def _fold(rows: Words) -> Words:
    row: Words = rows[0]
    for after in rows[1:]:
        row = _moved(row, len(row)) ^ after
    return row


def _moved(words: Words, count: int) -> Words:
    """Each register after count words of zeros; count is a power of two."""
    low, high = _tables(count)
    return np.bitwise_xor(low.take(words & 0xFFFF), high.take(words >> 16), dtype=np.uint32)


@cache
def _tables(count: int) -> tuple[Words, Words]:
    """What count words of zeros make of each lower and of each upper half of a register."""
    bits = np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))
    if count == 1:
        for _ in range(32):
            bits = (bits >> 1) ^ (bits & 1) * np.uint32(CRC32C)
    else:
        bits = _moved(_moved(bits, count // 2), count // 2)
    return _sums(bits[:16]), _sums(bits[16:])


def _sums(bits: Words) -> Words:
    table = np.zeros(1, np.uint32)
    for bit in bits:
        table = np.concatenate((table, table ^ bit))
    return table
