from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.osc.packet import read_packet, write_message
from bridge.osc.requests import engine_request, read_request, slots_of
from bridge.osc.table import PREFIX, TABLE, slot_keys
from engine.clip import Clip, Note
from engine.representation.attributes import ATTRIBUTES
from engine.requests import (
    CLIP_FIELDS,
    VERBS,
    Decode,
    Groove,
    Humanize,
    Interpolate,
    Keeping,
    NoteForNote,
    Request,
    clips_of,
    settings_of,
)
from tests.bridge.peer import note_atoms

CLIP = Clip((Note(36, 0.0, 0.25, 100),), 4.0)
MUSIC = [verb for verb in TABLE.values() if verb.request is not None]


def parse(verb: str, *arguments: object) -> Any:
    (message,) = read_packet(write_message(PREFIX + verb, *arguments))  # type: ignore[arg-type]
    call = read_request(message)
    if call.error:
        raise call.error
    return call


@pytest.mark.parametrize(
    ("verb", "arguments", "sentence"),
    [
        ("freeze", (1, "on", 7), "on must be in 0..1, not 7"),
        ("freeze", (1, "on", -1), "on must be in 0..1, not -1"),
        ("learn", (1, "target", "temperature", "on", 2), "on must be in 0..1, not 2"),
        ("subscribe", (1, "topic", "beat", "on", 127), "on must be in 0..1, not 127"),
        ("play", (1, "slot", "a", "loop", 9), "loop must be in 0..1, not 9"),
        ("ping", (1, "reply_port", 70000), "reply_port must be in 1..65535, not 70000"),
    ],
)
def test_a_number_that_an_argument_does_not_take_is_refused(
    verb: str, arguments: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence):
        parse(verb, *arguments)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request that the engine accepts."""
    kind = draw(st.sampled_from(list(VERBS.values())))
    settings = {each.name: draw(values(each)) for each in settings_of(kind)}
    if issubclass(kind, NoteForNote):
        drums = st.lists(st.sampled_from(["timing.snare", "timing.low_tom", "velocity.kick"]), unique=True)
        settings["of_drum"] = tuple((name, draw(st.floats(0, 1, width=32))) for name in draw(drums))
    if kind is Interpolate:
        four = draw(st.booleans())
        settings |= {"clips": (CLIP,) * (4 if four else 2), "count": 1}
        settings["position2"] = draw(st.floats(0, 1, width=32)) if four else None
        settings[draw(st.sampled_from(["steps", "position"]))] = None
    else:
        settings |= {each.name: CLIP for each in fields(kind) if each.name in CLIP_FIELDS}
    if kind is Decode:
        settings["z"] = tuple(draw(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=300)))
        settings["clip"] = draw(st.sampled_from([CLIP, None]))
    if issubclass(kind, Keeping):
        settings["keep_clip"] = draw(st.sampled_from([CLIP, None]))
    return kind(**settings)


def values(setting: Any) -> st.SearchStrategy[Any]:
    if setting.name in ("only", "keep"):
        return st.lists(st.integers(0, 127), max_size=9).map(tuple)
    if setting.name in ATTRIBUTES:
        return st.lists(st.floats(-3, 3, width=32), max_size=4).map(tuple)
    if setting.name == "parts":
        return st.lists(st.sampled_from(["lead", "bass", "drums"]), unique=True).map(tuple)
    if "low" not in setting.metadata:
        return st.sampled_from([setting.default, "funk", "ride"])
    low, high = setting.metadata["low"], setting.metadata["high"]
    if "int" in str(setting.type):
        return st.integers(low, high)
    return st.floats(low, high, width=32)


def written(request: Request) -> list[object]:
    """A request as a client writes it."""
    slots: list[object] = ["size", len(request.z)] if isinstance(request, Decode) else []
    for key, _ in zip(slot_keys(type(request)), clips_of(request), strict=False):
        slots += [key.name, "a"]
    for each in fields(request):
        value = getattr(request, each.name)
        if "text" in each.metadata and value not in (None, ()):
            slots += [each.name, ",".join(map(str, value)) if isinstance(value, tuple) else value]
    return slots + [atom for pair in getattr(request, "of_drum", ()) for atom in pair]


@given(requests())
def test_every_request_is_read_as_it_was_written(request: Request) -> None:
    verb = next(name for name, kind in VERBS.items() if type(request) is kind)
    call = parse(verb, 7, *written(request))
    assert call.id == 7
    call = replace(call, numbers=getattr(request, "z", ()))
    assert engine_request(call, [CLIP] * len(slots_of(call))) == request


@given(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=128), st.integers(0, 4000))
def test_the_numbers_of_a_z_are_read_as_they_were_written(numbers: list[float], first: int) -> None:
    call = parse("latent", 7, first, len(numbers), *numbers, "reply_port", 9000)
    assert call.numbers == tuple(numbers)
    assert call.values == {"first": first, "count": len(numbers), "reply_port": 9000}


def test_groove_has_a_slot_for_its_notes_and_one_for_their_feel() -> None:
    call, other = parse("groove", 7, "from", "b", "slot", "a", "to", "c"), Clip((), 8.0)
    assert slots_of(call) == ["a", "b"]
    assert engine_request(call, [CLIP, other]) == Groove(clip=CLIP, feel=other)
    assert call.values["to"] == "c"


def test_the_slot_of_what_stays_may_be_named_or_not() -> None:
    call, kept = parse("groove", 7, "keep_slot", "k", "slot", "a", "from", "b"), Clip((), 8.0)
    assert slots_of(call) == ["a", "b", "k"]
    assert engine_request(call, [CLIP, CLIP, kept]) == Groove(clip=CLIP, feel=CLIP, keep_clip=kept)
    assert slots_of(parse("groove", 7, "slot", "a", "from", "b")) == ["a", "b"]


def test_a_drum_has_a_value_of_its_own_and_ends_a_list_of_pitches() -> None:
    call = parse("humanize", 7, "slot", "a", "keep", 36, 38, "timing.snare", 0.5, "timing", 1)
    request = Humanize(clip=CLIP, keep=(36, 38), of_drum=(("timing.snare", 0.5),))
    assert engine_request(call, [CLIP]) == request


@pytest.mark.parametrize("key", ["timing.cowbell", "velocity.", "timing.snare.kick"])
def test_a_drum_that_there_is_not_is_answered_with_those_that_there_are(key: str) -> None:
    with pytest.raises(RequestError, match=f"there is no {key}: of drums there are kick, snare, .*, ride"):
        engine_request(parse("humanize", 7, "slot", "a", key, 0.5), [CLIP])


@pytest.mark.parametrize("key", ["accents.snare", "seed.snare", ".snare", "keep.snare"])
def test_only_what_can_differ_from_drum_to_drum_has_drums(key: str) -> None:
    with pytest.raises(RequestError, match="has no key"):
        parse("humanize", 7, "slot", "a", key, 0.5)


def test_the_slots_of_an_interpolation_are_those_of_its_clips() -> None:
    call = parse("interpolate", 7, "to", "b", "from", "a")
    assert slots_of(call) == ["a", "b"]


@given(
    st.lists(
        st.builds(
            Note,
            st.integers(0, 127),
            st.floats(-0.125, 100, width=32),
            st.floats(0.125, 9, width=32),
            st.integers(1, 127),
            st.booleans(),
        ),
        max_size=48,
    )
)
def test_notes_are_read_as_they_were_written(notes: list[Note]) -> None:
    call = parse("clip", 1, "a", 4.0, len(notes), *note_atoms(notes), "tempo", 90.0)
    assert call.notes == tuple(notes)
    assert call.values == {"slot": "a", "beats": 4.0, "count": len(notes), "tempo": 90.0}


@pytest.mark.parametrize("verb", MUSIC, ids=lambda verb: verb.name)
def test_the_keys_of_a_music_verb_are_the_settings_of_its_request(verb: Any) -> None:
    names = {key.name for key in verb.keys}
    assert {each.name for each in settings_of(verb.request)} <= names
    assert "group" in names
    assert ("to" in names) == (verb.name != "encode")  # which has no result to keep
    assert ("slot" in names) == ("clip" in {each.name for each in fields(verb.request)})


def test_only_i_f_and_s_are_in_the_table() -> None:
    for verb in TABLE.values():
        assert {each.kind for each in (*verb.positional, *verb.keys)} <= {"i", "f", "s"}


def test_every_verb_has_its_line_of_help() -> None:
    assert all(verb.text and "\n" not in verb.text for verb in TABLE.values())


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("sample", (1.0, "bars", 4.0, "temperature", 1)),
        ("sample", (1, "temperature", 1.0, "bars", 4)),
    ],
)
def test_whole_floats_are_ints_ints_are_floats_and_keys_have_no_order(
    verb: str, arguments: tuple[object, ...]
) -> None:
    call = parse(verb, *arguments)
    assert call.values == {"bars": 4, "temperature": 1.0}
    assert type(call.values["bars"]) is int
    assert type(call.values["temperature"]) is float


@pytest.mark.parametrize("only", [("36,38",), (36, 38), (36.0, 38.0), ("36", 38), ("36,38", 36), ("36, 38",)])
@pytest.mark.parametrize("more", [(), ("timing", 0.5), ("reply_port", 9000)])
def test_pitches_are_a_text_or_numbers_up_to_the_next_key(
    only: tuple[object, ...], more: tuple[object, ...]
) -> None:
    call = parse("humanize", 1, "slot", "a", "only", *only, *more)
    request = engine_request(call, [CLIP])
    assert set(request.only) == {36, 38}  # type: ignore[attr-defined]
    assert call.values.get("timing") == (0.5 if "timing" in more else None)


def test_all_pitches_there_are_can_be_numbers() -> None:
    request = engine_request(parse("humanize", 1, "slot", "a", "only", *range(128)), [CLIP])
    assert request.only == tuple(range(128))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (7.0, "7"), (-1.0, "-1"), (0.5, "0.5"), (0.1, "0.1"), (2**24, "16777216")]
)
def test_a_number_where_a_text_is_expected_is_that_text(number: object, text: str) -> None:
    assert parse("clip/get", 1, "slot", number).values == {"slot": text}
    assert parse("sample", 1, "style", number).values == {"style": text}
    assert parse("clip", 1, number, 4.0, 0).values["slot"] == text


@pytest.mark.parametrize("only", [(128,), (36.5,), (-1,), (36, "kick"), ("",), ()])
def test_what_is_no_pitch_is_refused(only: tuple[object, ...]) -> None:
    with pytest.raises(RequestError, match="only"):
        engine_request(parse("humanize", 1, "slot", "a", "only", *only, "timing", 0.5), [CLIP])


@pytest.mark.parametrize(
    ("verb", "arguments", "text"),
    [
        ("sample", ("bars", 2, "bras", 2), "bras"),
        ("sample", ("bars", 2, "bars", 2), "bars"),
        ("sample", ("bars",), "bars"),
        ("sample", ("bars", "two"), "bars"),
        ("sample", (2, "bars"), "2"),
        ("clip", ("a", 4.0, 49), "0..48"),
        ("clip", ("a", 4.0, 1, 36, 0.0, 0.25, 100), "5"),
        ("clip/begin", ("a", 2), "beats"),
        ("load", ("model", ""), "1 to 64"),
        ("sample", ("chords", "C " * 101), "1 to 200"),
        ("decode", ("model", "m"), "size"),
        ("latent", (0, 129, *[0.0] * 129), "1..128"),
        ("latent", (0, 2, 0.5), "2 numbers"),
        ("latent", (0, 1, float("nan")), "finite"),
        ("latent", (0, 1, "a"), "each number"),
    ],
)
def test_a_refusal_names_the_argument(verb: str, arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(RequestError, match=text) as refusal:
        parse(verb, 1, *arguments)
    assert refusal.value.code == "bad_request"


@pytest.mark.parametrize(
    ("verb", "arguments", "port"),
    [
        ("ping", (1, "reply_port", 9000), 9000),
        ("hello", (1, "me", 9000), 9000),
        ("hello", (1, "me", 9000, "reply_port", 9001), 9001),
        ("play", (1, "slot", "reply_port", "reply_port", 9000), 9000),
        ("ping", ("no id", "reply_port", 9000.0), 9000),
        ("dance", (1, "reply_port", "x", "reply_port", 9000), 9000),
        ("hello", (1, "me", 9000, "dance", 1), 9000),
        ("clip", (1, "reply_port", 4.0, 0), None),
        ("ping", (1, "reply_port", 0), None),
        ("ping", (1, "reply_port"), None),
        ("ping", (), None),
    ],
)
def test_the_reply_port_is_known_whether_or_not_the_rest_can_be_read(
    verb: str, arguments: tuple[object, ...], port: int | None
) -> None:
    (message,) = read_packet(write_message(PREFIX + verb, *arguments))  # type: ignore[arg-type]
    assert read_request(message).reply_port == port


@pytest.mark.parametrize(
    ("number", "known", "has_id"), [(7.0, 7, True), (0, 0, True), (-1, 0, False), ("x", 0, False)]
)
def test_where_there_is_no_id_it_is_said(number: object, known: int, has_id: bool) -> None:
    (message,) = read_packet(write_message("/vae/dance", number))  # type: ignore[arg-type]
    call = read_request(message)
    assert (call.id, call.has_id, call.verb.name) == (known, has_id, "dance")
