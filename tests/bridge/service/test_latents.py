"""encode, decode and models of tokens over a socket, first with the fake generator, then with the real one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.osc.remote import Remote
from engine.clip import Clip, Note
from engine.magenta.importing import import_checkpoint
from engine.registry import find_config
from engine.requests import Decode, Encode, Sample, Vary
from tests.bridge.conftest import Daemon, launch
from tests.bridge.fake_generator import LATENT
from tests.bridge.peer import Answer, Peer, stiff_clip
from tests.engine.untrained import small, write_random_weights
from tests.magenta.published import SHAPES, Folder, random_tensors

MELODY = Clip(tuple(Note(60 + i, i / 2, 0.5, 90) for i in range(16)), 8.0)


def send_numbers(peer: Peer, number: int, z: tuple[float, ...], *firsts: int) -> None:
    """The chunks that begin at these numbers, else all."""
    for first in firsts or range(0, len(z), 128):
        chunk = z[first : first + 128]
        peer.send("latent", number, first, len(chunk), *chunk)


def decode(peer: Peer, z: tuple[float, ...], *keys: object) -> Answer:
    number = next(peer.ids)
    peer.send("decode", number, "size", len(z), *keys)
    send_numbers(peer, number, z)
    return peer.answer(number)


def latent_of(answer: Answer) -> tuple[float, ...]:
    return tuple(float(x) for _, _, *numbers in answer.rows("latent") for x in numbers)


# The wire


def test_encode_answers_in_chunks_of_128(peer: Peer) -> None:
    peer.upload("a", stiff_clip())
    answer = peer.ask("encode", "slot", "a")
    assert [row[:2] for row in answer.rows("latent")] == [(0, 128), (128, 128), (256, 44)]
    assert answer.keys["size"] == 300
    assert {"model", "seed", "ms", "total_ms"} <= set(answer.keys)
    assert max(said.size for said in answer.messages) <= 1400
    assert max(len(said.arguments) for said in answer.messages) <= 256


def test_the_numbers_of_encode_are_exact_to_a_float32(peer: Peer) -> None:
    peer.upload("a", stiff_clip())
    assert latent_of(peer.ask("encode", "slot", "a")) == tuple(map(float, np.float32(LATENT)))


def test_decode_begins_when_its_numbers_have_come(peer: Peer) -> None:
    answer = decode(peer, tuple(map(float, range(100))), "count", 2)
    assert [row[3] for row in answer.notes(1)] == [1 + x for x in range(100)]
    assert answer.keys["results"] == 2


def test_the_chunks_of_a_z_come_in_any_order_and_twice(peer: Peer) -> None:
    z = tuple(float(i % 100) for i in range(300))
    peer.send("decode", 300, "size", 300)
    send_numbers(peer, 300, z, 256, 0, 256, 128)
    assert [row[3] for row in peer.answer(300).notes()] == [1 + x for x in z]
    send_numbers(peer, 300, z, 0)
    assert peer.says_nothing()


def test_a_decode_repeated_while_its_numbers_come_goes_on(peer: Peer) -> None:
    z = tuple(map(float, range(100)))
    peer.send("decode", 301, "size", 200)
    peer.send("latent", 301, 0, 100, *z)
    peer.send("decode", 301, "size", 200)
    peer.send("latent", 301, 100, 100, *z)
    assert len(peer.answer(301).notes()) == 200
    assert peer.says_nothing()


def test_the_same_decode_under_its_id_is_answered_from_memory(peer: Peer) -> None:
    answers = []
    for _ in range(2):
        peer.send("decode", 302, "size", 3)
        peer.send("latent", 302, 0, 3, 1.0, 2.0, 3.0)
        answers.append(peer.answer(302))
    assert answers[0] == answers[1], "the time it took as well"


def test_another_point_under_the_same_id_is_another_request(peer: Peer) -> None:
    for x in (1.0, 2.0):
        peer.send("decode", 303, "size", 1)
        peer.send("latent", 303, 0, 1, x)
        assert peer.answer(303).notes()[0][3] == 1 + x


def test_result_0_of_decode_is_kept_in_a_slot(peer: Peer) -> None:
    answer = decode(peer, (1.0, 2.0), "to", "decoded")
    assert peer.ask("clip/get", "slot", "decoded").notes() == answer.notes()


@pytest.mark.parametrize(
    ("keys", "numbers", "word"),
    [
        (("size", 0), (), "1..4096"),
        (("size", 5000), (), "1..4096"),
        (("size", 3), (1, 3, 0.0, 0.0, 0.0), "1..3"),
        (("size", 3), (-1, 1, 0.0), "-1"),
        (("size", 3), (0, 2, 0.0), "2 numbers"),
        (("size", 3), (0, 1, "x"), "a number"),
        (("size", 3), (0, 1, float("nan")), "finite"),
        (("size", 1, "temperature", 3.0), (0, 1, 0.0), "temperature"),
        (("size", 1, "dance", 3.0), (0, 1, 0.0), "dance"),
        ((), (), "size"),
    ],
)
def test_what_is_wrong_with_a_decode_is_named(
    peer: Peer, keys: tuple[object, ...], numbers: tuple[object, ...], word: str
) -> None:
    number = next(peer.ids)
    peer.send("decode", number, *keys)
    if numbers:
        peer.send("latent", number, *numbers)
    answer = peer.answer(number)
    assert (answer.code, answer.end.arguments[1]) == ("bad_request", "decode")
    assert word in answer.text
    assert peer.says_nothing()


@pytest.mark.parametrize(("verb", "arguments"), [("encode", ("slot", "a")), ("decode", ("size", 1))])
def test_encode_and_decode_need_an_id(peer: Peer, verb: str, arguments: tuple[object, ...]) -> None:
    before = int(peer.ask("status").keys["failed"])
    peer.send(verb, 0, *arguments)
    assert peer.says_nothing()
    assert int(peer.ask("status").keys["failed"]) == before + 1


def test_a_slot_that_is_empty_is_no_clip(peer: Peer) -> None:
    assert decode(peer, (1.0,), "slot", "nowhere").code == "no_clip"


def test_a_model_that_is_not_there_is_no_model(peer: Peer) -> None:
    assert decode(peer, (1.0,), "model", "nobody").code == "no_model"


def test_a_decode_that_waits_for_numbers_is_cancelled(peer: Peer) -> None:
    peer.send("decode", 310, "size", 3)
    assert peer.ask("cancel", "target", 310).is_done
    assert peer.answer(310).code == "cancelled"
    peer.send("latent", 310, 0, 3, 0.0, 0.0, 0.0)
    assert peer.says_nothing()


def test_a_sync_waits_for_a_decode(peer: Peer) -> None:
    peer.send("decode", 311, "size", 1)
    peer.send("sync", 312)
    assert peer.says_nothing()
    peer.send("latent", 311, 0, 1, 0.0)
    assert peer.answer(311).is_done
    assert peer.answer(312).is_done


# Models of tokens, with the real generator

MODELS = {
    "melody": "melody_2bar",
    "trio": "hierdec-trio_16bar",
    "chords": "cat-mel_2bar_med_chords",
    "groove": "groovae_4bar",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small untrained models, and a published decoder alone."""
    folder = tmp_path_factory.mktemp("weights")
    for config in MODELS.values():
        write_random_weights(folder, config, **small(find_config(config)))
    write_random_weights(folder, "drummer", "untrained")
    shape = SHAPES["melody"]
    tensors = {name: each for name, each in random_tensors(shape).items() if not name.startswith("encoder/")}
    published = Folder(tensors, shape.config).write(tmp_path_factory.mktemp("published"))
    import_checkpoint(published, name="decoder", out=folder)
    return folder


