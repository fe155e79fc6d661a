"""VAE Morph: whose clip is filled, when, in how many undo steps, and what the set keeps of it."""

import struct

import pytest

from tests.bridge.conftest import Daemon
from tests.max_devices.ableton import Ableton, Device, Note, drums
from tests.max_devices.conftest import Opens

pytestmark = pytest.mark.node

Places = list[tuple[int, float]]


def starts(ableton: Ableton, clip: int) -> list[float]:
    return [note["start_time"] for note in ableton.notes(clip)]


def shape(notes: list[Note]) -> Places:
    return [(note["pitch"], note["start_time"]) for note in notes]


def stored(ableton: Ableton, *letters: str, **saved: float) -> Device:
    """VAE Morph with clips of 3, 6, 9 and 12 notes stored; the last of them is in view."""
    device = ableton.connected("VAE Morph", **saved)
    for number, button in enumerate(letters):
        ableton.clip(drums(3 * (number + 1)), slot=number % 4)
        device.press(button)
    return device


def drag(device: Device, **places: float) -> None:
    """A hand drags the pad: it says so at once, and moves the dials when it rests."""
    for axis, value in places.items():
        device.ask("message", inlet=0, selector=f"pad_{axis}", atoms=[value])


def rest(device: Device) -> None:
    """Until what was asked last is written."""
    device.ask("until_true", expression="moved_at === asked_at && !osc.is_busy() && answer === null")


def morphed(device: Device) -> None:
    rest(device)
    assert "Morphed." in device.text("line")


# What is filled


