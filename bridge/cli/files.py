"""The verbs on MIDI files, without a daemon: read, ask the engine, write, show.

Which verbs there are, with what settings, stands in engine.requests. The engine is loaded when a command runs, not
before.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from bridge.cli.hearing import config_here, drum_map_here, let_hear, with_hearing
from bridge.cli.options import Command, other_files, request_of, with_settings
from engine.errors import MidiFileError, ModelError, WeightsError
from engine.requests import (
    VERBS,
    Continue,
    Infill,
    NoteForNote,
    Request,
    Results,
    clip_fields,
    needs_clips,
    verb_of,
)

if TYPE_CHECKING:
    from bridge.config import Config
    from engine.clip import Clip
    from engine.midi.song import MidiSong
    from engine.weights import Library


class Runs(Protocol):
    """Whatever answers requests: the engine in this process, or a daemon."""

    def run(self, request: Request) -> Results:
        """The results of one request."""
        ...


OpenGenerator = Callable[["Config", Request], Runs]
"""How a command gets its engine: the context's obj, where a test puts another."""

Source = Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="the file to write; else one beside the input", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="write over a file that was not named with -o")]
Track = Annotated[str | None, typer.Option(help="the notes of this track: a name or a number from 1")]
Channel = Annotated[int | None, typer.Option(help="the notes of this channel; else 10, else all", metavar="1..16")]


HELP = {
    "sample": "Make new bars.",
    "humanize": (
        "Play a file's drums like a drummer: the same notes, with human timing and dynamics; all else stays."
    ),
    "interpolate": "Walk from one clip to another, or in the plane between four.",
    "continue": "Make the drums that come next.",
    "infill": "Make some beats of a file's drums anew; all else stays.",
    "groove": "Play a file's drums with the feel of another file's: the same notes; all else stays.",
}
"""What a command says of itself where it is not what the request's docstring says."""


def command_of(verb: str, kind: type[Request]) -> Command:
    """The command of a verb: its settings are flags, its clips are files."""
    command = with_hearing(_shape_of(kind)(verb, kind))
    command.__doc__ = HELP.get(verb, kind.__doc__)
    return command


def _shape_of(kind: type[Request]) -> Callable[[str, type[Request]], Command]:
    """What makes the command: it takes several files, one, or none."""
    if kind in IN_SONG:
        return IN_SONG[kind]
    about = [each.name for each in clip_fields(kind)]
    return _between if "clips" in about else _on_file if about else _new


