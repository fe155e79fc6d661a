"""A reader of MIDI files that forgives nothing: what the standard demands of a file that we write."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
"""Small files with one fault or peculiarity each."""

SIZES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}


@dataclass(frozen=True)
class Track:
    """The (tick, status, data) of each event, and the tick of the end."""

    events: list[tuple[int, int, bytes]]
    end: int


def read_strictly(content: bytes) -> tuple[int, list[Track]]:
    """Ticks a beat and tracks; AssertionError where a rule of the standard is broken."""
    assert content[:8] == b"MThd\0\0\0\6"
    kind, count, division = (int.from_bytes(content[at : at + 2], "big") for at in (8, 10, 12))
    assert kind in (0, 1)
    assert 0 < division < 0x8000
    at, tracks = 14, []
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "big")
        assert at + 8 + size <= len(content), "a chunk is cut off"
        if content[at : at + 4] == b"MTrk":
            tracks.append(_track(content[at + 8 : at + 8 + size]))
        at += 8 + size
    assert len(tracks) == count
    assert kind or count == 1
    return division, tracks


def overlaps(track: Track) -> list[tuple[int, int]]:
    """The (tick, pitch) of each note that starts while its pitch sounds on its channel, but at one tick with it."""
    sounding: dict[tuple[int, int], list[int]] = defaultdict(list)
    found = []
    for tick, status, data in track.events:
        key = (status & 15, data[0])
        if status & 0xF0 == 0x90 and data[1]:
            found += [(tick, data[0])] if any(start < tick for start in sounding[key]) else []
            sounding[key].append(tick)
        elif status & 0xE0 == 0x80 and sounding[key]:
            sounding[key].pop(0)
    return found


def unended(track: Track) -> list[tuple[int, int]]:
    """The (channel, pitch) of each note that nothing ends."""
    sounding: Counter[tuple[int, int]] = Counter()
    for _, status, data in track.events:
        if status & 0xF0 == 0x90 and data[1]:
            sounding[status & 15, data[0]] += 1
        elif status & 0xE0 == 0x80:
            sounding[status & 15, data[0]] -= 1
    return [key for key, count in sounding.items() if count > 0]


def _length(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 4):
        value = value << 7 | body[place] & 0x7F
        if body[place] < 0x80:
            return value, place + 1
    raise AssertionError("a length of more than four bytes")


def _track(body: bytes) -> Track:
    at = tick = running = 0
    events = []
    while True:
        assert at < len(body), "a track has no end"
        wait, at = _length(body, at)
        tick += wait
        status = body[at] if body[at] >= 0x80 else running
        at += body[at] >= 0x80
        assert status >= 0x80, "running status after a meta or sysex event"
        if status < 0xF0:
            size, running = SIZES[status & 0xF0], status
            assert max(body[at : at + size]) < 0x80, "a value over 127"
        else:
            assert status in (0xF0, 0xF7, 0xFF)
            start = at + (status == 0xFF)
            length, behind = _length(body, start)
            size, running = behind - at + length, 0
        events.append((tick, status, body[at : at + size]))
        at += size
        assert at <= len(body), "an event is cut off"
        if status == 0xFF and body[at - size] == 0x2F:
            assert at == len(body), "there are bytes behind the end of a track"
            assert events[-1][2] == b"\x2f\0", "an end with something in it"
            return Track(events, tick)
