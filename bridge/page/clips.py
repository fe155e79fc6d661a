"""Clips as JSON: what the browser keeps of one, and MIDI files as such clips. Pure."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.playing.slots import LONGEST_BEATS, MAX_NOTES
from engine.clip import Clip, Note, Part
from engine.errors import ClipError, MidiFileError
from engine.midi.choice import HOW_TO_CHOOSE
from engine.midi.song import parse_song


def clip_as_json(clip: Clip) -> dict[str, Any]:
    """A clip; a note is [pitch, start, duration, velocity, mute], a part [channel, program, first, count, name]."""
    return {
        "notes": [[n.pitch, n.start_beats, n.duration_beats, n.velocity, int(n.mute)] for n in clip.notes],
        "beats": clip.length_beats,
        "beatsPerBar": clip.beats_per_bar,
        "tempo": clip.tempo_bpm,
        "meter": clip.meter,
        "parts": [[p.channel, p.program, p.first, p.count, p.name] for p in clip.parts],
    }


def clip_of(told: Any) -> Clip:
    """The clip that JSON describes; ClipError if it is none."""
    if not isinstance(told, Mapping):
        raise ClipError("a clip is a JSON object with notes, beats, beatsPerBar, tempo and parts")
    try:
        notes = tuple(
            Note(int(pitch), float(start), float(duration), int(velocity), bool(mute))
            for pitch, start, duration, velocity, mute in told["notes"]
        )
        lengths = (beats for note in notes for beats in (note.start_beats, note.duration_beats))
        parts = tuple(
            Part(text_of(name), int(channel), int(program), int(first), int(count))
            for channel, program, first, count, name in told.get("parts", ())
        )
        size = float(told["beats"]), float(told.get("beatsPerBar", 4.0)), float(told.get("tempo", 120.0))
        if not all(beats <= LONGEST_BEATS for beats in (size[0], *lengths)):
            raise ClipError(f"a clip may have {LONGEST_BEATS:.0f} beats")
        return Clip(notes, *size, parts=parts)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ClipError(
            "a clip has notes of five numbers, parts of five values, beats, beatsPerBar, tempo"
        ) from error


def text_of(told: Any) -> str:
    """A text of JSON's that can be written; ClipError where it is none, as half of a surrogate pair."""
    text = str(told)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ClipError("a text holds half a character, which no file can") from error
    return text


def file_as_clips(content: bytes) -> dict[str, Any]:
    """The clips in a MIDI file and what to say of it: its drums, if it has others too all parts; else all parts."""
    song = parse_song(content)
    clips = [("drums" if song.are_drums is not False else "all notes", song.clip)]
    if song.rest or song.are_drums is False:
        clips = [*(clips if song.rest else ()), ("all parts", parse_song(content, drums=False).clip_in_parts)]
    remarks = list(song.remarks)
    told = [{"name": name, "clip": clip_as_json(_cut(clip, remarks))} for name, clip in clips]
    return {"clips": told, "remarks": [each.replace(HOW_TO_CHOOSE, "").rstrip("; ") for each in remarks]}


def _cut(clip: Clip, remarks: list[str]) -> Clip:
    """As many whole bars as have no more notes than a slot takes."""
    if len(clip.notes) <= MAX_NOTES:
        return clip
    starts = sorted(note.start_beats for note in clip.notes)
    bars = math.floor(starts[MAX_NOTES] / clip.beats_per_bar)
    if not bars:
        raise MidiFileError(f"a clip may have {MAX_NOTES} notes, and its first bar has more")
    remarks.append(f"the first {bars} of {clip.bars} bars: a clip may have {MAX_NOTES} notes")
    end = bars * clip.beats_per_bar
    kept = [index for index, note in enumerate(clip.notes) if note.start_beats < end]
    parts, first = list[Part](), 0
    for part in clip.parts:
        count = sum(part.first <= index < part.first + part.count for index in kept)
        parts.append(replace(part, first=first, count=count))
        first += count
    return replace(clip, notes=tuple(clip.notes[index] for index in kept), length_beats=end, parts=tuple(parts))
