"""The verbs on MIDI files, without a daemon: read, ask the engine, write, show.

Which verbs there are, with what settings, stands in engine.requests; what the commands share in desk.py.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.desk import ALL, MAKE, Desk, beside, with_desk
from bridge.cli.options import Command, other_files, request_of, with_settings
from bridge.cli.sound import continue_sound
from engine.errors import ClipError
from engine.requests import Accompany, Continue, Infill, NoteForNote, Request, Results, clip_fields

if TYPE_CHECKING:
    from engine.clip import Clip
    from engine.midi.song import MidiSong

Source = Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)]
SourceOfAny = Annotated[Path, typer.Argument(help="the file of MIDI, or of sound", show_default=False)]
Sources = Annotated[list[Path], typer.Argument(help="two MIDI files, or four for a plane", show_default=False)]
Append = Annotated[bool, typer.Option("--append", help="write the file with what is new behind")]
Seconds = Annotated[
    float | None, typer.Option(help="of a file of sound: how many seconds come; else 10", metavar="0.25..3600")
]

HELP = {
    "sample": "Make new bars.",
    "humanize": (
        "Play a file's drums like a drummer: the same notes, with human timing and dynamics; all else stays."
    ),
    "interpolate": "Walk from one clip to another, or in the plane between four.",
    "continue": "Make the bars that come next, of the drums or of all parts; after a file of sound, sound.",
    "infill": "Make some beats of a file's drums, or of its parts, anew; all else stays.",
    "accompany": "Put bass and drums beneath a melody, or whatever its band lacks; all else stays.",
    "groove": "Play a file's drums with the feel of another file's: the same notes; all else stays.",
}
"""What a command says of itself where it is not what the request's docstring says."""


def command_of(verb: str, kind: type[Request]) -> Command:
    """The command of a verb: its settings are flags, its clips are files."""
    about = [each.name for each in clip_fields(kind)]
    command = with_desk(verb, _shape_of(kind)(kind), ALL if "clip" in about else MAKE)
    command.__doc__ = HELP.get(verb, kind.__doc__)
    return command


def _shape_of(kind: type[Request]) -> Callable[[type[Request]], Command]:
    """What makes the command: its clips are several files, one, or none, or a part of the song in one."""
    about = [each.name for each in clip_fields(kind)]
    if kind in (Infill, Continue, Accompany):
        return {Infill: _infilled, Continue: _continued, Accompany: _accompanied}[kind]
    if issubclass(kind, NoteForNote):
        return _note_for_note
    return _between if "clips" in about else _on_file if about else _new


