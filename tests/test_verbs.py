"""A verb stands once, in engine.requests: protocol, command line and what runs it follow."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path

import pytest

from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from engine.registry import CONFIGS, Config
from engine.requests import VERBS, Request
from engine.verbs.band_verbs import BandPlayer
from engine.verbs.groove_verbs import Player
from engine.verbs.phrase_verbs import PhrasePlayer
from engine.verbs.running import Played, RunsVerbs
from engine.verbs.token_verbs import Composer
from max_devices.build import CODE

ROOT = Path(__file__).parents[1]

A_NEW_VERB = '''
from dataclasses import dataclass
from engine import requests
from engine.clip import Clip

@dataclass(frozen=True, slots=True, kw_only=True)
class Backwards(requests.Request):
    """The notes of the clip from the last to the first."""

    clip: Clip
    feel: Clip
    bars: int = requests.setting(4, 1, 9, "how many bars")

requests.VERBS["backwards"] = Backwards

import sys
from typer.testing import CliRunner
from bridge.cli.main import app
from bridge.osc.packet import read_packet, write_message
from bridge.osc.requests import engine_request, read_request, slots_of

message = write_message("/vae/backwards", 1, "slot", "a", "from", "b", "bars", 3, "to", "c")
call = read_request(next(iter(read_packet(message))))
clip, feel = Clip((), 4.0), Clip((), 8.0)
assert slots_of(call) == ["a", "b"]
assert engine_request(call, [clip, feel]) == Backwards(clip=clip, feel=feel, bars=3)
assert call.verb.text == Backwards.__doc__
assert not {"torch", "numpy"} & set(sys.modules)
print(CliRunner().invoke(app, ["backwards", "--help"]).output)

class Backward:
    def run(self, request):
        assert (len(request.clip.notes), len(request.feel.notes), request.bars) == (1, 2, 3)
        return requests.Results((request.clip,), "m", 7, 0.5)

words = ["backwards", "in.mid", "feel.mid", "--bars", "3"]
print(CliRunner().invoke(app, words, obj=lambda config, request: Backward()).output)
'''


def test_a_verb_that_is_put_into_the_table_is_in_the_protocol_and_on_the_command_line(tmp_path: Path) -> None:
    for name, count in (("in", 1), ("feel", 2)):
        clip_to_midi(
            Clip((Note(36, 0.0, 0.25, 100), Note(38, 1.0, 0.25, 100))[:count], 4.0), tmp_path / f"{name}.mid"
        )
    command, path = [sys.executable, "-c", A_NEW_VERB], {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    for shown in (
        "The notes of the clip from the last to the first.",
        "--bars",
        "1..9",
        "whose feel",
        "model m, seed 7",
    ):
        assert shown in finished.stdout
    assert (tmp_path / "in.backwards.mid").exists()


def test_a_request_is_run_by_the_method_of_its_verbs_name() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Backwards(Request):
        clip: Clip

    class Runner(RunsVerbs):
        def backwards(self, request: Backwards) -> Played:
            return Played([request.clip.with_notes(request.clip.notes[::-1])])

    notes = (Note(36, 0.0, 0.25, 100), Note(38, 1.0, 0.25, 100))
    assert Runner().play(Backwards(clip=Clip(notes, 4.0))).clips == [Clip(notes[::-1], 4.0)]


OF_CLIPS = [config for config in CONFIGS.values() if config.representation != "sound"]


@pytest.mark.parametrize("config", OF_CLIPS, ids=lambda config: config.name)
def test_every_verb_of_a_configuration_has_its_method(config: Config) -> None:
    runner = {"groove": Player, "phrase": PhrasePlayer, "band": BandPlayer}.get(config.representation, Composer)
    assert config.verbs
    methods = [verb + "_" * iskeyword(verb) for verb in config.verbs]
    assert [method for method in methods if not callable(getattr(runner, method, None))] == []


@pytest.mark.parametrize(
    ("config", "verbs"),
    [
        ("drummer", "sample humanize drumify fill interpolate vary groove"),
        ("groovae_4bar", "sample interpolate vary"),
        ("groovae_2bar_humanize", "humanize"),
        ("groovae_2bar_hits_control", "humanize"),
        ("groovae_2bar_tap_fixed_velocity", "drumify"),
        ("groovae_2bar_tap_fixed_velocity_note_dropout", "drumify"),
        ("groovae_2bar_add_closed_hh", "fill"),
        ("melody_2bar", "sample interpolate vary"),
        ("drums_16bar", "sample drumify interpolate vary continue infill"),
        ("hier-multiperf_vel_1bar_med_chords", "sample interpolate vary"),
    ],
)
def test_a_configuration_can_do_what_it_has_learnt_and_what_any_can(config: str, verbs: str) -> None:
    able = CONFIGS[config].verbs
    assert " ".join(verb for verb in able if VERBS[verb].learnt_by) == verbs
    assert [verb for verb in able if not VERBS[verb].learnt_by][:2] == ["encode", "decode"]


def test_a_model_of_sound_can_do_nothing_with_clips() -> None:
    assert {config.verbs for config in CONFIGS.values() if config not in OF_CLIPS} == {()}


def test_every_verb_that_a_device_asks_for_is_in_the_table() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in CODE.glob("*.js"))
    lists = re.findall(r"\bverbs: \{([^}]*)\}", code) + re.findall(r"\bverb: (.* \? .*|\".*)", code)
    asked = {verb for each in lists for verb in re.findall(r"(?:[:?] |^)\"(\w+)\"", each)}
    assert {"sample", "humanize", "interpolate", "vary"} <= asked
    assert asked <= set(VERBS)
