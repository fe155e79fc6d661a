import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import mido
import pytest
import tomlkit
from typer.testing import CliRunner, Result

from bridge.cli import desk
from bridge.cli import main as cli
from bridge.config import Config
from engine.clip import Clip, Note, Part
from engine.errors import ModelError, WeightsError
from engine.midi.clips import clip_to_midi
from engine.midi.song import clip_from_midi
from engine.requests import (
    VERBS,
    Decode,
    Encode,
    Groove,
    Humanize,
    Interpolate,
    Keeping,
    Request,
    Results,
    Sample,
    clips_of,
)
from engine.weights import Card, Library

BEAT = Clip((Note(36, 0.0, 0.25, 100), Note(38, 1.0, 0.25, 100), Note(36, 2.0, 0.25, 100)), 4.0)


POINT = (0.5, -0.25, 1 / 3)
FEEL = Clip((Note(36, 0.0, 0.25, 50), Note(42, 1.0, 0.25, 60)), 4.0)


@dataclass
class FakeGenerator:
    """Plays every note 15 ms late and softer; remembers what it was asked."""

    asked: list[Request] = field(default_factory=list)

    def run(self, request: Request) -> Results:
        self.asked.append(request)
        clips = getattr(request, "clips", None) or (getattr(request, "clip", None) or BEAT,)
        count = len(request.points) if isinstance(request, Interpolate) else request.count
        late = tuple(replace(note, start_beats=note.start_beats + 0.03, velocity=70) for note in clips[0].notes)
        seed = 99 if request.seed is None else request.seed
        found = () if isinstance(request, Encode) else (clips[0].with_notes(late),) * count
        latent = POINT if isinstance(request, Encode) else ()
        return Results(found, "fake", seed, 1.5, remarks=("a remark",), latent=latent)


@pytest.fixture
def generator() -> FakeGenerator:
    return FakeGenerator()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    clip_to_midi(BEAT, tmp_path / "in.mid")
    return tmp_path


def run(generator: FakeGenerator, *arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), obj=lambda config, request: generator)


def texts(path: Path) -> list[str]:
    return [message.text for message in mido.MidiFile(path).tracks[0] if message.type == "text"]


def test_humanize_writes_a_file_beside_the_input(generator: FakeGenerator, folder: Path) -> None:
    result = run(generator, "humanize", "in.mid")
    assert result.exit_code == 0, result.output
    assert [note.velocity for note in clip_from_midi(folder / "in.humanized.mid").notes] == [70, 70, 70]


def test_humanize_shows_the_change_the_model_the_seed_and_the_remarks(generator: FakeGenerator) -> None:
    output = run(generator, "humanize", "in.mid", "-o", "out.mid").output
    assert "+15" in output
    assert "out.mid\nmodel fake, seed 99, 1.5 ms\na remark\n" in output


@pytest.mark.parametrize(
    ("name", "read"), [("a\x1b[2J\n.mid", r"a\x1b[2J\n.mid"), ("[b]:x:\udc80.mid", r"[b]:x:\udc80.mid")]
)
def test_the_name_of_a_file_is_shown_and_does_not_act_on_the_terminal(
    generator: FakeGenerator, name: str, read: str
) -> None:
    assert f"\n{read}\nmodel fake" in run(generator, "humanize", "in.mid", "-o", name).output
    assert run(generator, "humanize", f"no{name}").stderr == (
        f"vaebridge: no{read} cannot be read: No such file or directory\n"
    )


def test_a_written_file_carries_the_model_and_the_seed(generator: FakeGenerator, folder: Path) -> None:
    run(generator, "humanize", "in.mid", "-o", "out.mid", "--seed", "7")
    assert texts(folder / "out.mid") == ["vaebridge humanize, model fake, seed 7"]


def test_the_input_may_be_the_output(generator: FakeGenerator, folder: Path) -> None:
    refused = run(generator, "humanize", "in.mid", "-o", "in.mid")
    assert refused.stderr == "vaebridge: in.mid is what was read; --force writes over it, -o names another\n"
    assert clip_from_midi(folder / "in.mid").notes[0].velocity == 100
    assert run(generator, "humanize", "in.mid", "-o", "in.mid", "--force").exit_code == 0
    assert clip_from_midi(folder / "in.mid").notes[0].velocity == 70