@pytest.fixture(scope="module")
def band(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the drummer in memory, and these models beside it on disk."""
    daemon = launch(tmp_path_factory.mktemp("daemon"), weights=folder)
    daemon.wait_until_ready()
    yield daemon
    daemon.stop()


@pytest.fixture
def client(band: Daemon) -> Iterator[Peer]:
    with Peer(band.port) as peer:
        peer.upload("melody", MELODY)
        peer.upload("beat", stiff_clip())
        yield peer


def test_the_models_of_a_folder_are_listed_and_loaded(client: Peer) -> None:
    rows = {row[0]: row for row in client.ask("models").rows("model")}
    assert rows["hierdec-trio_16bar"][1:4] == ("musicvae", 16, 16)
    assert client.ask("load", "model", "melody_2bar").keys["model"] == "melody_2bar"
    assert {row[0]: row[4] for row in client.ask("models").rows("model")}["melody_2bar"] == 1
    assert client.ask("sample").keys["model"] == "melody_2bar"
    assert client.ask("load", "model", "drummer").is_done
    assert client.ask("sample").keys["model"] == "drummer"


def test_a_trio_comes_with_its_parts(client: Peer) -> None:
    answer = client.ask("sample", "model", "hierdec-trio_16bar", "seed", 1)
    assert [(row[1], row[2], row[3], row[6]) for row in answer.rows("part")] == [
        (0, 1, 0, "melody"),
        (1, 2, 33, "bass"),
        (2, 10, 0, "drums"),
    ]
    assert [row[2] for row in answer.rows("notes/begin")] == [64.0]
    assert sum(int(row[5]) for row in answer.rows("part")) == len(answer.notes())


@pytest.mark.parametrize(
    ("model", "slot"), [("melody_2bar", "melody"), ("groovae_4bar", "beat"), ("untrained", "beat")]
)
def test_what_encode_says_decodes_to_the_same_clip_each_time(client: Peer, model: str, slot: str) -> None:
    encoded = client.ask("encode", "slot", slot, "model", model)
    z = latent_of(encoded)
    assert len(z) == encoded.keys["size"]
    first, second = (decode(client, z, "model", model, "temperature", 0.0, "seed", seed) for seed in (1, 2))
    assert first.rows("notes") == second.rows("notes")


def test_the_greedy_clip_at_mu_is_the_most_similar_variation(client: Peer) -> None:
    keys = ("model", "melody_2bar", "temperature", 0.0)
    varied = client.ask("vary", "slot", "melody", "similarity", 1.0, *keys)
    assert decode(client, latent_of(client.ask("encode", "slot", "melody", *keys)), *keys).notes() == varied.notes()


def test_the_feel_at_a_point_is_played_onto_given_notes(client: Peer) -> None:
    z = latent_of(client.ask("encode", "slot", "beat", "model", "untrained"))
    answer = decode(client, z, "model", "untrained", "slot", "beat")
    assert sorted(row[0] for row in answer.notes()) == sorted(note.pitch for note in stiff_clip().notes)


@pytest.mark.parametrize(
    ("verb", "keys", "code", "word"),
    [
        ("vary", ("slot", "melody", "model", "decoder"), "bad_request", "decoder has no encoder: vary takes clips"),
        (
            "interpolate",
            ("from", "melody", "to", "beat", "model", "decoder"),
            "bad_request",
            "decoder has made itself",
        ),
        (
            "encode",
            ("slot", "melody", "model", "decoder"),
            "no_model",
            "decoder has no encoder: it can sample, int",
        ),
        ("encode", ("slot", "long", "model", "melody_2bar"), "too_big", "up to 2 bars, not 3"),
        ("encode", ("slot", "long", "model", "groovae_4bar"), "too_big", "4 bars"),
        ("vary", ("slot", "odd", "model", "melody_2bar"), "bad_request", "4/4"),
        ("vary", ("slot", "silent", "model", "melody_2bar"), "bad_request", "sounds"),
        ("sample", ("model", "melody_2bar", "chords", "C"), "bad_request", "chords"),
        ("sample", ("model", "cat-mel_2bar_med_chords", "chords", "Hmoll"), "bad_request", "Hmoll"),
    ],
)
def test_what_a_model_cannot_do_is_said(
    client: Peer, verb: str, keys: tuple[object, ...], code: str, word: str
) -> None:
    bars = 3 if "melody_2bar" in keys else 5
    client.ask("clip", "long", 4.0 * bars, 1, 60, 4.0 * bars - 1, 1.0, 100, 0)
    client.ask("clip", "odd", 7.0, 1, 60, 0.0, 1.0, 100, 0, "beats_per_bar", 3.5)
    client.ask("clip", "silent", 8.0, 0)
    answer = client.ask(verb, *keys)
    assert answer.code == code
    assert word in answer.text


def test_a_decoder_alone_goes_from_one_of_its_clips_to_another(client: Peer) -> None:
    keys = ("model", "decoder", "temperature", 0.0)
    own = client.ask("sample", *keys, "seed", 1, "to", "own")
    other = decode(client, (0.5, -1.0, 2.0) * 4, *keys, "to", "other")
    way = client.ask("interpolate", "from", "own", "to", "other", "steps", 3, *keys)
    assert [way.notes(0), way.notes(2)] == [own.notes(), other.notes()]
    assert way.notes(1) not in ([], own.notes(), other.notes())
    assert client.ask("interpolate", "from", "own", "to", "other", "position", 0.5, *keys).notes() == way.notes(1)
    varied = client.ask("vary", "slot", "own", "similarity", 0.5, "seed", 2, "to", "varied", *keys)
    assert client.ask("vary", "slot", "varied", "similarity", 1.0, *keys).notes() == varied.notes() != own.notes()


def test_notes_that_come_back_from_a_client_are_not_what_a_decoder_has_made(client: Peer) -> None:
    made = client.ask("sample", "model", "decoder", "seed", 1, "to", "own")
    notes = [Note(int(p), float(s), float(d), int(v), bool(m)) for p, s, d, v, m in made.notes()]
    client.upload("own", Clip(tuple(notes), 8.0))
    assert "has made itself" in client.ask("vary", "slot", "own", "model", "decoder").text


def test_a_z_of_another_size_is_told_the_right_one(client: Peer) -> None:
    answer = decode(client, (0.0,) * 3, "model", "melody_2bar")
    assert (answer.code, "8 numbers, not 3" in answer.text) == ("bad_request", True)


def test_chords_are_followed(client: Peer) -> None:
    keys = ("model", "cat-mel_2bar_med_chords", "temperature", 0.0)
    assert decode(client, (0.5,) * 8, *keys, "chords", "C Am").is_done


# The command line's way to a daemon


def test_remote_encodes_and_decodes(band: Daemon) -> None:
    with Remote("127.0.0.1", band.port) as remote:
        z = remote.run(Encode(clip=MELODY, model="melody_2bar")).latent
        decoded = remote.run(Decode(z=z, model="melody_2bar", temperature=0)).clips
        varied = remote.run(Vary(clip=MELODY, model="melody_2bar", similarity=1, temperature=0)).clips
    assert len(z) == 8
    assert [clip.notes for clip in decoded] == [clip.notes for clip in varied]


def test_remote_takes_parts_up_and_back(band: Daemon) -> None:
    with Remote("127.0.0.1", band.port) as remote:
        (trio,) = remote.run(Sample(model="hierdec-trio_16bar", bars=2, seed=1)).clips
        assert [part.channel for part in trio.parts] == [1, 2, 10]
        (varied,) = remote.run(Vary(clip=trio, model="hierdec-trio_16bar")).clips
        assert [part.name for part in varied.parts] == ["melody", "bass", "drums"]
