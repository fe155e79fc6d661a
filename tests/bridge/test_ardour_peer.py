"""Ardour as the DAW: what it sends and what it records, with a peer that echoes its drums."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import rtmidi

from engine.clip import Note
from tests.bridge.ardour import Ardour
from tests.bridge.jack import PERIOD_SECONDS, Jack

pytestmark = pytest.mark.ardour

FIRST_BPM, THEN_BPM = 174.0, 120.0
CHANGE_BAR = 3
Needs = Callable[[str, str], None]
CLOCK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
MOST_WAITING = 8192
NOTES = [Note((36, 42, 38, 42)[i % 4], i / 2, 0.25, 40 + i) for i in range(44)]


class Echo:
    """A peer on JACK that hears a clock, and sends each note back."""

    def __init__(self) -> None:
        self.back = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, "echo-back")
        self.drums_in = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "echo-drums")
        self.clock_in = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "echo-clock", MOST_WAITING)
        self.clock_in.ignore_types(timing=False)
        self.drums_in.set_callback(lambda event, _: self.back.send_message(event[0]))
        for port in (self.back, self.drums_in, self.clock_in):
            port.open_virtual_port("port")

    def heard(self) -> list[tuple[float, list[int]]]:
        """What the clock has sent, up to its stop, with JACK's own moments."""
        heard: list[tuple[float, list[int]]] = []
        moment, deadline = 0.0, time.perf_counter() + 10
        while not heard or heard[-1][1][0] != STOP:
            if (event := self.clock_in.get_message()) is None:
                assert time.perf_counter() < deadline, "it has not stopped"
                time.sleep(PERIOD_SECONDS)
            else:
                moment += event[1]
                heard.append((moment, event[0]))
        return heard

    def close(self) -> None:
        for port in (self.clock_in, self.drums_in, self.back):
            port.delete()


@dataclass
class Performance:
    """The song from its start, with a change of tempo; then four beats of it from the middle of a bar."""

    stopped_at_beat: float
    from_start: list[tuple[float, list[int]]]
    from_middle: list[tuple[float, list[int]]]
    takes: list[list[Note]]

    @property
    def ticks(self) -> list[float]:
        return [moment for moment, message in self.from_start if message[0] == CLOCK]


def seconds_at(beat: float) -> float:
    change = CHANGE_BAR * 4
    return min(beat, change) * 60 / FIRST_BPM + max(beat - change, 0.0) * 60 / THEN_BPM


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Performance:
    """One performance for all tests: the server, Ardour and the echo have ended when it is there."""
    jack = Jack()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in jack.environment.items():
                patch.setenv(name, value)
            return perform(jack, tmp_path_factory.mktemp("ardour"))
    finally:
        jack.close()


@pytest.fixture
def performance(needs: Needs, request: pytest.FixtureRequest) -> Performance:
    needs("ardour7-lua", "ardour")
    needs("jackd", "jackd2")
    played: Performance = request.getfixturevalue("played")
    return played


def perform(jack: Jack, folder: Path) -> Performance:
    changes = [(CHANGE_BAR, THEN_BPM)]
    with (
        closing(Echo()) as echo,
        Ardour(folder, jack.environment, notes=NOTES, tempo_bpm=FIRST_BPM, tempo_changes=changes) as daw,
    ):
        jack.connect(daw.drums_port, "echo-drums:port")
        jack.connect(daw.clock_port, "echo-clock:port")
        jack.connect("echo-back:port", daw.answers_port)
        daw.roll()
        daw.wait_for(22.6)
        stopped_at_beat = daw.stop()
        from_start = echo.heard()
        daw.locate(5.6)
        daw.roll()
        daw.wait_for(9.7)
        daw.stop()
        return Performance(stopped_at_beat, from_start, echo.heard(), daw.takes())


def test_it_records_every_note_that_it_played(performance: Performance) -> None:
    recorded = performance.takes[0]
    assert [(note.pitch, note.velocity) for note in recorded] == [(note.pitch, note.velocity) for note in NOTES]


def test_an_echo_is_recorded_within_two_periods(performance: Performance) -> None:
    pairs = zip(NOTES, performance.takes[0], strict=True)
    late = [seconds_at(heard.start_beats) - seconds_at(note.start_beats) for note, heard in pairs]
    assert 0 <= median(late) <= 2 * PERIOD_SECONDS


def test_start_comes_first_and_stop_last_with_nothing_but_ticks_between(performance: Performance) -> None:
    kinds = [message[0] for _, message in performance.from_start]
    assert (kinds[0], kinds[-1]) == (START, STOP)
    assert set(kinds[1:-1]) == {CLOCK}


def test_there_are_24_ticks_to_a_beat(performance: Performance) -> None:
    assert len(performance.ticks) == ceil(performance.stopped_at_beat * 24)


def test_the_ticks_change_their_spacing_with_the_tempo(performance: Performance) -> None:
    before, after = np.split(np.array(performance.ticks), [CHANGE_BAR * 4 * 24])
    slopes = [np.polyfit(np.arange(len(part)), part, 1)[0] for part in (before, after)]
    assert [60 / 24 / slope for slope in slopes] == pytest.approx([FIRST_BPM, THEN_BPM], rel=0.02)


def test_from_the_middle_of_a_bar_it_continues_at_the_next_beat_which_it_tells_in_clocks(
    performance: Performance,
) -> None:
    kinds = [message[0] for _, message in performance.from_middle]
    assert kinds[:3] == [SONG_POSITION, CONTINUE, CLOCK]
    _, low, high = performance.from_middle[0][1]
    assert low + 128 * high == 6 * 24  # where MIDI has sixteenths: Ardour 7's mistake


def test_a_second_take_begins_where_it_was_put(performance: Performance) -> None:
    played = [note.pitch for note in NOTES if 5.6 <= note.start_beats < 9.7]
    assert [note.pitch for note in performance.takes[1]] == played