def test_a_file_that_was_not_named_is_not_written_over(generator: FakeGenerator, folder: Path) -> None:
    (folder / "in.humanized.mid").write_bytes(b"mine")
    result = run(generator, "humanize", "in.mid")
    assert result.exit_code == 1
    assert result.stderr.startswith("vaebridge: in.humanized.mid is there already; --force writes over it")
    assert (folder / "in.humanized.mid").read_bytes() == b"mine"
    assert not generator.asked


def test_force_writes_over_it(generator: FakeGenerator, folder: Path) -> None:
    (folder / "in.humanized.mid").write_bytes(b"mine")
    assert run(generator, "humanize", "in.mid", "--force").exit_code == 0


def test_flags_are_the_settings_of_the_request(generator: FakeGenerator) -> None:
    run(generator, "humanize", "in.mid", "--timing", "0.8", "--only", "36,42", "--style", "funk", "-o", "out.mid")
    asked = generator.asked[0]
    assert isinstance(asked, Humanize)
    assert (asked.timing, asked.only, asked.style, asked.velocity) == (0.8, (36, 42), "funk", 1.0)


def test_what_stays_is_a_list_of_pitches_and_a_file(generator: FakeGenerator, folder: Path) -> None:
    clip_to_midi(FEEL, folder / "kept.mid")
    for verb in ("humanize", "vary"):
        result = run(generator, verb, "in.mid", "--keep", "36,42", "--keep-clip", "kept.mid", "-o", "out.mid")
        assert result.exit_code == 0, result.output
        asked = generator.asked[-1]
        assert isinstance(asked, Keeping)
        assert asked.keep == (36, 42)
        assert asked.keep_clip is not None
        assert len(asked.keep_clip.notes) == len(FEEL.notes)


def test_a_drum_has_a_flag_of_its_own(generator: FakeGenerator) -> None:
    run(generator, "humanize", "in.mid", "--timing.low_tom", ".5", "--velocity.kick", "0", "-o", "out.mid")
    asked = generator.asked[0]
    assert isinstance(asked, Humanize)
    assert asked.of_drum == (("timing.low_tom", 0.5), ("velocity.kick", 0.0))


def test_the_help_of_what_drums_can_differ_in_names_them(generator: FakeGenerator) -> None:
    shown = " ".join(run(generator, "humanize", "--help").output.replace("│", " ").split())
    assert "--timing.DRUM of one drum: kick, snare" in shown


def test_a_setting_out_of_range_is_one_line_and_exit_code_1(generator: FakeGenerator) -> None:
    result = run(generator, "humanize", "in.mid", "--timing", "3")
    assert (result.exit_code, result.stderr) == (1, "vaebridge: timing must be in 0..1, not 3.0\n")


def test_pitches_that_are_none_are_refused(generator: FakeGenerator) -> None:
    result = run(generator, "humanize", "in.mid", "--only", "kick")
    assert result.stderr == "vaebridge: only takes pitches in 0..127 such as 36,38, not 'kick'\n"


def test_a_file_that_is_not_there_is_one_line(generator: FakeGenerator) -> None:
    result = run(generator, "humanize", "none.mid")
    assert result.exit_code == 1
    assert result.stderr == "vaebridge: none.mid cannot be read: No such file or directory\n"


def test_several_results_are_numbered(generator: FakeGenerator, folder: Path) -> None:
    run(generator, "sample", "--count", "3", "-o", "idea.mid")
    assert sorted(each.name for each in folder.glob("idea*")) == ["idea.1.mid", "idea.2.mid", "idea.3.mid"]


def test_a_sample_is_named_after_its_seed(generator: FakeGenerator, folder: Path) -> None:
    assert run(generator, "sample", "--bars", "4").exit_code == 0
    assert (folder / "sample.99.mid").exists()
    assert generator.asked == [Sample(bars=4)]


@pytest.mark.parametrize("verb", ["drumify", "fill", "vary"])
def test_other_verbs_read_a_clip_and_write_a_new_file(verb: str, generator: FakeGenerator, folder: Path) -> None:
    result = run(generator, verb, "in.mid")
    assert result.exit_code == 0, result.output
    assert (folder / f"in.{verb}.mid").exists()
    assert type(generator.asked[0]) is VERBS[verb]


