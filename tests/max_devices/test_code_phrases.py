"""Continue and Infill of VAE Bridge, against a model of phrases: what is marked is made anew, all else stays."""

from typing import Any

import pytest

from tests.max_devices.ableton import Ableton, Device, Note
from tests.max_devices.test_code_bridge import press

pytestmark = pytest.mark.node

KICK, SNARE, HAT = 36, 38, 42
BEATS = 16


def beat() -> list[Note]:
    """Four bars: the hat on each eighth, kick and snare on each beat in turn; each note has a probability."""
    hats = [(HAT, step / 2) for step in range(2 * BEATS)]
    drums = [((KICK, SNARE)[step % 2], float(step)) for step in range(BEATS)]
    return [
        {"pitch": pitch, "start_time": start, "duration": 0.25, "velocity": 90.4, "probability": 0.5, "mpe": index}
        for index, (pitch, start) in enumerate(sorted(hats + drums, key=lambda each: each[1]))
    ]


def select(ableton: Ableton, clip: int, first: float, end: float, *pitches: int) -> None:
    """Select the notes that start in some beats, of some pitches or of all."""
    found = [note for note in ableton.notes(clip) if first <= note["start_time"] < end]
    ids = [note["note_id"] for note in found if not pitches or note["pitch"] in pitches]
    ableton.ask("edit", id=clip, select=ids)


def plain(notes: list[Note]) -> list[Note]:
    """Notes without what tells whether they are selected."""
    return [{key: value for key, value in note.items() if key != "selected"} for note in notes]


def outside(ableton: Ableton, clip: int, first: float, end: float) -> list[Note]:
    return plain([note for note in ableton.notes(clip) if not first <= note["start_time"] < end])


def within(ableton: Ableton, clip: int, first: float, end: float) -> list[Note]:
    return plain([note for note in ableton.notes(clip) if first <= note["start_time"] < end])


def asked(ableton: Ableton, verb: str = "infill") -> dict[str, Any]:
    """The keys of the last request of a verb; of keep all of its values."""
    atoms = [list(atoms) for address, *atoms in ableton.traffic()["messages"] if address == f"/vae/{verb}"][-1][1:]
    keys: dict[str, Any] = {}
    for atom in atoms:
        if isinstance(atom, str) and not atom.startswith("d"):
            name = atom
            keys[name] = []
        else:
            keys[name].append(atom)
    return keys


@pytest.fixture
def device(phrasing: Ableton) -> Device:
    return phrasing.connected("VAE Bridge", seed=7)


def test_a_daemon_with_a_model_for_them_has_both_buttons(device: Device) -> None:
    shown = device.shown()
    assert [shown[button]["active"] for button in ("continue", "infill")] == [1, 1]


def test_the_bars_that_come_next_are_written_behind_the_clip_and_one_undo_takes_them_back(
    phrasing: Ableton, device: Device
) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    before = phrasing.notes(clip)
    device.set(bars=2)
    press(device, "continue")
    assert asked(phrasing, "continue")["bars"] == [2]
    assert [note for note in phrasing.notes(clip) if note in before] == before
    assert outside(phrasing, clip, BEATS - 1 / 8, BEATS + 8) == before, "an early first hit sounds before the line"
    assert within(phrasing, clip, BEATS, BEATS + 8)
    assert phrasing.ask("clip_state", id=clip)["loop_end"] == BEATS + 8
    phrasing.ask("undo")
    assert phrasing.notes(clip) == before


def test_the_beats_of_the_selected_notes_are_made_anew_and_all_else_stays(
    phrasing: Ableton, device: Device
) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    stays, was = outside(phrasing, clip, 4, 8), within(phrasing, clip, 4, 8)
    press(device, "infill")
    keys = asked(phrasing)
    assert (keys["start"], keys["beats"], "keep" in keys) == ([4], [3.75], False)
    assert outside(phrasing, clip, 4, 8) == stays, "ids, probability and expression as well"
    assert within(phrasing, clip, 4, 8) != was
    assert phrasing.ask("clip_state", id=clip)["loop_end"] == BEATS


