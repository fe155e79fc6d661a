import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from typer.testing import CliRunner

from bridge.cli import main as cli
from bridge.cli import serve as cli_daemon
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.osc.remote import ATTEMPTS, Remote, atom
from bridge.welcome import first_clip, stiff_beat
from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from engine.midi.song import clip_from_midi
from engine.requests import Groove, Humanize, Interpolate, Sample

NOTES = tuple(Note(36 + i % 2, i * 0.25, 0.125, 100) for i in range(100))
CLIP = Clip(NOTES, 25.0, 5.0, 90.0)


class FakeDaemon:
    """Keeps uploaded notes, plays every note at velocity 50, and remembers the requests."""

    def __init__(self) -> None:
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.wire.bind(("127.0.0.1", 0))
        self.port: int = self.wire.getsockname()[1]
        self.requests: list[tuple[str, list[object]]] = []
        self.slots: dict[str, list[list[object]]] = {}
        self.losses = 0
        self.problem: tuple[str, ...] = ()
        self.cleared: list[object] = []
        self.uploading: dict[object, str] = {}
        self.refuses: dict[str, tuple[str, str]] = {}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            try:
                data, client = self.wire.recvfrom(65536)
            except OSError:
                return
            message = OscMessage(data)
            verb, (number, *arguments) = message.address.removeprefix("/vae/"), message.params
            if verb not in ("hello", "clip/clear"):
                self.requests.append((verb, arguments))
            for address, *atoms in self.answer(verb, arguments, client):
                builder = OscMessageBuilder(f"/vae/{address}")
                for value in (number, *atoms):
                    builder.add_arg(value)
                self.wire.sendto(builder.build().dgram, client)

    def answer(self, verb: str, arguments: list[object], client: object) -> Iterator[tuple[object, ...]]:
        if verb in self.refuses:
            yield "fail", verb, *self.refuses[verb]
        elif verb == "clip/begin":
            self.uploading[client] = slot = str(arguments[0])
            self.slots[slot] = []
        elif verb == "clip/notes":
            numbers = arguments[2:]
            self.slots[self.uploading[client]] += [numbers[i : i + 5] for i in range(0, len(numbers), 5)]
        elif verb == "hello":
            return
        elif verb == "clip/end":
            slot = self.uploading[client]
            yield "done", "clip", "slot", slot, "notes", len(self.slots[slot])
        elif verb in ("humanize", "sample", "interpolate", "groove"):
            named = str(arguments[1]) if len(arguments) > 1 else ""
            yield from self.play(self.slots.get(named, [[36, 0.0, 0.25, 100, 0]]), verb)
        elif verb == "clip/clear":
            self.cleared.append(arguments[1])
            yield "done", "clip/clear", "slot", arguments[1]
        elif verb == "status":
            yield (
                "done",
                "status",
                "ready",
                1,
                "model",
                "fake",
                "device",
                "cpu",
                "ports",
                "vaebridge in",
                *self.problem,
            )
        else:
            yield "fail", verb, "unknown_verb", f"there is no verb {verb}"

    def play(self, notes: list[list[object]], verb: str) -> Iterator[tuple[object, ...]]:
        self.losses -= 1
        yield "notes/begin", 0, len(notes), 8.0
        for first in range(0, len(notes), 48):
            chunk = notes[first : first + 48]
            if not (self.losses >= 0 and first):
                played = (value for note in chunk for value in (*note[:3], 50, note[4]))
                yield "notes", 0, first, len(chunk), *played
        yield "notes/end", 0, len(notes)
        yield "done", verb, "model", "fake", "seed", 5, "results", 1, "ms", 2.5, "as", "taps"


def named(daemon: FakeDaemon, key: str) -> str:
    """The slot that a clip went to."""
    return next(slot for slot in reversed(daemon.slots) if slot.startswith("send-") and slot.endswith(f"-{key}"))


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    fake = FakeDaemon()
    yield fake
    fake.wire.close()


@pytest.fixture
def remote(daemon: FakeDaemon) -> Iterator[Remote]:
    with Remote("127.0.0.1", daemon.port, timeout_seconds=5) as conversation:
        yield conversation


def test_every_note_of_a_clip_comes_back_in_its_place(remote: Remote) -> None:
    (clip,) = remote.run(Humanize(clip=CLIP)).clips
    assert clip.notes == tuple(replace(note, velocity=50) for note in NOTES)


def test_the_meter_and_tempo_of_the_clip_stay(remote: Remote) -> None:
    (clip,) = remote.run(Humanize(clip=CLIP)).clips
    assert (clip.beats_per_bar, clip.tempo_bpm, clip.length_beats) == (5.0, 90.0, 8.0)