def test_groove_asks_for_the_notes_of_one_file_with_the_feel_of_another(
    generator: FakeGenerator, folder: Path
) -> None:
    clip_to_midi(FEEL, folder / "feel.mid")
    result = run(generator, "groove", "in.mid", "feel.mid", "--timing", "0.5")
    assert result.exit_code == 0, result.output
    (asked,) = generator.asked
    assert isinstance(asked, Groove)
    assert [len(clip.notes) for clip in (asked.clip, asked.feel)] == [len(BEAT.notes), len(FEEL.notes)]
    assert asked.timing == 0.5


def test_groove_plays_the_notes_and_leaves_the_rest_of_the_file(generator: FakeGenerator, folder: Path) -> None:
    clip_to_midi(FEEL, folder / "feel.mid")
    song = mido.MidiFile(folder / "in.mid")
    song.type = 1
    piano = [mido.Message(kind, channel=0, note=60, velocity=99, time=7) for kind in ("note_on", "note_off")]
    song.tracks.append(mido.MidiTrack(piano))
    song.save(folder / "in.mid")
    run(generator, "groove", "in.mid", "feel.mid")
    before, after = (mido.MidiFile(folder / name).tracks[-1] for name in ("in.mid", "in.groove.mid"))
    assert after == before
    assert [note.velocity for note in clip_from_midi(folder / "in.groove.mid").notes] == [70, 70, 70]
    assert texts(folder / "in.groove.mid") == ["vaebridge groove, model fake, seed 99"]


def test_groove_takes_two_files(generator: FakeGenerator) -> None:
    assert run(generator, "groove", "in.mid").exit_code == 2
    assert not generator.asked


def test_interpolate_writes_a_file_a_step(generator: FakeGenerator, folder: Path) -> None:
    clip_to_midi(BEAT, folder / "b.mid")
    run(generator, "interpolate", "in.mid", "b.mid", "--steps", "3")
    assert sorted(each.name for each in folder.glob("in.to.*")) == [f"in.to.b.{i}.mid" for i in (1, 2, 3)]


def test_interpolate_takes_two_files_or_four(generator: FakeGenerator) -> None:
    result = run(generator, "interpolate", "in.mid")
    assert result.stderr == "vaebridge: interpolate takes 2 or 4 clips, not 1\n"


@pytest.fixture
def band_in_a_file(folder: Path) -> None:
    """band.mid: a melody, a bass and drums; models m of melodies and g of grooves."""
    notes = (Note(72, 0.0, 1.0, 90), Note(40, 0.0, 1.0, 90), Note(36, 0.0, 0.25, 90))
    parts = (Part("lead", 3, 5, 0, 1), Part("bass", 4, 35, 1, 1), Part("kit", 10, 0, 2, 1))
    clip_to_midi(Clip(notes, 4.0, parts=parts), folder / "band.mid")
    for name, family in (("m", "musicvae"), ("g", "groovae")):
        card = Card(
            name=name, config="c", family=family, bars=2, steps_per_bar=16, verbs=("vary", "encode"), sha256=""
        )
        (folder / f"{name}.toml").write_text(tomlkit.dumps(asdict(card)), encoding="utf-8")


