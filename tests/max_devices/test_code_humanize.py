"""VAE Humanize against the daemon with the fake generator: every note is played 0.02 beats late."""

import pytest

from tests.max_devices.ableton import Ableton, Device, Note, RefusedError, drums

pytestmark = pytest.mark.node

UNTOUCHED = ("note_id", "pitch", "duration", "mute", "probability", "velocity_deviation", "release_velocity", "mpe")


def humanized(ableton: Ableton, device: Device) -> None:
    device.press("humanize")
    device.until("line", "Humanized")


def by_id(notes: list[Note]) -> dict[int, Note]:
    return {note["note_id"]: note for note in notes}


@pytest.mark.parametrize("count", [1, 48, 49, 3000])
def test_every_note_is_played_and_none_is_lost_or_added(ableton: Ableton, count: int) -> None:
    clip = ableton.clip(drums(count), beats=1024)
    before = by_id(ableton.notes(clip))
    humanized(ableton, ableton.connected("VAE Humanize"))
    after = by_id(ableton.notes(clip))
    assert list(after) == list(before)
    for number, note in after.items():
        assert note["start_time"] == pytest.approx(before[number]["start_time"] + 0.02, abs=1e-4)


def test_only_start_and_velocity_change_and_mpe_and_probability_survive(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = by_id(ableton.notes(clip))
    humanized(ableton, ableton.connected("VAE Humanize"))
    for number, note in by_id(ableton.notes(clip)).items():
        assert [note[field] for field in UNTOUCHED] == [before[number][field] for field in UNTOUCHED]


def test_one_undo_takes_it_back(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    humanized(ableton, ableton.connected("VAE Humanize"))
    assert ableton.state()["undo_steps"] == 1
    ableton.ask("undo")
    assert ableton.notes(clip) == before


def test_one_undo_takes_it_back_in_a_live_that_groups_no_calls(ableton: Ableton) -> None:
    ableton.ask("live", undo_steps=False)
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    humanized(ableton, ableton.connected("VAE Humanize"))
    ableton.ask("undo")
    assert ableton.notes(clip) == before


def test_original_is_the_clip_as_it_was_and_original_again_the_result(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Humanize")
    humanized(ableton, device)
    after = ableton.notes(clip)
    device.press("original")
    assert ableton.notes(clip) == before
    device.press("original")
    assert ableton.notes(clip) == after


def test_humanize_again_begins_from_the_original_again(ableton: Ableton) -> None:
    clip = ableton.clip(drums(1))
    device = ableton.connected("VAE Humanize")
    humanized(ableton, device)
    device.set(timing=0.5)
    humanized(ableton, device)
    device.until("line", "Humanized")
    device.ask("until_true", expression="!osc.is_busy()")
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.01, abs=1e-4)


def test_humanize_begins_from_what_the_musician_has_changed(ableton: Ableton) -> None:
    clip = ableton.clip(drums(1))
    device = ableton.connected("VAE Humanize")
    humanized(ableton, device)
    (note,) = ableton.notes(clip)
    ableton.ask("edit", id=clip, change={note["note_id"]: {"start_time": 2.0}})
    device.press("humanize")
    device.ask("until_true", expression="!osc.is_busy()")
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(2.02, abs=1e-4)


def test_a_clip_of_the_arrangement_is_humanized_too(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48), arrangement=True)
    humanized(ableton, ableton.connected("VAE Humanize"))
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


def test_notes_outside_the_loop_stay(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48), start=1, beats=2)
    before = ableton.notes(clip)
    humanized(ableton, ableton.connected("VAE Humanize"))
    moved = [old["start_time"] for old, new in zip(before, ableton.notes(clip), strict=True) if old != new]
    assert (min(moved), max(moved)) == (1.0, 2.75)


def test_the_daemon_hears_beats_from_the_loop_start_and_the_meter_and_tempo(ableton: Ableton) -> None:
    ableton.clip(drums(3, every=0.5), start=-2, beats=4)
    clip = ableton.clip([{"pitch": 36, "start_time": 9.5, "duration": 0.5, "velocity": 90.4}], start=8, beats=4)
    humanized(ableton, ableton.connected("VAE Humanize"))
    messages = {address: atoms for address, *atoms in ableton.traffic()["messages"]}
    assert messages["/vae/clip/begin"][2:8] == [1, 4, "beats_per_bar", 4, "tempo", 120]
    assert messages["/vae/clip/notes"][1:8] == [0, 1, 36, 1.5, 0.5, 90, 0]
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(9.52, abs=1e-4)


