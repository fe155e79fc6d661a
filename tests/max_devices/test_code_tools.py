"""The MIDI Tools of Live 12: what is there passes at once; the daemon's answer comes in a bang of the device's own,
which gives it to nothing but what was asked about.
"""

import random

import pytest

from tests.max_devices.ableton import Ableton, Device, Note, drums

pytestmark = pytest.mark.node

SLOW = "var real = settings; settings = function (names) { return real(names).concat(['style', 'sleep 0.4']); }"


@pytest.fixture
def live_12(ableton: Ableton) -> Ableton:
    ableton.ask("live", version=12.0)
    return ableton


def kicks(*, pitch: int = 36, count: int = 8, first: float = 8.0) -> list[Note]:
    kept = {"probability": 0.5, "velocity_deviation": 0, "release_velocity": 64}
    return [
        {"pitch": pitch, "start_time": first + index / 2, "duration": 0.25, "velocity": 100, **kept}
        for index in range(count)
    ]


def shape(notes: list[Note]) -> list[tuple[int, float, float]]:
    return [(note["pitch"], round(note["start_time"], 3), note["velocity"]) for note in notes]


def slow(device: Device) -> Device:
    """Let the daemon take its time."""
    device.ask("evaluate", expression=SLOW)
    return device


def answered(device: Device) -> None:
    """Until the daemon's answer has gone to Live, or been left alone."""
    device.ask("until_true", expression="!osc.is_busy() && !due")


def asked(ableton: Ableton, verb: str) -> list[list[object]]:
    return [list(atoms) for address, *atoms in ableton.traffic()["messages"] if address == f"/vae/{verb}"]


def key(atoms: list[object], name: str) -> object:
    return atoms[atoms.index(name) + 1]


# The clip that was asked for, and no other


@pytest.mark.parametrize("kind", ["VAE Transformation", "VAE Generator"])
def test_a_user_who_looks_at_another_clip_before_the_answer_finds_both_as_they_were(
    live_12: Ableton, kind: str
) -> None:
    other = live_12.clip(kicks(), start=8, slot=1)
    clip = live_12.clip(kicks(), start=8)
    device = slow(live_12.connected(kind))
    before = shape(live_12.notes(other))
    device.apply()
    live_12.ask("view", id=other)
    device.until("line", "apply again on that clip")
    assert shape(live_12.notes(other)) == before
    assert shape(live_12.notes(clip)) == before


def test_back_on_its_clip_the_answer_is_there_at_once(live_12: Ableton) -> None:
    other = live_12.clip(kicks(), start=8, slot=1)
    clip = live_12.clip(kicks(), start=8)
    device = slow(live_12.connected("VAE Transformation", seed=7))
    device.apply()
    live_12.ask("view", id=other)
    device.until("line", "apply again on that clip")
    live_12.ask("view", id=clip)
    device.apply()
    assert live_12.notes(clip)[0]["start_time"] == pytest.approx(8.02, abs=1e-4)
    assert len(asked(live_12, "humanize")) == 1


@pytest.mark.parametrize("kind", ["VAE Transformation", "VAE Generator"])
def test_a_bang_of_our_own_asks_nothing_and_changes_no_notes_that_were_changed_meanwhile(
    live_12: Ableton, kind: str
) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = slow(live_12.connected(kind))
    device.apply()
    note = live_12.notes(clip)[0]
    live_12.ask("edit", id=clip, change={note["note_id"]: {"pitch": 40}})
    before = shape(live_12.notes(clip))
    device.until("line", "has changed meanwhile: apply again")
    assert shape(live_12.notes(clip)) == before
    assert len(asked(live_12, "humanize") + asked(live_12, "sample")) == 1


def test_another_selection_of_the_same_clip_is_left_alone(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8, selection=(8, 10))
    device = slow(live_12.connected("VAE Generator"))
    device.apply()
    live_12.ask("select", id=clip, start=10, end=12)
    before = shape(live_12.notes(clip))
    device.until("line", "apply again")
    assert shape(live_12.notes(clip)) == before


def test_a_clip_deleted_before_the_answer_is_gone_and_no_other_is_touched(live_12: Ableton) -> None:
    other = live_12.clip(kicks(), start=8, slot=1)
    clip = live_12.clip(kicks(), start=8)
    device = slow(live_12.connected("VAE Transformation"))
    device.apply()
    live_12.ask("delete", id=clip)
    live_12.ask("view", id=other)
    before = shape(live_12.notes(other))
    device.until("line", "apply again on that clip")
    assert shape(live_12.notes(other)) == before


def test_a_dial_that_moves_while_another_clip_is_in_view_does_nothing(live_12: Ableton) -> None:
    other = live_12.clip(kicks(), start=8, slot=1)
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation")
    device.apply()
    answered(device)
    live_12.ask("view", id=other)
    before = shape(live_12.notes(other)), shape(live_12.notes(clip))
    device.set(timing=0.5)
    answered(device)
    assert (shape(live_12.notes(other)), shape(live_12.notes(clip))) == before
    assert len(asked(live_12, "humanize")) == 1


