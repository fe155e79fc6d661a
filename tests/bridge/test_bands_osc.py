"""accompany, and other verbs on parts, over OSC: parts go in and come out, and what is wrong has its sentence."""

from collections.abc import Iterator, Sequence

import pytest

from bridge.osc.table import TABLE
from engine.clip import Clip, Note, Part
from tests.bridge.conftest import Daemon
from tests.bridge.peer import Answer, Peer, note_atoms

LEAD = tuple(Note(60 + 2 * (k % 5), float(k), 1.0, 90) for k in range(8))
PARTS = (Part("lead", 1, 5, 0, 8), Part("bass", 2, 33, 8, 8))
BAND = Clip((*LEAD, *(Note(36, float(k), 1.0, 91) for k in range(8))), 8.0, parts=PARTS)


@pytest.fixture
def client(band_daemon: Daemon) -> Iterator[Peer]:
    with Peer(band_daemon.port) as client:
        client.upload("melody", Clip(LEAD, 8.0))
        upload(client, "band", BAND)
        yield client


def upload(client: Peer, slot: str, clip: Clip) -> None:
    """In several messages, with the parts."""
    number = next(client.ids)
    client.send("clip/begin", number, slot, len(clip.notes), clip.length_beats)
    client.send("clip/notes", number, 0, len(clip.notes), *note_atoms(clip.notes))
    for place, part in enumerate(clip.parts):
        client.send("clip/part", number, place, part.channel, part.program, part.first, part.count, part.name)
    client.send("clip/end", number)
    assert client.answer(number).is_done


def parts(answer: Answer) -> Sequence[tuple[object, ...]]:
    """(channel, program, name) of each part of result 0."""
    return [(row[2], row[3], row[6]) for row in answer.rows("part") if row[0] == 0]


def test_accompany_stands_in_the_table_with_its_keys() -> None:
    keys = {key.name: key for key in TABLE["accompany"].keys}
    assert {"slot", "parts", "chords", "key", "scale", "style", "since", "seed", "to", "group"} <= keys.keys()
    assert keys["parts"].several


def test_a_melody_gets_bass_and_drums_in_parts(client: Peer) -> None:
    answer = client.ask("accompany", "slot", "melody", "seed", 1)
    assert parts(answer) == [(2, 33, "bass"), (10, 0, "drums")]
    assert answer.keys["model"] == "bands"
    assert [row[2] for row in answer.rows("notes/begin")] == [8.0]


@pytest.mark.parametrize("wish", [("parts", "bass"), ("parts", "lead", "bass"), ("parts", "lead,bass")])
def test_parts_are_a_text_with_commas_or_several(client: Peer, wish: tuple[str, ...]) -> None:
    answer = client.ask("continue", "slot", "band", *wish, "bars", 1, "seed", 1)
    wanted = set(",".join(wish[1:]).split(","))
    assert {name for *_, name in parts(answer)} == wanted or (len(wanted) == 1 and not parts(answer))


def test_a_sample_is_told_its_key_and_chords(client: Peer) -> None:
    answer = client.ask(
        "sample", "model", "bands", "bars", 2, "key", "Am", "scale", "minor", "chords", "Am F", "seed", 1
    )
    pitched = answer.notes()[: sum(int(row[5]) for row in answer.rows("part") if row[2] != 10)]
    assert {int(pitch) % 12 for pitch, *_ in pitched} <= {9, 11, 0, 2, 4, 5, 7}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("parts", "horns"), "parts are lead, bass and drums, not 'horns'"),
        (("key", "H"), "key must be a tonic, and m where it is minor, as C, F#m or Bb minor, not 'H'"),
        (("scale", "wide"), "there is no scale 'wide'"),
        (("chords", "C H"), "'H' is no chord that can be read"),
        (("since", 8.0), "since must be a bar line before the clip's end, not 8"),
        (("style", "polka"), "there is no style 'polka'"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_accepted(client: Peer, keys: tuple[object, ...], text: str) -> None:
    answer = client.ask("accompany", "slot", "melody", *keys)
    assert answer.code == "bad_request"
    assert text in answer.text


def test_five_beats_a_bar_are_refused(client: Peer) -> None:
    number = next(client.ids)
    client.send("clip", number, "five", 10.0, 1, 60, 0.0, 1.0, 90, 0, "beats_per_bar", 5.0)
    assert client.answer(number).is_done
    assert "bars of at most 4 beats" in client.ask("accompany", "slot", "five").text


def test_drums_alone_are_continued_by_no_melody(client: Peer) -> None:
    client.upload("kick", Clip((Note(36, 0.0, 0.25, 100),), 4.0))
    answer = client.ask("continue", "slot", "kick", "bars", 1, "seed", 1)
    assert answer.is_done
    assert [row for row in parts(answer) if row[0] != 10] == []
