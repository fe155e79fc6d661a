"""Users who look elsewhere, press in odd orders, delete, undo and move things while the daemon still thinks."""

import random

import pytest

from tests.bridge.conftest import free_port
from tests.max_devices.ableton import Ableton, Device, RefusedError, drums
from tests.max_devices.test_code_bridge import press

pytestmark = pytest.mark.node

SLOW = "var real = settings; settings = function (names) { return real(names).concat(['style', 'sleep 0.2']); }"
BRIDGE = ("generate", "humanize", "drumify", "fill", "vary", "morph", "groove", "continue", "infill")
AFTER = ("next", "previous", "original", "keep", "store_a", "store_b")


def settle(ableton: Ableton) -> None:
    for device in ableton.devices:
        device.ask("until_true", expression="!osc.is_busy()")
        if device.kind == "VAE Morph":
            rested = "!osc.is_busy() && moved_at === asked_at && answer === null"
            device.ask("until_true", expression=rested)


def content(ableton: Ableton) -> dict[int, str]:
    """All clips of the set as they are."""
    tracks = ableton.state()["tracks"]
    clips = [clip for track in tracks for clip in (*track["slots"], *track["arrangement"]) if clip]
    return {clip: str(ableton.ask("clip_state", id=clip)["notes"]) for clip in clips}


@pytest.mark.parametrize("button", ["vary", "generate"])
def test_a_button_pressed_on_another_clip_asks_about_that_one(ableton: Ableton, button: str) -> None:
    first, second = ableton.clip(drums(48), slot=0), ableton.clip(drums(48, velocity=80), slot=1)
    ableton.ask("view", id=first)
    device = ableton.connected("VAE Bridge", target=1, bars=1)
    device.press(button)
    ableton.ask("view", id=second)
    settle(ableton)
    before = content(ableton)
    device.set(target=0)
    press(device, button)
    after = content(ableton)
    assert {clip for clip in after if after[clip] != before.get(clip)} <= {second}


def test_from_a_new_clip_back_to_this_one_the_original_is_this_ones(ableton: Ableton) -> None:
    clip = ableton.clip(drums(12), beats=4)
    device = ableton.connected("VAE Bridge", target=1)
    press(device, "generate")
    (made,) = set(content(ableton)) - {clip}
    before = content(ableton)
    device.set(target=0)
    press(device, "generate")
    assert content(ableton)[made] == before[made]
    device.press("original")
    shape = [(note["pitch"], note["start_time"]) for note in ableton.notes(clip)]
    assert shape == [(note["pitch"], note["start_time"]) for note in sorted(drums(12), key=place)]


def place(note: dict[str, float]) -> tuple[float, float]:
    return note["start_time"], note["pitch"]


def test_on_another_clip_the_original_is_that_ones(ableton: Ableton) -> None:
    first, second = ableton.clip(drums(6), beats=4), ableton.clip(drums(12), beats=4, slot=1)
    device = ableton.connected("VAE Bridge", bars=1)
    for clip in (first, second):
        ableton.ask("view", id=clip)
        press(device, "generate")
    device.press("original")
    assert [len(ableton.notes(clip)) for clip in (first, second)] == [16, 12]


def test_two_devices_on_one_clip_each_touch_only_what_is_still_there(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48), beats=4)
    one, other = ableton.connected("VAE Humanize"), ableton.connected("VAE Bridge", bars=1)
    one.press("humanize")
    one.until("line", "Humanized")
    press(other, "generate")
    after = ableton.notes(clip)
    one.press("original")
    assert one.text("line").endswith("The clip has changed: 48 notes are gone.")
    assert ableton.notes(clip) == after
    other.press("original")
    assert len(ableton.notes(clip)) == 48
    assert ableton.state()["ignored"] == 0


