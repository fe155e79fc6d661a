"""What all verbs on files share: where a file is read, what answers, where the result is written, drawn and heard.

The engine and the sound are loaded when a command runs, not before.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from bridge.cli.options import Command
from engine.errors import MidiFileError, ModelError, WeightsError
from engine.representation.kits import KIT_NAMES
from engine.requests import VERBS, LearnStyle, Request, Results, needs_clips, verb_of

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.feels import Feels
    from engine.audio.render import Wave
    from engine.clip import Clip
    from engine.midi.events import MidiBytes
    from engine.midi.song import MidiSong
    from engine.representation.drum_map import DrumMap
    from engine.weights import Library


class Runs(Protocol):
    """Whatever answers requests: the engine in this process, or a daemon."""

    def run(self, request: Request) -> Results:
        """The results of one request."""
        ...


OpenGenerator = Callable[["Config", Request], Runs]
"""How a command gets its engine: the context's obj, where a test puts another."""


def _flag(kind: Any, text: str, *names: str, default: Any = None, metavar: str | None = None) -> tuple[Any, Any]:
    """A flag and its default."""
    shown = default is not None and default is not False
    return Annotated[kind, typer.Option(*names, help=text, metavar=metavar, show_default=shown)], default


FLAGS = {
    "output": _flag(Path | None, "the file to write; else one beside the input", "--output", "-o"),
    "force": _flag(bool, "write over what is read, or was not named with -o", "--force", "-f", default=False),
    "track": _flag(str | None, "the notes of this track: a name or a number from 1"),
    "channel": _flag(int | None, "the notes of this channel; else 10, else all", metavar="1..16"),
    "drum_map": _flag(Path | None, rf"a .toml of instrument = \[pitches], or a kit: {KIT_NAMES}"),
    "wav": _flag(Path | None, "write the result as sound as well, to this .wav file"),
    "soundfont": _flag(Path | None, "the SoundFont (.sf2) that sounds; else one of the system's"),
}
"""The flags of a desk, and their defaults."""