def test_after_store_b_is_in_view_and_the_pad_does_not_write_into_it(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    a, b = ableton.state()["tracks"][0]["slots"][:2]
    before = ableton.notes(a), ableton.notes(b)
    drag(device, x=0.25)
    assert device.text("line").endswith("Clip B is in view: Open the clip to fill and press Here.")
    ableton.ask("view", id=a)
    device.set(x=0.75)
    rest(device)
    assert (ableton.notes(a), ableton.notes(b)) == before


def test_a_drag_fills_the_clip_in_view_and_goes_on_there_whatever_is_in_view_then(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    other = ableton.clip(drums(30), track=1, slot=1)
    clip = ableton.clip(track=1)
    before = ableton.notes(other)
    drag(device, x=0.25)
    ableton.ask("view", id=other)
    morphed(device)
    device.set(x=0.9)
    morphed(device)
    assert ableton.notes(other) == before
    assert len(ableton.notes(clip)) == 3


def test_an_envelope_alone_chooses_no_clip(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    before = ableton.notes(clip)
    device.set(x=0.25)
    device.until("line", "Open the clip to fill and press Here.")
    assert ableton.notes(clip) == before


def test_here_chooses_even_a_stored_clip_because_a_person_says_so(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.state()["tracks"][0]["slots"][1]
    device.press("here")
    device.set(x=0.25)
    morphed(device)
    assert len(ableton.notes(clip)) == 3


def test_a_filled_clip_that_is_deleted_is_told_and_no_other_is_written(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    other = ableton.clip(drums(30), track=1, slot=1)
    clip = ableton.clip(track=1)
    drag(device, x=0.25)
    morphed(device)
    ableton.ask("delete", id=clip)
    ableton.ask("view", id=other)
    before = ableton.notes(other)
    device.set(x=0.6)
    device.until("line", "That clip is gone.")
    assert ableton.notes(other) == before


def test_a_new_clip_is_made_on_the_devices_own_track_and_the_pad_goes_on_in_it(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    ableton.clip(drums(3), track=1)
    device.set(target=1)
    drag(device, x=0.25)
    device.until("line", "Slot 3 has it.")
    device.set(x=0.75)
    device.until("line", "Slot 3 has it.", silent=True)
    own, other = (track["slots"] for track in ableton.state()["tracks"])
    assert own[3] == 0
    assert len(ableton.notes(own[2])) == 3
    assert other[1:] == [0, 0, 0]


def test_a_new_clip_that_is_undone_is_made_anew_by_the_next_drag_and_by_no_envelope(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    device.set(target=1)
    drag(device, x=0.25)
    device.until("line", "Slot 3 has it.")
    ableton.ask("undo")
    device.set(x=0.6)
    device.until("line", "That clip is gone.")
    assert ableton.state()["tracks"][0]["slots"][2] == 0
    drag(device, x=0.75)
    device.until("line", "Slot 3 has it.")


@pytest.mark.parametrize(
    ("script", "met"),
    [
        ("clock.cancel()", "clock.repeat() || true"),
        ("REST_MS = 1e9", "osc.is_busy() || answer !== null"),
        ("REST_MS = 1e9", "answer !== null && (REST_MS = 300)"),
    ],
)
def test_what_was_asked_for_one_clip_is_not_written_into_the_next(ableton: Ableton, script: str, met: str) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(track=1)
    other = ableton.clip(drums(30), track=1, slot=1)
    before = ableton.notes(other)
    ableton.ask("view", id=clip)
    device.ask("evaluate", expression=script)
    drag(device, x=0.25)
    device.ask("until_true", expression=met)
    ableton.ask("view", id=other)
    device.press("here")
    rest(device)
    assert ableton.notes(other) == before
    drag(device, x=0.75)
    morphed(device)
    assert len(ableton.notes(other)) == 3


def test_the_pads_original_is_the_clip_before_it_moved(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    before = starts(ableton, clip)
    for x in (0.25, 0.75):
        drag(device, x=x)
        morphed(device)
    device.press("original")
    assert starts(ableton, clip) == before


def test_what_a_person_changes_in_between_is_the_original_of_what_comes(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    drag(device, x=0.25)
    morphed(device)
    note = ableton.notes(clip)[0]
    ableton.ask("edit", id=clip, change={note["note_id"]: {"pitch": 51}})
    before = shape(ableton.notes(clip))
    device.set(x=0.75)
    morphed(device)
    device.press("original")
    assert shape(ableton.notes(clip)) == before


# When it is written


def test_the_pad_at_rest_writes_what_lies_between(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2", "store3", "store4")
    clip = ableton.clip(track=1)
    for step in range(1, 30):
        drag(device, x=step / 30, y=step / 60)
    morphed(device)
    assert len(ableton.notes(clip)) == 3
    assert ableton.state()["undo_steps"] == 1
    asked = [atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/interpolate"]
    assert asked[-1][1:13:2] == ["from", "to", "from2", "to2", "position", "position2"]
    assert asked[-1][10] == pytest.approx(29 / 30)
    assert asked[-1][12] == pytest.approx(29 / 60)


def test_ten_positions_are_one_undo_step_and_what_comes_later_is_another(opens: Opens, daemon: Daemon) -> None:
    ableton = opens(daemon.port, speed=4.0)
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    before, seen = ableton.notes(clip), set()
    for x in range(1, 11):
        drag(device, x=x / 10)
        morphed(device)
        seen.add(str(shape(ableton.notes(clip))))
    assert len(seen) > 3
    assert ableton.state()["undo_steps"] == 1
    device.ask("until_true", expression="began_at === 0")
    drag(device, x=0.05)
    morphed(device)
    assert ableton.state()["undo_steps"] == 2
    for _ in range(2):
        ableton.ask("undo")
    assert ableton.notes(clip) == before


def test_a_press_on_another_device_ends_the_step(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    drag(device, x=0.25)
    morphed(device)
    after = starts(ableton, clip)
    humanize = ableton.connected("VAE Humanize")
    humanize.press("humanize")
    humanize.until("line", "Humanized")
    ableton.ask("undo")
    assert starts(ableton, clip) == after


def test_what_is_refused_leaves_no_undo_step_open(opens: Opens, fake_daemon: Daemon) -> None:
    ableton = opens(fake_daemon.port, speed=4.0)
    device = stored(ableton, "store1", "store2")
    for slot in range(4):
        ableton.clip(drums(3), slot=slot)
    device.set(target=1)
    drag(device, x=0.25)
    device.until("line", "No slot of this track is free. Add a scene.")
    device.ask("until_true", expression="began_at === 0")
    assert not ableton.state()["is_open"]


def test_a_moving_envelope_writes_while_it_moves_and_is_one_undo_step(opens: Opens, fake_daemon: Daemon) -> None:
    ableton = opens(fake_daemon.port, speed=10.0)
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(drums(30), track=1)
    device.press("here")
    script = (
        "var step = 0, envelope = new Task(function () { step += 1; messagename = 'x'; inlet = 0; "
        "anything((step % 100) / 100); }, this); envelope.interval = 50; envelope.repeat();"
    )
    device.ask("evaluate", expression=script)
    device.ask("until_true", expression="written_at > 0 && now_ms() - moved_at < 300")
    assert starts(ableton, clip) == [0, 0, 0]
    device.ask("until_true", expression="(this.first = this.first || written_at) !== written_at")
    assert ableton.state()["undo_steps"] == 1
    device.ask("evaluate", expression="envelope.cancel()")
    rest(device)


def test_two_clips_make_a_line(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    clip = ableton.clip(track=1)
    drag(device, x=0.25)
    morphed(device)
    assert len(ableton.notes(clip)) == 3


def test_a_pad_with_a_clip_missing_says_which(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2", "store3")
    ableton.clip(track=1)
    drag(device, x=0.25)
    device.until("line", "Store a clip in D first.")


def test_the_dial_that_repeats_the_pad_in_a_float32_asks_nothing(ableton: Ableton) -> None:
    device = stored(ableton, "store1", "store2")
    ableton.clip(track=1)
    drag(device, x=0.531)
    rest(device)
    device.set(x=struct.unpack("f", struct.pack("f", 0.531))[0])
    assert device.ask("evaluate", expression="moved_at === asked_at") is True


# What the set keeps


def test_stored_clips_are_saved_with_the_set(ableton: Ableton) -> None:
    stored(ableton, "store1", "store2")
    clip = ableton.clip(track=1)
    ids, (device,) = ableton.reopened()
    ableton.ask("view", id=ids[clip])
    drag(device, x=0.25)
    morphed(device)
    assert len(ableton.notes(ids[clip])) == 3
    assert ableton.state()["undo_steps"] == 1


def test_in_a_set_that_is_opened_again_b_is_still_known_for_b(ableton: Ableton) -> None:
    stored(ableton, "store1", "store2")
    b = ableton.state()["detail"]
    ids, (device,) = ableton.reopened()
    before = ableton.notes(ids[b])
    drag(device, x=0.25)
    assert "Clip B is in view" in device.text("line")
    device.set(x=0.75)
    rest(device)
    assert ableton.notes(ids[b]) == before


def test_opening_a_set_changes_nothing_that_live_would_save(ableton: Ableton) -> None:
    stored(ableton, "store1", "store2")
    ableton.reopened()
    assert ableton.state()["parameter_steps"] == 0
    assert ableton.state()["undo_steps"] == 0


def test_a_store_that_is_undone_is_what_it_was(ableton: Ableton) -> None:
    device = stored(ableton, "store1")
    first = device.saved()["kept_a"]
    ableton.clip(drums(9), slot=1)
    device.press("store1")
    device.ask("recall", kept="a", atoms=first)
    assert device.ask("evaluate", expression="stored.a.notes.length") == 3
    device.ask("recall", kept="a", atoms=[0])
    assert device.ask("evaluate", expression="stored.a === undefined") is True


def test_the_largest_clip_is_kept_whole(ableton: Ableton) -> None:
    ableton.clip(drums(4095), beats=1024)
    ableton.connected("VAE Morph").press("store1")
    _, (device,) = ableton.reopened()
    assert device.ask("evaluate", expression="stored.a.notes.length") == 4095
