import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from max_devices.amxd import KINDS, Amxd, AmxdError, File, kind_code, read, write

PATCHER = '{"patcher":{}}'
names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
patchers = st.dictionaries(st.text(), st.integers() | st.text()).map(lambda each: json.dumps({"patcher": each}))
files = st.builds(File, names, st.binary(), st.sampled_from(("TEXT", "JSON", "svg ", "PNG ")))
plain = st.builds(Amxd, st.sampled_from(sorted(KINDS)), patchers)
frozen = st.builds(
    Amxd,
    st.sampled_from(sorted(KINDS)),
    patchers,
    names,
    st.lists(files, max_size=3).map(tuple),
    st.integers(0, 2**32 - 1),
)


def chunk(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack("<I", len(content)) + content


@given(plain | frozen)
def test_a_device_that_was_written_is_read_as_it_was(device: Amxd) -> None:
    assert read(write(device)) == device


@given(plain | frozen)
def test_a_device_that_was_read_is_written_byte_for_byte(device: Amxd) -> None:
    assert write(read(write(device))) == write(device)


@given(plain | frozen, st.data())
def test_a_file_that_ends_early_is_refused(device: Amxd, data: st.DataObject) -> None:
    whole = write(device)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(AmxdError):
        read(whole[:end])


@given(plain | frozen, st.data())
def test_a_damaged_file_is_a_device_or_is_refused(device: Amxd, data: st.DataObject) -> None:
    damaged = bytearray(write(device))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(AmxdError):
        assert isinstance(read(bytes(damaged)), Amxd)


@given(st.binary())
def test_bytes_that_are_no_device_are_refused(data: bytes) -> None:
    with pytest.raises(AmxdError):
        read(data)


def test_the_json_of_a_minimal_device_begins_at_byte_32() -> None:
    assert write(Amxd("mmmm", PATCHER)) == (
        b"ampf\4\0\0\0mmmm" + b"meta\4\0\0\0\1\0\0\0" + b"ptch\17\0\0\0" + PATCHER.encode() + b"\0"
    )


def test_a_frozen_device_is_an_archive_with_a_directory_at_its_end() -> None:
    data = write(Amxd("mmmm", PATCHER, "a.amxd", (File("b.js", b"post();"),), modified=5))
    assert data[:32] == b"ampf\4\0\0\0mmmm" + b"meta\4\0\0\0\7\0\0\0" + b"ptch" + struct.pack("<I", len(data) - 32)
    assert data[32:48] == b"mx@c" + struct.pack(">IQ", 16, 16 + 15 + 7)
    assert data[48:70] == PATCHER.encode() + b"\0" + b"post();"
    itself = struct.pack(
        ">4sI4s 4sI8s 4sII 4sII 4sII 4sII 4sII",
        *(b"type", 12, b"JSON", b"fnam", 16, b"a.amxd", b"sz32", 12, 15, b"of32", 12, 16),
        *(b"vers", 12, 0, b"flag", 12, 0x11, b"mdat", 12, 5),
    )
    script = struct.pack(
        ">4sI4s 4sI8s 4sII 4sII 4sII 4sII 4sII",
        *(b"type", 12, b"TEXT", b"fnam", 16, b"b.js", b"sz32", 12, 7, b"of32", 12, 31),
        *(b"vers", 12, 0, b"flag", 12, 0, b"mdat", 12, 5),
    )
    entries = b"".join(b"dire" + struct.pack(">I", 8 + len(each)) + each for each in (itself, script))
    assert data[70:] == b"dlst" + struct.pack(">I", 8 + len(entries)) + entries


@pytest.mark.parametrize("end", [b"", b"\0", b"\n\0", b"\r\n\0"])
def test_what_follows_the_json_is_no_part_of_it(end: bytes) -> None:
    data = chunk(b"ampf", b"mmmm") + chunk(b"ptch", PATCHER.encode() + end)
    assert read(data).patcher == PATCHER


@pytest.mark.parametrize("meta", [b"", chunk(b"meta", b"\0\0\0\7"), chunk(b"meta", b"\7\0\0\0")])
def test_a_device_is_read_whatever_its_meta_says(meta: bytes) -> None:
    data = chunk(b"ampf", b"natt") + meta + chunk(b"ptch", PATCHER.encode() + b"\0")
    assert read(data) == Amxd("natt", PATCHER)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (chunk(b"ampf", b"mmmm") + chunk(b"ciph", b"?"), "encrypted"),
        (chunk(b"ampf", b"mmmm"), "has the chunks ampf and ptch, this has ampf"),
        (b"", "this has none"),
        (chunk(b"ampf", b"wxyz") + chunk(b"ptch", PATCHER.encode()), "is one of aaaa, .* not 'wxyz'"),
        (chunk(b"ampf", b"mmmm") + chunk(b"ptch", b"{"), "no JSON"),
        (chunk(b"ampf", b"mmmm") + chunk(b"ptch", b"[]"), "holds no patcher"),
        (chunk(b"ampf", b"mmmm") + b"ptch\xff\0\0\0{", "ends inside its chunk"),
        (chunk(b"ampf", b"mmmm") + chunk(b"ptch", b"mx@c" + struct.pack(">IQ", 16, 16)), "archive .* is empty"),
        (chunk(b"ampf", b"mmmm") + chunk(b"ptch", b"mx@c" + struct.pack(">IQ", 16, 2**63)), "inside its directory"),
    ],
)
def test_a_file_is_refused_with_a_sentence_that_says_why(data: bytes, sentence: str) -> None:
    with pytest.raises(AmxdError, match=sentence):
        read(data)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("aaaa", 1633771873), ("mmmm", 1835887981), ("iiii", 1768515945), ("natt", 1851880564), ("nagg", 1851877223)],
)
def test_a_kind_is_a_number_in_the_patcher(kind: str, code: int) -> None:
    assert kind_code(kind) == code


def test_only_a_frozen_device_holds_files() -> None:
    with pytest.raises(AmxdError, match="has a name"):
        Amxd("mmmm", PATCHER, files=(File("b.js", b""),))


def test_the_name_of_a_file_inside_is_ascii() -> None:
    with pytest.raises(AmxdError, match=r"is ASCII, not 'ä\.js'"):
        write(Amxd("mmmm", PATCHER, "a.amxd", (File("ä.js", b""),)))
