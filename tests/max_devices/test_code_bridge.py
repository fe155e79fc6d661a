"""VAE Bridge: every button, against the fake generator, and once against the real one."""

import pytest

from engine.representation.kits import GENERAL_MIDI_PITCHES
from tests.max_devices.ableton import Ableton, Device, Note, drums

pytestmark = pytest.mark.node

VERBS = ("generate", "humanize", "drumify", "fill", "vary", "morph", "groove")


def press(device: Device, button: str) -> None:
    """Press a button and wait until its answer is in the clip."""
    device.press(button)
    device.ask("until_true", expression="!osc.is_busy()")


def starts(ableton: Ableton, clip: int) -> list[float]:
    return [note["start_time"] for note in ableton.notes(clip)]


def changed(ableton: Ableton, clip: int, before: list[Note]) -> list[Note]:
    """The notes that are no longer as they were, as they were."""
    return [note for note in before if note not in ableton.notes(clip)]


def kicks_and_snares() -> list[Note]:
    return [note for note in drums(48) if note["pitch"] != 42]


def morph_ready(ableton: Ableton, clip: int) -> Device:
    """VAE Bridge with two other clips stored, and that clip in view."""
    device = ableton.connected("VAE Bridge")
    for slot, button in enumerate(("store_a", "store_b"), 2):
        ableton.clip(kicks_and_snares()[slot:], beats=4, slot=slot)
        device.press(button)
    ableton.ask("view", id=clip)
    return device


# Every button


@pytest.mark.parametrize("button", VERBS)
def test_the_real_daemon_answers_each_verb_and_one_undo_takes_it_back(musical: Ableton, button: str) -> None:
    clip = musical.clip(kicks_and_snares(), beats=4)
    before = musical.notes(clip)
    device = morph_ready(musical, clip)
    device.set(seed=4711)
    press(device, button)
    assert device.text("line").endswith("Seed 4711")
    assert musical.notes(clip) != before
    assert musical.state()["undo_steps"] == 1
    musical.ask("undo")
    assert musical.notes(clip) == before


@pytest.mark.parametrize("button", VERBS)
def test_the_original_comes_back_after_each_verb(musical: Ableton, button: str) -> None:
    clip = musical.clip(kicks_and_snares(), beats=4)
    before = [{**note, "note_id": 0, "mpe": 0} for note in musical.notes(clip)]
    device = morph_ready(musical, clip)
    press(device, button)
    device.press("original")
    assert [{**note, "note_id": 0, "mpe": 0} for note in musical.notes(clip)] == before


def test_3000_notes_are_humanized_by_the_real_daemon(musical: Ableton) -> None:
    clip = musical.clip(drums(3000), beats=256)
    ids = {note["note_id"] for note in musical.notes(clip)}
    device = musical.connected("VAE Humanize")
    press(device, "humanize")
    assert device.text("line").endswith("Humanized 3000 notes.")
    assert {note["note_id"] for note in musical.notes(clip)} == ids


def test_every_verb_that_a_model_of_the_daemon_can_do_is_lit(ableton: Ableton) -> None:
    shown = ableton.connected("VAE Bridge").shown()
    buttons = (*VERBS, "continue", "infill")
    assert [shown[button]["active"] for button in buttons] == [1] * len(buttons)


def test_the_menus_are_filled_from_the_daemon(ableton: Ableton) -> None:
    shown = ableton.connected("VAE Bridge").shown()
    models = ["default", "drummer", "drums_16bar", "drums_2bar", "melody_2bar", "trio_16bar"]
    assert shown["model"]["_parameter_range"] == models
    assert shown["style"]["_parameter_range"][:3] == ["any", "afrobeat", "afrocuban"]


