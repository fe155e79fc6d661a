import pytest

from bridge.addresses import Address
from bridge.errors import RequestError
from bridge.playing.slots import MAX_NOTES, MAX_SLOTS, Slots, checked_clip
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


A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)
EMPTY = Clip((), 4.0)


@pytest.fixture
def full() -> tuple[Slots, list[tuple[str, Address]]]:
    """200 slots of A, 55 of B and one of the daemon's own; and which have gone."""
    slots, gone = Slots(), list[tuple[str, Address]]()
    slots.on_gone = lambda name, owner: gone.append((name, owner))
    slots.keep("live", EMPTY)
    for index in range(MAX_SLOTS - 1):
        slots.put(str(index), EMPTY, A if index < 200 else B)
    return slots, gone


def test_a_257th_takes_the_slot_used_longest_ago_of_the_client_that_has_most(
    full: tuple[Slots, list[tuple[str, Address]]],
) -> None:
    slots, gone = full
    slots.put("0", EMPTY, A)
    slots["1"]
    slots.put("more", EMPTY, B)
    slots.put("more", EMPTY, B)
    slots.put("yet more", EMPTY, A)
    assert gone == [("2", A), ("3", A)]
    assert len(slots.items()) == MAX_SLOTS


def test_the_daemons_own_slot_never_goes_and_takes_one_where_it_needs_it(
    full: tuple[Slots, list[tuple[str, Address]]],
) -> None:
    slots, gone = full
    slots.clear("live")
    slots.put("more", EMPTY, A)
    slots.keep("live", EMPTY)
    for index in range(1000):
        slots.put(f"more {index}", EMPTY, B)
    assert gone[0] == ("0", A)
    assert "live" in slots
    assert len(slots.items()) == MAX_SLOTS


def test_a_slot_belongs_to_whoever_put_it_last(full: tuple[Slots, list[tuple[str, Address]]]) -> None:
    slots, gone = full
    for index in range(100):
        slots.put(str(index), EMPTY, B)
    slots.put("more", EMPTY, A)
    assert gone == [("200", B)]


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