def test_no_hit_is_lost_where_two_of_a_pitch_would_meet(ableton: Ableton) -> None:
    notes = [{"pitch": 36, "start_time": start, "duration": 0.1, "velocity": 100} for start in (0, 1, 7.99)]
    clip = ableton.clip(notes)
    device = ableton.connected("VAE Humanize")
    answer = [{"start": start, "velocity": 100} for start in (1.5, 1.5, 9)]
    device.ask(
        "evaluate",
        expression=f"take.offer(live.clip(), [{{beats: 8, notes: {answer}, parts: []}}], {{places: [0, 1, 2]}})",
    )
    starts = [note["start_time"] for note in ableton.notes(clip)]
    assert starts == [1.5, pytest.approx(1.5 + 1 / 256), pytest.approx(8 - 1 / 256)]
    assert ableton.state()["deleted"] == 0


def test_a_note_that_live_has_cut_short_is_long_again_in_the_original(ableton: Ableton) -> None:
    clip = ableton.clip([{"pitch": 46, "start_time": start, "duration": 1, "velocity": 100} for start in (0, 1)])
    device = ableton.connected("VAE Humanize")
    answer = [{"start": start, "velocity": 100} for start in (0, 0.9)]
    device.ask(
        "evaluate",
        expression=f"take.offer(live.clip(), [{{beats: 8, notes: {answer}, parts: []}}], {{places: [0, 1]}})",
    )
    assert ableton.notes(clip)[0]["duration"] == 0.9
    device.press("original")
    assert [note["duration"] for note in ableton.notes(clip)] == [1, 1]


@pytest.mark.parametrize(("looping", "start_time"), [(1, 11.9), (0, 4.0)])
def test_an_early_first_hit_of_a_loop_goes_to_its_end_and_of_no_loop_on_its_line(
    ableton: Ableton, looping: int, start_time: float
) -> None:
    clip = ableton.clip(drums(1, start_time=4.0), start=4, looping=looping)
    device = ableton.connected("VAE Humanize")
    answer = [{"start": -0.1, "velocity": 100}]
    device.ask(
        "evaluate",
        expression=f"take.offer(live.clip(), [{{beats: 8, notes: {answer}, parts: []}}], {{places: [0]}})",
    )
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(start_time)
    device.press("original")
    assert ableton.notes(clip)[0]["start_time"] == 4


# What the line says


def test_without_a_clip_it_says_what_to_do(ableton: Ableton) -> None:
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    assert device.text("line").endswith("Double-click a MIDI clip first.")


def test_an_audio_clip_is_no_clip_to_work_on(ableton: Ableton) -> None:
    ableton.clip(midi=False)
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    assert device.text("line").endswith("Double-click a MIDI clip first.")


