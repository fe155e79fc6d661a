"""The examples for Python, Pure Data, SuperCollider, Max and TouchOSC, against a daemon with the real generator."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import py2tosc
import pytest
from py2max import Patcher
from py2tosc.messages import OscMessage, Partial

from bridge.config import Config
from bridge.osc.packet import Atom, read_packet
from bridge.osc.remote import atom
from bridge.osc.requests import read_request
from tests.bridge import conftest as bridge
from tests.bridge.conftest import Daemon, free_port
from tests.bridge.peer import Peer, datagram

EXAMPLES = Path(__file__).parents[2] / "max_devices" / "examples"
CLIENT = EXAMPLES / "python" / "vaebridge_client.py"
DRUMMER = EXAMPLES / "pd" / "drummer.pd"
LISTENER = Path(__file__).parent / "examples_listener.pd"
SCD = EXAMPLES / "supercollider" / "vaebridge.scd"
MAXPAT = EXAMPLES / "max" / "vaebridge.maxpat"
TOSC = EXAMPLES / "touchosc" / "vaebridge.tosc"

BEAT_NOTES = 13
"""Of the beat that the examples play."""

BEAT_MS = 100
"""At 600 bpm."""

Needs = Callable[[str, str], None]
daemon, ensemble, needs = bridge.daemon, bridge.ensemble, bridge.needs


def many_notes(count: int = 100) -> list[tuple[int, float, float, int, int]]:
    """More than go into one datagram; float32, as they come back."""
    return [(36 + i % 12, i * 0.25, 0.125, 1 + i, 0) for i in range(count)]


def run_client(port: int, *keys: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "VAEBRIDGE_OSC_PORT": str(port)}
    command = [sys.executable, str(CLIENT), *keys]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_client_prints_every_note_as_it_is_played(daemon: Daemon) -> None:
    finished = run_client(daemon.port, "seed", "7")
    rows = [[float(word) for word in line.split()] for line in finished.stdout.splitlines()[1:]]
    notes = runpy.run_path(str(CLIENT))["NOTES"]
    assert [(row[0], row[1], row[3]) for row in rows] == [(note[0], note[1], note[3]) for note in notes]
    assert len({row[2] - row[1] for row in rows}) > BEAT_NOTES / 2


def test_the_python_client_gets_a_long_clip_back_as_it_went_up(daemon: Daemon) -> None:
    client = runpy.run_path(str(CLIENT))["Daemon"](port=daemon.port)
    client.upload("long", many_notes(), 32.0)
    assert client.ask("humanize", "slot", "long", "timing", 0, "velocity", 0) == many_notes()


def test_the_python_client_says_what_is_refused(daemon: Daemon) -> None:
    finished = run_client(daemon.port, "timing", "2")
    assert finished.returncode == 1
    assert finished.stderr == "timing must be in 0..1, not 2.0 (bad_request)\n"


def test_the_python_client_says_how_to_start_a_daemon() -> None:
    finished = run_client(free_port())
    assert finished.returncode == 1
    assert finished.stderr == "no daemon answers; `vaebridge serve` starts one\n"


@dataclass
class Heard:
    """What drummer.pd has said, and its notes: ms since the loop began, pitch, velocity, duration in ms."""

    said: list[list[str]]
    notes: list[list[float]]

    @property
    def clip(self) -> list[list[float]]:
        """The notes of the last answer, five numbers each."""
        numbers = [
            [float(word) for word in line[5:]] for line in self.said if line[0] == "notes" and line[1].isdigit()
        ]
        atoms = [number for chunk in numbers for number in chunk]
        return [atoms[at : at + 5] for at in range(0, len(atoms), 5)]


def run_pd(port: int, folder: Path, *sends: str, notes: int = 0, patches: Sequence[Path] = ()) -> Heard:
    """What drummer.pd makes of these messages, until so many notes have been played or a request has failed."""
    file = folder / "heard.txt"
    first = (f"listen-file symbol {file}", f"listen-notes {notes}", f"vaebridge connect 127.0.0.1 {port}")
    told = [word for message in (*first, *sends) for word in ("-send", message)]
    opened = [str(patch) for patch in (*patches, DRUMMER, LISTENER)]
    command = ["pd", "-nogui", "-nosound", "-nomidi", "-nrt", "-noprefs", "-stderr", *told, *opened]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "error" not in finished.stderr, finished.stderr
    lines = [re.split(r"(?<!\\) ", line.rstrip(";")) for line in file.read_text().splitlines()]
    played = [[float(word) for word in line[1:]] for line in lines if line[0] == "note"]
    return Heard([line[1:] for line in lines if line[0] == "said"], played)


def in_time(clip: Sequence[Sequence[float]], line_ms: float) -> list[list[float]]:
    """Milliseconds, pitch, velocity and duration of each note of a clip that begins at a line, in their order."""
    return sorted(
        [line_ms + start * BEAT_MS, pitch, velocity, duration * BEAT_MS]
        for pitch, start, duration, velocity, _ in clip
    )


def nearly(rows: Sequence[Sequence[float]]) -> list[Any]:
    return [pytest.approx(row, abs=0.01) for row in rows]


@pytest.mark.pd
def test_pd_plays_the_beat_round_and_round_as_the_daemon_plays_it(
    daemon: Daemon, tmp_path: Path, needs: Needs
) -> None:
    needs("pd", "puredata-core")
    told = ("vaebridge-tempo 600", "vaebridge text beat a 4", "vaebridge humanize slot a")
    heard = run_pd(daemon.port, tmp_path, *told, notes=2 * BEAT_NOTES)
    assert len(heard.clip) == BEAT_NOTES
    first_line = BEAT_MS / 8
    rounds = in_time(heard.clip, first_line) + in_time(heard.clip, first_line + 4 * BEAT_MS)
    assert sorted(heard.notes) == nearly(sorted(rounds))


@pytest.mark.pd
def test_pd_gets_a_long_clip_back_as_it_went_up(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("pd", "puredata-core")
    lines = " \\; ".join(" ".join(f"{atom:g}" for atom in note[:4]) for note in many_notes())
    patch = tmp_path / "long.pd"
    patch.write_text(f"#N canvas 0 0 400 200 12;\n#X obj 20 20 text define -k long;\n#A set {lines} \\;;\n")
    told = ("vaebridge text long b 32", "vaebridge humanize slot b timing 0 velocity 0")
    heard = run_pd(daemon.port, tmp_path, *told, notes=1, patches=[patch])
    assert heard.clip == [list(note) for note in many_notes()]


@pytest.mark.pd
def test_every_verb_that_drummer_pd_offers_is_done(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("pd", "puredata-core")
    offered = re.findall(r"^#X msg \d+ \d+ ((?:text|humanize|sample|vary|drumify) .*);$", DRUMMER.read_text(), re.M)
    last_humanize = sorted(offered, key=lambda message: message.startswith("humanize"))
    heard = run_pd(daemon.port, tmp_path, *(f"vaebridge {message}" for message in last_humanize), notes=1)
    done = [line[2] for line in heard.said if line[0] == "done"]
    assert done == ["clip", "sample", "vary", "drumify", "humanize"]


@pytest.mark.pd
def test_pd_says_what_is_refused(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("pd", "puredata-core")
    heard = run_pd(daemon.port, tmp_path, "vaebridge humanize slot nothing")
    assert heard.said[-1][:4] == ["fail", "1", "humanize", "no_clip"]


@pytest.mark.pd
def test_pd_says_how_to_start_a_daemon(tmp_path: Path, needs: Needs) -> None:
    needs("pd", "puredata-core")
    heard = run_pd(free_port(), tmp_path, "vaebridge sample")
    assert heard.said == [["fail", "0", "-", "timeout", r"no\ daemon\ answers:\ vaebridge\ serve\ starts\ one"]]


MOST_STARTS = 3
START_SECONDS, RUN_SECONDS = 40.0, 30.0
"""sclang starts in 2 seconds, in 9 on a busy machine. It starts a whole browser with its Qt, which crashes now and
then without a display, and may as well hang: before our first line or after the last, that is no failure."""


def run_sclang(port: int, folder: Path, code: str) -> str:
    """What sclang posts when it has loaded the example and done this; the code must end in `~end.value`.

    It also ends when a request fails.
    """
    script = folder / "run.scd"
    script.write_text(
        f"""
        "started".postln;
        ~end = {{ "ended".postln; 0.exit }};
        {json.dumps(str(SCD))}.load;
        {{ var say = ~vae[\\fail]; ~vae.fail = {{ |...all| say.value(*all); ~end.value }} }}.value;
        {{ {code} }}.value
        """
    )
    own = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")}
    qt = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    environment = {**os.environ, **own, **qt, "VAEBRIDGE_OSC_PORT": str(port)}
    file = folder / "posted.txt"
    for _ in range(MOST_STARTS):
        with (
            file.open("w") as output,
            subprocess.Popen(["sclang", script], env=environment, stdout=output) as sclang,
        ):
            has_started = posts(sclang, file, "started", START_SECONDS)
            has_ended = has_started and posts(sclang, file, "ended", RUN_SECONDS)
            has_crashed = sclang.poll() == -signal.SIGSEGV
            sclang.kill()
        if has_ended or (has_started and not has_crashed):
            break
    assert has_ended, file.read_text()
    return file.read_text()


def posts(sclang: "subprocess.Popen[bytes]", file: Path, line: str, seconds: float) -> bool:
    """Whether sclang posts a line before it dies, and in time."""
    deadline = time.perf_counter() + seconds
    while sclang.poll() is None and line not in file.read_text().splitlines() and time.perf_counter() < deadline:
        time.sleep(0.05)
    return line in file.read_text().splitlines()


def posted(output: str, word: str) -> list[list[float]]:
    """The rows that have been posted behind a word."""
    return [json.loads(line.removeprefix(word)) for line in output.splitlines() if line.startswith(f"{word} [")]


@pytest.mark.sclang
def test_supercollider_plays_the_beat_round_and_round_as_the_daemon_plays_it(
    daemon: Daemon, tmp_path: Path, needs: Needs
) -> None:
    needs("sclang", "supercollider-language")
    output = run_sclang(
        daemon.port,
        tmp_path,
        f"""
        var hits = 0;
        TempoClock.default.tempo = 20;
        ~vae.hit = {{ |self, pitch, velocity, seconds|
            ("hit" + [thisThread.beats, pitch, velocity, seconds * 20].asCompileString).postln;
            hits = hits + 1;
            if(hits == {2 * BEAT_NOTES}) {{
                ~vae.clip.notes.do {{ |note| ("note" + note.asCompileString).postln }};
                ~vae.silence;
                ~end.value
            }}
        }};
        """,
    )
    notes, hits = posted(output, "note"), posted(output, "hit")
    assert len(notes) == BEAT_NOTES, output
    line = round(hits[0][0] - min(note[1] for note in notes))
    rounds = [[line + n * 4 + note[1], note[0], note[3], note[2]] for n in (0, 1) for note in notes]
    assert line % 4 == 0
    assert sorted(hits) == nearly(sorted(rounds))


@pytest.mark.sclang
def test_supercollider_gets_a_long_clip_back_as_it_went_up(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("sclang", "supercollider-language")
    output = run_sclang(
        daemon.port,
        tmp_path,
        f"""
        ~vae.upload(\\long, 32, {json.dumps([note[:4] for note in many_notes()])}, {{
            ~vae.ask(\\humanize, [\\slot, \\long, \\timing, 0, \\velocity, 0], {{ |clip|
                clip.notes.do {{ |note| ("note" + note.asCompileString).postln }};
                ~end.value
            }})
        }})
        """,
    )
    assert posted(output, "note") == [list(note) for note in many_notes()]


@pytest.mark.sclang
def test_every_line_to_try_in_supercollider_gives_a_clip(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("sclang", "supercollider-language")
    lines = [line for line in SCD.read_text().splitlines() if line.startswith("~vae.ask(")]
    output = run_sclang(
        daemon.port,
        tmp_path,
        f"""
        var clips = 0;
        ~vae[\\start] = {{ |self, clip|
            ("beats" + [clip.beats].asCompileString).postln;
            clips = clips + 1;
            if(clips == 1) {{ {" ".join(lines)} }};
            if(clips == {1 + len(lines)}) {{ ~end.value }}
        }};
        """,
    )
    assert posted(output, "beats") == [[4.0], [4.0], [16.0], [4.0]]


@pytest.mark.sclang
def test_supercollider_says_what_is_refused(daemon: Daemon, tmp_path: Path, needs: Needs) -> None:
    needs("sclang", "supercollider-language")
    output = run_sclang(daemon.port, tmp_path, "~vae.ask(\\humanize, [\\slot, \\nothing], ~end)")
    assert "vaebridge: humanize failed: the slot 'nothing' is empty" in output


@pytest.mark.sclang
def test_supercollider_says_how_to_start_a_daemon(tmp_path: Path, needs: Needs) -> None:
    needs("sclang", "supercollider-language")
    output = run_sclang(free_port(), tmp_path, "")
    assert "vaebridge: clip failed: no daemon answers; `vaebridge serve` starts one (timeout)" in output


def max_texts() -> list[str]:
    """What stands in the boxes of the patch for Max."""
    boxes = json.loads(MAXPAT.read_text())["patcher"]["boxes"]
    return [each["box"]["text"] for each in boxes if "text" in each["box"]]


def max_argument(name: str) -> str:
    """The last argument of the one object with a name."""
    (text,) = [text for text in max_texts() if text.startswith(f"{name} ")]
    return text.split()[-1]


def max_requests() -> list[tuple[str, list[Atom]]]:
    """The verb and the arguments of each message to the daemon, without its id."""
    requests = [text.split() for text in max_texts() if text.startswith("/vae/")]
    return [(address.removeprefix("/vae/"), [atom(word) for word in words]) for address, _, *words in requests]


def test_py2max_finds_nothing_wrong_with_the_patch_for_max() -> None:
    assert Patcher.from_file(MAXPAT).lint() == []


def test_every_box_of_the_patch_for_max_but_a_comment_is_wired() -> None:
    patcher = json.loads(MAXPAT.read_text())["patcher"]
    ends = {end[0] for line in patcher["lines"] for end in line["patchline"].values()}
    assert ends == {each["box"]["id"] for each in patcher["boxes"] if each["box"]["maxclass"] != "comment"}


def test_every_message_of_the_patch_for_max_is_done(ensemble: Peer) -> None:
    for verb, arguments in max_requests():
        answer = ensemble.ask(verb, *arguments[:-2])
        assert answer.is_done, answer.end


def test_the_patch_for_max_routes_every_address_that_answers_it(ensemble: Peer) -> None:
    (route,) = [text.split()[1:] for text in max_texts() if text.startswith("route /vae/")]
    answers = [ensemble.ask(verb, *arguments[:-2]) for verb, arguments in max_requests()]
    heard = {said.address for answer in answers for said in answer.messages}
    assert heard - set(route) == {"/vae/notes/end"}


def test_the_patch_for_max_sends_to_the_daemon_and_listens_where_it_says() -> None:
    assert max_argument("udpsend") == str(Config().osc_port)
    ends = {tuple(arguments[-2:]) for _, arguments in max_requests()}
    assert ends == {("reply_port", int(max_argument("udpreceive")))}


def touchosc_messages() -> Iterator[tuple[str, OscMessage]]:
    """Each message of the layout, and the kind of its control."""
    for control in py2tosc.load(TOSC).walk():
        for message in control.messages:
            assert isinstance(message, OscMessage)
            yield control.control_type.value, message


def touchosc_datagram(message: OscMessage, x: float) -> bytes:
    """What TouchOSC sends when the control is at x, 0..1."""
    address = "".join(partial.value for partial in message.path)
    return datagram(address, *(touchosc_atom(partial, x) for partial in message.arguments))


def touchosc_atom(partial: Partial, x: float) -> Atom:
    if partial.type == "VALUE":
        return partial.scale_min + x * (partial.scale_max - partial.scale_min)
    return int(partial.value) if partial.conversion == "INTEGER" else partial.value


def test_the_touchosc_layout_is_what_its_script_writes() -> None:
    layout = runpy.run_path(str(TOSC.with_name("layout.py")))["layout"]
    assert zlib.decompress(TOSC.read_bytes()) == layout()


def test_py2tosc_reads_the_layout_and_writes_it_back_as_it_was(tmp_path: Path) -> None:
    document = py2tosc.load(TOSC)
    document.save(tmp_path / "again.tosc")
    assert zlib.decompress((tmp_path / "again.tosc").read_bytes()) == zlib.decompress(TOSC.read_bytes())


def test_py2tosc_finds_nothing_wrong_with_the_layout() -> None:
    assert py2tosc.load(TOSC).validate() == []


def test_every_message_of_the_touchosc_layout_is_a_request_that_asks_for_no_answer() -> None:
    datagrams = [touchosc_datagram(message, x) for _, message in touchosc_messages() for x in (0.0, 1.0)]
    calls = [read_request(message) for content in datagrams for message in read_packet(content)]
    assert {(call.id, call.error) for call in calls} == {(0, None)}
    assert {call.verb.name for call in calls} >= {"humanize", "sample", "vary", "play", "stop", "panic", "steer"}


def test_a_button_sends_once_for_a_press_and_a_fader_all_the_way() -> None:
    triggers = {(kind, str(each.condition)) for kind, message in touchosc_messages() for each in message.triggers}
    assert triggers == {("BUTTON", "RISE"), ("FADER", "ANY")}


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_the_daemon_accepts_every_fader_from_end_to_end(ensemble: Peer, x: float) -> None:
    for kind, message in touchosc_messages():
        if kind == "FADER":
            (read,) = read_packet(touchosc_datagram(message, x))
            answer = ensemble.ask(read.address.removeprefix("/vae/"), *read.arguments[1:])
            assert answer.is_done, answer.end


def test_the_first_buttons_of_the_touchosc_layout_make_music(ensemble: Peer) -> None:
    ensemble.ask("clip/clear", "slot", "a")
    for _, message in list(touchosc_messages())[:3]:
        ensemble.send_raw(touchosc_datagram(message, 1.0))
    ensemble.ask("sync")
    assert ensemble.ask("clip/get", "slot", "a").notes()