CHOICE, HEARING = ("track", "channel"), ("drum_map", "wav", "soundfont")
READ, MAKE, ALL = (*CHOICE, "drum_map"), ("output", "force", *HEARING), tuple(FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What one command was told. sources: the files that it has read; asked: the attributes that it asked for."""

    open_generator: OpenGenerator
    verb: str
    output: Path | None = None
    force: bool = False
    track: str | None = None
    channel: int | None = None
    drum_map: Path | None = None
    wav: Path | None = None
    soundfont: Path | None = None
    sources: list[Path] = field(default_factory=list)
    asked: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.wav and self.wav.suffix.lower() != ".wav":
            raise MidiFileError(f"--wav names a .wav file, not {self.wav}")
        if self.verb != "continue":  # which goes on in sound where it has read some
            self.check_output()
        if self.soundfont and not self.wav and self.verb != "play":
            raise MidiFileError("--soundfont goes with --wav FILE, which writes the result as sound")

    def check_output(self) -> None:
        """MidiFileError where what is written is no MIDI file."""
        if self.output and self.output.suffix.lower() == ".wav":
            raise MidiFileError(f"-o names a MIDI file: --wav {self.output} writes the sound")

    @property
    def config(self) -> "Config":
        """The configuration, with the drum map that the command was given."""
        from bridge.config import Config

        return Config(drum_map=self.drum_map) if self.drum_map else Config()

    @property
    def feels(self) -> "Feels":
        """The feels that are kept under names."""
        from bridge.feels import Feels

        return Feels(self.config.feels_folder)

    @property
    def kit(self) -> "DrumMap":
        """The drum map of the configuration, else General MIDI's."""
        from engine.representation.drum_map import GENERAL_MIDI, read_drum_map

        drum_map = self.config.drum_map
        return read_drum_map(drum_map) if drum_map else GENERAL_MIDI

    def song(self, source: Path, *, drums: bool = True, chosen: bool = True) -> "MidiSong":
        """The song in a file; what was wrong with it, and which of its notes are played, is said on stderr.

        chosen: the track and the channel that were named are this file's.
        """
        from bridge.cli.show import warn
        from engine.midi.song import load_song

        self.sources.append(source)
        track, channel = (self.track, self.channel) if chosen else (None, None)
        song = load_song(source, track=track, channel=channel, drums=drums)
        warn(f"{source}: {remark}" for remark in song.remarks)
        return song

    def heard(self, source: Path, model: str | None, *, chosen: bool = True) -> tuple["MidiSong", "Clip"]:
        """The song in a file, and of it all parts for a model that hears them, the drums for any other."""
        in_parts = self.hears_parts(model)
        song = self.song(source, drums=not in_parts, chosen=chosen)
        return song, song.clip_in_parts if in_parts else song.clip

    def clip(self, source: Path, model: str | None, *, chosen: bool = True) -> "Clip":
        """What such a model hears of a file."""
        return self.heard(source, model, chosen=chosen)[1]

    def hears_parts(self, model: str | None) -> bool:
        """Whether the model that will be asked hears all of a file's parts, not its drums alone."""
        from engine.weights import Library

        config = self.config
        library = Library(config.weight_folders)
        try:
            card = library.card(model or default_model(config, library, self.verb))
        except (ModelError, WeightsError):  # a daemon may have models that this folder has not
            return False
        return card.family in ("musicvae", "band")

    def for_bands(self, settings: dict[str, Any], source: Path | None = None) -> dict[str, Any]:
        """The settings of a command; where no model is named a band answers what only bands are told.

        That is also a song of several parts in 4/4, unless a track is chosen, or notes to keep, or a drum fill.
        """
        from engine.weights import Library

        asked = any(settings.get(name) for name in ("parts", "key", "scale"))
        if settings["model"] or not (asked or (source and self._in_parts(source, settings))):
            return settings
        cards = Library(self.config.weight_folders).cards
        able = [name for name in self.config.models if name in cards and cards[name].family == "band"]
        return settings | {"model": able[-1] if able else None}

    def _in_parts(self, source: Path, settings: dict[str, Any]) -> bool:
        from bridge.cli.show import warn
        from engine.midi.song import load_song
        from engine.representation.band_clip import has_voices

        if self.track or self.channel or any(settings.get(each) for each in ("keep", "keep_clip", "fill_in")):
            return False
        clip = load_song(source, drums=False).clip_in_parts
        in_parts = has_voices(clip, self.kit)
        if in_parts and clip.beats_per_bar != 4:
            warn([f"{source}: a band plays 4/4, not {clip.meter}: a model of drums answers"])
        return in_parts and clip.beats_per_bar == 4

    def run(self, *requests: Request, otherwise: Path | None = None) -> list[Results]:
        """The results of each request, all of them with the seed of the first.

        otherwise: where they are written where nothing else is named. What cannot be written is told before.
        """
        first = requests[0]
        self.asked.update(getattr(first, "asked", {}))
        if self.output or otherwise:
            points = getattr(first, "points", ())
            self.targets(otherwise, len(points) or first.count)
        generator = self.open_generator(self.config, first)
        results = [generator.run(first)]
        return results + [generator.run(replace(each, seed=results[0].seed)) for each in requests[1:]]

    def targets(self, otherwise: Path | None, count: int) -> list[Path]:
        """The files of count results.

        MidiFileError if one is there already and was not named, or has been read, unless that is forced.
        """
        target = self.output or otherwise
        assert target is not None
        targets = numbered(target, count)
        for each in targets if not self.force else ():
            if each.exists() and self.output is None:
                raise MidiFileError(f"{each} is there already; --force writes over it, -o names another")
            if any(each.exists() and source.exists() and each.samefile(source) for source in self.sources):
                raise MidiFileError(f"{each} is what was read; --force writes over it, -o names another")
        return targets

    def write(
        self,
        results: Sequence[Results],
        midis: Iterable["MidiBytes"],
        otherwise: Path,
        *,
        shown: "Clip",
        before: "Clip | None" = None,
        remarks: Sequence[str] = (),
    ) -> None:
        """Write each file, draw the first clip, beside what it was before, say how it came about, and let hear."""
        from bridge.cli.show import console, show_change, show_clip, show_dials, show_results
        from engine.midi.files import save_midi

        targets = self.targets(otherwise, len(results[0].clips))
        sounds = numbered(self.wav, len(targets)) if self.wav else []
        for midi, target, sound in zip_longest(midis, targets, sounds):
            save_midi(midi, target)
            if sound:
                self.write_sound(midi, sound)
        if before:
            show_change(before, shown, drum_map=self.kit)
        else:
            show_clip(shown, drum_map=self.kit)
        show_results(results, targets, remarks)
        if self.asked:
            show_dials(self.asked, dict(results[0].facts), self._scales(results[0].model))
        for sound in sounds:
            console().print(str(sound), style="bold")

    def _scales(self, model: str) -> dict[str, Any]:
        """The mean and the deviation of each attribute of a model, none of one that a daemon alone has."""
        from engine.weights import Library, attributes_of

        config = self.config
        cards = Library(config.weight_folders).cards
        loaded = [cards[name] for name in reversed(config.models) if name in cards]
        return attributes_of(cards[model], loaded) if model in cards else {}

    def write_clips(self, results: Results, otherwise: Path) -> None:
        """Write each clip anew and show the first."""
        from engine.midi.clips import clip_as_midi

        midis = (clip_as_midi(clip, text=self.remark(results)) for clip in results.clips)
        self.write([results], midis, otherwise, shown=results.clips[0])

    def sound(self, midi: "MidiBytes") -> "Wave":
        """The samples of a file; that they are simple is said on stderr."""
        from bridge.cli.show import warn
        from engine.audio.render import render
        from engine.audio.soundfont import WITHOUT, found_soundfont

        if not (self.soundfont or found_soundfont()):
            warn([WITHOUT])
        return render(midi, soundfont=self.soundfont, drum_map=self.kit)

    def write_sound(self, midi: "MidiBytes", place: Path) -> None:
        """Write a file as sound."""
        from engine.audio.render import write_wav

        write_wav(self.sound(midi), place)

    def remark(self, results: Results) -> str:
        """What a written file says of how it was made."""
        return f"vaebridge {self.verb}, model {results.model}, seed {results.seed}"


def with_desk(verb: str, command: Command, flags: Sequence[str] = ALL) -> Command:
    """The command, which takes a desk first, with the flags that tell the desk what it is told."""

    @wraps(command)
    def told(ctx: typer.Context, **values: Any) -> None:
        own = {name: values.pop(name) for name in flags}
        command(Desk(open_generator=ctx.obj or open_generator, verb=verb, **own), **values)

    _, *parameters = inspect.signature(command, eval_str=True).parameters.values()
    arranged = [*_flags(flags, hearing=False), *parameters, *_flags(flags, hearing=True)]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    told.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in arranged)]
    )
    told.__annotations__ = {each.name: each.annotation for each in (context, *arranged)}
    return told


