"""Notes ahead of time: bars told before their line, and told again where they change; bars that clients play."""

from dataclasses import dataclass, field

import pytest

from bridge.osc.packet import Message
from bridge.worker.messages import Finished, Run
from engine.clip import Clip, Note, Part
from engine.requests import Humanize, Results
from tests.bridge.service.test_service import Studio

BAR_SECONDS = 2.0


@dataclass
class ToldBar:
    """One telling: its number, line, beats and tempo, when it came, and its notes as (channel, pitch, start)."""

    number: int
    line_at: float
    beats: float
    tempo: float
    at: float
    notes: list[tuple[int, int, float]] = field(default_factory=list)


class Listener:
    """A client that sounds the notes by itself, of a studio without a MIDI port."""

    def __init__(self) -> None:
        self.studio, self.ids = Studio(), iter(range(1, 1000))
        self.studio.wires.why_none = "there is no MIDI system"
        self.bars = list[ToldBar]()
        self.ask("subscribe", "topic", "notes")

    def ask(self, verb: str, *arguments: int | float | str) -> dict[str, object]:
        number = next(self.ids)
        self.studio.send(verb, number, *arguments)
        return self.answer(number)

    def answer(self, number: int) -> dict[str, object]:
        ended = [m for m in self.hear() if m.address in ("/vae/done", "/vae/fail") and m.arguments[0] == number]
        assert ended, "no answer"
        rest = ended[0].arguments[2:]
        return (
            dict(zip(map(str, rest[::2]), rest[1::2], strict=True))
            if ended[0].address == "/vae/done"
            else {"fail": rest}
        )

    def hear(self, seconds: float = 0.0) -> list[Message]:
        """All that is told in so many seconds, at each moment that the daemon would wake."""
        until, heard = self.studio.now + seconds, list[Message]()
        while True:
            heard += self._take(self.studio.said())
            due = min(self.studio.service.next_due(self.studio.now), self.studio.ensemble.next_due(), until)
            if self.studio.now >= until and due >= until:
                return heard
            self.studio.now = min(max(due, self.studio.now + 1e-4), until)

    def _take(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if message.address == "/vae/bar":
                number, start, beats, tempo = message.arguments
                now = self.studio.now
                self.bars.append(ToldBar(int(number), now + float(start), float(beats), float(tempo), now))
            if message.address == "/vae/part" and message.arguments[0] == 0:
                _, _, _, channel, _, first, count, _ = message.arguments
                self.channels = {
                    **self.channels,
                    **dict.fromkeys(range(int(first), int(first) + int(count)), int(channel)),
                }
            if message.address == "/vae/notes/begin" and message.arguments[0] == 0:
                assert message.arguments[1] == -self.bars[-1].number
                self.channels: dict[int, int] = {}
            if message.address == "/vae/notes" and message.arguments[0] == 0:
                _, _, first, count, *atoms = message.arguments
                for index in range(int(count)):
                    pitch, start = atoms[5 * index : 5 * index + 2]
                    channel = self.channels[int(first) + index]
                    self.bars[-1].notes.append((channel, int(pitch), round(float(start), 3)))
        return messages

    def told(self, number: int) -> list[ToldBar]:
        return [bar for bar in self.bars if bar.number == number]


@pytest.fixture
def listener() -> Listener:
    listener = Listener()
    listener.studio.slots.put("a", Clip((Note(36, 0.0, 0.25, 100), Note(38, 5.0, 0.25, 90)), 8.0))
    return listener


def test_each_bar_is_told_once_and_at_least_100_ms_before_its_line_and_its_earliest_note(
    listener: Listener,
) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(4.5 * BAR_SECONDS)
    later = [bar for bar in listener.bars if bar.number > 1]
    assert [bar.number for bar in later] == [2, 3, 4, 5]
    assert all(bar.line_at - 0.0625 - bar.at >= 0.1 for bar in later)
    assert [bar.notes for bar in later] == [[(10, 38, 1.0)], [(10, 36, 0.0)], [(10, 38, 1.0)], [(10, 36, 0.0)]]
    assert {(bar.beats, bar.tempo) for bar in later} == {(4.0, 120.0)}


@pytest.mark.parametrize("tempo", [12.0, 40.0, 300.0, 600.0])
def test_it_is_so_at_any_tempo(listener: Listener, tempo: float) -> None:
    listener.ask("tempo", "bpm", tempo)
    listener.ask("play", "slot", "a", "loop", 1)
    for _ in range(11):
        listener.hear(0.5 * 240 / tempo)
        listener.ask("ping")
    for number in (2, 3, 4, 5):
        (bar,) = listener.told(number)
        assert bar.line_at - bar.at >= 0.1 + 0.125 * 60 / tempo - 1e-6


def test_what_is_put_into_the_slot_of_a_loop_is_in_the_next_bar(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(0.5 * BAR_SECONDS)
    listener.studio.slots.put("a", Clip((Note(40, 0.0, 0.25, 100), Note(41, 4.5, 0.25, 90)), 8.0))
    listener.hear(2.5 * BAR_SECONDS)
    assert [listener.told(number)[-1].notes for number in (2, 3)] == [[(10, 41, 0.5)], [(10, 40, 0.0)]]


def test_an_early_hit_belongs_to_the_bar_whose_line_follows(listener: Listener) -> None:
    listener.studio.slots.put("early", Clip((Note(36, -0.1, 0.25, 100), Note(38, 3.95, 0.1, 90)), 8.0))
    listener.ask("play", "slot", "early", "loop", 1)
    listener.hear(3.5 * BAR_SECONDS)
    assert listener.told(2)[-1].notes == [(10, 38, -0.05)]
    assert listener.told(3)[-1].notes == [(10, 36, -0.1)]


def test_each_channel_is_a_part(listener: Listener) -> None:
    parts = (Part("bass", 2, 33, 0, 1), Part("drums", 10, 0, 1, 1))
    listener.studio.slots.put("p", Clip((Note(40, 1.0, 0.5, 80), Note(36, 0.0, 0.25, 100)), 4.0, parts=parts))
    listener.ask("play", "slot", "p", "loop", 1)
    listener.hear(1.5 * BAR_SECONDS)
    assert listener.told(2)[-1].notes == [(2, 40, 1.0), (10, 36, 0.0)]


def test_a_clip_that_begins_in_the_midst_of_a_bar_has_it_told_again(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(1.25 * BAR_SECONDS)
    listener.studio.slots.put("b", Clip((Note(50, 0.0, 0.25, 100),), 1.0))
    listener.ask("play", "slot", "b", "at", "beat", "channel", 3)
    listener.hear(0.01)
    before, after = listener.told(2)
    assert before.notes == [(10, 38, 1.0)]
    assert (3, 50, 2.0) in after.notes or (3, 50, 1.0) in after.notes


def test_stop_has_the_bar_told_again_without_notes(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(0.95 * BAR_SECONDS)
    assert listener.told(2)[-1].notes
    listener.ask("stop")
    listener.hear(0.01)
    assert not listener.told(2)[-1].notes
    assert listener.hear(3.0) == []


def test_another_tempo_has_the_bar_told_again(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(0.5 * BAR_SECONDS)
    listener.ask("tempo", "bpm", 60.0)
    listener.hear(0.01)
    again = listener.told(1)[-1]
    assert again.tempo == 60.0
    listener.hear(3 * BAR_SECONDS)
    assert listener.told(2)[-1].line_at == pytest.approx(again.line_at + 4.0)


def test_whoever_comes_while_it_plays_is_told_the_bar_at_once(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.ask("subscribe", "topic", "notes", "on", 0)
    listener.hear(1.25 * BAR_SECONDS)
    listener.bars.clear()
    listener.ask("subscribe", "topic", "notes")
    listener.hear(0.01)
    (bar,) = listener.bars
    assert (bar.number, bar.notes) == (2, [(10, 38, 1.0)])
    assert bar.line_at < bar.at


def test_without_a_port_nothing_can_be_played_when_nobody_sounds_it(listener: Listener) -> None:
    listener.ask("subscribe", "topic", "notes", "on", 0)
    assert listener.ask("play", "slot", "a") == {"fail": ("no_port", "there is no MIDI system")}
    assert listener.studio.ensemble.transport.ahead_seconds == 0.0


def test_a_variation_of_a_live_mode_is_told_in_time(listener: Listener) -> None:
    listener.ask("live", "mode", "loop", "slot", "a", "bars", 1)
    for _ in range(80):
        listener.hear(0.05)
        job = listener.studio.service.engine_verbs.take(listener.studio.now)
        if job is not None:
            assert isinstance(job, Run)
            new = Clip((Note(36, 0.5, 0.25, 100),), 4.0)
            listener.studio.service.engine_verbs.report(
                Finished.of(job.number, Results((new,), "m", 5, 1.0)), listener.studio.now
            )
    (bar,) = listener.told(2)
    assert bar.notes == [(10, 36, 0.5)]
    assert bar.line_at - bar.at >= 0.1


def play_bar(listener: Listener, number: int, *starts: float) -> dict[str, object]:
    """Send a bar as played: begin, notes, end."""
    id_ = next(listener.ids)
    listener.studio.send("live/bar", id_, number, len(starts), 4.0)
    atoms = [atom for start in starts for atom in (38, start, 0.1, 90, 0)]
    listener.studio.send("clip/notes", id_, 0, len(starts), *atoms)
    listener.studio.send("clip/end", id_)
    return listener.answer(id_)


def answered_clip(listener: Listener, bars: float) -> Clip:
    """What the live mode asks the engine about, within so many bars."""
    for _ in range(int(bars * 100)):
        listener.hear(BAR_SECONDS / 100)
        job = listener.studio.service.engine_verbs.take(listener.studio.now)
        if isinstance(job, Run) and isinstance(job.request, Humanize):
            return job.request.clip
    raise AssertionError("nothing was asked")


def test_a_bar_that_a_client_has_played_is_answered(listener: Listener) -> None:
    listener.ask("live", "mode", "answer", "bars", 1)
    listener.hear(0.5 * BAR_SECONDS)
    assert play_bar(listener, 1, 0.0, 1.5) == {"bar": 1, "notes": 2}
    assert play_bar(listener, 1, 2.0) == {"bar": 1, "notes": 1}
    clip = answered_clip(listener, 1)
    assert [note.start_beats for note in clip.notes] == [0.0, 1.5, 2.0]


def test_a_bar_that_is_sent_when_it_is_over_is_heard_a_bar_later(listener: Listener) -> None:
    listener.ask("live", "mode", "answer", "bars", 1)
    listener.hear(1.1 * BAR_SECONDS)
    assert play_bar(listener, 1, 0.0, 3.5) == {"bar": 2, "notes": 2}
    clip = answered_clip(listener, 1)
    assert [note.start_beats for note in clip.notes] == [0.0, 3.5]


def test_a_note_that_is_hardly_late_begins_the_next_window(listener: Listener) -> None:
    listener.ask("live", "mode", "answer", "bars", 1)
    listener.hear(0.97 * BAR_SECONDS + 0.05)
    assert play_bar(listener, 1, 3.8)["bar"] == 1
    assert [note.start_beats for note in answered_clip(listener, 1.2).notes] == [-0.125]


def test_a_bar_of_a_song_that_stands_or_far_away_is_refused(listener: Listener) -> None:
    assert play_bar(listener, 1, 0.0) == {"fail": ("bad_request", "the song stands: play or live starts it")}
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(0.1)
    assert "n must be in -15..17" in str(play_bar(listener, 40, 0.0))


def test_a_bar_of_which_notes_are_missing_fails_as_an_upload_does(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.studio.send("live/bar", 500, 1, 3, 4.0)
    listener.studio.send("clip/end", 500)
    assert "3 of 3 notes are missing" in str(listener.answer(500))


def test_with_midi_that_is_sent_earlier_the_bars_are_told_whole_all_the_same(listener: Listener) -> None:
    listener.studio.ensemble.transport.latency_seconds = 0.4
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(3.5 * BAR_SECONDS)
    assert [bar.notes for bar in listener.told(3)] == [[(10, 36, 0.0)]]
    assert listener.told(3)[0].line_at - listener.told(3)[0].at >= 0.5


def test_in_another_meter_the_bars_are_told_anew(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(1.2 * BAR_SECONDS)
    listener.bars.clear()
    listener.ask("tempo", "beats_per_bar", 3.0)
    listener.hear(3.0)
    lines = {bar.number: bar.line_at for bar in listener.bars}
    assert {bar.beats for bar in listener.bars} == {3.0}
    assert [lines[number + 1] - lines[number] for number in (2, 3)] == pytest.approx([1.5, 1.5])
    assert listener.bars[0].number == 2


def test_where_the_song_has_moved_the_bars_are_told_from_there(listener: Listener) -> None:
    listener.ask("play", "slot", "a", "loop", 1)
    listener.hear(1.2 * BAR_SECONDS)
    listener.bars.clear()
    listener.studio.ensemble.transport.clock.start(listener.studio.now, 40.5)
    listener.hear(2.5)
    assert [bar.number for bar in listener.bars][:2] == [11, 12]
    assert listener.told(12)[-1].notes