@pytest.mark.usefixtures("band_in_a_file")
@pytest.mark.parametrize("verb", ["vary", "interpolate", "encode"])
def test_a_model_of_tokens_hears_all_parts_of_a_file(
    verb: str, generator: FakeGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", ".")
    files = ["band.mid"] * (2 if verb == "interpolate" else 1)
    result = run(generator, verb, *files, "--model", "m")
    assert result.exit_code == 0, result.output
    (clip,) = set(clips_of(generator.asked[0]))
    assert [(part.name, part.channel, part.program) for part in clip.parts] == [
        ("lead", 3, 5),
        ("bass", 4, 35),
        ("kit", 10, 0),
    ]


@pytest.mark.usefixtures("band_in_a_file")
def test_a_model_of_grooves_hears_the_drums_of_a_file(
    generator: FakeGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", ".")
    run(generator, "vary", "band.mid", "--model", "g")
    (clip,) = clips_of(generator.asked[0])
    assert [note.pitch for note in clip.notes] == [36]


@pytest.mark.usefixtures("band_in_a_file")
def test_a_channel_that_is_named_is_all_that_is_heard(
    generator: FakeGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", ".")
    run(generator, "vary", "band.mid", "--model", "m", "--channel", "4")
    (clip,) = clips_of(generator.asked[0])
    assert [part.name for part in clip.parts] == ["bass"]


def test_encode_writes_what_decode_reads(generator: FakeGenerator, folder: Path) -> None:
    result = run(generator, "encode", "in.mid")
    assert result.exit_code == 0, result.output
    assert "in.z.json\n" in result.output
    assert run(generator, "decode", "in.z.json", "-o", "out.mid").exit_code == 0
    assert generator.asked[1] == Decode(z=POINT, model="fake")
    assert (folder / "out.mid").exists()


def test_decode_plays_the_notes_of_a_file(generator: FakeGenerator) -> None:
    run(generator, "encode", "in.mid")
    run(generator, "decode", "in.z.json", "--onto", "in.mid")
    assert len(generator.asked[1].clip.notes) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 100_000, '{"z": [1]}', '{"model": "m", "z": ["a"]}', '{"model": "m", "z": 1}']
)
def test_what_is_no_point_is_one_line(generator: FakeGenerator, folder: Path, content: str) -> None:
    (folder / "point.json").write_text(content)
    result = run(generator, "decode", "point.json")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert result.stderr.startswith('vaebridge: point.json must hold {"model": NAME, "z": [number, …]}')


def test_what_has_no_end_is_read_to_none(generator: FakeGenerator) -> None:
    song = run(generator, "humanize", "/dev/zero", "-o", "out.mid")
    assert (song.exit_code, song.stderr) == (1, "vaebridge: /dev/zero cannot be played: it is not a MIDI file\n")
    point = run(generator, "decode", "/dev/zero", "-o", "out.mid")
    assert point.exit_code == 1
    assert point.stderr == "vaebridge: /dev/zero cannot be read: it has more than 1048576 bytes\n"


def test_a_file_may_come_through_a_pipe(generator: FakeGenerator, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    content = (folder / "in.mid").read_bytes()
    threading.Thread(target=(folder / "pipe").write_bytes, args=(content,), daemon=True).start()
    assert run(generator, "humanize", "pipe", "-o", "out.mid").exit_code == 0


@pytest.mark.parametrize("arguments", [("encode", "in.mid"), ("sample",), ("humanize", "in.mid")])
def test_a_disk_that_takes_nothing_is_one_line(
    generator: FakeGenerator, folder: Path, arguments: tuple[str, ...]
) -> None:
    result = run(generator, *arguments, "-o", "in.mid/out")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "cannot be written: Not a directory" in result.stderr


def test_a_full_disk_leaves_the_point_that_was_there(generator: FakeGenerator, folder: Path) -> None:
    (folder / "in.z.json").write_text("old")
    (folder / f".{os.getpid()}.json.part").symlink_to("/dev/full")
    result = run(generator, "encode", "in.mid", "--force")
    assert (result.exit_code, result.stderr.strip()) == (
        1,
        "vaebridge: in.z.json cannot be written: No space left on device",
    )
    assert (folder / "in.z.json").read_text() == "old"


def test_an_error_of_the_system_is_one_line(folder: Path) -> None:
    def failing(config: object, request: object) -> FakeGenerator:
        raise PermissionError(13, "Permission denied", "some\x1bfile")

    result = CliRunner().invoke(cli.app, ["sample"], obj=failing)
    assert result.exit_code == 1
    assert result.stderr == "vaebridge: some\\x1bfile cannot be read or written: Permission denied\n"


def test_a_flag_of_several_is_given_with_commas_or_again(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("x", "y", "z"):
        (folder / name).mkdir()
    served: list[Config] = []
    monkeypatch.setattr("bridge.daemon.serve", lambda config, **_: served.append(config))
    result = CliRunner().invoke(cli.app, ["serve", "--weights", "x,y", "--weights", "z"])
    assert result.exit_code == 0, result.output
    assert served[0].weights == (Path("x"), Path("y"), Path("z"))
    assert served[0].models == ("trio_16bar", "drummer", "drums_16bar")


def test_where_the_meter_changes_the_first_seed_is_used_for_every_stretch(
    generator: FakeGenerator, folder: Path
) -> None:
    song = mido.MidiFile(ticks_per_beat=96)
    track = song.add_track()
    for numerator in (3, 4):
        track.append(mido.MetaMessage("time_signature", numerator=numerator))
        track.append(mido.Message("note_on", channel=9, note=36))
        track.append(mido.Message("note_off", channel=9, note=36, time=96 * 3))
    song.save(folder / "song.mid")
    assert run(generator, "humanize", "song.mid").exit_code == 0
    assert [request.seed for request in generator.asked] == [None, 99]


def test_ctrl_c_is_silent(folder: Path) -> None:
    def interrupted(config: object, request: object) -> FakeGenerator:
        raise KeyboardInterrupt

    result = CliRunner().invoke(cli.app, ["sample"], obj=interrupted)
    assert (result.exit_code, result.output) == (130, "")


def test_the_version_is_shown() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).output.startswith("vaebridge 0.")


def test_every_verb_of_the_engine_is_a_command() -> None:
    output = CliRunner().invoke(cli.app, ["--help"]).output
    assert all(verb in output for verb in VERBS)


def test_help_shows_what_the_request_says_of_a_setting() -> None:
    output = CliRunner().invoke(cli.app, ["vary", "--help"]).output
    assert "--similarity" in output
    assert "0..1" in output


def test_serve_has_a_flag_for_every_field_of_the_configuration() -> None:
    output = CliRunner().invoke(cli.app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    assert all("--" + name.replace("_", "-") in output for name in Config.model_fields)


def library(folder: Path, **verbs: tuple[str, ...]) -> Library:
    """Cards of models with these verbs, without weights."""
    for name, able in verbs.items():
        card = Card(name=name, config="c", family="f", bars=2, steps_per_bar=16, verbs=able, sha256="")
        (folder / f"{name}.toml").write_text(tomlkit.dumps(asdict(card)), encoding="utf-8")
    return Library([folder])


def test_the_default_model_is_the_last_resident_one_that_has_the_verb(folder: Path) -> None:
    cards = library(folder, a=("sample",), b=("sample", "vary"), c=("vary",))
    assert desk.default_model(Config(models=("a", "b", "c")), cards, "sample") == "b"


def test_a_file_is_not_for_a_model_without_an_encoder(folder: Path) -> None:
    cards = library(folder, a=("vary", "encode"), b=("sample", "vary"))
    assert desk.default_model(Config(models=("a", "b")), cards, "vary") == "a"


def test_a_model_that_cannot_be_had_leaves_its_place_to_the_others(folder: Path) -> None:
    (folder / "b.toml").write_text("[")
    cards = library(folder, a=("sample",))
    assert desk.default_model(Config(models=("a", "b")), cards, "sample") == "a"
    with pytest.raises(WeightsError, match=r"b\.toml is no readable card"):
        desk.default_model(Config(models=("b",)), cards, "sample")


@pytest.mark.parametrize("asked", [(), ("--model", "drummer")])
def test_a_damaged_card_is_told_and_the_shipped_model_of_its_name_does_not_play(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    (folder / "drummer.toml").write_text("[")
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(folder))
    result = CliRunner().invoke(cli.app, ["humanize", "in.mid", "-o", "out.mid", *asked])
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "drummer.toml is no readable card" in result.stderr
    assert not (folder / "out.mid").exists()


def test_a_damaged_card_of_another_name_is_told_and_the_others_play(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine.toml").write_text("[")
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(folder))
    result = CliRunner().invoke(cli.app, ["humanize", "in.mid", "-o", "out.mid"])
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(f"vaebridge: {folder}/mine.toml is no readable card")
    assert len(result.stderr.splitlines()) == 1


def test_a_verb_that_no_resident_model_has_is_refused(folder: Path) -> None:
    cards = library(folder, a=("sample",))
    with pytest.raises(ModelError, match="no model can humanize"):
        desk.default_model(Config(models=("a",)), cards, "humanize")


IMPORTED = """
import sys
sys.argv = ["vaebridge", "--help"]
try:
    from bridge.cli.main import main
    main()
except SystemExit:
    pass
slow = {"torch", "numpy", "mido", "pydantic", "pythonosc", "safetensors"} & set(sys.modules)
raise SystemExit(", ".join(slow) or 0)
"""


def test_help_imports_nothing_that_is_slow() -> None:
    root = Path(cli.__file__).parents[2]
    command = [sys.executable, "-c", IMPORTED]
    finished = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "humanize" in finished.stdout


def test_a_closed_pipe_is_quiet() -> None:
    root = Path(cli.__file__).parents[2]
    command = f"{sys.executable} -c 'from bridge.cli.main import main; main()' --help | true"
    finished = subprocess.run(["sh", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert finished.stderr == ""