def test_a_clip_that_is_moved_under_way_is_still_the_one(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    device.ask("evaluate", expression=SLOW)
    device.press("humanize")
    ableton.ask("add_track", at=0)
    ableton.clip(drums(3), track=0)
    settle(ableton)
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


def test_a_set_that_is_closed_under_way_opens_as_it_was_saved(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = content(ableton)[clip]
    device = ableton.connected("VAE Bridge")
    device.ask("evaluate", expression=SLOW)
    device.press("humanize")
    ids, (again,) = ableton.reopened()
    settle(ableton)
    assert len(before) > 0
    assert [note["start_time"] for note in ableton.notes(ids[clip])] == [
        note["start_time"] for note in sorted(drums(48), key=place)
    ]
    again.press("original")
    assert again.text("line").endswith("There is no result yet.")


def test_what_live_restores_while_it_opens_a_set_is_no_press(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = content(ableton)
    device = ableton.load("VAE Humanize").start()
    device.press_from_afar("humanize")
    device.ready()
    settle(ableton)
    assert content(ableton) == before
    assert clip


@pytest.mark.parametrize("button", ["humanize", "groove"])
@pytest.mark.parametrize("groups", [True, False])
def test_a_press_that_moves_notes_is_one_edit_call(ableton: Ableton, button: str, groups: bool) -> None:
    ableton.ask("live", undo_steps=groups)
    device = ableton.connected("VAE Bridge")
    ableton.clip(drums(6), slot=1)
    device.press("store_a")
    ableton.clip(drums(48))
    press(device, button)
    assert ableton.state()["edits"] == 1
    assert ableton.state()["undo_steps"] == 1


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_pressed_only_the_clip_that_was_meant_changes(ableton: Ableton, seed: int) -> None:
    """Random presses; before each answer the user looks elsewhere, or deletes what was asked about.

    What may change: the clip in view at the press, the one that the pad is to fill, and, for steps through results,
    those clips that the device was asked for.
    """
    draw = random.Random(seed)
    ableton.ask("live", tracks=3, slots=60)
    for number in range(6):
        ableton.clip(drums(3 * number + 6), beats=4, track=number % 2, slot=number // 2)
    devices = [ableton.connected("VAE Bridge", bars=1, count=2) for _ in range(2)]
    devices += [ableton.connected("VAE Humanize"), ableton.connected("VAE Morph")]
    for device in devices:
        if device.kind == "VAE Morph":
            device.press("store1")
            ableton.ask("view", id=draw.choice(sorted(content(ableton))))
            device.press("store2")
    mine: dict[str, set[int]] = {}
    for step in range(50):
        ableton.ask("view", id=draw.choice(sorted(content(ableton))))
        before, view = content(ableton), ableton.state()["detail"]
        device = draw.choice(devices)
        meant = act(draw, device, view, mine)
        if draw.random() < 0.1 and len(before) > 3:
            ableton.ask("delete", id=view)
        ableton.ask("view", id=draw.choice(sorted(content(ableton))))
        settle(ableton)
        after = content(ableton)
        changed = {clip for clip in before if clip in after and after[clip] != before[clip]}
        assert changed <= meant, (seed, step, device.kind, device.text("line"))
        mine[device.name] = mine.get(device.name, set()) | meant | set(after) - set(before)


def act(draw: random.Random, device: Device, view: int, mine: dict[str, set[int]]) -> set[int]:
    """One thing that a user does; the clips that it may change."""
    if device.kind == "VAE Morph":
        return act_on_pad(draw, device, mine)
    names = ("humanize", "original") if device.kind == "VAE Humanize" else (*BRIDGE, *AFTER)
    button = draw.choice(names)
    if device.kind == "VAE Bridge":
        device.set(target=draw.choice((0, 0, 1)), seed=draw.randrange(1, 99))
    try:
        device.press(button)
    except RefusedError:
        return set()
    return mine.get(device.name, set()) if button in (*AFTER, "original") else {view}


def act_on_pad(draw: random.Random, device: Device, mine: dict[str, set[int]]) -> set[int]:
    what = draw.choice(("here", "pad", "pad", "dial", "original"))
    if what == "pad":
        device.ask("message", inlet=0, selector="pad_x", atoms=[draw.random()])
    elif what == "dial":
        device.set(x=draw.random())
    else:
        device.press(what)
    aim = device.ask("evaluate", expression="aim ? aim.id : 0")
    return mine.get(device.name, set()) if what == "original" else {aim}


# What a user does between a press and its answer


def slowly(device: Device) -> Device:
    device.ask("evaluate", expression=SLOW)
    return device


def test_what_is_asked_is_what_the_dials_said_at_the_press(ableton: Ableton) -> None:
    ableton.clip(drums(300), beats=32)
    device = ableton.connected("VAE Bridge", seed=5)
    device.press("humanize")
    device.set(seed=6, amount=0.1)
    device.ask("choose", control="model", item="drums_2bar")
    settle(ableton)
    assert device.text("line").endswith("Seed 5")
    (asked,) = [atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/humanize"]
    assert "model" not in asked
    assert asked[asked.index("timing") + 1] == 1


def test_morph_lies_between_the_clips_that_were_stored_at_the_press(ableton: Ableton) -> None:
    device = ableton.connected("VAE Bridge", target=1)
    for slot, button in enumerate(("store_a", "store_b")):
        ableton.clip(drums(6), slot=slot)
        device.press(button)
    ableton.clip(drums(9), slot=2)
    device.press("morph")
    device.press("store_b")
    settle(ableton)
    begun = [atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/clip/begin"]
    assert [atoms[2] for atoms in begun] == [6, 6]


def test_a_reply_port_that_changes_under_way_asks_about_the_new_slot(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = slowly(ableton.connected("VAE Bridge"))
    device.press("humanize")
    device.set(port=free_port())
    device.until("line", "Seed")
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


@pytest.mark.parametrize("kind", ["VAE Humanize", "VAE Bridge"])
def test_presses_on_several_clips_are_all_answered(ableton: Ableton, kind: str) -> None:
    clips = [ableton.clip(drums(48), slot=slot) for slot in range(3)]
    device = slowly(ableton.connected(kind))
    for clip in clips:
        ableton.ask("view", id=clip)
        device.press("humanize")
    settle(ableton)
    for clip in clips:
        assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


def test_a_note_that_was_not_meant_may_be_moved_meanwhile(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    first, other = ableton.notes(clip)[0], ableton.notes(clip)[30]
    ableton.ask("edit", id=clip, select=[first["note_id"]])
    device = slowly(ableton.connected("VAE Bridge", notes=1))
    device.press("humanize")
    ableton.ask("edit", id=clip, change={other["note_id"]: {"start_time": 7.3, "velocity": 33}})
    settle(ableton)
    device.press("original")
    notes = {note["note_id"]: note for note in ableton.notes(clip)}
    assert (notes[other["note_id"]]["start_time"], notes[other["note_id"]]["velocity"]) == (7.3, 33)


@pytest.mark.parametrize(
    ("button", "verb"), [("vary", "vary"), ("fill", "fill"), ("generate", "sample"), ("drumify", "drumify")]
)
def test_notes_that_are_drawn_before_the_answer_are_not_lost(ableton: Ableton, button: str, verb: str) -> None:
    clip = ableton.clip(drums(6), beats=4)
    device = ableton.connected("VAE Bridge", bars=1)
    device.ask("lose", out=[f"/vae/{verb}"])
    device.press(button)
    note = ableton.notes(clip)[0]
    ableton.ask("edit", id=clip, change={note["note_id"]: {"pitch": 51, "start_time": 1.5}})
    before = content(ableton)
    settle(ableton)
    assert device.text("line").endswith("The clip has changed meanwhile: press again.")
    assert content(ableton) == before
    press(device, button)
    assert "Seed" in device.text("line")


@pytest.mark.parametrize(("kind", "button"), [("VAE Humanize", "humanize"), ("VAE Bridge", "humanize")])
def test_a_note_that_is_moved_before_it_is_played_stays_where_it_was_put(
    ableton: Ableton, kind: str, button: str
) -> None:
    clip = ableton.clip(drums(48))
    device = slowly(ableton.connected(kind))
    device.press(button)
    note = ableton.notes(clip)[3]
    ableton.ask("edit", id=clip, change={note["note_id"]: {"pitch": 51, "start_time": 7.25}})
    before = content(ableton)
    settle(ableton)
    assert device.text("line").endswith("The clip has changed meanwhile: press again.")
    assert content(ableton) == before
    device.press(button)
    settle(ableton)
    assert content(ableton) != before


def test_a_clip_that_is_deleted_before_its_variations_come_is_told_to_be_gone(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Bridge")
    device.ask("lose", out=["/vae/vary"])
    device.press("vary")
    ableton.ask("delete", id=clip)
    settle(ableton)
    assert device.text("line").endswith("That clip is gone.")
    assert ableton.state()["edits"] == 0