# The transformation


def test_the_notes_pass_as_they_are_until_the_daemon_has_answered(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation")
    before = live_12.notes(clip)
    assert shape(device.apply() or []) == shape(before)
    answered(device)
    starts = [note["start_time"] for note in live_12.notes(clip)]
    assert starts == pytest.approx([note["start_time"] + 0.02 for note in before], abs=1e-4)


def test_a_transformation_keeps_ids_and_probability(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation")
    kept = ("note_id", "pitch", "duration", "probability")
    before = [[note[field] for field in kept] for note in live_12.notes(clip)]
    device.apply()
    answered(device)
    assert [[note[field] for field in kept] for note in live_12.notes(clip)] == before


def test_only_the_selected_notes_change(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8, selection=(9, 10))
    device = live_12.connected("VAE Transformation")
    before = live_12.notes(clip)
    device.apply()
    answered(device)
    moved = [note["start_time"] for note in before if note not in live_12.notes(clip)]
    assert moved == [9.0, 9.5]


def test_with_a_seed_the_same_question_gets_the_same_answer_at_once(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation", seed=7)
    device.apply()
    answered(device)
    first = shape(live_12.notes(clip))
    live_12.ask("undo")
    assert shape(device.apply() or []) == first
    assert len(asked(live_12, "humanize")) == 1


def test_a_dial_that_moves_applies_anew_to_what_was_there_with_the_same_seed(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation")
    device.apply()
    answered(device)
    device.set(timing=0.5)
    answered(device)
    assert live_12.notes(clip)[0]["start_time"] == pytest.approx(8.01, abs=1e-4)
    first, second = asked(live_12, "humanize")
    assert key(first, "seed") == key(second, "seed") != 0


def test_a_dial_that_moves_as_the_answer_comes_waits_for_its_own(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation", seed=7)
    device.apply()
    device.ask("until_true", expression="due !== '' || !osc.is_busy()")
    for timing in (0.9, 0.2, 0.5):
        device.set(timing=timing)
    answered(device)
    assert live_12.notes(clip)[0]["start_time"] == pytest.approx(8.01, abs=1e-4)


def test_a_transformation_without_notes_says_what_to_do(live_12: Ableton) -> None:
    live_12.clip(beats=8)
    device = live_12.connected("VAE Transformation")
    assert device.apply() == []
    assert device.text("line").endswith("Select some notes first.")


def test_without_a_daemon_the_notes_pass_as_they_are(live_12: Ableton) -> None:
    clip = live_12.clip(kicks(), start=8)
    device = live_12.load("VAE Transformation", daemon_port=1).start()
    before = shape(live_12.notes(clip))
    assert shape(device.apply() or []) == before


def test_the_daemon_hears_whole_bars_of_the_clips_meter_from_its_loop(live_12: Ableton) -> None:
    live_12.clip(kicks(first=8.5), start=1.5, beats=12, meter=(3, 4), selection=(8.5, 9.5))
    device = live_12.connected("VAE Transformation")
    device.apply()
    answered(device)
    begin = asked(live_12, "clip/begin")[-1]
    assert begin[2:4] == [2, 3], "one bar of three quarters"
    assert key(begin, "beats_per_bar") == 3
    assert asked(live_12, "clip/notes")[-1][4] == 1.0, "the bar begins at 7.5"


def test_old_answers_are_forgotten(live_12: Ableton) -> None:
    live_12.clip(kicks(), start=8)
    device = live_12.connected("VAE Transformation")
    for seed in range(1, 41):
        device.set(seed=seed)
        device.apply()
        answered(device)
    assert device.ask("evaluate", expression="Object.keys(cache).length") <= 32


# The generator


def test_a_generator_answers_at_once_with_the_clips_own_notes_and_then_with_bars(live_12: Ableton) -> None:
    clip = live_12.clip(drums(6), beats=8, selection=(4, 8))
    before = live_12.notes(clip)
    device = live_12.connected("VAE Generator")
    assert device.apply() == []
    assert live_12.notes(clip) == before
    answered(device)
    assert live_12.notes(clip)[:6] == before
    assert [note["start_time"] for note in live_12.notes(clip)[6:]] == [4 + step / 4 for step in range(16)]


def test_at_seed_0_each_press_is_another_beat_and_the_last_one_stays_until_then(live_12: Ableton) -> None:
    clip = live_12.clip(beats=4)
    device = live_12.connected("VAE Generator")
    device.apply()
    answered(device)
    first = shape(live_12.notes(clip))
    assert shape(device.apply() or []) == first
    answered(device)
    assert len(first) == 16
    assert shape(live_12.notes(clip)) != first


def test_with_a_seed_pressed_again_it_is_the_same_beat(live_12: Ableton) -> None:
    clip = live_12.clip(beats=4)
    device = live_12.connected("VAE Generator", seed=7)
    device.apply()
    answered(device)
    first = shape(live_12.notes(clip))
    device.apply()
    answered(device)
    assert shape(live_12.notes(clip)) == first
    assert len(asked(live_12, "sample")) == 1


@pytest.mark.parametrize(("end", "bars"), [(7.0, 1), (8.0, 1), (9.0, 2), (16.0, 3)])
def test_the_selection_is_filled_to_its_end_and_nothing_is_written_past_it(
    live_12: Ableton, end: float, bars: int
) -> None:
    tail = [{"pitch": 49, "start_time": end, "duration": 1, "velocity": 99}]
    clip = live_12.clip(tail, beats=20, selection=(4, end))
    device = live_12.connected("VAE Generator", bars=2)
    device.apply()
    answered(device)
    notes = live_12.notes(clip)
    assert key(asked(live_12, "sample")[-1], "bars") == bars
    assert notes[0]["start_time"] == 4
    assert notes[-2]["start_time"] == end - 0.25
    assert shape(notes[-1:]) == [(49, end, 99)]
    assert all(note["start_time"] + note["duration"] <= end for note in notes[:-1])


def test_without_a_selection_bars_begin_on_the_grid_line_before_the_cursor(live_12: Ableton) -> None:
    clip = live_12.clip(beats=16, selection=(4.1, 4.1))
    device = live_12.connected("VAE Generator", bars=1)
    device.apply()
    answered(device)
    assert [note["start_time"] for note in live_12.notes(clip)] == [4 + step / 4 for step in range(16)]


@pytest.mark.parametrize(
    ("meter", "beats", "bars", "heard"),
    [((3, 4), 6, 2, [*range(12), *range(16, 28)]), ((6, 8), 3, 1, [*range(12)]), ((5, 4), 5, 2, [*range(20)])],
)
def test_a_bar_of_the_clip_begins_with_a_bar_of_the_model(
    live_12: Ableton, meter: tuple[int, int], beats: int, bars: int, heard: list[int]
) -> None:
    clip = live_12.clip(beats=beats, meter=meter)
    device = live_12.connected("VAE Generator")
    device.apply()
    answered(device)
    assert key(asked(live_12, "sample")[-1], "bars") == bars
    notes = live_12.notes(clip)
    assert [note["start_time"] for note in notes] == [step / 4 for step in range(4 * beats)]
    assert [note["pitch"] for note in notes] == [36 + step % 8 for step in heard]


def test_a_part_that_is_no_drums_keeps_to_the_scale_of_the_set(live_12: Ableton) -> None:
    device = live_12.connected("VAE Generator")
    scale = {"scale_mode": 1, "root_note": 0, "scale_intervals": [0, 4, 7]}
    tune = [{"pitch": pitch} for pitch in (60, 61, 62, 65, 66, 71)]
    pitches = device.ask("evaluate", expression=f"score.in_scale({tune}, {scale})")
    assert [note["pitch"] for note in pitches] == [60, 60, 60, 64, 67, 72]


def test_a_note_that_live_cuts_where_the_next_begins_is_no_change_by_a_person(live_12: Ableton) -> None:
    live_12.clip(kicks(), start=8, selection=(8, 12))
    device = live_12.connected("VAE Generator", seed=7)
    long = "var once = replies.take; replies.take = function (one, address, atoms) { once(one, address, atoms); "
    long += (
        "one.results.forEach(function (each) { each.notes.forEach(function (note) { note.duration = 3; }); }); };"
    )
    device.ask("evaluate", expression=long)
    device.apply()
    answered(device)
    device.set(temperature=0.5)
    answered(device)
    assert "Played" in device.text("line")


def test_a_style_that_is_picked_applies_anew(live_12: Ableton) -> None:
    live_12.clip(beats=4)
    device = live_12.connected("VAE Generator")
    device.apply()
    answered(device)
    device.choose(style="funk")
    device.until("line", "'funk' is no style")
    assert key(asked(live_12, "sample")[-1], "style") == "funk"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["VAE Transformation", "VAE Generator"])
def test_whatever_a_user_does_only_what_apply_was_pressed_on_changes(
    live_12: Ableton, kind: str, seed: int
) -> None:
    draw = random.Random(seed)
    clips = [live_12.clip(kicks(count=4 + slot), start=8, slot=slot) for slot in range(4)]
    device = live_12.connected(kind)
    applied, dial = 0, "temperature" if kind == "VAE Generator" else "timing"
    for _ in range(40):
        view = draw.choice(clips)
        live_12.ask("view", id=view)
        before = {clip: shape(live_12.notes(clip)) for clip in clips}
        if draw.random() < 0.5:
            device.apply()
            applied = view
        else:
            device.set(**{dial: draw.random()})
        away = draw.random() < 0.5
        if away:
            live_12.ask("view", id=draw.choice(clips))
        answered(device)
        seen = live_12.state()["detail"]
        after = {clip: shape(live_12.notes(clip)) for clip in clips}
        changed = {clip for clip in clips if after[clip] != before[clip]}
        assert changed <= {applied}
        assert not changed or seen == applied or view == applied, "only while it is in view"
        if draw.random() < 0.2:
            live_12.ask("select", id=view, start=8 + draw.randrange(3), end=11 + draw.randrange(3))