def _new(verb: str, kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(ctx: typer.Context, output: Output = None, force: Force = False, **settings: Any) -> None:
        request = request_of(kind, settings)
        results = generator_of(ctx, request).run(request)
        write_clips(results, verb, output, force, otherwise=Path(f"{verb}.{results.seed}.mid"))

    return command


def _on_file(verb: str, kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(
        ctx: typer.Context,
        source: Source,
        output: Output = None,
        force: Force = False,
        track: Track = None,
        channel: Channel = None,
        **settings: Any,
    ) -> None:
        model, is_edit = settings["model"], issubclass(kind, NoteForNote)

        def clips_in(path: Path) -> "Sequence[Clip]":
            if is_edit:
                return open_song(path, track=track, channel=channel).clips
            return [read_clip(path, verb, model, track=track, channel=channel)]

        song = open_song(source, track=track, channel=channel) if is_edit else None
        clips = song.clips if song else clips_in(source)
        keep = settings.pop("keep_clip", None)
        kept = clips_in(keep) if keep else ()  # of a version of the same file, so stretch by stretch
        others = [each.name for each in other_files(kind) if each.name in settings]
        settings |= {name: read_clip(settings[name], verb, model) for name in others}
        requests = [
            request_of(kind, settings, clip=clip, **({"keep_clip": own} if own else {}))
            for clip, own in zip_longest(clips, kept[: len(clips)])
        ]
        if song and song.are_drums is False and settings["taps"] is None:
            requests = [replace(request, taps=1) for request in requests]
        target = beside(source, "humanized" if verb == "humanize" else verb)
        if song:
            _edit_song(ctx, song, requests, output, force, otherwise=target)
        else:
            write_clips(generator_of(ctx, requests[0]).run(requests[0]), verb, output, force, otherwise=target)

    return command


def _infilled(verb: str, kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(
        ctx: typer.Context,
        source: Source,
        output: Output = None,
        force: Force = False,
        track: Track = None,
        channel: Channel = None,
        **settings: Any,
    ) -> None:
        song = open_song(source, track=track, channel=channel)
        keep = settings.pop("keep_clip", None)
        kept = {"keep_clip": open_song(keep, track=track, channel=channel).clip} if keep else {}
        request = request_of(kind, settings, clip=song.clip, **kept)
        results = generator_of(ctx, request).run(request)
        _write_songs(song, results, verb, output, force, otherwise=beside(source, verb))

    return command


def _continued(verb: str, kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(
        ctx: typer.Context,
        source: Source,
        output: Output = None,
        force: Force = False,
        append: Annotated[bool, typer.Option("--append", help="write the file with the new bars behind")] = False,
        track: Track = None,
        channel: Channel = None,
        **settings: Any,
    ) -> None:
        song = open_song(source, track=track, channel=channel)
        request = request_of(kind, settings, clip=song.clip)
        results, target = generator_of(ctx, request).run(request), beside(source, verb)
        if not append:
            write_clips(results, verb, output, force, otherwise=target)
            return
        whole = tuple(song.clip.followed_by(clip) for clip in results.clips)
        _write_songs(song, replace(results, clips=whole), verb, output, force, otherwise=target)

    return command


IN_SONG = {Infill: _infilled, Continue: _continued}
"""The verbs whose clips are a part of the song in a file, which stays around them."""


def _between(verb: str, kind: type[Request]) -> Command:
    @with_settings(kind)
    def command(
        ctx: typer.Context,
        sources: Annotated[
            list[Path], typer.Argument(help="two MIDI files, or four for a plane", show_default=False)
        ],
        output: Output = None,
        force: Force = False,
        **settings: Any,
    ) -> None:
        clips = tuple(read_clip(source, verb, settings["model"]) for source in sources)
        request = request_of(kind, settings, clips=clips)
        results = generator_of(ctx, request).run(request)
        write_clips(results, verb, output, force, otherwise=beside(sources[0], f"to.{sources[1].stem}"))

    return command


def open_generator(config: "Config", request: Request) -> Runs:
    """The engine as the configuration has it, with a model that can do what will be asked."""
    from bridge.cli.show import warn
    from engine.verbs.generator import Generator
    from engine.weights import Library

    library = Library(config.weight_folders)
    generator = Generator(library, device=config.device, drum_map=config.drum_map)
    name = request.model or default_model(config, library, verb_of(request))
    if library.card(name).family == "phrase":
        with suppress(ModelError):  # the one that plays the hits
            generator.load(default_model(config, library, "humanize"))
    generator.load(name)
    warn(library.problems)
    return generator


def open_song(
    source: Path, *, track: str | None = None, channel: int | None = None, drums: bool = True
) -> "MidiSong":
    """The song in a file; what was wrong with it, and which of its notes are played, is said on stderr."""
    from bridge.cli.show import warn
    from engine.midi.song import load_song

    song = load_song(source, track=track, channel=channel, drums=drums)
    warn(f"{source}: {remark}" for remark in song.remarks)
    return song


def read_clip(
    source: Path, verb: str, model: str | None, *, track: str | None = None, channel: int | None = None
) -> "Clip":
    """The clip in a file: all of its parts for a model of tokens, its drums for any other."""
    from engine.weights import Library

    config = config_here()
    library = Library(config.weight_folders)
    try:
        card = library.card(model or default_model(config, library, verb))
    except (ModelError, WeightsError):  # a daemon may have models that this folder has not
        return open_song(source, track=track, channel=channel).clip
    in_parts = card.family == "musicvae"
    song = open_song(source, track=track, channel=channel, drums=not in_parts)
    return song.clip_in_parts if in_parts else song.clip


def default_model(config: "Config", library: "Library", verb: str) -> str:
    """The last of the resident models that has the verb, as in the daemon; what it asks of a file, it must hear.

    One that cannot be had leaves its place to the others; WeightsError or ModelError if there are none.
    """
    needed = {verb, "encode"} if needs_clips(VERBS[verb]) else {verb}
    there = [name for name in config.models if name in library.cards]
    able = [name for name in there if needed <= {*library.cards[name].verbs}]
    if not able:
        for name in config.models:
            library.card(name)
        raise ModelError(f"no model can {verb}; `vaebridge doctor` says what is missing")
    return able[-1]


def generator_of(ctx: typer.Context, request: Request) -> Runs:
    """The engine that the context names, else one in this process."""
    opener: OpenGenerator = ctx.obj or open_generator
    return opener(config_here(), request)


def beside(source: Path, word: str) -> Path:
    """in.mid -> in.humanized.mid."""
    return source.with_name(f"{source.stem}.{word}.mid")


def targets_of(target: Path, count: int, *, may_exist: bool) -> list[Path]:
    """The files of count results: out.mid, or out.1.mid, out.2.mid, …; MidiFileError if one is there already."""
    numbered = [target.with_name(f"{target.stem}.{i}{target.suffix}") for i in range(1, count + 1)]
    targets = [target] if count == 1 else numbered
    for each in targets:
        if each.exists() and not may_exist:
            raise MidiFileError(f"{each} is there already; --force writes over it, -o names another")
    return targets


def _edit_song(
    ctx: typer.Context,
    song: "MidiSong",
    requests: Sequence[NoteForNote],
    output: Path | None,
    force: bool,
    *,
    otherwise: Path,
) -> None:
    """Play each stretch of a song's notes, with the seed of the first, write the song and show the change."""
    from bridge.cli.show import show_change, show_results
    from engine.midi.files import save_midi

    targets = targets_of(output or otherwise, requests[0].count, may_exist=force or output is not None)
    generator = generator_of(ctx, requests[0])
    passages = [generator.run(requests[0])]
    passages += [generator.run(replace(request, seed=passages[0].seed)) for request in requests[1:]]
    remark = _remark(passages[0], verb_of(requests[0]))
    remarks: tuple[str, ...] = ()
    for index, target in enumerate(targets):
        clips = [results.clips[index] for results in passages]
        fine = song.fine_enough(clips)
        save_midi(fine.with_clips(clips, remark=remark), target)
        remarks = remarks or raised(song, fine)
        if index == 0:
            show_change(song.clips[0], fine.as_written(clips)[0], drum_map=drum_map_here())
    show_results(passages, targets, remarks)
    let_hear(targets)


def raised(song: "MidiSong", fine: "MidiSong") -> tuple[str, ...]:
    """What is to be said where a song was written in finer ticks."""
    old, new = song.midi.ticks_per_beat, fine.midi.ticks_per_beat
    if old == new:
        return ()
    return (f"its resolution was raised from {old} to {new} ticks a beat, which hold what is played",)


def _write_songs(
    song: "MidiSong", results: Results, verb: str, output: Path | None, force: bool, *, otherwise: Path
) -> None:
    """Write the song with the notes of each clip in place of its own, and show the first."""
    from bridge.cli.show import show_clip, show_results
    from engine.midi.files import save_midi

    targets = targets_of(output or otherwise, len(results.clips), may_exist=force or output is not None)
    fine = song.fine_enough(results.clips)
    for clip, target in zip(results.clips, targets, strict=True):
        save_midi(fine.with_notes(clip.notes, remark=_remark(results, verb)), target)
    show_clip(results.clips[0], drum_map=drum_map_here())
    show_results([results], targets, raised(song, fine))
    let_hear(targets)


def write_clips(results: Results, verb: str, output: Path | None, force: bool, *, otherwise: Path) -> None:
    """Write each clip anew and show the first."""
    from bridge.cli.show import show_clip, show_results
    from engine.midi.clips import clip_to_midi

    targets = targets_of(output or otherwise, len(results.clips), may_exist=force or output is not None)
    for clip, target in zip(results.clips, targets, strict=True):
        clip_to_midi(clip, target, text=_remark(results, verb))
    show_clip(results.clips[0], drum_map=drum_map_here())
    show_results([results], targets)
    let_hear(targets)


def _remark(results: Results, verb: str) -> str:
    """What a written file says of how it was made."""
    return f"vaebridge {verb}, model {results.model}, seed {results.seed}"
