import pytest

from bridge.errors import RequestError
from bridge.protocol import MAX_NOTES
from bridge.slots import MAX_SLOTS, Slots, checked_clip
from engine.clip import Clip, Note

NOTE = Note(36, 0.0, 0.25, 100)


def test_a_clip_is_kept_under_its_name() -> None:
    slots = Slots()
    slots.put("a", Clip((NOTE,), 4.0))
    assert slots["a"].notes == (NOTE,)
    assert slots.items() == [("a", slots["a"])]


def test_an_empty_slot_is_named() -> None:
    with pytest.raises(RequestError, match="'nowhere' is empty") as refusal:
        Slots()["nowhere"]
    assert refusal.value.code == "no_clip"


def test_slots_are_bounded_but_can_be_filled_again() -> None:
    slots = Slots()
    for index in range(MAX_SLOTS):
        slots.put(str(index), Clip((), 4.0))
    with pytest.raises(RequestError, match="clear"):
        slots.put("one more", Clip((), 4.0))
    slots.put("0", Clip((NOTE,), 4.0))
    slots.clear("1")
    slots.put("one more", Clip((), 4.0))


def test_a_clip_has_at_most_4096_notes() -> None:
    with pytest.raises(RequestError, match="4096") as refusal:
        Slots().put("a", Clip((NOTE,) * (MAX_NOTES + 1), 4.0))
    assert refusal.value.code == "too_big"


@pytest.mark.parametrize("notes", [(Note(36, 1e9, 1.0, 1),), (Note(36, 0.0, 1e300, 1),)])
def test_a_note_that_no_float32_places_is_too_big(notes: tuple[Note, ...]) -> None:
    with pytest.raises(RequestError) as refusal:
        checked_clip(notes, 4.0, {})
    assert refusal.value.code == "too_big"


@pytest.mark.parametrize(
    ("beats", "values", "text"),
    [(0.0, {}, "length"), (4.0, {"tempo": 0.0}, "tempo"), (4.0, {"beats_per_bar": 100.0}, "beats_per_bar")],
)
def test_a_length_meter_or_tempo_out_of_range_is_named(beats: float, values: dict[str, float], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        checked_clip((), beats, values)