def test_what_is_changed_outside_the_mark_before_the_answer_stays(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    was = within(phrasing, clip, 4, 8)
    device.press("infill")
    first, second = phrasing.notes(clip)[:2]
    phrasing.ask("edit", id=clip, remove=[first["note_id"]], change={second["note_id"]: {"velocity": 33}})
    stays = outside(phrasing, clip, 4, 8)
    device.ask("until_true", expression="!osc.is_busy()")
    assert outside(phrasing, clip, 4, 8) == stays
    assert within(phrasing, clip, 4, 8) != was


def test_one_undo_takes_it_back_and_original_shows_both(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    before = within(phrasing, clip, 0, BEATS)
    press(device, "infill")
    after = within(phrasing, clip, 0, BEATS)
    assert phrasing.state()["undo_steps"] == 1
    device.press("original")
    shape = [(note["pitch"], note["start_time"], note["velocity"]) for note in before]
    assert [(n["pitch"], n["start_time"], n["velocity"]) for n in phrasing.notes(clip)] == shape
    device.press("original")
    assert len(phrasing.notes(clip)) == len(after)
    for _ in range(3):
        phrasing.ask("undo")
    assert within(phrasing, clip, 0, BEATS) == before


def test_of_selected_hats_the_other_drums_stay(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8, HAT)
    others = [note for note in plain(phrasing.notes(clip)) if note["pitch"] != HAT]
    press(device, "infill")
    kept = asked(phrasing)["keep"]
    assert {KICK, SNARE} <= set(kept)
    assert HAT not in kept
    assert [note for note in plain(phrasing.notes(clip)) if note["pitch"] != HAT] == others, "and no tom comes"


def test_the_pads_that_are_off_stay(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    others = [note for note in plain(phrasing.notes(clip)) if note["pitch"] != SNARE]
    device.set(notes=2, **{f"pad{pad}": int(pad == 2) for pad in range(1, 10)})
    press(device, "infill")
    assert [note for note in plain(phrasing.notes(clip)) if note["pitch"] != SNARE] == others


def test_without_a_selection_the_loop_is_made_anew_and_the_model_hears_what_is_round_it(
    phrasing: Ableton, device: Device
) -> None:
    clip = phrasing.clip(beat(), start=8, beats=4, whole=[0, BEATS])
    stays, was = outside(phrasing, clip, 8, 12), within(phrasing, clip, 8, 12)
    press(device, "infill")
    assert (asked(phrasing)["start"], asked(phrasing)["beats"]) == ([8], [4])
    assert outside(phrasing, clip, 8, 12) == stays
    assert within(phrasing, clip, 8, 12) != was
    assert phrasing.ask("clip_state", id=clip)["loop_end"] == 12


def test_pressed_again_the_same_beats_are_made_anew_from_the_original(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    stays = outside(phrasing, clip, 4, 8)
    press(device, "infill")
    first = [(note["pitch"], note["start_time"]) for note in within(phrasing, clip, 4, 8)]
    press(device, "infill")
    assert [(note["pitch"], note["start_time"]) for note in within(phrasing, clip, 4, 8)] == first, "the same seed"
    assert outside(phrasing, clip, 4, 8) == stays
    assert asked(phrasing)["start"] == [4]


def test_another_selection_goes_on_from_what_is_there(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    press(device, "infill")
    select(phrasing, clip, 12, 16)
    stays = outside(phrasing, clip, 12, 16)
    press(device, "infill")
    assert asked(phrasing)["start"] == [12]
    assert outside(phrasing, clip, 12, 16) == stays


def test_a_hit_that_is_early_for_the_beats_goes_with_them(phrasing: Ableton, device: Device) -> None:
    notes = [note | {"start_time": 3.96} if note["start_time"] == 4 else note for note in beat()]
    clip = phrasing.clip(notes, beats=BEATS)
    select(phrasing, clip, 3.9, 8)
    stays = outside(phrasing, clip, 3.9, 8)
    press(device, "infill")
    assert asked(phrasing)["start"] == pytest.approx([3.96])
    assert outside(phrasing, clip, 3.9, 8) == stays


def test_what_leads_into_the_loop_is_marked_where_it_lies(phrasing: Ableton, device: Device) -> None:
    notes = [*beat(), {"pitch": KICK, "start_time": BEATS - 0.05, "duration": 0.04, "velocity": 90}]
    clip = phrasing.clip(notes, beats=BEATS)
    select(phrasing, clip, BEATS - 1, BEATS)
    stays = outside(phrasing, clip, BEATS - 1, BEATS)
    press(device, "infill")
    assert (asked(phrasing)["start"], asked(phrasing)["beats"]) == ([BEATS - 1], [1])
    assert outside(phrasing, clip, BEATS - 1 - 1 / 8, BEATS) == stays


def test_an_empty_clip_is_filled(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beats=8)
    press(device, "infill")
    assert phrasing.notes(clip)


def test_a_selection_outside_the_clip_says_so(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=8)
    select(phrasing, clip, 12, 16)
    device.press("infill")
    assert device.text("line").endswith("The selected notes lie outside the clip.")


def test_in_a_new_clip_the_first_stays_as_it_is(phrasing: Ableton, device: Device) -> None:
    clip = phrasing.clip(beat(), beats=BEATS)
    select(phrasing, clip, 4, 8)
    before = phrasing.notes(clip)
    device.set(target=1)
    press(device, "infill")
    assert phrasing.notes(clip) == before
    assert phrasing.ask("clip_state", id=phrasing.state()["tracks"][0]["slots"][1])["loop_end"] == BEATS
