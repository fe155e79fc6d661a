"""The MIDI Tools of Live 12: an answer at once, or none; the daemon's when Live asks again."""

import pytest

from tests.max_devices.ableton import Ableton, Device, Note

pytestmark = pytest.mark.node

NOTES: list[Note] = [
    {
        "note_id": 10 + index,
        "pitch": 36,
        "start_time": 8 + index / 2,
        "duration": 0.25,
        "velocity": 100,
        "mute": 0,
        "probability": 0.5,
        "velocity_deviation": 0,
        "release_velocity": 64,
    }
    for index in range(8)
]


@pytest.fixture
def live_12(ableton: Ableton) -> Ableton:
    ableton.ask("live", version=12.0)
    return ableton


def answered(device: Device) -> list[Note]:
    """What Live gets when it has been asked to ask again."""
    device.until("line", "Played")
    notes: list[Note] = device.ask("tool_answer")
    return notes


def test_the_notes_pass_as_they_are_until_the_daemon_has_answered(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    assert device.ask("tool", notes=NOTES) == NOTES
    played = answered(device)
    assert [note["start_time"] for note in played] == pytest.approx(
        [n["start_time"] + 0.02 for n in NOTES], abs=1e-4
    )


def test_a_transformation_keeps_ids_and_probability(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    device.ask("tool", notes=NOTES)
    kept = ("note_id", "pitch", "duration", "probability")
    assert [[n[key] for key in kept] for n in answered(device)] == [[n[key] for key in kept] for n in NOTES]


def test_the_same_question_gets_the_same_answer_at_once(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    device.ask("tool", notes=NOTES)
    first = answered(device)
    assert device.ask("tool", notes=NOTES) == first
    assert [address for address, *_ in live_12.traffic()["messages"]].count("/vae/humanize") == 1


def test_a_dial_that_moves_applies_anew(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    device.ask("tool", notes=NOTES)
    answered(device)
    device.ask("evaluate", expression="say('')")
    device.set(timing=0.5)
    assert answered(device)[0]["start_time"] == pytest.approx(8.01, abs=1e-4)


def test_a_generator_says_nothing_at_first_and_then_writes_at_the_selection(live_12: Ableton) -> None:
    device = live_12.connected("VAE Generator", bars=1)
    assert device.ask("tool", notes=[], start=4, end=8) is None
    notes = answered(device)
    assert len(notes) == 16
    assert notes[0]["start_time"] == 4


def test_a_transformation_without_notes_says_what_to_do(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    device.ask("tool", notes=[])
    assert device.text("line").endswith("Select some notes first.")


def test_without_a_daemon_the_notes_pass_as_they_are(live_12: Ableton) -> None:
    device = live_12.load("VAE Transformation", daemon_port=1).start()
    assert device.ask("tool", notes=NOTES) == NOTES


def test_old_answers_are_forgotten(live_12: Ableton) -> None:
    device = live_12.connected("VAE Transformation")
    for seed in range(1, 41):
        device.set(seed=seed)
        device.ask("tool", notes=NOTES)
        device.ask("until_true", expression=f"cache[wanted] !== undefined && values.seed === {seed}")
    assert device.ask("evaluate", expression="Object.keys(cache).length") == 32
