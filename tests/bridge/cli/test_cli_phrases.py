"""continue and infill on files: the drums of a song go on or are made anew in part, all else stays."""

from pathlib import Path

import mido
import pytest
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.clip import Clip, Note, Part
from engine.midi.clips import clip_to_midi
from engine.midi.song import clip_from_midi
from engine.requests import Continue, Infill, Request, Results
from tests.engine.untrained import SMALL_PHRASES, write_random_weights

DRUMS = tuple(Note(pitch, float(beat), 0.25, 100) for beat in range(8) for pitch in (36, 42))
LEAD = tuple(Note(60 + beat, float(beat), 1.0, 90) for beat in range(8))
SONG = Clip((*LEAD, *DRUMS), 8.0, parts=(Part("lead", 1, 5, 0, 8), Part("drums", 10, 0, 8, 16)))


class Snares:
    """Goes on with a bar of one snare; makes marked beats anew with one."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def run(self, request: Request) -> Results:
        self.asked.append(request)
        if isinstance(request, Continue):
            return Results((Clip((Note(38, 0.0, 0.25, 70),), 4.0),) * request.count, "fake", 1, 1.0)
        assert isinstance(request, Infill)
        end = request.start + request.beats
        staying = tuple(note for note in request.clip.notes if not request.start <= note.start_beats < end)
        return Results((request.clip.with_notes((*staying, Note(38, request.start, 0.25, 70))),), "fake", 1, 1.0)


@pytest.fixture
def snares() -> Snares:
    return Snares()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    clip_to_midi(SONG, tmp_path / "in.mid")
    return tmp_path


def run(generator: Snares | None, *arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), obj=generator and (lambda config, request: generator))


def played(path: str, track: int) -> list[str]:
    """The messages of a track but for what a file says of how it was made."""
    return [str(each) for each in mido.MidiFile(path).tracks[track] if each.type != "text"]


def test_what_is_asked_is_the_mark_and_what_stays_in_it(snares: Snares) -> None:
    result = run(snares, "infill", "in.mid", "--start", "4", "--beats", "2", "--keep", "42,46", "-o", "out.mid")
    assert result.exit_code == 0, result.output
    (asked,) = snares.asked
    assert isinstance(asked, Infill)
    assert (asked.start, asked.beats, asked.keep, len(asked.clip.notes)) == (4.0, 2.0, (42, 46), 16)


def test_the_notes_of_another_file_stay_in_the_mark(snares: Snares) -> None:
    result = run(snares, "infill", "in.mid", "--keep-clip", "in.mid", "-o", "out.mid")
    assert result.exit_code == 0, result.output
    (asked,) = snares.asked
    assert isinstance(asked, Infill)
    assert asked.keep_clip == asked.clip


def test_infill_changes_the_marked_drums_alone(snares: Snares, folder: Path) -> None:
    run(snares, "infill", "in.mid", "--start", "4", "--beats", "2", "--track", "drums")
    before, after = clip_from_midi(folder / "in.mid"), clip_from_midi(folder / "in.infill.mid")
    assert played("in.infill.mid", 1) == played("in.mid", 1), "the lead"
    assert [note for note in after.notes if note.pitch != 38] == [
        note for note in before.notes if not 4 <= note.start_beats < 6
    ]
    assert [note.start_beats for note in after.notes if note.pitch == 38] == [4.0]


def test_continue_writes_the_new_bars_alone(snares: Snares, folder: Path) -> None:
    assert run(snares, "continue", "in.mid", "--bars", "1", "--fill-in", "1").exit_code == 0
    (asked,) = snares.asked
    assert isinstance(asked, Continue)
    assert (asked.bars, asked.fill_in, len(asked.clip.notes)) == (1, 1, 16)
    assert [note.pitch for note in clip_from_midi(folder / "in.continue.mid").notes] == [38]


def test_continue_append_writes_the_song_with_the_new_bars_behind(snares: Snares, folder: Path) -> None:
    run(snares, "continue", "in.mid", "--append", "--count", "2", "--track", "drums", "-o", "out.mid")
    assert played("out.1.mid", 1) == played("in.mid", 1)
    notes = clip_from_midi(folder / "out.2.mid").notes
    assert (notes[:16], notes[16].pitch, notes[16].start_beats) == (
        clip_from_midi(folder / "in.mid").notes,
        38,
        8.0,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--keep", "kick"), "keep takes pitches in 0..127 such as 36,38, not 'kick'"),
        (("--keep", "128"), "keep takes pitches in 0..127 such as 36,38, not '128'"),
        (("--start", "-1"), "start must be in 0..4096, not -1.0"),
        (("--beats", "0"), "beats must be in 0.25..4096, not 0.0"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_in_one_line(
    snares: Snares, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run(snares, "infill", "in.mid", *arguments)
    assert (result.exit_code, result.stderr) == (1, f"vaebridge: {sentence}\n")


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_a_file_without_notes_is_refused_in_one_line(snares: Snares, verb: str, folder: Path) -> None:
    clip_to_midi(Clip((), 4.0), folder / "empty.mid")
    result = run(snares, verb, "empty.mid")
    assert result.stderr == "vaebridge: empty.mid cannot be played: it holds no notes\n"


@pytest.fixture
def phrases(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of phrases that nobody has trained, beside the shipped drummer."""
    write_random_weights(folder, "drums_16bar", "phrases", spread=3.0, **SMALL_PHRASES)
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(folder))
    monkeypatch.setenv("VAEBRIDGE_MODELS", "phrases,drummer")


@pytest.mark.usefixtures("phrases")
@pytest.mark.parametrize("verb", ["continue", "infill"])
@pytest.mark.parametrize("beats_per_bar", [3.0, 4.0])
def test_a_real_model_does_it_and_the_drummer_plays_the_hits(folder: Path, verb: str, beats_per_bar: float) -> None:
    clip_to_midi(Clip(DRUMS[:12], 6.0, beats_per_bar), folder / "in.mid")
    result = run(None, verb, "in.mid", "--seed", "1", "-o", "out.mid")
    assert result.exit_code == 0, result.output
    assert "lie on the grid" not in result.output
    assert clip_from_midi(folder / "out.mid").beats_per_bar == beats_per_bar


@pytest.mark.usefixtures("phrases")
def test_a_mark_outside_the_file_says_where_it_may_start() -> None:
    result = run(None, "infill", "in.mid", "--start", "9", "-o", "out.mid")
    assert result.stderr == "vaebridge: the mark must start before the clip's end at 8 beats, not at 9\n"
