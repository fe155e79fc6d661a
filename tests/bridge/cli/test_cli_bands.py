"""accompany, and other verbs, on files of several parts: tracks are added or go on, all else stays."""

from pathlib import Path

import mido
import pytest
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.clip import Clip, Note, Part
from engine.midi.clips import clip_to_midi
from tests.engine.untrained import SMALL_BANDS, write_random_weights
from tests.strict_midi import CASES

LEAD = tuple(Note(60 + 2 * (k % 5), float(k), 1.0, 90) for k in range(8))
PAD = tuple(Note(55, float(k), 1.0, 60) for k in range(8))
SONG = Clip((*LEAD, *PAD), 8.0, tempo_bpm=90.0, parts=(Part("Voice", 1, 5, 0, 8), Part("pad", 4, 88, 8, 8)))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    write_random_weights(tmp_path / "weights", "trio_16bar", spread=3.0, **SMALL_BANDS)
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("VAEBRIDGE_MODELS", "trio_16bar,drummer")
    clip_to_midi(SONG, tmp_path / "in.mid")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def tracks(path: str) -> dict[str, list[str]]:
    """The messages of each track that has a name, but for what a file says of how it was made."""
    return {
        track.name: [str(each) for each in track if each.type != "text"] for track in mido.MidiFile(path).tracks
    }


def test_a_song_is_sampled_as_named_tracks() -> None:
    assert run("sample", "--model", "trio_16bar", "--seed", "1", "-o", "song.mid").exit_code == 0
    assert list(tracks("song.mid")) == ["", "lead", "bass", "drums"]


def test_bass_and_drums_are_added_and_every_track_stays() -> None:
    result = run("accompany", "in.mid", "--seed", "1")
    assert result.exit_code == 0, result.output
    before, after = tracks("in.mid"), tracks("in.accompany.mid")
    assert list(after) == ["", "Voice", "pad", "bass", "drums"]
    assert all(after[name] == before[name] for name in before)
    assert mido.MidiFile("in.accompany.mid").length <= mido.MidiFile("in.mid").length + 0.01


def test_only_the_part_that_is_asked_for_is_added() -> None:
    assert run("accompany", "in.mid", "--parts", "drums", "-o", "out.mid").exit_code == 0
    assert list(tracks("out.mid")) == ["", "Voice", "pad", "drums"]


def test_a_song_goes_on_in_its_tracks() -> None:
    assert run("accompany", "in.mid", "--seed", "1", "-o", "band.mid").exit_code == 0
    assert run("continue", "band.mid", "--bars", "2", "--append", "-o", "long.mid", "--seed", "1").exit_code == 0
    before, after = tracks("band.mid"), tracks("long.mid")
    assert list(after) == list(before)
    assert after["pad"] == before["pad"]
    assert len(after["bass"]) > len(before["bass"])


def test_marked_beats_of_one_part_are_made_anew() -> None:
    assert run("accompany", "in.mid", "--seed", "1", "-o", "band.mid").exit_code == 0
    result = run(
        "infill", "band.mid", "--start", "4", "--beats", "4", "--parts", "bass", "-o", "new.mid", "--seed", "2"
    )
    assert result.exit_code == 0, result.output
    before, after = tracks("band.mid"), tracks("new.mid")
    assert [name for name in before if after[name] != before[name]] == ["bass"]


def test_a_part_is_varied_in_its_song_and_all_else_stays() -> None:
    assert run("accompany", "in.mid", "--seed", "1", "-o", "band.mid").exit_code == 0
    song = mido.MidiFile("band.mid")
    song.tracks[0].insert(-1, mido.MetaMessage("marker", text="verse"))
    song.tracks[2].insert(2, mido.Message("control_change", channel=3, control=11, value=77))
    song.save("band.mid")
    result = run("vary", "band.mid", "--parts", "bass", "--similarity", "0", "-o", "new.mid", "--seed", "2")
    assert result.exit_code == 0, result.output
    before, after = tracks("band.mid"), tracks("new.mid")
    assert [name for name in before if after[name] != before[name]] == ["bass"]
    assert list(after) == list(before)


def test_what_is_wrong_is_one_sentence() -> None:
    result = run("accompany", "in.mid", "--key", "H", "-o", "out.mid")
    assert result.exit_code == 1
    assert "key must be a tonic" in " ".join(result.output.split())
    assert not Path("out.mid").exists()


def test_what_only_a_band_is_told_asks_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEBRIDGE_MODELS", "trio_16bar,drummer,drums_16bar")
    assert run("continue", "in.mid", "--bars", "1", "--parts", "lead", "-o", "next.mid").exit_code == 0
    assert list(tracks("next.mid")) == ["", "Voice"]
    assert run("sample", "--bars", "1", "--key", "D", "-o", "new.mid").exit_code == 0
    assert list(tracks("new.mid")) == ["", "lead", "bass", "drums"]


def test_a_song_of_several_parts_asks_a_band_and_drums_alone_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEBRIDGE_MODELS", "trio_16bar,drummer,drums_16bar")
    assert run("accompany", "in.mid", "--seed", "1", "-o", "band.mid").exit_code == 0
    for verb in (("continue", "--bars", "1"), ("infill", "--start", "4", "--beats", "4")):
        assert "model trio_16bar" in run(verb[0], "band.mid", *verb[1:], "-o", "new.mid", "--force").output
        chosen = run(verb[0], "band.mid", *verb[1:], "--track", "drums", "-o", "new.mid", "--force")
        assert "model drums_16bar" in chosen.output


def test_drums_on_another_channel_are_the_bands_drums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEBRIDGE_MODELS", "trio_16bar,drummer,drums_16bar")
    added = run("accompany", str(CASES / "song_drums_ch3.mid"), "-o", "band.mid")
    assert "the clip has a lead, a bass and drums" in added.output
    assert "played as drums: track 4 'Drums' (channel 3)" in " ".join(added.stderr.split())
    made = run("continue", str(CASES / "song_drums_ch3.mid"), "--bars", "1", "--seed", "1", "-o", "next.mid")
    assert "model trio_16bar" in made.output
    assert list(tracks("next.mid")) == ["", "Piano", "Bass", "Drums"]
    alone = mido.MidiFile(CASES / "song_drums_ch3.mid")
    del alone.tracks[1:3]
    alone.save("alone.mid")
    assert "model drums_16bar" in run("continue", "alone.mid", "--bars", "1", "-o", "more.mid").output


def test_a_song_of_several_parts_in_another_meter_is_told_to_go_on_with_its_drums(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBRIDGE_MODELS", "trio_16bar,drummer,drums_16bar")
    drums = tuple(Note(36, float(k), 0.25, 100) for k in range(6))
    song = Clip((*LEAD[:6], *drums), 6.0, 3.0, parts=(Part("Voice", 1, 5, 0, 6), Part("drums", 10, 0, 6, 6)))
    clip_to_midi(song, folder / "waltz.mid")
    result = run("continue", "waltz.mid", "--bars", "1", "-o", "next.mid")
    assert "model drums_16bar" in result.output
    assert "waltz.mid: a band plays 4/4, not 3/4: a model of drums answers" in result.stderr
