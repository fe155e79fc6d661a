"""What the set keeps: names, whatever models came in between; and the buttons and styles that a model has."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bridge.conftest import ROOT, Daemon, Starts, free_port
from tests.engine.untrained import SMALL, write_random_weights
from tests.max_devices.ableton import Ableton, Device, drums
from tests.max_devices.conftest import Opens
from tests.max_devices.test_code_bridge import press

pytestmark = pytest.mark.node

VERBS = ("generate", "humanize", "drumify", "fill", "vary", "morph", "continue", "infill", "groove")
Lit = dict[str, bool]


def lit(device: Device) -> list[str]:
    shown = device.shown()
    return [button for button in VERBS if shown[button]["active"]]


def started(start: Starts, port: int, folder: Path, names: str, models: str) -> Daemon:
    """A daemon with copies of the shipped weights, under the names that are given as new:old."""
    folder.mkdir()
    for pair in names.split():
        new, _, old = pair.partition(":")
        for path in (ROOT / "weights").glob(f"{old or new}.*"):
            shutil.copy(path, folder / path.name.replace(old or new, new, 1))
        card = folder / f"{new}.toml"
        card.write_text(card.read_text().replace(f'name = "{old or new}"', f'name = "{new}"', 1))
    daemon = start(osc_port=port, weights=folder, models=models)
    assert "ready" in daemon.wait_until_ready()
    return daemon


@pytest.fixture
def renewed(start: Starts, tmp_path: Path) -> Callable[..., int]:
    """Starts a daemon in the place of the one before, with other models; its port."""
    port, running = free_port(), list[Daemon]()

    def renew(names: str, models: str) -> int:
        for daemon in running:
            daemon.stop()
        running.append(started(start, port, tmp_path / str(len(running)), names, models))
        return port

    return renew


# Names, not places


def test_a_model_that_sorts_before_the_saved_one_does_not_take_its_place(
    opens: Opens, renewed: Callable[..., int]
) -> None:
    ableton = opens(renewed("drummer drums_16bar", "drummer"), default="drummer")
    device = ableton.connected("VAE Bridge", seed=123)
    device.choose(model="drummer", style="reggae")
    for button in ("store_a", "store_b"):
        ableton.clip(drums(6))
        device.press(button)
    renewed("drummer drums_16bar aaa:drummer another:drums_2bar", "drummer,aaa")
    ableton.default = ""
    _, (again,) = ableton.reopened()
    assert (again.chosen("model"), again.chosen("style")) == ("drummer", "reggae")
    again.press("generate")
    again.until("line", "Seed 123")
    asked = [atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/sample"][-1]
    assert [asked[asked.index(key) + 1] for key in ("model", "style", "seed")] == ["drummer", "reggae", 123]
    assert again.ask("evaluate", expression="[stored.a.notes.length, stored.b.notes.length]") == [6, 6]


def test_an_eighth_model_and_more_can_be_chosen_and_are_saved(opens: Opens, renewed: Callable[..., int]) -> None:
    names = " ".join(f"m{number:02}:drums_2bar" for number in range(12))
    ableton = opens(renewed(f"drummer {names}", "drummer"), default="drummer")
    device = ableton.connected("VAE Bridge")
    device.choose(model="m11")
    assert lit(device) == ["generate", "vary", "morph"]
    _, (again,) = ableton.reopened()
    assert again.chosen("model") == "m11"


def test_a_saved_model_that_is_gone_is_told_nothing_stands_in_for_it_and_it_comes_back(
    opens: Opens, renewed: Callable[..., int]
) -> None:
    ableton = opens(renewed("drummer mine:drummer", "drummer"), default="drummer")
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge")
    device.choose(model="mine", style="funk")
    renewed("drummer", "drummer")
    _, (again,) = ableton.reopened()
    again.until("line", "The model mine is not there: choose another.")
    assert (again.chosen("model"), lit(again)) == ("mine", [])
    again.press_from_afar("humanize")
    assert again.text("line").endswith("The model mine is not there: choose another.")
    assert ableton.notes(ableton.state()["detail"])[0]["start_time"] == before[0]["start_time"]
    renewed("drummer mine:drummer", "drummer")
    again.until("line", "is not there", silent=True)
    again.ask("until_true", expression="offer.is_known() && offer.can('humanize')")
    assert (again.chosen("model"), again.chosen("style")) == ("mine", "funk")


def test_a_menu_that_grows_shorter_chooses_nothing(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    device.choose(model="trio_16bar")
    device.ask("evaluate", expression="offer.models = ['trio_16bar', 'zzz']; fill_menus()")
    assert (device.ask("evaluate", expression="chosen.model"), device.chosen("model")) == ("trio_16bar",) * 2


def test_a_set_saved_without_a_daemon_keeps_its_names(opens: Opens, fake_daemon: Daemon) -> None:
    ableton = opens(fake_daemon.port)
    ableton.connected("VAE Bridge").choose(model="drummer", style="soul")
    saved = ableton.devices[0].saved()
    device = ableton.load("VAE Bridge", **{**saved, "daemon_port": 1}).start()
    assert (device.chosen("model"), device.chosen("style")) == ("drummer", "soul")
    assert device.saved() == {**saved, "daemon_port": 1}


def test_a_name_of_digits_is_a_name(opens: Opens, renewed: Callable[..., int]) -> None:
    ableton = opens(renewed("drummer 808:drums_2bar", "drummer"), default="drummer")
    device = ableton.connected("VAE Bridge")
    device.choose(model="808")
    assert lit(device) == ["generate", "vary", "morph"]
    device.ask("recall", kept="model", atoms=[1, 808])
    device.ask("until_true", expression="offer.is_known()")
    assert device.chosen("model") == "808"


def test_a_name_that_an_undo_brings_back_is_the_one_that_is_asked_for(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    device.choose(model="drummer")
    first = device.saved()["kept_model"]
    device.choose(model="drums_2bar")
    device.ask("recall", kept="model", atoms=first)
    device.ask("until_true", expression="offer.is_known()")
    assert device.chosen("model") == "drummer"


def test_opening_a_set_is_no_change_of_it(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    device.choose(model="drummer", style="soul")
    ableton.reopened()
    assert ableton.state()["parameter_steps"] == 0


# Grey is what the chosen model cannot do


def test_the_buttons_follow_the_model(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    assert lit(device) == list(VERBS)
    for model, verbs in (
        ("drums_2bar", ["generate", "vary", "morph"]),
        ("drums_16bar", ["generate", "drumify", "vary", "morph", "continue", "infill"]),
        ("drummer", ["generate", "humanize", "drumify", "fill", "vary", "morph", "groove"]),
        ("default", list(VERBS)),
    ):
        device.choose(model=model)
        assert lit(device) == verbs, model


def test_without_a_model_the_buttons_are_those_of_the_models_in_memory(
    opens: Opens, renewed: Callable[..., int]
) -> None:
    ableton = opens(renewed("drummer drums_16bar", "drummer"), default="drummer")
    device = ableton.connected("VAE Bridge")
    assert lit(device) == ["generate", "humanize", "drumify", "fill", "vary", "morph", "groove"]
    device.press_from_afar("continue")
    assert device.text("line").endswith("No model in memory can continue.")
    device.choose(model="drums_16bar")
    assert "continue" in lit(device)


def test_every_lit_button_works_with_the_chosen_model(musical: Ableton) -> None:
    device = musical.connected("VAE Bridge", seed=1)
    for slot, button in enumerate(("store_a", "store_b"), 2):
        musical.clip(drums(12 * slot), beats=8, slot=slot)
        device.press(button)
    for number, model in enumerate(("default", "drummer", "drums_16bar", "drums_2bar", "trio_16bar")):
        device.choose(model=model)
        for button in lit(device):
            musical.clip(drums(48), beats=8, slot=0, track=number % 2)
            press(device, button)
            assert "Seed 1" in device.text("line"), (model, button, device.text("line"))


def test_a_model_that_is_loaded_later_lights_its_buttons(opens: Opens, renewed: Callable[..., int]) -> None:
    ableton = opens(renewed("drummer drums_16bar", "drummer"), default="drummer", speed=10.0)
    device = ableton.connected("VAE Bridge")
    assert "infill" not in lit(device)
    device.ask("evaluate", expression="outlet(0, '/vae/load', 1, 'model', 'drums_16bar', 'reply_port', 9)")
    device.ask("until_true", expression="offer.can('infill')")
    assert "infill" in lit(device)


@pytest.mark.parametrize(
    ("model", "has_it"), [("default", False), ("drums_16bar", True), ("drummer", False), ("drums_2bar", False)]
)
def test_a_style_is_offered_where_the_model_knows_it(ableton: Ableton, model: str, has_it: bool) -> None:
    device = ableton.connected("VAE Bridge")
    device.choose(model=model)
    assert ("sequenced" in device.shown()["style"]["_parameter_range"]) is has_it


def test_a_model_without_styles_takes_none_from_the_others(opens: Opens, renewed: Callable[..., int]) -> None:
    ableton = opens(renewed("drummer drums_2bar", "drummer,drums_2bar"), default="drums_2bar")
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge", seed=1)
    device.choose(style="funk")
    press(device, "humanize")
    assert device.text("line").endswith("Seed 1")
    assert "generate" not in lit(device), "which drums_2bar answers, and it knows no style"
    device.press_from_afar("generate")
    assert device.text("line").endswith("The style funk is not there: choose another.")


def test_the_generator_offers_the_styles_of_the_model_that_makes_its_bars(ableton: Ableton) -> None:
    ableton.ask("live", version=12.0)
    device = ableton.connected("VAE Generator")
    assert "sequenced" in device.shown()["style"]["_parameter_range"]


def test_a_chosen_style_that_the_new_model_does_not_know_is_told(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    device.choose(model="drums_16bar", style="sequenced")
    device.choose(model="drummer")
    assert "The style sequenced is not there: choose another." in device.text("line")
    assert device.chosen("style") == "sequenced"
    assert lit(device) == ["fill", "vary", "morph", "groove"], "which ask for no style"
    device.press_from_afar("humanize")
    assert ableton.state()["edits"] == 0
    press(device, "vary")
    assert "Seed" in device.text("line")


# Presses from afar


def test_an_envelope_presses_no_button(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Humanize")
    device.press_from_afar("humanize")
    device.until("line", "Humanized")
    device.press("original")
    device.ask("automate", control="humanize")
    device.press_from_afar("humanize")
    assert device.text("line").endswith("An envelope presses no button: take it away.")
    assert ableton.notes(clip) == before


def test_groove_plays_the_notes_of_the_clip_with_the_feel_of_a(musical: Ableton) -> None:
    late = [note | {"start_time": note["start_time"] + 0.05} for note in drums(48)]
    musical.clip(late, beats=8, slot=1)
    device = musical.connected("VAE Bridge", seed=1)
    device.press("groove")
    assert device.text("line").endswith("Store a clip in A first: its feel is what the notes get.")
    device.press("store_a")
    clip = musical.clip(drums(48), beats=8)
    before = musical.notes(clip)
    press(device, "groove")
    after = musical.notes(clip)
    assert sorted(note["note_id"] for note in after) == sorted(note["note_id"] for note in before)
    assert after != before
    assert musical.state()["undo_steps"] == 1
    assert musical.state()["edits"] == 1


# A band


@pytest.fixture
def band(opens: Opens, start: Starts, tmp_path: Path) -> Ableton:
    """A Live set beside a daemon with a trio that nobody has trained."""
    write_random_weights(tmp_path, "flat-trio_16bar", "trio", spread=3.0, **SMALL)
    daemon = start(weights=tmp_path, models="trio")
    daemon.wait_until_ready()
    return opens(daemon.port, default="trio")


def test_each_part_of_a_band_goes_to_the_track_of_its_name_in_one_scene(band: Ableton) -> None:
    band.ask("live", tracks=[{"name": "Beats"}, {"name": "Bass guitar"}, {"name": "DRUMS"}, {"name": "1-Melody"}])
    taken = band.clip(drums(3), slot=0, track=2)
    device = band.connected("VAE Bridge", target=1, seed=3)
    before = band.notes(taken)
    press(device, "generate")
    assert "Scene 2 has melody, bass, drums." in device.text("line")
    slots = [track["slots"][1] for track in band.state()["tracks"]]
    assert [bool(slot) for slot in slots] == [False, True, True, True]
    clips = [band.ask("clip_state", id=slot) for slot in slots[1:]]
    assert [clip["name"] for clip in clips] == ["bass", "drums", "melody"]
    assert len({clip["color_index"] for clip in clips}) == 3
    assert [clip["loop_end"] for clip in clips] == [clips[0]["loop_end"]] * 3
    assert band.notes(taken) == before
    assert band.state()["undo_steps"] == 1


def test_the_shipped_band_plays_on_the_tracks_of_its_names(musical: Ableton) -> None:
    musical.ask("live", tracks=[{"name": "My drums"}, {"name": "Lead synth"}, {"name": "Bass"}])
    clip = musical.clip(drums(12), beats=8)
    before = musical.notes(clip)
    device = musical.connected("VAE Bridge", seed=3, bars=4)
    device.choose(model="trio_16bar", style="pop")
    press(device, "generate")
    assert "Scene 2 has lead, bass, drums." in device.text("line")
    made = [track["slots"][1] for track in musical.state()["tracks"]]
    assert [musical.ask("clip_state", id=slot)["name"] for slot in made] == ["drums", "lead", "bass"]
    assert all(musical.notes(slot) for slot in made)
    assert musical.notes(clip) == before
    assert musical.state()["undo_steps"] == 1


def test_without_such_tracks_drums_stay_on_the_devices_own_and_the_others_get_new_ones(band: Ableton) -> None:
    clip = band.clip(drums(12), slot=0)
    before = band.notes(clip)
    device = band.connected("VAE Bridge", seed=3)
    press(device, "generate")
    tracks = band.state()["tracks"]
    assert [track["name"] for track in tracks[2:]] == ["melody", "bass"]
    assert [bool(track["slots"][1]) for track in tracks] == [True, False, True, True]
    assert band.notes(clip) == before
    press(device, "generate")
    assert len(band.state()["tracks"]) == 4, "they have the names now"
    assert [bool(track["slots"][2]) for track in band.state()["tracks"]] == [True, False, True, True]


def test_what_a_band_cannot_hear_in_a_clip_of_drums_is_told(band: Ableton) -> None:
    clip = band.clip(drums(48), beats=8)
    before = band.notes(clip)
    device = band.connected("VAE Bridge", seed=3)
    press(device, "vary")
    assert "trio" in device.text("line") or "melody, bass, drums" in device.text("line")
    assert band.notes(clip) == before


def test_results_of_a_band_are_stepped_through_together(band: Ableton) -> None:
    band.clip(drums(12), slot=0)
    device = band.connected("VAE Bridge", count=2, seed=3)
    press(device, "generate")
    clips = [clip for track in band.state()["tracks"] for clip in track["slots"][1:] if clip]
    first = [band.notes(clip) for clip in clips]
    device.press("next")
    assert device.text("result") == "2 of 2"
    assert [band.notes(clip) for clip in clips] != first
    device.press("original")
    assert [band.notes(clip) for clip in clips] == [[], [], []]


def test_notes_of_two_parts_on_one_pitch_are_not_pushed_apart(band: Ableton) -> None:
    device = band.connected("VAE Bridge", target=1)
    note = "{pitch: 40, start: 1, duration: 1, velocity: 90, mute: 0}"
    part = "{{channel: {0}, program: 0, first: {1}, count: 1, name: '{2}'}}"
    parts = ", ".join(part.format(1 + place, place, name) for place, name in enumerate(("lead", "bass")))
    results = f"[{{beats: 4, notes: [{note}, {note}], parts: [{parts}]}}]"
    device.ask("evaluate", expression=f"take.offer(live.no_clip(), {results}, {{new_clip: true}})")
    clips = [clip for track in band.state()["tracks"] for clip in track["slots"] if clip]
    assert [[each["start_time"] for each in band.notes(clip)] for clip in clips] == [[1], [1]]


@pytest.mark.parametrize("lost", [["/vae/part"], ["/vae/part"] * 3])
def test_a_part_that_is_lost_on_its_way_comes_again(opens: Opens, band: Ableton, lost: list[str]) -> None:
    band.clip(drums(12), slot=0)
    device = band.connected("VAE Bridge", seed=3)
    device.ask("lose", **{"in": lost})
    press(device, "generate")
    assert "melody, bass, drums" in device.text("line")


def test_a_melody_does_not_go_into_a_clip_of_drums(musical: Ableton) -> None:
    clip = musical.clip(drums(48), beats=8)
    before = musical.notes(clip)
    device = musical.connected("VAE Bridge", seed=5)
    device.choose(model="melody_2bar")
    press(device, "generate")
    assert musical.notes(clip) == before
    tracks = musical.state()["tracks"]
    assert tracks[-1]["name"] == "melody"
    assert musical.notes(tracks[-1]["slots"][1])


def test_a_melody_goes_into_a_clip_of_melodies_and_into_none_on_a_drum_rack(musical: Ableton) -> None:
    musical.ask("live", tracks=[{"name": "Lead"}, {"name": "Kit", "drum_rack": 1}])
    kit = musical.clip(beats=8, track=1)
    tune = [{"pitch": 60 + step, "start_time": step, "duration": 1, "velocity": 90} for step in range(8)]
    lead = musical.clip(tune, beats=8)
    device = musical.connected("VAE Bridge", seed=5)
    device.choose(model="melody_2bar")
    press(device, "vary")
    assert musical.notes(lead) != tune
    assert len(musical.state()["tracks"]) == 2
    musical.ask("view", id=kit)
    press(device, "generate")
    assert musical.notes(kit) == []