def test_the_answer_says_how_it_was_made(remote: Remote) -> None:
    results = remote.run(Sample())
    assert (results.model, results.seed, results.ms, results.as_taps) == ("fake", 5, 2.5, True)


def test_only_settings_that_differ_from_their_default_are_sent(daemon: FakeDaemon, remote: Remote) -> None:
    remote.run(Humanize(clip=CLIP, timing=0.5, only=(36, 42), seed=3))
    verb, arguments = daemon.requests[-1]
    assert verb == "humanize"
    assert arguments == ["slot", named(daemon, "slot"), "seed", 3, "timing", 0.5, "only", "36,42"]


def test_what_stays_goes_into_a_slot_of_its_own(daemon: FakeDaemon, remote: Remote) -> None:
    remote.run(Humanize(clip=CLIP, keep_clip=CLIP))
    _, arguments = daemon.requests[-1]
    assert arguments == ["slot", named(daemon, "slot"), "keep_slot", named(daemon, "keep_slot")]


def test_the_clips_of_an_interpolation_go_into_their_slots(daemon: FakeDaemon, remote: Remote) -> None:
    remote.run(Interpolate(clips=(CLIP, CLIP), steps=3))
    way = ["from", named(daemon, "from"), "to", named(daemon, "to")]
    assert daemon.requests[-1] == ("interpolate", [*way, "steps", 3])


def test_the_notes_of_a_groove_come_back_and_not_those_of_its_feel(daemon: FakeDaemon, remote: Remote) -> None:
    (clip,) = remote.run(Groove(clip=CLIP, feel=Clip((Note(60, 0.0, 1.0, 90),), 4.0), timing=0.5)).clips
    slots = ["slot", named(daemon, "slot"), "from", named(daemon, "from")]
    assert daemon.requests[-1] == ("groove", [*slots, "timing", 0.5])
    assert [note.pitch for note in clip.notes] == [note.pitch for note in NOTES]
    assert (clip.beats_per_bar, clip.tempo_bpm) == (CLIP.beats_per_bar, CLIP.tempo_bpm)


def test_the_slots_that_were_needed_are_cleared(daemon: FakeDaemon, remote: Remote) -> None:
    remote.run(Interpolate(clips=(CLIP, CLIP), steps=3))
    assert daemon.cleared == [named(daemon, "from"), named(daemon, "to")]


def test_two_at_once_get_their_own_clips(daemon: FakeDaemon) -> None:
    with Remote("127.0.0.1", daemon.port) as one, Remote("127.0.0.1", daemon.port) as other:
        clips = [Clip((Note(pitch, 0.0, 0.25, 100),), 4.0) for pitch in (36, 38)]
        upload = other.upload

        def upload_between(slot: str, clip: Clip) -> None:
            upload(slot, clip)
            assert [note.pitch for note in one.run(Humanize(clip=clips[0])).clips[0].notes] == [36]

        other.upload = upload_between  # type: ignore[method-assign]
        assert [note.pitch for note in other.run(Humanize(clip=clips[1])).clips[0].notes] == [38]


def test_slots_are_cleared_when_the_request_fails(daemon: FakeDaemon, remote: Remote) -> None:
    daemon.refuses["humanize"] = ("busy", "64 requests are waiting already")
    with pytest.raises(BridgeError, match="64 requests"):
        remote.run(Humanize(clip=CLIP))
    assert daemon.cleared == [named(daemon, "slot")]


def test_a_slot_that_cannot_be_cleared_hides_neither_what_failed_nor_what_came(
    daemon: FakeDaemon, remote: Remote
) -> None:
    daemon.refuses["clip/clear"] = ("no_clip", "it is empty")
    assert remote.run(Humanize(clip=CLIP)).clips
    daemon.refuses["humanize"] = ("busy", "64 requests are waiting already")
    with pytest.raises(BridgeError, match="64 requests"):
        remote.run(Humanize(clip=CLIP))


def test_what_is_too_big_for_a_daemon_is_told_the_way_out(daemon: FakeDaemon, remote: Remote) -> None:
    notes = tuple(Note(36, i / 100, 0.01, 100) for i in range(5000))
    way_out = "longer files are played without a daemon: `vaebridge VERB FILE`"
    with pytest.raises(BridgeError, match=f"4096 notes, not 5000; {way_out}"):
        remote.run(Humanize(clip=Clip(notes, 50.0)))


def test_a_name_that_is_no_text_is_told(remote: Remote) -> None:
    with pytest.raises(BridgeError, match="must be text"):
        remote.ask("clip/get", "slot", "\udc80")


def test_lost_notes_are_asked_for_again(daemon: FakeDaemon, remote: Remote) -> None:
    daemon.losses = 2
    assert len(remote.run(Humanize(clip=CLIP)).clips[0].notes) == len(NOTES)