def _new(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(desk: Desk, **settings: Any) -> None:
        (results,) = desk.run(request_of(kind, desk.for_bands(settings)))
        desk.write_clips(results, Path(f"{desk.verb}.{results.seed}.mid"))

    return command


def _on_file(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(desk: Desk, source: Source, **settings: Any) -> None:
        from engine.midi.parts import are_alike

        settings, otherwise = desk.for_bands(settings), beside(source, desk.verb)
        song, clip = desk.heard(source, settings["model"])
        request = request_of(kind, _with_files(desk, kind, settings), clip=clip)
        (results,) = desk.run(request, otherwise=otherwise)
        if all(are_alike(clip, each) for each in results.clips):
            _write_in_song(desk, song, results, otherwise, results.clips)
        else:
            desk.write_clips(results, otherwise)

    return command


def _between(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(desk: Desk, sources: Sources, **settings: Any) -> None:
        clips = tuple(desk.clip(source, settings["model"]) for source in sources)
        request = request_of(kind, settings, clips=clips)
        otherwise = beside(sources[0], f"to.{sources[1].stem}")
        (results,) = desk.run(request, otherwise=otherwise)
        desk.write_clips(results, otherwise)

    return command


def _note_for_note(kind: type[Request]) -> Command:
    """Each stretch of a song's notes is played."""

    @with_settings(kind)
    def command(desk: Desk, source: Source, **settings: Any) -> None:
        song, keep = desk.song(source), settings.pop("keep_clip", None)
        kept = desk.song(keep).clips if keep else ()  # of a version of the same file, so stretch by stretch
        settings = _with_files(desk, kind, settings)
        if song.are_drums is False and settings["taps"] is None:
            settings["taps"] = 1
        requests = [
            request_of(kind, settings, clip=clip, **({"keep_clip": own} if own else {}))
            for clip, own in zip_longest(song.clips, kept[: len(song.clips)])
        ]
        otherwise = beside(source, "humanized" if desk.verb == "humanize" else desk.verb)
        _write_played(desk, song, desk.run(*requests, otherwise=otherwise), otherwise)

    return command


def _infilled(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(desk: Desk, source: Source, **settings: Any) -> None:
        settings = desk.for_bands(settings, source)
        keep = settings.pop("keep_clip", None)
        song, clip = desk.heard(source, settings["model"])
        kept = {"keep_clip": desk.song(keep).clip} if keep else {}
        otherwise = beside(source, desk.verb)
        (results,) = desk.run(request_of(kind, settings, clip=clip, **kept), otherwise=otherwise)
        _write_in_song(desk, song, results, otherwise, results.clips)

    return command


def _continued(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(
        desk: Desk, source: SourceOfAny, append: Append = False, seconds: Seconds = None, **settings: Any
    ) -> None:
        from engine.audio.files import is_sound
        from engine.midi.parts import followed_by

        if is_sound(source):
            continue_sound(desk, source, settings | {"append": int(append), "seconds": seconds})
            return
        if seconds is not None:
            raise ClipError("--seconds is for a file of sound: of MIDI --bars says how much comes")
        settings, otherwise = desk.for_bands(settings, source), beside(source, desk.verb)
        song, clip = desk.heard(source, settings["model"])
        desk.check_output()
        (results,) = desk.run(request_of(kind, settings, clip=clip), otherwise=otherwise)
        if append:
            whole = tuple(followed_by(clip, new) if clip.parts else clip.followed_by(new) for new in results.clips)
            _write_in_song(desk, song, results, otherwise, whole)
        else:
            desk.write_clips(results, otherwise)

    return command


def _accompanied(kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(desk: Desk, source: Source, **settings: Any) -> None:
        from engine.midi.parts import made_since

        song, otherwise = desk.song(source, drums=False), beside(source, desk.verb)
        clip = song.clip_in_parts
        (results,) = desk.run(request_of(kind, settings, clip=clip), otherwise=otherwise)
        clips = tuple(made_since(clip, each, settings["since"]) for each in results.clips)
        _write_in_song(desk, song, results, otherwise, clips)

    return command


def _with_files(desk: Desk, kind: type[Request], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the clips of the files that they name."""
    others = [each.name for each in other_files(kind) if settings.get(each.name)]
    chosen = ("keep_clip",)  # of a version of the same file

    def clip(name: str) -> "Clip":
        path, kept = settings[name], desk.feels
        if name == "feel" and not path.exists() and str(path) in kept.names():
            return kept[str(path)]
        return desk.clip(path, settings["model"], chosen=name in chosen)

    return settings | {name: clip(name) for name in others}


def _write_played(desk: Desk, song: "MidiSong", results: list[Results], otherwise: Path) -> None:
    """Write the song with each result of all of its stretches, and show the change of the first."""
    versions = [[each.clips[index] for each in results] for index in range(len(results[0].clips))]
    fine = [song.fine_enough(clips) for clips in versions]
    remark = desk.remark(results[0])
    desk.write(
        results,
        (each.with_clips(clips, remark=remark) for each, clips in zip(fine, versions, strict=True)),
        otherwise,
        before=song.clips[0],
        shown=fine[0].as_written(versions[0])[0],
        remarks=_raised(song, fine),
    )


def _write_in_song(
    desk: Desk, song: "MidiSong", results: Results, otherwise: Path, clips: Sequence["Clip"]
) -> None:
    """Write the song with the notes of each clip in place of its own, and show the first."""
    from engine.midi.parts import with_parts

    fine = song.fine_enough(clips)
    write = with_parts if clips[0].parts else type(fine).with_notes
    midis = (write(fine, clip, remark=desk.remark(results)) for clip in clips)
    desk.write([results], midis, otherwise, shown=clips[0], remarks=_raised(song, [fine]))


def _raised(song: "MidiSong", fine: Sequence["MidiSong"]) -> list[str]:
    """What is to be said where a song was written in finer ticks."""
    old = song.midi.ticks_per_beat
    said = "its resolution was raised from {} to {} ticks a beat, which hold what is played"
    return [said.format(old, new) for new in {each.midi.ticks_per_beat for each in fine} - {old}]