def test_the_chosen_style_and_model_are_asked_for(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    device.choose(model="drummer", style="funk")
    press(device, "humanize")
    assert device.text("line").endswith("'funk' is no style")
    messages = {address: atoms for address, *atoms in ableton.traffic()["messages"]}
    assert messages["/vae/humanize"][messages["/vae/humanize"].index("model") + 1] == "drummer"


def test_the_die_draws_another_seed(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    device.press("die")
    first = device.ask("values")["seed"]
    device.press("die")
    second = device.ask("values")["seed"]
    assert 0 < first < 2**24
    assert 0 < second < 2**24
    assert first != second


def test_a_seed_of_0_lets_the_daemon_draw(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    press(device, "humanize")
    assert device.text("line").endswith("Seed 4711")


def test_continue_writes_what_comes_next_behind_the_clip(ableton: Ableton) -> None:
    clip = ableton.clip(drums(6), beats=4)
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge")
    script = (
        "(function () { var c = live.clip(); take.offer(c, [{beats: 4, notes: c.notes, parts: []}], {at: 4}); })()"
    )
    device.ask("evaluate", expression=script)
    assert ableton.notes(clip)[:6] == before
    assert starts(ableton, clip)[6:] == [start + 4 for start in starts(ableton, clip)[:6]]
    assert ableton.ask("clip_state", id=clip)["loop_end"] == 8
    device.press("original")
    assert ableton.notes(clip) == before
    assert ableton.ask("clip_state", id=clip)["loop_end"] == 4


# Which notes


def test_selected_notes_alone_are_changed_and_the_model_hears_all(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    ableton.ask("edit", id=clip, select=[before[3]["note_id"], before[7]["note_id"]])
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", notes=1)
    press(device, "humanize")
    assert changed(ableton, clip, before) == [before[3], before[7]]
    begins = [atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/clip/begin"]
    assert begins[0][2] == 48


def test_without_a_selection_the_line_says_what_to_do(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge", notes=1)
    device.press("humanize")
    assert device.text("line").endswith("Select some notes first.")


def test_chosen_pads_alone_are_changed(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", notes=2, **{f"pad{index}": 0 for index in range(1, 10)})
    device.set(pad2=1, pad5=1)
    press(device, "humanize")
    assert changed(ableton, clip, before) == [note for note in before if note["pitch"] == 38]
    messages = {address: atoms for address, *atoms in ableton.traffic()["messages"]}
    assert messages["/vae/humanize"][messages["/vae/humanize"].index("only") + 1] == "38"


def test_pads_without_a_note_say_so(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge", notes=2, **{f"pad{index}": 0 for index in range(1, 9)})
    device.press("humanize")
    assert device.text("line").endswith("No note is on the chosen pads.")


def test_more_pitches_than_a_key_can_name_are_told_apart_by_the_device(ableton: Ableton) -> None:
    pitches = [pitch for pad in GENERAL_MIDI_PITCHES for pitch in pad]
    clip = ableton.clip(
        [{"pitch": pitch, "start_time": 1, "duration": 0.1, "velocity": 99} for pitch in (*pitches, 99)]
    )
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", notes=2)
    press(device, "humanize")
    messages = {address: atoms for address, *atoms in ableton.traffic()["messages"]}
    assert "only" not in messages["/vae/humanize"]
    assert [note["pitch"] for note in before if note not in changed(ableton, clip, before)] == [99]


def test_the_pads_are_the_drum_classes_of_the_engine(ableton: Ableton) -> None:
    pads = ableton.load("VAE Bridge").ask("evaluate", expression="PADS")
    assert tuple(map(tuple, pads)) == GENERAL_MIDI_PITCHES


def test_another_selection_leaves_the_one_before_played(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", notes=1)
    for place in (3, 7):
        ableton.ask("edit", id=clip, select=[before[place]["note_id"]])
        press(device, "humanize")
    moved = {note["note_id"]: note["start_time"] for note in ableton.notes(clip)}
    for place in (3, 7):
        expected = before[place]["start_time"] + 0.02
        assert moved[before[place]["note_id"]] == pytest.approx(expected, abs=1e-4)


# Results


def test_results_are_stepped_through_the_original_among_them(ableton: Ableton) -> None:
    clip = ableton.clip(drums(3))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", count=3)
    press(device, "humanize")
    seen = [device.text("result")]
    for button in ("next", "next", "next", "previous", "previous", "previous", "previous"):
        device.press(button)
        seen.append(device.text("result"))
    assert seen == [
        "1 of 3", "2 of 3", "3 of 3", "3 of 3", "2 of 3", "1 of 3", "original of 3", "original of 3",
    ]  # fmt: skip
    assert ableton.notes(clip) == before


def test_keep_forgets_the_other_results(ableton: Ableton) -> None:
    clip = ableton.clip(drums(3))
    device = ableton.connected("VAE Bridge", count=3)
    press(device, "humanize")
    after = ableton.notes(clip)
    device.press("keep")
    assert device.text("result") == ""
    device.press("original")
    assert device.text("line").endswith("There is no result yet.")
    assert ableton.notes(clip) == after


def test_generate_fills_the_bars_it_makes_and_leaves_the_rest(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48), beats=4)
    device = ableton.connected("VAE Bridge", bars=2)
    press(device, "generate")
    assert len(ableton.notes(clip)) == 32
    assert ableton.ask("clip_state", id=clip)["loop_end"] == 8
    device.press("original")
    assert len(ableton.notes(clip)) == 48
    assert ableton.ask("clip_state", id=clip)["loop_end"] == 4


@pytest.mark.parametrize(("meter", "beats"), [((3, 4), 6), ((6, 8), 6), ((4, 4), 8), ((7, 8), 7)])
def test_generate_makes_bars_of_the_clips_meter(ableton: Ableton, meter: tuple[int, int], beats: float) -> None:
    clip = ableton.clip(beats=1, meter=meter)
    device = ableton.connected("VAE Bridge", bars=2)
    press(device, "generate")
    assert ableton.ask("clip_state", id=clip)["loop_end"] == beats
    assert starts(ableton, clip) == [step / 4 for step in range(int(4 * beats))]
    pitches = [note["pitch"] for note in ableton.notes(clip)]
    assert pitches[2 * int(beats)] == 36, "each bar begins as one of the model's"


def test_generate_again_keeps_the_same_original(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48), beats=4)
    before = starts(ableton, clip)
    device = ableton.connected("VAE Bridge", bars=1)
    press(device, "generate")
    device.set(bars=2)
    press(device, "generate")
    device.press("original")
    assert starts(ableton, clip) == before


def test_generate_writes_into_an_empty_clip(ableton: Ableton) -> None:
    clip = ableton.clip(beats=8)
    device = ableton.connected("VAE Bridge")
    press(device, "generate")
    assert len(ableton.notes(clip)) == 32


def test_fill_keeps_the_notes_that_are_there(musical: Ableton) -> None:
    kicks = [note for note in drums(48) if note["pitch"] == 36]
    clip = musical.clip(kicks, beats=4)
    before = musical.notes(clip)
    press(musical.connected("VAE Bridge"), "fill")
    after = musical.notes(clip)
    assert [note for note in after if note["pitch"] == 36] == before
    assert {note["pitch"] for note in after} == {36, 42}


def test_of_many_notes_those_that_a_result_lacks_go_and_the_others_keep_their_ids(ableton: Ableton) -> None:
    clip = ableton.clip(drums(900), beats=75)
    device = ableton.connected("VAE Bridge")
    result = "{beats: 75, notes: c.notes.slice(0, 300), parts: []}"
    script = f"(function () {{ var c = live.clip(); take.offer(c, [{result}], {{}}); }})()"
    before = ableton.notes(clip)
    device.ask("evaluate", expression=script)
    assert ableton.notes(clip) == before[:300]
    assert ableton.state()["undo_steps"] == 1


# A new clip


def test_a_new_clip_is_made_in_the_next_free_slot_and_the_old_one_stays(ableton: Ableton) -> None:
    taken = ableton.clip(drums(3), slot=1)
    clip = ableton.clip(drums(48), slot=0)
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", target=1)
    press(device, "humanize")
    slots = ableton.state()["tracks"][0]["slots"]
    assert slots[:2] == [clip, taken]
    assert device.text("line").endswith("Slot 3 has it.")
    assert starts(ableton, slots[2]) == pytest.approx([note["start_time"] + 0.02 for note in before], abs=1e-4)
    assert ableton.notes(clip) == before


@pytest.mark.parametrize("button", ["humanize", "vary"])
def test_the_notes_of_a_new_clip_begin_at_its_start(ableton: Ableton, button: str) -> None:
    ableton.clip(drums(3, start_time=5.0), start=4, beats=4)
    device = ableton.connected("VAE Bridge", target=1)
    press(device, button)
    new = ableton.state()["tracks"][0]["slots"][1]
    assert starts(ableton, new) == pytest.approx([1.0] * 3, abs=0.03)


def test_one_undo_takes_the_new_clip_away(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge", target=1)
    press(device, "vary")
    assert ableton.state()["undo_steps"] == 1
    ableton.ask("undo")
    assert ableton.state()["tracks"][0]["slots"][1:] == [0, 0, 0]


def test_without_a_clip_a_new_one_is_made_on_the_devices_track(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge", target=1)
    press(device, "generate")
    (clip, *_) = ableton.state()["tracks"][0]["slots"]
    assert len(ableton.notes(clip)) == 32


def test_results_of_a_new_clip_are_stepped_through_there(ableton: Ableton) -> None:
    clip = ableton.clip(drums(3, start_time=5.0), start=4, beats=4)
    before = ableton.notes(clip)
    device = ableton.connected("VAE Bridge", target=1, count=2, bars=1)
    press(device, "generate")
    new = ableton.state()["tracks"][0]["slots"][1]
    device.press("original")
    assert starts(ableton, new) == [1.0, 1.0, 1.0]
    device.press("original")
    assert len(ableton.notes(new)) == 16
    assert ableton.notes(clip) == before


def test_without_a_free_slot_the_line_says_so(ableton: Ableton) -> None:
    for slot in range(4):
        ableton.clip(drums(3), slot=slot)
    device = ableton.connected("VAE Bridge", target=1)
    press(device, "vary")
    assert device.text("line").endswith("No slot of this track is free. Add a scene.")


def test_a_new_clip_of_one_on_another_track_or_in_the_arrangement_goes_to_the_devices_own_track(
    ableton: Ableton,
) -> None:
    for place in ({"arrangement": True}, {"slot": 2}, {"lane": True}):
        ableton.clip(drums(3), track=1, **place)
        device = ableton.connected("VAE Bridge", target=1)
        press(device, "vary")
    own, other = (track["slots"] for track in ableton.state()["tracks"])
    assert [len(ableton.notes(clip)) for clip in own if clip] == [3, 3, 3]
    assert sum(clip > 0 for clip in other) == 1


def test_a_track_that_comes_before_the_devices_own_under_way_changes_nothing(ableton: Ableton) -> None:
    ableton.clip(drums(3))
    device = ableton.connected("VAE Bridge", target=1)
    device.press("vary")
    ableton.ask("add_track", at=0)
    device.ask("until_true", expression="!osc.is_busy()")
    before, own, _ = (track["slots"] for track in ableton.state()["tracks"])
    assert before == [0] * 4
    assert own[1]


def test_morph_without_two_clips_says_what_to_do(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge")
    device.press("morph")
    assert device.text("line").endswith("Store a clip in A and one in B first.")
