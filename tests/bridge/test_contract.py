"""The contract, sentence by sentence, against the running daemon."""

import struct
import time

import pytest

from bridge.osc.table import TABLE
from bridge.service.busy import MAX_WAITING
from engine.clip import Clip, Note
from tests.bridge.conftest import Daemon
from tests.bridge.peer import Peer, datagram, note_atoms, stiff_clip

NAN, INFINITY = float("nan"), float("inf")


# Shape


def test_a_request_ends_in_one_done(peer: Peer) -> None:
    assert peer.ask("ping").is_done
    assert peer.says_nothing()


def test_id_0_is_worked_on_and_never_answered(peer: Peer) -> None:
    peer.send("clip", 0, "silent", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    peer.send("dance", 0)
    peer.send("humanize", 0, "slot", "silent", "to", "silent too")
    assert peer.says_nothing()
    peer.ask("sync")
    assert len(peer.ask("clip/get", "slot", "silent too").notes()) == 1


@pytest.mark.parametrize("arguments", [(), ("one",), (-1,), (1.5,), (2**40,), (NAN,)])
def test_an_id_that_cannot_be_read_is_answered_as_0(peer: Peer, arguments: tuple[object, ...]) -> None:
    peer.send("ping", *arguments)
    said = peer.hear()
    assert (said.address, *said.arguments[:3]) == ("/vae/fail", 0, "ping", "bad_request")


@pytest.mark.parametrize(
    ("verb", "arguments", "code", "word"),
    [
        ("dance", (), "unknown_verb", "dance"),
        ("hum*", (), "unknown_verb", "hum*"),
        ("humanize", (), "bad_request", "slot"),
        ("humanize", ("slot", "nowhere"), "no_clip", "nowhere"),
        ("humanize", ("slot", 3), "no_clip", "'3'"),
        ("humanize", ("slot", "a", "slot", "a"), "bad_request", "slot"),
        ("humanize", ("slot", "a", "swagger", 1), "bad_request", "swagger"),
        ("humanize", ("slot", "a", "timing"), "bad_request", "timing"),
        ("humanize", ("slot", "a", "timing", "x"), "bad_request", "timing"),
        ("humanize", ("slot", "a", "timing", 2.0), "bad_request", "timing"),
        ("humanize", ("slot", "a", "timing", NAN), "bad_request", ""),
        ("humanize", ("slot", "a", "velocity", INFINITY), "bad_request", ""),
        ("humanize", ("slot", "a", "count", 1.5), "bad_request", "count"),
        ("humanize", ("slot", "a", "count", 17), "bad_request", "count"),
        ("humanize", ("slot", "a", "seed", -1), "bad_request", "seed"),
        ("humanize", ("slot", "a", "only", "36,kick"), "bad_request", "only"),
        ("humanize", ("slot", "a", "keep", "36,kick"), "bad_request", "keep"),
        ("humanize", ("slot", "a", "keep_slot", "nowhere"), "no_clip", "nowhere"),
        ("humanize", ("slot", "a", "timing.snare", 2.0), "bad_request", "timing.snare must be in 0..1"),
        ("groove", ("slot", "a", "from", "a", "velocity.cowbell", 0.5), "bad_request", "kick snare closed_hat"),
        ("humanize", ("slot", "a", "accents", 2.0), "bad_request", "accents"),
        ("humanize", ("slot", "a", "reply_port", 70000), "bad_request", "reply_port"),
        ("humanize", ("slot", "a", "group", "x" * 65), "bad_request", "group"),
        ("sample", ("style", "nobody"), "bad_request", "nobody"),
        ("load", ("model", "missing"), "no_model", "missing"),
        ("load", (), "bad_request", "model"),
        ("cancel", (), "bad_request", "target"),
        ("groove", ("slot", "a"), "bad_request", "from"),
        ("groove", ("from", "a"), "bad_request", "slot"),
        ("groove", ("slot", "a", "from", "nowhere"), "no_clip", "nowhere"),
        ("groove", ("slot", "a", "from", "a", "only", "36"), "bad_request", "only"),
        ("interpolate", ("from", "a"), "bad_request", "to"),
        ("interpolate", ("from", "a", "to", "a", "steps", 3, "position", 0.5), "bad_request", "steps"),
        ("clip", ("s", 4.0, 1, 36, 0.0, 0.25, 0, 0), "bad_request", "velocity"),
        ("clip", ("s", 4.0, 1, 128, 0.0, 0.25, 1, 0), "bad_request", "pitch"),
        ("clip", ("s", 4.0, 1, 36, -0.2, 0.25, 1, 0), "bad_request", "start"),
        ("clip", ("s", 4.0, 1, 36, 0.0, -1.0, 1, 0), "bad_request", "duration"),
        ("clip", ("s", 4.0, 2, 36, 0.0, 0.25, 1, 0), "bad_request", "2"),
        ("clip", ("s", -4.0, 0), "bad_request", "length"),
        ("clip", ("s" * 65, 4.0, 0), "bad_request", "slot"),
        ("clip", ("", 4.0, 0), "bad_request", "slot"),
        ("clip/get", ("slot", "nowhere"), "no_clip", "nowhere"),
        ("clip/begin", ("s", 4097, 8.0), "too_big", "4096"),
        ("clip/begin", ("s", 1, NAN), "bad_request", ""),
    ],
)
def test_what_is_wrong_is_named(peer: Peer, verb: str, arguments: tuple[object, ...], code: str, word: str) -> None:
    peer.ask("clip", "a", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    answer = peer.ask(verb, *arguments)
    assert answer.code == code, answer.end
    assert word.lower() in answer.text.replace(",", "").lower(), answer.text
    assert answer.end.arguments[1] == ("clip" if verb == "clip/begin" else verb)
    assert peer.says_nothing()


@pytest.mark.parametrize("content", [b"", b"x", b"GET / HTTP/1.1\r\n", b"#bundle\0", b"/vae/ping\0\0\0,i\0\0\0\0"])
def test_what_is_no_osc_is_a_bad_packet(peer: Peer, content: bytes) -> None:
    time.sleep(0.11)  # ten a second are answered
    peer.send_raw(content)
    said = peer.hear()
    assert (said.address, *said.arguments[:3]) == ("/vae/fail", 0, "-", "bad_packet")


def test_bad_packets_are_answered_ten_times_a_second(start, peer: Peer) -> None:  # type: ignore[no-untyped-def]
    fresh = start("fake")
    fresh.wait_until_ready()
    with Peer(fresh.port) as other:
        for _ in range(100):
            other.send_raw(b"garbage")
        status = other.ask("status").keys
        assert 10 <= len(other.unread) <= 20
        assert int(status["dropped"]) >= 80 or int(status["failed"]) >= 80


@pytest.mark.parametrize("tag", ["b", "N", "t", "I", "x", "m"])
def test_types_that_are_not_accepted_are_refused(peer: Peer, tag: str) -> None:
    peer.send_raw(b"/vae/ping\0\0\0" + f",i{tag}\0".encode().ljust(4, b"\0") + struct.pack(">ii", 77, -8))
    assert peer.answer(77).code == "bad_request"


@pytest.mark.parametrize(
    ("tags", "content"),
    [
        ("fsf", struct.pack(">f8sf", 90.0, b"bars", 1.0)),
        ("isf", struct.pack(">i8sf", 90, b"bars", 1.0)),
        ("hsd", struct.pack(">q8sd", 90, b"bars", 1.0)),
        ("isT", struct.pack(">i8s", 90, b"bars")),
        ("isi", struct.pack(">i8si", 90, b"bars", 1)),
    ],
)
def test_whole_floats_doubles_booleans_and_long_ints_are_numbers(peer: Peer, tags: str, content: bytes) -> None:
    peer.send_raw(b"/vae/sample\0" + f",{tags}".encode().ljust(8, b"\0") + content)
    assert len(peer.answer(90).notes()) == 16


def test_done_and_fail_and_foreign_addresses_are_never_answered(peer: Peer) -> None:
    before = int(peer.ask("status").keys["dropped"])
    for address in ("/vae/done", "/vae/fail", "/live/play", "/"):
        peer.send_raw(datagram(address, 5, "x"))
    assert peer.says_nothing()
    assert int(peer.ask("status").keys["dropped"]) - before == 4


def test_only_i_f_and_s_are_sent(peer: Peer) -> None:
    peer.upload("a", stiff_clip())
    for verb, *arguments in (("status",), ("models",), ("verbs",), ("humanize", "slot", "a"), ("clip/list",)):
        for said in peer.ask(str(verb), *arguments).messages:
            assert all(type(each) in (int, float, str) for each in said.arguments)


def test_no_datagram_is_larger_than_1400_bytes_or_256_atoms(peer: Peer) -> None:
    peer.upload("big", stiff_clip(4096, 512.0))
    answer = peer.ask("humanize", "slot", "big", "count", 2)
    assert len(answer.notes(1)) == 4096
    assert max(said.size for said in answer.messages) <= 1400
    assert max(len(said.arguments) for said in answer.messages) <= 256
    assert max(int(row[2]) for row in answer.rows("notes")) == 48


def test_a_fail_says_at_most_200_bytes(peer: Peer) -> None:
    answer = peer.ask("humanize", "slot", "a", "ü" * 500, 1)
    assert answer.code == "bad_request"
    assert len(answer.text.encode()) <= 200
    answer = peer.ask("ü" * 400)
    assert answer.code == "unknown_verb"
    assert len(str(answer.end.arguments[1]).encode()) <= 64


# Bundles


def bundle(timetag: int, *elements: bytes) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", timetag) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


def timetag(unix_seconds: float) -> int:
    return int((unix_seconds + 2208988800) * 2**32)


def test_the_messages_of_a_bundle_are_handled_in_order(peer: Peer) -> None:
    clip = datagram("/vae/clip", 1, "bundled", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    get = datagram("/vae/clip/get", 2, "slot", "bundled")
    peer.send_raw(bundle(1, clip, bundle(timetag(time.time() - 5), get)))
    assert peer.answer(1).is_done
    assert len(peer.answer(2).notes()) == 1


def test_a_bundle_dated_ahead_is_handled_then_and_holds_nobody_up(peer: Peer) -> None:
    sent = time.time()
    peer.send_raw(bundle(timetag(sent + 1.0), datagram("/vae/ping", 500)))
    assert peer.ask("ping").is_done
    assert time.time() - sent < 0.9
    assert peer.answer(500).is_done
    assert time.time() - sent >= 0.99


def test_a_bundle_with_a_wrong_size_is_a_bad_packet(peer: Peer) -> None:
    time.sleep(0.11)
    peer.send_raw(b"#bundle\0" + struct.pack(">Qi", 1, -4))
    assert peer.hear().arguments[2] == "bad_packet"
    assert peer.ask("ping").is_done


# Clients


def test_replies_go_to_the_reply_port(fake_daemon: Daemon, peer: Peer) -> None:
    with Peer(fake_daemon.port) as device:
        peer.send("ping", 7, "reply_port", device.port)
        assert device.answer(7).is_done
    assert peer.says_nothing()


def test_replies_go_to_the_port_that_hello_registered(fake_daemon: Daemon, peer: Peer) -> None:
    with Peer(fake_daemon.port) as device:
        peer.send("hello", 1, "test", device.port)
        assert device.answer(1).keys["server"] == "vaebridge"
        peer.send("ping", 2)
        assert device.answer(2).is_done


def test_nothing_goes_to_the_daemons_own_port(fake_daemon: Daemon, peer: Peer) -> None:
    before = peer.ask("status").keys
    for number, verb in enumerate(("ping", "dance", "clip/begin"), 1001):
        peer.send(verb, number, "reply_port", fake_daemon.port)
        answer = peer.answer(number)
        assert (answer.code, answer.end.arguments[1]) == ("bad_request", verb)
        assert f"not {fake_daemon.port}" in answer.text
    peer.send("ping", 0, "reply_port", fake_daemon.port)
    peer.send("ping", "no id", "reply_port", fake_daemon.port)
    assert peer.hear().arguments[:3] == (0, "ping", "bad_request")
    assert peer.says_nothing()
    after = peer.ask("status").keys
    assert int(after["requests"]) - int(before["requests"]) == 2
    assert int(after["failed"]) - int(before["failed"]) == 5


def test_a_hello_with_the_daemons_own_port_does_not_silence_its_socket(fake_daemon: Daemon, peer: Peer) -> None:
    peer.send("hello", 1001, "test", fake_daemon.port)
    assert peer.answer(1001).code == "bad_request"
    assert peer.ask("ping").is_done


def test_two_clients_may_use_the_same_ids(fake_daemon: Daemon, peer: Peer) -> None:
    with Peer(fake_daemon.port) as other:
        peer.send("sample", 9, "bars", 1, "seed", 1)
        other.send("sample", 9, "bars", 2, "seed", 2)
        one, two = peer.answer(9), other.answer(9)
    assert (len(one.notes()), one.keys["seed"]) == (16, 1)
    assert (len(two.notes()), two.keys["seed"]) == (32, 2)
    assert peer.says_nothing()


def test_a_client_that_vanishes_harms_nobody(fake_daemon: Daemon, peer: Peer) -> None:
    with Peer(fake_daemon.port) as gone:
        gone.send("sample", 1, "bars", 64, "count", 16)
    assert peer.ask("sample").is_done


def test_a_repeat_is_answered_from_memory(peer: Peer) -> None:
    peer.send("sample", 60)
    first = peer.answer(60)
    peer.send("sample", 60)
    assert peer.answer(60) == first
    peer.send("sample", 60, "bars", 1)
    assert peer.answer(60).keys != first.keys


def test_a_repeat_while_the_first_still_runs_is_answered_once(peer: Peer) -> None:
    for _ in range(3):
        peer.send("sample", 61, "style", "sleep 1")
    assert peer.answer(61).is_done
    assert peer.says_nothing()


# Session


def test_hello_ping_and_status_carry_the_boot(peer: Peer) -> None:
    hello = peer.ask("hello", "test", peer.port).keys
    assert list(hello) == ["server", "version", "protocol", "boot", "model", "device"]
    assert (hello["server"], hello["protocol"], hello["model"]) == ("vaebridge", 1, "drums_16bar")
    ping = peer.ask("ping").keys
    assert (ping["boot"], ping["ready"]) == (hello["boot"], 1)
    status = peer.ask("status").keys
    names = "boot ready model device queue together together_max requests failed dropped p50_ms p99_ms"
    names += " clock tempo playing"
    assert list(status)[: len(names.split())] == names.split()
    ours = "live frozen late_p50_ms late_p99_ms late_max_ms skipped missed ports problem"
    assert list(status)[len(names.split()) :] == ours.split()
    assert (status["boot"], status["clock"], status["playing"]) == (hello["boot"], "internal", 0)


def test_verbs_lists_what_there_is(peer: Peer) -> None:
    answer = peer.ask("verbs")
    assert [row[0] for row in answer.rows("verb")] == list(TABLE)
    assert answer.keys["count"] == len(TABLE)
    assert "dance" not in TABLE


def test_verbs_of_one_model_are_those_that_it_can_do(peer: Peer) -> None:
    def music(*keys: str | int) -> list[object]:
        return [row[0] for row in peer.ask("verbs", *keys).rows("verb") if TABLE[str(row[0])].request]

    assert music("model", "drums_2bar") == ["sample", "interpolate", "vary", "encode", "decode"]
    assert ("ping",) in peer.ask("verbs", "model", "drums_2bar").rows("verb"), "and all that asks no model"
    assert "infill" not in music("model", "drummer")
    assert {"infill", "humanize"} <= set(music("loaded", 1))
    assert peer.ask("verbs", "model", "nobody").code == "no_model"


def test_styles_of_a_verb_are_those_of_the_model_that_is_asked_for_it(peer: Peer) -> None:
    assert peer.ask("styles", "verb", "sample").keys["model"] == "drums_16bar"
    assert ("sequenced",) in peer.ask("styles", "verb", "sample").rows("style")
    assert peer.ask("styles", "verb", "humanize").keys["model"] == "drummer"
    assert ("sequenced",) not in peer.ask("styles", "verb", "humanize").rows("style")
    for verb in ("sample", "humanize"):
        assert {("drummer8",), ("house",)} <= set(peer.ask("styles", "verb", verb).rows("style"))
    assert peer.ask("styles", "model", "drums_2bar", "verb", "humanize").keys == {"model": "drums_2bar", "count": 0}
    assert peer.ask("styles", "verb", "dance").code == "no_model"


def test_models_and_load(peer: Peer) -> None:
    answer = peer.ask("models")
    assert answer.keys["count"] == len(answer.rows("model"))
    assert all(len(row) == 5 for row in answer.rows("model"))


def test_sync_is_done_when_every_earlier_request_has_ended(peer: Peer) -> None:
    peer.send("sample", 70, "style", "sleep 1")
    peer.send("sample", 71)
    peer.send("sync", 72)
    ends = []
    while len(ends) < 3:
        said = peer.hear()
        if said.address == "/vae/done":
            ends.append(said.arguments[0])
    assert ends == [70, 71, 72]


def test_a_queued_request_is_cancelled(peer: Peer) -> None:
    peer.send("sample", 80, "style", "sleep 1")
    peer.send("sample", 81)
    peer.send("cancel", 82, "target", 81)
    assert peer.answer(81).code == "cancelled"
    assert peer.answer(82).is_done
    assert peer.answer(80).is_done
    assert peer.says_nothing()


def test_a_running_request_is_cancelled_at_once(peer: Peer) -> None:
    peer.send("sample", 83, "style", "sleep 2")
    sent = time.perf_counter()
    peer.ask("cancel", "target", 83)
    assert peer.answer(83).code == "cancelled"
    assert time.perf_counter() - sent < 1
    assert peer.ask("sample").is_done
    assert peer.says_nothing()


def test_a_request_that_is_being_sent_is_cancelled(peer: Peer) -> None:
    peer.upload("large", stiff_clip(4096, 512.0))
    peer.send("humanize", 84, "slot", "large", "count", 16)
    assert peer.hear().address == "/vae/notes/begin"
    peer.send("cancel", 85, "target", 84)
    answer = peer.answer(84)
    assert answer.code == "cancelled"
    assert len(answer.messages) < 16 * 88, "not all of it was sent"
    assert peer.answer(85).is_done
    assert peer.says_nothing()


def test_cancelling_what_is_not_there_is_done(peer: Peer) -> None:
    assert peer.ask("cancel", "target", 12345).is_done


def test_a_newer_request_of_the_group_ends_a_queued_one(peer: Peer) -> None:
    peer.send("sample", 90, "style", "sleep 1", "group", "g")
    peer.send("sample", 91, "group", "g")
    peer.send("sample", 92, "group", "h")
    peer.send("sample", 93, "group", "g")
    assert peer.answer(91).code == "stale"
    assert [peer.answer(number).is_done for number in (90, 92, 93)] == [True] * 3


def test_more_than_there_is_room_for_are_refused_as_busy(peer: Peer) -> None:
    peer.send("sample", 1000, "style", "sleep 1")
    numbers = range(1001, 1001 + MAX_WAITING + 6)
    for number in numbers:
        peer.send("sample", number, "bars", 1)
    answers = [peer.answer(number) for number in (1000, *numbers)]
    assert [answer.is_done for answer in answers].count(True) == 1 + MAX_WAITING
    assert {answer.code for answer in answers if not answer.is_done} == {"busy"}


# Clips


def test_a_clip_comes_back_as_it_was_uploaded(peer: Peer) -> None:
    clip = stiff_clip(100, 16.0)
    done = peer.upload("back", clip)
    assert done.keys == {"slot": "back", "notes": 100}
    assert done.end.arguments[1] == "clip"
    answer = peer.ask("clip/get", "slot", "back")
    assert answer.rows("notes/begin") == [(0, 100, 16.0)]
    assert answer.rows("notes/end") == [(0, 100)]
    assert [row[:2] for row in answer.rows("notes")] == [(0, 0), (0, 48), (0, 96)]
    assert len(answer.notes()) == 100


def test_some_notes_of_a_clip_are_sent_again(peer: Peer) -> None:
    peer.upload("some", stiff_clip(100, 16.0))
    answer = peer.ask("clip/get", "slot", "some", "first", 48, "count", 10)
    assert answer.rows("notes/begin") == [(0, 100, 16.0)]
    assert [(row[1], row[2]) for row in answer.rows("notes")] == [(48, 10)]


def test_chunks_come_in_any_order_and_twice(peer: Peer) -> None:
    notes = stiff_clip(96).notes
    peer.send("clip/begin", 200, "shuffled", 96, 8.0)
    for first in (48, 0, 48):
        peer.send("clip/notes", 200, first, 48, *note_atoms(notes[first : first + 48]))
    peer.send("clip/end", 200)
    assert peer.answer(200).keys["notes"] == 96


def test_missing_notes_are_named_and_only_they_are_sent_again(peer: Peer) -> None:
    notes = stiff_clip(48).notes
    peer.send("clip/begin", 201, "holes", 48, 8.0)
    peer.send("clip/notes", 201, 0, 12, *note_atoms(notes[:12]))
    peer.send("clip/notes", 201, 15, 33, *note_atoms(notes[15:]))
    peer.send("clip/end", 201)
    answer = peer.answer(201)
    assert (answer.code, answer.text) == ("bad_request", "3 of 48 notes are missing, the first is 12")
    assert answer.end.arguments[1] == "clip"
    peer.send("clip/notes", 201, 12, 3, *note_atoms(notes[12:15]))
    peer.send("clip/end", 201)
    assert peer.answer(201).keys == {"slot": "holes", "notes": 48}
    peer.send("clip/end", 201)
    assert peer.answer(201).is_done, "a repeated end"
    assert peer.says_nothing()


def test_an_upload_begun_anew_after_missing_notes_is_answered(peer: Peer) -> None:
    peer.send("clip/begin", 204, "anew", 2, 4.0)
    peer.send("clip/end", 204)
    assert peer.answer(204).code == "bad_request"
    peer.send("clip/begin", 204, "anew", 5000, 4.0)
    assert peer.answer(204).code == "too_big"


def test_a_bad_note_among_those_sent_again_is_told_at_the_end(peer: Peer) -> None:
    peer.send("clip/begin", 205, "bad", 1, 4.0)
    peer.send("clip/end", 205)
    assert peer.answer(205).code == "bad_request"
    peer.send("clip/notes", 205, 0, 1, 36, 0.0, 0.25, 0, 0)
    peer.send("clip/end", 205)
    answer = peer.answer(205)
    assert (answer.code, "velocity" in answer.text) == ("bad_request", True)


def test_an_upload_that_stops_times_out_after_5_seconds(peer: Peer) -> None:
    sent = time.perf_counter()
    peer.send("clip/begin", 202, "late", 48, 8.0)
    answer = peer.answer(202)
    assert answer.code == "timeout"
    assert 4.5 <= time.perf_counter() - sent <= 6.5


def test_an_end_without_a_begin_fails(peer: Peer) -> None:
    assert peer.ask("clip/end").code == "bad_request"


def test_the_done_of_a_band_tells_how_many_parts_have_come(peer: Peer) -> None:
    peer.send("clip/begin", 500, "band", 2, 4.0)
    peer.send("clip/notes", 500, 0, 2, 60, 0.0, 1.0, 90, 0, 36, 0.0, 1.0, 90, 0)
    peer.send("clip/part", 500, 0, 1, 0, 0, 1, "lead")
    peer.send("clip/part", 500, 1, 10, 0, 1, 1, "drums")
    peer.send("clip/end", 500)
    assert peer.answer(500).is_done
    answer = peer.ask("vary", "slot", "band", "count", 2)
    assert answer.keys["parts"] == len(answer.rows("part")) == 4
    assert "parts" not in peer.ask("sample").keys


def test_the_parts_of_a_clip_come_back(peer: Peer) -> None:
    peer.send("clip/begin", 203, "trio", 2, 4.0)
    peer.send("clip/notes", 203, 0, 2, 60, 0.0, 1.0, 100, 0, 36, 0.0, 1.0, 100, 0)
    peer.send("clip/part", 203, 0, 1, 5, 0, 1, "lead")
    peer.send("clip/part", 203, 1, 10, 0, 1, 1, "drums")
    peer.send("clip/end", 203)
    assert peer.answer(203).is_done
    answer = peer.ask("clip/get", "slot", "trio")
    assert answer.rows("part") == [(0, 0, 1, 5, 0, 1, "lead"), (0, 1, 10, 0, 1, 1, "drums")]


def test_slots_are_listed_and_cleared(peer: Peer) -> None:
    peer.ask("clip", "listed", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    answer = peer.ask("clip/list")
    assert ("listed", 1, 4.0) in answer.rows("clip/slot")
    assert peer.ask("clip/clear", "slot", "listed").is_done
    assert "listed" not in [row[0] for row in peer.ask("clip/list").rows("clip/slot")]


def test_a_257th_slot_takes_the_place_of_another_of_whoever_has_most(start) -> None:  # type: ignore[no-untyped-def]
    fresh = start("fake")
    fresh.wait_until_ready()
    with Peer(fresh.port) as client, Peer(fresh.port) as other:
        for index in range(256):
            assert client.ask("clip", f"s{index}", 4.0, 0).is_done
        assert client.ask("clip/get", "slot", "s0").is_done
        assert other.ask("clip", "one more", 4.0, 0).is_done
        said = client.hear()
        assert (said.address, said.arguments) == ("/vae/clip/gone", ("s1",)), "the one that was used longest ago"
        assert client.ask("clip/get", "slot", "s1").code == "no_clip"
        assert client.ask("clip/list").keys["count"] == 256
        assert other.says_nothing()


# Making music


def test_humanize_gives_note_for_note(peer: Peer) -> None:
    notes = tuple(reversed(stiff_clip(48).notes))
    peer.upload("reversed", Clip(notes, 8.0))
    answer = peer.ask("humanize", "slot", "reversed", "seed", 5)
    assert [row[0] for row in answer.notes()] == [note.pitch for note in notes]
    assert list(answer.keys)[:5] == ["model", "seed", "results", "ms", "total_ms"]
    assert (answer.keys["model"], answer.keys["seed"], answer.keys["results"]) == ("drums_16bar", 5, 1)
    assert float(answer.keys["total_ms"]) >= float(answer.keys["ms"]) > 0


def test_groove_gives_note_for_note(peer: Peer) -> None:
    notes = tuple(reversed(stiff_clip(48).notes))
    peer.upload("stiff", Clip(notes, 8.0))
    peer.upload("feel", stiff_clip(5))
    answer = peer.ask("groove", "slot", "stiff", "from", "feel", "seed", 5, "count", 2, "timing", 0.5)
    for result in (0, 1):
        assert [row[0] for row in answer.notes(result)] == [note.pitch for note in notes]
    assert list(answer.keys)[:5] == ["model", "seed", "results", "ms", "total_ms"]


def test_the_first_result_of_groove_is_kept_in_a_slot_as_it_was_sent(peer: Peer) -> None:
    peer.upload("stiff", Clip(tuple(reversed(stiff_clip(7).notes)), 8.0))
    grooved = peer.ask("groove", "slot", "stiff", "from", "stiff", "to", "grooved")
    assert peer.ask("clip/get", "slot", "grooved").notes() == grooved.notes()


def test_a_feel_of_more_than_512_bars_is_too_big(peer: Peer) -> None:
    peer.ask("clip", "short", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    peer.ask("clip", "endless", 513 * 4.0, 1, 36, 0.0, 0.25, 100, 0)
    assert peer.ask("groove", "slot", "short", "from", "endless").code == "too_big"


def test_a_number_that_no_float32_holds_harms_nobody(peer: Peer) -> None:
    """Doubles are accepted, floats are sent."""
    peer.send_raw(
        b"/vae/clip\0\0\0"
        + b",isfiifdii".ljust(12, b"\0")
        + struct.pack(">i8sfiifdii", 600, b"huge", 4.0, 1, 36, 0.0, 1e300, 100, 0)
    )
    assert peer.answer(600).code in ("too_big", "bad_request")
    assert peer.ask("clip/get", "slot", "huge").code == "no_clip"


def test_other_results_are_sorted_by_start_and_pitch(peer: Peer) -> None:
    peer.upload("unsorted", Clip((Note(40, 2.0, 0.5, 9), Note(38, 1.0, 0.5, 9), Note(36, 1.0, 0.5, 9)), 8.0))
    assert [row[0] for row in peer.ask("vary", "slot", "unsorted").notes()] == [36, 38, 40]


def test_result_0_is_kept_in_a_slot(peer: Peer) -> None:
    sampled = peer.ask("sample", "bars", 1, "to", "kept", "count", 3)
    assert len(sampled.rows("notes/begin")) == 3
    assert peer.ask("clip/get", "slot", "kept").notes() == sampled.notes(0)


def test_interpolate_goes_from_slot_to_slot(peer: Peer) -> None:
    peer.upload("from here", stiff_clip(6))
    answer = peer.ask("interpolate", "from", "from here", "to", "from here", "steps", 4)
    assert answer.keys["results"] == 4
    plane = ("from", "from here", "to", "from here", "from2", "from here", "to2", "from here")
    assert peer.ask("interpolate", *plane, "position", 0.5, "position2", 0.5).keys["results"] == 1


def test_a_clip_of_more_than_512_bars_is_too_big(peer: Peer) -> None:
    peer.ask("clip", "long", 513 * 4.0, 1, 36, 0.0, 0.25, 100, 0)
    assert peer.ask("humanize", "slot", "long").code == "too_big"
    peer.ask("clip", "fits", 512 * 4.0, 1, 36, 0.0, 0.25, 100, 0)
    assert peer.ask("humanize", "slot", "fits").is_done


def test_a_bug_in_the_engine_fails_one_request_only(peer: Peer) -> None:
    assert peer.ask("sample", "style", "bug").code == "internal"
    assert peer.ask("sample").is_done
