"""Ardour without a display, as the DAW of a test: it plays drums, sends its clock and records what comes back.

The session is written as files, and ardour_scripts/daw.lua does what it is told over standard input. Needs a JACK
server.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from math import ceil
from pathlib import Path
from string import Template
from typing import NamedTuple

import mido

from engine.clip import Note

SCRIPTS = Path(__file__).parent / "ardour_scripts"
TICKS_PER_BEAT = 1920
BEATS_PER_BAR = 4
CLOCKS_PER_BEAT = 24

SUPERCLOCKS_PER_SECOND = 282_240_000
"""How finely Ardour divides time."""

SECONDS_AFTER = 10.0
"""So long after its last bar the song may go on."""

MOST_STARTS = 6
"""Ardour 7.3 loses JACK in about one start of seven: two of its threads write to one socket at once."""

CLOSE_SECONDS = 10.0


class TempoPoint(NamedTuple):
    """A tempo, and where it begins in the session."""

    superclocks: int
    ticks: int
    tempo_bpm: float

    def xml(self) -> str:
        """The point as the session has it."""
        beat, tick = divmod(self.ticks, TICKS_PER_BEAT)
        bar, beat_of_bar = divmod(beat, BEATS_PER_BAR)
        return (
            f'<Tempo npm="{self.tempo_bpm}" enpm="{self.tempo_bpm}" note-type="4" type="Tempo::Constant" active="1"'
            f' locked-to-meter="0" continuing="0" sclock="{self.superclocks}" quarters="{beat}:{tick}"'
            f' bbt="{bar + 1}|{beat_of_bar + 1}|{tick}" omega="0"/>'
        )


class Ardour:
    """A session at 4/4: the track drums plays the notes, the track answers records.

    A tempo change is a bar, counted from 0, and the bpm from there on; JACK_DEFAULT_SERVER in the environment names
    the server, which has the sample rate that is given. Positions are beats from the start of the song.
    """

    drums_port = "ardour:drums/midi_out 1"
    answers_port = "ardour:answers/midi_in 1"
    clock_port = "ardour:MIDI Clock out"

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        notes: Sequence[Note],
        tempo_bpm: float,
        tempo_changes: Sequence[tuple[int, float]] = (),
        sample_rate: int = 48000,
    ):
        self.session = folder / "song"
        self.log = folder / "ardour.log"
        write_session(self.session, notes, [(0, tempo_bpm), *tempo_changes], sample_rate)
        self.environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        self.environment |= {"XDG_CACHE_HOME": str(folder / "cache"), **environment}
        self._start()

    def __enter__(self) -> "Ardour":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        for _ in range(MOST_STARTS):
            with self.log.open("a") as stream:
                self.process = subprocess.Popen(
                    ["ardour7-lua", str(SCRIPTS / "daw.lua"), str(self.session), self.session.name],
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    text=True,
                )
            if self._answer() == "ready":
                return
            self.close()
        raise RuntimeError(f"Ardour does not start: {self.log.read_text()}")

    def _answer(self) -> str:
        """The next line that the script says, empty if Ardour has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
            with self.log.open("a") as stream:
                stream.write(line)
        return ""

    def _tell(self, *words: object) -> str:
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)
        state, _, result = self._answer().partition(" ")
        if state != "ok":
            raise RuntimeError(f"Ardour, told {words}: {result or self.log.read_text()}")
        return result

    def roll(self) -> None:
        """Play and record from where the song stands."""
        self._tell("roll")

    def wait_for(self, beat: float) -> float:
        """Return when the song has come to a beat, with the beat that it has come to."""
        return float(self._tell("wait", beat))

    def stop(self) -> float:
        """Stop, and return the beat where the song stands; what was recorded is a take then."""
        return float(self._tell("stop"))

    def locate(self, beat: float) -> None:
        """Put the song elsewhere; it stands then."""
        self._tell("locate", beat)

    def takes(self) -> list[list[Note]]:
        """The notes of each take in which any were heard, as they were recorded; the starts are the song's."""
        rows = [row.split() for row in self._tell("takes").split(";") if row]
        rows.sort(key=lambda row: int(row[0]))
        return [
            sorted((_note(row) for row in rows_of_take), key=lambda note: note.start_beats)
            for _, rows_of_take in groupby(rows, key=lambda row: row[0])
        ]

    def close(self) -> None:
        """End Ardour."""
        try:
            self.process.communicate(timeout=CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def _note(row: Sequence[str]) -> Note:
    _, pitch, velocity, start_beats, duration_beats = row
    shortest = 1 / TICKS_PER_BEAT  # Ardour's is 0, for a note that begins and ends within one period
    return Note(int(pitch), float(start_beats), max(float(duration_beats), shortest), int(velocity))


def write_session(
    folder: Path, notes: Sequence[Note], tempos: Sequence[tuple[int, float]], sample_rate: int
) -> None:
    """What Ardour opens: the notes as a MIDI file, the session round it. A tempo is its bar and its bpm."""
    files = folder / "interchange" / folder.name / "midifiles"
    files.mkdir(parents=True)
    ticks = write_drums(notes, files / "drums.mid")
    points = "\n".join(point.xml() for point in tempo_map(tempos, ticks, sample_rate))
    template = Template((SCRIPTS / "session.xml").read_text())
    session = template.substitute(name=folder.name, sample_rate=sample_rate, ticks=ticks, tempos=points)
    (folder / f"{folder.name}.ardour").write_text(session)


def tempo_map(tempos: Sequence[tuple[int, float]], ticks: int, sample_rate: int) -> Iterator[TempoPoint]:
    """The tempos of a song whose length is given in ticks.

    Ardour 7.3 sends its clock by a wrong tempo: it asks the map with a number of samples where superclocks are
    meant, and so finds what holds in the song's first hundredth of a second. Hence the changes stand there a first
    time, as many superclocks from the start as they are samples from it, half a clock early. After them the song
    is where it would be without; a note inside is some milliseconds off.
    """
    _, first_bpm = tempos[0]
    superclocks_per_tick = SUPERCLOCKS_PER_SECOND * 60 / first_bpm / TICKS_PER_BEAT
    yield TempoPoint(0, 0, first_bpm)
    changes, seconds = [], 0.0
    for (bar, bpm), (next_bar, next_bpm) in pairwise(tempos):
        seconds += (next_bar - bar) * BEATS_PER_BAR * 60 / bpm
        superclocks = round((seconds - 30 / bpm / CLOCKS_PER_BEAT) * sample_rate)
        yield TempoPoint(superclocks, round(superclocks / superclocks_per_tick), next_bpm)
        ticks_before = next_bar * BEATS_PER_BAR * TICKS_PER_BEAT
        changes.append(TempoPoint(round(seconds * SUPERCLOCKS_PER_SECOND), ticks_before, next_bpm))
    if changes:
        seconds += (ticks - changes[-1].ticks) / TICKS_PER_BEAT * 60 / changes[-1].tempo_bpm + SECONDS_AFTER
        inside = ceil(seconds * sample_rate / superclocks_per_tick)
        yield TempoPoint(round(inside * superclocks_per_tick), inside, first_bpm)
    yield from changes


def write_drums(notes: Sequence[Note], path: Path) -> int:
    """Write notes on channel 10, and return the length in ticks, in whole bars."""
    events = []
    for note in notes:
        start = round(note.start_beats * TICKS_PER_BEAT)
        end = round((note.start_beats + note.duration_beats) * TICKS_PER_BEAT)
        events.append((start, 1, mido.Message("note_on", channel=9, note=note.pitch, velocity=note.velocity)))
        events.append((end, 0, mido.Message("note_off", channel=9, note=note.pitch)))
    track = mido.MidiTrack()
    now = 0
    for ticks, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=ticks - now))
        now = ticks
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)
    ticks_per_bar = BEATS_PER_BAR * TICKS_PER_BEAT
    return -(-now // ticks_per_bar) * ticks_per_bar
