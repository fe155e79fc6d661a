"""continue and infill over OSC, against a daemon with a model of phrases: the edges, each with its rule."""

from collections.abc import Iterator

import pytest

from engine.clip import Clip, Note
from tests.bridge.conftest import Daemon
from tests.bridge.peer import Answer, Peer

ONE_HIT = Clip((Note(36, 0.0, 0.25, 100),), 4.0)


def beat(bars: int) -> Clip:
    return Clip(tuple(Note((36, 38)[beat % 2], float(beat), 0.25, 90) for beat in range(4 * bars)), 4.0 * bars)


@pytest.fixture
def client(phrase_daemon: Daemon) -> Iterator[Peer]:
    with Peer(phrase_daemon.port) as client:
        client.upload("beat", beat(2))
        yield client


@pytest.fixture
def other(phrase_daemon: Daemon) -> Iterator[Peer]:
    with Peer(phrase_daemon.port) as client:
        yield client


def lengths(answer: Answer) -> list[object]:
    """The beats of each result."""
    return [beats for _, _, beats in answer.rows("notes/begin")]


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_an_empty_slot_is_refused(client: Peer, verb: str) -> None:
    answer = client.ask(verb, "slot", "nothing")
    assert (answer.code, "'nothing' is empty" in answer.text) == ("no_clip", True)


def test_a_clip_without_notes_cannot_go_on_and_can_be_filled(client: Peer) -> None:
    client.upload("silence", Clip((), 8.0))
    answer = client.ask("continue", "slot", "silence")
    assert (answer.code, answer.text) == (
        "bad_request",
        "continue needs a clip with at least one note that sounds",
    )
    filled = client.ask("infill", "slot", "silence", "start", 4.0, "beats", 4.0)
    assert all(4 <= float(start) < 8 for _, start, *_ in filled.notes())


def test_a_mark_outside_the_clip_is_refused_with_where_it_may_start(client: Peer) -> None:
    answer = client.ask("infill", "slot", "beat", "start", 8.0)
    assert answer.code == "bad_request"
    assert answer.text == "the mark must start before the clip's end at 8 beats, not at 8"


def test_one_hit_is_enough(client: Peer) -> None:
    client.upload("hit", ONE_HIT)
    assert lengths(client.ask("continue", "slot", "hit")) == [4.0]
    answer = client.ask("infill", "slot", "hit", "start", 2.0, "beats", 2.0)
    assert answer.notes()[0] == (36, 0.0, 0.25, 100, 0)


def test_64_bars_go_on_for_64_more_and_no_longer(client: Peer) -> None:
    client.upload("long", beat(64))
    assert lengths(client.ask("continue", "slot", "long")) == [64.0], "16 bars unless more are said"
    assert lengths(client.ask("continue", "slot", "long", "bars", 64, "temperature", 0)) == [256.0]
    refused = client.ask("continue", "slot", "long", "bars", 65)
    assert (refused.code, refused.text) == ("bad_request", "bars must be in 1..64, not 65")
    assert lengths(client.ask("infill", "slot", "long", "start", 240.0, "beats", 4096.0)) == [256.0]


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_16_results_differ_and_17_are_refused(client: Peer, verb: str) -> None:
    answer = client.ask(verb, "slot", "beat", "count", 16, "seed", 1)
    assert answer.keys["results"] == 16
    assert len({tuple(answer.notes(number)) for number in range(16)}) > 1
    assert client.ask(verb, "slot", "beat", "count", 17).text == "count must be in 1..16, not 17"


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_the_first_result_stays_in_a_slot(client: Peer, verb: str) -> None:
    made = client.ask(verb, "slot", "beat", "to", "made", "seed", 3, "count", 2)
    assert client.ask("clip/get", "slot", "made").notes() == made.notes(0)


def test_of_infill_the_slot_may_be_its_own(client: Peer) -> None:
    made = client.ask("infill", "slot", "beat", "start", 4.0, "beats", 4.0, "to", "beat", "seed", 3)
    assert client.ask("clip/get", "slot", "beat").notes() == made.notes()


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_two_clients_with_the_same_id_get_what_each_alone_gets(client: Peer, other: Peer, verb: str) -> None:
    alone = client.ask(verb, "slot", "beat", "seed", 5)
    for each in (client, other):
        each.send(verb, 1000, "slot", "beat", "seed", 5)
    assert [each.answer(1000).notes() for each in (client, other)] == [alone.notes()] * 2


@pytest.mark.parametrize("verb", ["continue", "infill"])
def test_what_is_cancelled_sends_no_more_and_ends_once(client: Peer, verb: str) -> None:
    client.upload("long", beat(64))
    keys = ("bars", 64) if verb == "continue" else ("start", 0.0, "beats", 256.0)
    client.send(verb, 1000, "slot", "long", "count", 4, *keys)
    assert client.ask("cancel", "target", 1000).is_done
    assert client.answer(1000).code == "cancelled"
    assert client.ask(verb, "slot", "beat").is_done, "and the next is answered"


@pytest.mark.parametrize(
    ("text", "kept"), [("36", {36}), ("36,38", {36, 38})], ids=["one pitch", "a text with commas"]
)
def test_what_is_kept_comes_back_as_it_was(client: Peer, text: str, kept: set[int]) -> None:
    answer = client.ask("infill", "slot", "beat", "start", 0.0, "beats", 8.0, "keep", text, "seed", 1)
    before = [note for note in client.ask("clip/get", "slot", "beat").notes() if note[0] in kept]
    assert [note for note in answer.notes() if note[0] in kept] == before