def _flags(names: Sequence[str], *, hearing: bool) -> Iterator[inspect.Parameter]:
    """The flags of these names: those of what is heard, or the others."""
    for name in names:
        if (name in HEARING) == hearing:
            kind, default = FLAGS[name]
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def open_generator(config: "Config", request: Request) -> Runs:
    """The engine as the configuration has it, with a model that can do what will be asked."""
    from bridge.cli.show import warn
    from engine.verbs.generator import Generator
    from engine.weights import Library

    library = Library(config.weight_folders)
    generator = Generator(library, device=config.device, drum_map=config.drum_map, own=config.styles_folder)
    verb = "humanize" if isinstance(request, LearnStyle) else verb_of(request)
    name = request.model or default_model(config, library, verb)
    if library.card(name).family in ("phrase", "band"):
        with suppress(ModelError):  # the one that plays the hits
            generator.load(default_model(config, library, "humanize"))
    generator.load(name)
    warn([*library.empty, *library.problems])
    return generator


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


def beside(source: Path, word: str) -> Path:
    """in.mid -> in.humanized.mid."""
    return source.with_name(f"{source.stem}.{word}.mid")


def numbered(target: Path, count: int) -> list[Path]:
    """out.mid for one result; out.1.mid, out.2.mid, … for several."""
    if count == 1:
        return [target]
    return [target.with_name(f"{target.stem}.{i}{target.suffix}") for i in range(1, count + 1)]
