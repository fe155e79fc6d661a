"""The .amxd container of Max for Live: bytes to Amxd and back. Knows nothing of what stands in a patcher.

Outside, chunks of tag, LITTLE-endian size and content: ampf, meta, ptch. In ptch a device that is not frozen is its
JSON and one NUL; a frozen one is an archive (mx@c), BIG-endian throughout, of the JSON and the files it needs.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = {
    "aaaa": "audio effect",
    "mmmm": "MIDI effect",
    "iiii": "instrument",
    "natt": "MIDI Tool Transformation",
    "nagg": "MIDI Tool Generator",
}
PLAIN, FROZEN = 1, 7
ARCHIVE_HEAD = 16
DEVICE_FLAG = 0x11
SECONDS_1904_TO_1970 = 2_082_844_800
LARGEST = 2**32 - 1


class AmxdError(ValueError):
    """Bytes that are no device, or a device that cannot be written; one sentence says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file inside a frozen device. kind: four letters (TEXT, JSON, svg, …); name: ASCII."""

    name: str
    content: bytes
    kind: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Amxd:
    """A device: its kind (a key of KINDS) and its patcher's JSON. Frozen, it has a name and the files it needs.

    modified: seconds since 1904-01-01 UTC, one for all files of the archive.
    """

    kind: str
    patcher: str
    name: str = ""
    files: tuple[File, ...] = ()
    modified: int = SECONDS_1904_TO_1970

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise AmxdError(f"the kind of a device is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.files and not self.name:
            raise AmxdError("a device that holds files is frozen, and a frozen device has a name")

    @property
    def frozen(self) -> bool:
        """Whether everything that the device needs is inside."""
        return bool(self.name)


def kind_code(kind: str) -> int:
    """A kind as project.amxdtype has it: its four letters as one number."""
    return int.from_bytes(kind.encode("ascii"), "big")


def write(device: Amxd) -> bytes:
    """A device as Live loads it."""
    patch = _archive(device) if device.frozen else device.patcher.encode() + b"\0"
    meta = struct.pack("<I", FROZEN if device.frozen else PLAIN)
    return b"".join(
        _outer(tag, content) for tag, content in (("ampf", _tag(device.kind)), ("meta", meta), ("ptch", patch))
    )


def read(data: bytes) -> Amxd:
    """The device in these bytes; AmxdError if there is none, or one that is encrypted or damaged."""
    chunks = dict(_outer_chunks(data))
    if "ciph" in chunks:
        raise AmxdError("the device is encrypted; only who made it can read it")
    if "ampf" not in chunks or "ptch" not in chunks:
        raise AmxdError(f"a device has the chunks ampf and ptch, this has {', '.join(chunks) or 'none'}")
    kind, patch = _text(chunks["ampf"], "kind"), chunks["ptch"]
    if not patch.startswith(b"mx@c"):
        return Amxd(kind, _patcher(patch))
    entries = list(_entries(patch))
    if not entries:
        raise AmxdError("the archive of the frozen device is empty")
    (itself, modified), others = entries[0], entries[1:]
    return Amxd(kind, _patcher(itself.content), itself.name, tuple(file for file, _ in others), modified)


def _outer(tag: str, content: bytes) -> bytes:
    return _tag(tag) + struct.pack("<I", _checked(len(content))) + content


def _outer_chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        tag, size = _take(data, at, 4, "tag"), _number(data, at + 4, "<I")
        yield _text(tag, "tag"), _take(data, at + 8, size, f"chunk {tag!r}")
        at += 8 + size


def _archive(device: Amxd) -> bytes:
    """The device itself, then its files, back to back, and a directory of them all."""
    itself = File(device.name, device.patcher.encode() + b"\0", "JSON")
    contents, directory, offset = b"", b"", ARCHIVE_HEAD
    for file in (itself, *device.files):
        flag = DEVICE_FLAG if file is itself else 0
        directory += _entry(file, offset, flag, device.modified)
        contents += file.content
        offset += len(file.content)
    return b"mx@c" + struct.pack(">IQ", ARCHIVE_HEAD, offset) + contents + _inner("dlst", directory)


def _entry(file: File, offset: int, flag: int, modified: int) -> bytes:
    if not file.name or not file.name.isascii() or "\0" in file.name:
        raise AmxdError(f"the name of a file in a frozen device is ASCII, not {file.name!r}")
    name = file.name.encode("ascii") + b"\0"
    fields = (
        ("type", _tag(file.kind)),
        ("fnam", name + b"\0" * (-len(name) % 4)),
        ("sz32", struct.pack(">I", _checked(len(file.content)))),
        ("of32", struct.pack(">I", _checked(offset))),
        ("vers", struct.pack(">I", 0)),
        ("flag", struct.pack(">I", flag)),
        ("mdat", struct.pack(">I", _checked(modified))),
    )
    return _inner("dire", b"".join(_inner(tag, content) for tag, content in fields))


def _entries(archive: bytes) -> Iterator[tuple[File, int]]:
    """The files of an archive and when they were modified, the device itself first."""
    footer = _number(archive, 8, ">Q")
    for tag, directory in _inner_chunks(_take(archive, footer, len(archive) - footer, "directory")):
        if tag != "dlst":
            raise AmxdError(f"the directory of a frozen device is dlst, not {tag}")
        for name, entry in _inner_chunks(directory):
            if name == "dire":
                yield _file(archive, dict(_inner_chunks(entry)))


def _file(archive: bytes, fields: dict[str, bytes]) -> tuple[File, int]:
    missing = {"type", "fnam", "sz32", "of32"} - set(fields)
    if missing:
        raise AmxdError(f"a file of the frozen device has no {', '.join(sorted(missing))}")
    name = _text(fields["fnam"].partition(b"\0")[0], "name of a file")
    size, offset = _number(fields["sz32"], 0), _number(fields["of32"], 0)
    content = _take(archive, offset, size, f"file {name}")
    modified = _number(fields["mdat"], 0) if "mdat" in fields else SECONDS_1904_TO_1970
    return File(name, content, _text(fields["type"], "kind of a file")), modified


def _inner(tag: str, content: bytes) -> bytes:
    return _tag(tag) + struct.pack(">I", _checked(8 + len(content))) + content


def _inner_chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        tag, size = _text(_take(data, at, 4, "tag"), "tag"), _number(data, at + 4)
        if size < 8:
            raise AmxdError(f"the size of {tag} counts its 8 bytes of head, so it is not {size}")
        yield tag, _take(data, at + 8, size - 8, tag)
        at += size


def _patcher(content: bytes) -> str:
    """The JSON at the start; what follows it (a line's end, a NUL) is no part of it."""
    text = content.decode(errors="replace").lstrip("\ufeff \t\r\n")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise AmxdError(f"the patcher of the device is no JSON: {error}") from error
    if not isinstance(value, dict) or "patcher" not in value:
        raise AmxdError("the JSON of the device holds no patcher")
    return text[:end]


def _take(data: bytes, at: int, size: int, what: str) -> bytes:
    if at < 0 or size < 0 or at + size > len(data):
        raise AmxdError(f"the file ends inside its {what}: byte {at + size} of {len(data)}")
    return data[at : at + size]


def _number(data: bytes, at: int, form: str = ">I") -> int:
    number: int = struct.unpack(form, _take(data, at, struct.calcsize(form), "sizes"))[0]
    return number


def _tag(letters: str) -> bytes:
    tag = letters.encode("ascii", errors="replace")
    if len(tag) != 4:
        raise AmxdError(f"a tag has four letters, unlike {letters!r}")
    return tag


def _text(tag: bytes, what: str) -> str:
    if not tag.isascii():
        raise AmxdError(f"the {what} is ASCII, not {tag!r}")
    return tag.decode("ascii")


def _checked(size: int) -> int:
    if not 0 <= size <= LARGEST:
        raise AmxdError(f"a size in a device is in 0..{LARGEST}, not {size}")
    return size