def test_notes_that_never_arrive_are_told(daemon: FakeDaemon, remote: Remote) -> None:
    daemon.losses = 100
    with pytest.raises(BridgeError, match="not all of it arrives"):
        remote.run(Humanize(clip=CLIP))


@pytest.mark.parametrize("lost", ["notes/begin", "notes", "notes/end"])
def test_a_result_that_has_not_come_whole_is_asked_for_again(
    daemon: FakeDaemon, remote: Remote, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    answer, times = daemon.answer, iter(range(100))

    def lossy(*asked: Any) -> Iterator[tuple[object, ...]]:
        first = next(times) == 0
        yield from (each for each in answer(*asked) if not (first and each[0] == lost))

    monkeypatch.setattr(daemon, "answer", lossy)
    assert len(remote.run(Sample()).clips) == 1


def test_a_daemon_that_is_there_is_waited_for(
    daemon: FakeDaemon, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, turns = daemon.answer, iter(range(100))

    def slow(verb: str, *asked: Any) -> Iterator[tuple[object, ...]]:
        if verb == "ping":
            yield "done", "ping"
        elif verb != "sample" or next(turns) == 2 * ATTEMPTS:
            yield from answer(verb, *asked)

    monkeypatch.setattr(daemon, "answer", slow)
    with Remote("127.0.0.1", daemon.port, timeout_seconds=0.4) as impatient:
        assert len(impatient.run(Sample()).clips) == 1


def test_notes_that_are_lost_on_the_way_up_are_sent_again(
    daemon: FakeDaemon, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, ends = daemon.answer, iter(range(100))

    def lossy(verb: str, *asked: Any) -> Iterator[tuple[object, ...]]:
        if verb == "clip/end" and next(ends) < 2:
            yield "fail", "clip", "bad_request", "48 of 60 notes are missing, the first is 0"
        else:
            yield from answer(verb, *asked)

    monkeypatch.setattr(daemon, "answer", lossy)
    assert len(remote.run(Humanize(clip=CLIP)).clips[0].notes) == len(NOTES)


def test_a_clip_that_is_refused_for_good_is_told(daemon: FakeDaemon, remote: Remote) -> None:
    daemon.refuses["clip/end"] = ("bad_request", "tempo must be in 3..1000")
    with pytest.raises(BridgeError, match=r"tempo must be in 3\.\.1000"):
        remote.run(Humanize(clip=CLIP))


def test_a_refusal_is_the_daemons_sentence(remote: Remote) -> None:
    with pytest.raises(BridgeError, match=r"there is no verb dance \(unknown_verb\)"):
        remote.ask("dance")


def test_no_daemon_is_told_with_what_to_do() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(BridgeError, match="vaebridge serve"), Remote("127.0.0.1", port, timeout_seconds=1) as gone:
        gone.ask("status")


def test_a_host_that_is_not_there_is_told() -> None:
    with pytest.raises(BridgeError, match=r"no\.such\.host\.invalid:8710 cannot be reached"):
        Remote("no.such.host.invalid", 8710)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4", 4),
        ("-1", -1),
        ("0.8", 0.8),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("a", "a"),
        ("nan", "nan"),
        ("9" * 5000, float("inf")),
        ("36,38", "36,38"),
    ],
)
def test_an_argument_is_sent_as_it_is_meant(text: str, meant: object) -> None:
    assert atom(text) == meant
    assert type(atom(text)) is type(meant)


def test_the_first_clip_is_stiff_and_comes_back_whole(remote: Remote) -> None:
    before, results = first_clip(remote)
    assert all((note.start_beats * 4).is_integer() and note.velocity == 100 for note in stiff_beat().notes)
    assert len(results.clips[0].notes) == len(before.notes)


def test_send_prints_every_reply(daemon: FakeDaemon) -> None:
    result = CliRunner().invoke(cli.app, ["send", "status"], env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert result.output == "/vae/done status ready 1 model fake device cpu ports vaebridge in\n"


def test_send_sends_words_and_numbers(daemon: FakeDaemon) -> None:
    arguments = ["send", "humanize", "slot", "a", "timing", "0.5"]
    CliRunner().invoke(cli.app, arguments, env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert daemon.requests == [("humanize", ["slot", "a", "timing", 0.5])]


def test_send_plays_a_file_through_the_daemon(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip_to_midi(CLIP, tmp_path / "in.mid")
    arguments = ["send", "humanize", "in.mid", "-o", "out.mid", "--timing", "0.5"]
    result = CliRunner().invoke(cli.app, arguments, env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert result.exit_code == 0, result.output
    assert {note.velocity for note in clip_from_midi(tmp_path / "out.mid").notes} == {50}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["humanize", "in.mid", "timing", "0.5", "-o", "out.mid"], ["timing", 0.5]),
        (["humanize", "in.mid", "only", "36", "37", "timing", ".5"], ["timing", 0.5, "only", "36,37"]),
        (
            ["humanize", "in.mid", "timing.snare", ".5", "keep", "36", "37"],
            ["keep", "36,37", "timing.snare", 0.5],
        ),
        (["humanize", "seed.mid", "--seed", "3", "timing", "0.5", "-f"], ["seed", 3, "timing", 0.5]),
        (["sample", "seed", "1", "-o", "timing.mid"], ["seed", 1]),
    ],
)
def test_send_takes_keys_as_words_beside_files(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], asked: list[object]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.mid", "seed.mid"):
        clip_to_midi(CLIP, tmp_path / name)
    result = CliRunner().invoke(cli.app, ["send", *words], env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert result.exit_code == 0, result.output
    verb, arguments = daemon.requests[-1]
    assert (verb, arguments[2 if words[0] == "humanize" else 0 :]) == (words[0], asked)


def test_a_refused_send_is_one_line_and_exit_code_1(daemon: FakeDaemon) -> None:
    result = CliRunner().invoke(cli.app, ["send", "dance"], env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert (result.exit_code, result.stderr) == (1, "vaebridge: there is no verb dance (unknown_verb)\n")


def test_a_newcomer_sees_the_daemon_ready_a_played_clip_and_what_to_ask_next(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    cli_daemon.greet(Config(osc_port=daemon.port), models=("fake",), seconds=1.25, quiet=False)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"ready on 127.0.0.1:{daemon.port} with fake on cpu after 1.2 s; MIDI: vaebridge in"
    assert lines[1] == "before"
    assert lines[-2] == "  vaebridge send humanize YOUR.mid -o played.mid"


def test_a_daemon_without_a_model_says_why(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.problem = ("problem", "m.toml is no card")
    cli_daemon.greet(Config(osc_port=daemon.port), models=(), seconds=1.25, quiet=False)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith(f"ready on 127.0.0.1:{daemon.port} without a model: m.toml is no card; after 1.2 s")


def test_a_quiet_daemon_says_one_line(daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    cli_daemon.greet(Config(osc_port=daemon.port), models=("fake",), seconds=1.25, quiet=True)
    assert len(capfd.readouterr().out.splitlines()) == 1


def test_the_first_clip_is_asked_and_shown_without_torch() -> None:
    root = Path(cli.__file__).parents[2]
    modules = "bridge.cli.serve, bridge.cli.show, bridge.welcome, bridge.osc.remote"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_what_a_daemon_says_does_not_act_on_the_terminal(daemon: FakeDaemon) -> None:
    environment = {"VAEBRIDGE_OSC_PORT": str(daemon.port)}
    refused = CliRunner().invoke(cli.app, ["send", "a\x1b[2J\nb"], env=environment)
    assert refused.stderr == "vaebridge: there is no verb a\\x1b[2J\\nb (unknown_verb)\n"
    answered = CliRunner().invoke(cli.app, ["send", "clip/clear", "slot", "a\x9b\n[red]:smile:"], env=environment)
    assert answered.output == "/vae/done clip/clear slot a\\x9b\\n[red]:smile:\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["humanize", "slot", "x", "-o", "out.mid"],
            "slot names a clip in the daemon: beside files the MIDI file is",
        ),
        (
            ["humanize", "in.mid", "keep_slot", "x"],
            "keep_slot names a clip in the daemon: beside files it is keep_clip",
        ),
        (["groove", "in.mid", "from", "x"], "from names a clip in the daemon: beside files the MIDI files are"),
    ],
)
def test_what_names_a_slot_beside_files_is_told_what_is_accepted(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clip_to_midi(CLIP, tmp_path / "in.mid")
    result = CliRunner().invoke(cli.app, ["send", *words], env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert (result.exit_code, daemon.requests) == (1, [])
    assert result.stderr.startswith(f"vaebridge: {sentence}")


def test_a_drum_map_beside_a_daemon_is_told_to_be_for_the_picture(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip_to_midi(CLIP, tmp_path / "in.mid")
    words = ["send", "humanize", "in.mid", "drum_map", "addictive_drums"]
    result = CliRunner().invoke(cli.app, words, env={"VAEBRIDGE_OSC_PORT": str(daemon.port)})
    assert "the daemon plays by its own drum map" in result.stderr


def test_the_help_of_send_lists_what_can_be_asked() -> None:
    output = CliRunner().invoke(cli.app, ["send", "--help"]).output
    assert all(told in output for told in ("humanize", "clip/list", "status", "steer", "-o", "humanize --help"))
