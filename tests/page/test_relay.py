"""What waits for a browser, and clips as JSON: no socket, no process."""

import asyncio
import errno
import json
import math
import zipfile
from pathlib import Path

import pytest

from bridge.page.clips import clip_as_json, clip_of, file_as_clips
from bridge.page.lists import page_table
from bridge.page.relay import MOST_IN_A_FRAME, FromDaemon, Waiting, as_json
from bridge.playing.slots import MAX_NOTES
from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.midi.clips import clip_as_midi
from engine.midi.events import format_midi


def taken(waiting: Waiting) -> list[list[object]]:
    return asyncio.run(waiting.take())


def test_what_waits_comes_in_its_order() -> None:
    waiting = Waiting()
    for number in range(3):
        waiting.put(["/vae/done", number])
    assert taken(waiting) == [["/vae/done", 0], ["/vae/done", 1], ["/vae/done", 2]]


def test_of_more_than_fits_the_newest_stay_and_the_loss_is_told_once() -> None:
    waiting = Waiting(most=3)
    for number in range(10):
        waiting.put(["/vae/done", number])
    assert taken(waiting) == [["/page/lost", 7], ["/vae/done", 7], ["/vae/done", 8], ["/vae/done", 9]]
    waiting.put(["/vae/done", 10])
    assert taken(waiting) == [["/vae/done", 10]]


def test_of_a_state_only_the_newest_is_of_use() -> None:
    waiting = Waiting(most=3)
    for number in range(10):
        waiting.put(["/vae/state", number])
    waiting.put(["/vae/beat", 1])
    assert taken(waiting) == [["/vae/state", 9], ["/vae/beat", 1]]


def test_a_frame_has_a_bound_and_the_rest_follows() -> None:
    waiting = Waiting()
    for number in range(MOST_IN_A_FRAME + 5):
        waiting.put(["/vae/done", number])
    assert [len(taken(waiting)) for _ in range(2)] == [MOST_IN_A_FRAME, 5]


def test_a_number_that_json_has_not_is_null_and_the_frame_is_not_lost() -> None:
    frame = as_json([["/vae/beat", math.nan, -math.inf, 1.5], ["/vae/done", 1]])
    assert json.loads(frame, parse_constant=lambda name: pytest.fail(name)) == [
        ["/vae/beat", None, None, 1.5],
        ["/vae/done", 1],
    ]


def test_a_message_that_a_systems_datagrams_do_not_carry_is_told_and_no_missing_daemon() -> None:
    waiting = Waiting()
    FromDaemon(waiting).error_received(OSError(errno.EMSGSIZE, "Message too long"))
    FromDaemon(waiting).error_received(ConnectionRefusedError())
    assert taken(waiting) == [
        ["/vae/fail", 0, "-", "bad_packet", "a message is larger than a datagram of this system"],
        ["/page/daemon", 0],
    ]


def test_a_clip_comes_back_from_json_as_it_was() -> None:
    notes = (Note(40, 0.5, 1.5, 77), Note(36, -0.1, 0.25, 100, mute=True))
    clip = Clip(notes, 7.0, 3.5, 97.5, (Part("bass", 2, 33, 0, 1), Part("drums", 10, 0, 1, 1)))
    assert clip_of(json.loads(json.dumps(clip_as_json(clip)))) == clip


@pytest.mark.parametrize(
    "told", [None, [], {}, {"notes": 7, "beats": 4}, {"notes": [], "beats": "many"}, {"notes": []}]
)
def test_what_is_no_clip_is_refused(told: object) -> None:
    with pytest.raises(ClipError):
        clip_of(told)


def test_a_file_with_drums_and_others_offers_both() -> None:
    notes = (
        *(Note(36, float(beat), 0.25, 100) for beat in range(4)),
        *(Note(60, float(beat), 0.5, 80) for beat in range(4)),
    )
    song = Clip(notes, 4.0, parts=(Part("drums", 10, 0, 0, 4), Part("lead", 1, 0, 4, 4)))
    told = file_as_clips(format_midi(clip_as_midi(song)))
    assert [(each["name"], len(each["clip"]["notes"])) for each in told["clips"]] == [
        ("drums", 4),
        ("all parts", 8),
    ]
    assert [part[0] for part in told["clips"][1]["clip"]["parts"]] == [10, 1]


def test_of_a_file_with_more_notes_than_a_slot_takes_whole_bars_come_and_that_is_said() -> None:
    song = Clip(tuple(Note(42, step * 0.25, 0.25, 90) for step in range(5000)), 1250.0)
    told = file_as_clips(format_midi(clip_as_midi(song)))
    (clip,) = [each["clip"] for each in told["clips"]]
    assert (len(clip["notes"]), clip["beats"]) == (MAX_NOTES, 1024.0)
    assert told["remarks"] == [f"the first 256 of 313 bars: a clip may have {MAX_NOTES} notes"]


def test_the_table_says_every_verb_with_its_ranges() -> None:
    table = json.loads(json.dumps(page_table()))
    timing = next(key for key in table["verbs"]["humanize"]["keys"] if key["name"] == "timing")
    assert (timing["low"], timing["high"], timing["default"]) == (0, 1, 1.0)
    assert table["verbs"]["groove"]["slots"] == ["slot", "from", "keep_slot"]
    assert not table["verbs"]["ping"]["makesMusic"]
    assert set(table["modes"]) >= {"answer", "drumify"}
    assert len(table["first"]["notes"]) > 20


@pytest.mark.data
def test_real_drummers_files_become_clips_that_become_files(groove_zip: Path) -> None:
    with zipfile.ZipFile(groove_zip) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".mid"))[::40]
        for name in names:
            told = file_as_clips(archive.read(name))["clips"][0]
            clip = clip_of(told["clip"])
            again = file_as_clips(format_midi(clip_as_midi(clip)))["clips"][0]["clip"]
            assert len(clip.notes) > 3, name
            assert len(again["notes"]) == len(clip.notes), name
    assert len(names) > 20