def test_an_audio_clip_in_view_under_way_changes_nothing(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    slow(device)
    device.press("humanize")
    ableton.clip(midi=False, slot=1)
    device.until("line", "Another clip is in view now.")
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


def test_a_melody_is_played_as_taps_and_the_line_says_so(musical: Ableton) -> None:
    musical.clip([{"pitch": 10, "start_time": step / 2, "duration": 0.5, "velocity": 100} for step in range(8)])
    device = musical.connected("VAE Humanize")
    humanized(musical, device)
    assert "As taps." in device.text("line")


def test_an_empty_clip_is_refused(ableton: Ableton) -> None:
    ableton.clip()
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    assert device.text("line").endswith("This clip has no notes in its loop.")


def test_more_notes_than_the_daemon_takes_are_refused(ableton: Ableton) -> None:
    ableton.clip(drums(4098), beats=1024)
    device = ableton.connected("VAE Humanize")
    device.press("humanize")
    assert device.text("line").endswith("This clip has more than 4096 notes.")


def test_original_without_a_result_says_so(ableton: Ableton) -> None:
    device = ableton.connected("VAE Humanize")
    device.press("original")
    assert device.text("line").endswith("There is no result yet.")


def test_the_line_tells_the_model_and_the_latency(ableton: Ableton) -> None:
    ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    humanized(ableton, device)
    words = device.text("line").split()
    assert words[:2] == ["Connected:", "drums_16bar"]
    assert words[2].isdigit()
    assert words[3:] == ["ms.", "Humanized", "48", "notes."]


# A clip that changes under way


def slow(device: Device) -> None:
    """Let the daemon take its time: the fake generator sleeps where the style says so."""
    device.ask("evaluate", expression="settings = function (names) { return ['style', 'sleep 0.3']; }")


def test_notes_deleted_under_way_are_left_out_and_the_line_says_so(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    slow(device)
    device.press("humanize")
    gone = [note["note_id"] for note in ableton.notes(clip)[:5]]
    ableton.ask("edit", id=clip, remove=gone)
    device.until("line", "The clip has changed: 5 notes are gone.")
    notes = ableton.notes(clip)
    assert len(notes) == 43
    assert all(note["start_time"] % 0.25 == pytest.approx(0.02, abs=1e-4) for note in notes)
    assert ableton.state()["ignored"] == 0


def test_a_clip_deleted_under_way_is_gone_and_the_line_says_so(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    slow(device)
    device.press("humanize")
    ableton.ask("delete", id=clip)
    device.until("line", "That clip is gone.")
    assert ableton.state()["undo_steps"] == 0


def test_another_clip_in_view_under_way_stays_as_it_is(ableton: Ableton) -> None:
    other = ableton.clip(drums(3), slot=1)
    clip = ableton.clip(drums(48), slot=0)
    device = ableton.connected("VAE Humanize")
    slow(device)
    before = ableton.notes(other)
    device.press("humanize")
    ableton.ask("view", id=other)
    device.until("line", "Another clip is in view now.")
    assert ableton.notes(other) == before
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


def test_a_second_press_takes_the_place_of_the_first(ableton: Ableton) -> None:
    clip = ableton.clip(drums(48))
    device = ableton.connected("VAE Humanize")
    slow(device)
    device.press("humanize")
    device.press("humanize")
    device.until("line", "Humanized")
    assert ableton.state()["undo_steps"] == 1
    assert ableton.notes(clip)[0]["start_time"] == pytest.approx(0.02, abs=1e-4)


# The fake is strict


@pytest.mark.parametrize(
    ("script", "refusal"),
    [
        ("new LiveAPI('live_set tracks 0 clip_slots 0 clip').call('get_all_notes_extended')", "needs Live 11.1"),
        ("new LiveAPI('live_set view detail_clip').call('set_notes')", "no function set_notes"),
        ("new LiveAPI('live_set view detail_clip').call('add_new_notes', '{}')", "a symbol that stays"),
        ("new LiveAPI('live_set view detail_clip').call('add_new_notes', {notes: [{pitch: 1}]})", "lacks"),
        ("new LiveAPI('live_set tracks 0 clip_slots 0').call('create_clip', 4)", "a slot that has a clip"),
        ("patch.getnamed('nobody')", "no box is named nobody"),
        ("outlet(3, 'bang')", "no outlet 3"),
        ("[].includes(1)", "not a function"),
    ],
)
def test_what_live_or_max_refuses_is_an_error(ableton: Ableton, script: str, refusal: str) -> None:
    ableton.clip(drums(3))
    device = ableton.connected("VAE Humanize")
    with pytest.raises(RefusedError, match=refusal):
        device.ask("evaluate", expression=script)


@pytest.mark.parametrize("code", ["let a = 1;", "var f = () => 1;", "var a = `b`;", "for (var a of []) {}"])
def test_a_script_newer_than_es5_is_refused(ableton: Ableton, code: str) -> None:
    with pytest.raises(RefusedError, match="SyntaxError"):
        ableton.ask("load", name="new", code=code, boxes={}, saved={})


def test_one_unknown_note_and_live_ignores_all_modifications(ableton: Ableton) -> None:
    clip = ableton.clip(drums(3))
    before = ableton.notes(clip)
    device = ableton.connected("VAE Humanize")
    change = (
        "var notes = live.clip().live_notes; notes[0].velocity = 1; notes[1].note_id = 9999;"
        "new LiveAPI('live_set view detail_clip').call('apply_note_modifications', {notes: notes})"
    )
    device.ask("evaluate", expression=change)
    assert ableton.notes(clip) == before
    assert ableton.state()["ignored"] == 1


def test_live_takes_no_change_inside_a_notification(ableton: Ableton) -> None:
    device = ableton.connected("VAE Humanize")
    script = (
        "var song = new LiveAPI(function () { song.set('tempo', 90); }, 'live_set'); song.property = 'tempo';"
        "song.set('tempo', 100)"
    )
    with pytest.raises(RefusedError, match="Changes cannot be triggered by notifications"):
        device.ask("evaluate", expression=script)


def test_there_is_no_live_before_its_bang(ableton: Ableton) -> None:
    device = ableton.load("VAE Humanize")
    with pytest.raises(RefusedError, match="before the bang"):
        device.ask("evaluate", expression="new LiveAPI('live_set')")
