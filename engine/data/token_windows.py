"""Songs → windows of whole bars as tokens, by the published rules: what the token models learn from.

4/4 alone; windows slide by a bar; a melody is a track of the programs 0..31, a bass 32..39, drums channel 10.
Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428; Simon et al. 2018, arXiv 1806.00195.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from engine.data.songs import Meter, Song
from engine.data.tracks import (
    GAP_BARS,
    TRIO_GAP_BARS,
    Bars,
    Section,
    all_playing,
    bars_of,
    over_bars,
    phrases,
)
from engine.errors import DataError
from engine.representation.drum_map import GENERAL_MIDI, DrumMap
from engine.representation.drums import Drums
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE, NOTE_OFF, NOTHING
from engine.representation.multitrack import transposed_band
from engine.representation.tokens import (
    BASS_PROGRAMS,
    BEATS_PER_BAR,
    MELODY_PROGRAMS,
    STEPS_PER_BAR,
    Representation,
    Tokens,
)


@dataclass(frozen=True, slots=True)
class TokenWindows:
    """Windows of one length.

    tokens [window, step, part]; song [window] is the index among the songs that were given; left_out counts by
    the reason the windows that were not taken.
    """

    tokens: Tokens
    song: NDArray[np.int64]
    left_out: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, chosen: NDArray[np.int64] | slice) -> "TokenWindows":
        """Some of the windows."""
        return TokenWindows(self.tokens[chosen], self.song[chosen], self.left_out)


def cut_token_windows(
    songs: Iterable[Song],
    representation: Representation,
    *,
    split: str,
    bars: int,
    drum_map: DrumMap = GENERAL_MIDI,
    track: str | None = None,
) -> TokenWindows:
    """All windows of the songs of a split, or of their tracks of one name; DataError where there is none.

    drum_map says what the drum pitches of the data mean.
    """
    left_out: Counter[str] = Counter()
    cutter = _Cutter(representation, bars, drum_map, left_out)
    tokens: list[Tokens] = []
    song_of: list[int] = []
    for index, song in enumerate(songs):
        if song.split == split:
            found = cutter.windows_of(song if track is None else song.only(track))
            tokens += found
            song_of += [index] * len(found)
    if not tokens:
        why = ", ".join(f"{reason}: {count}" for reason, count in left_out.most_common()) or "it has no songs"
        raise DataError(f"the split {split!r} holds no {bars} bars for a {representation.name} model ({why})")
    return TokenWindows(np.array(tokens), np.array(song_of, np.int64), left_out)


def transposed(tokens: Tokens, semitones: int | NDArray[np.int64], representation: Representation) -> Tokens:
    """Windows [window, step, part] with all but their drums moved, by one interval or by one each [window].

    A window of which a note would leave the range stays as it is.
    """
    interval = np.broadcast_to(np.asarray(semitones, np.int64), len(tokens))
    if representation.name == "multitrack":
        return transposed_band(tokens, interval)
    voices = np.array(representation.sizes) == MELODY_SIZE
    sounding = voices & (tokens >= FIRST_NOTE_ON)
    moved = tokens + interval[:, None, None] * sounding
    fits = (moved >= FIRST_NOTE_ON) & (moved < MELODY_SIZE) | ~sounding
    return np.where(np.all(fits, axis=(1, 2), keepdims=True), moved, tokens)


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts one song after the other, and counts what it leaves out."""

    representation: Representation
    bars: int
    drum_map: DrumMap
    left_out: Counter[str]

    def windows_of(self, song: Song) -> list[Tokens]:
        """The windows of a song, no two the same."""
        found = [window for meter in song.meters for window in self._in_meter(song, meter)]
        unique = list({window.tobytes(): window for window in found}.values())
        self._leave_out("the same as another of its song", len(found) - len(unique))
        return unique

    def _in_meter(self, song: Song, meter: Meter) -> Iterator[Tokens]:
        bars = bars_of(meter)
        section = Section(song, meter, bars)
        if meter.beats_per_bar != BEATS_PER_BAR:
            self._leave_out("not in 4/4", max(1, bars - self.bars + 1))
        elif bars < self.bars:
            self._leave_out("shorter than a window", 1)
        elif self.representation.name == "multitrack":
            yield from self._multitrack(section)
        elif self.representation.name == "trio":
            yield from self._trio(section)
        else:
            yield from self._single(section)

    def _single(self, section: Section) -> Iterator[Tokens]:
        """The windows of each melody, or of the drums, that lie in one phrase."""
        if isinstance(self.representation, Drums):
            lines, kind = section.drums(self.representation, self.drum_map), "drums (channel 10)"
        else:
            lines, kind = section.voices(MELODY_PROGRAMS), "a melody (programs 0..31)"
        if not lines:
            self._leave_out(f"without {kind}", section.bars - self.bars + 1)
        for line in lines:
            phrase = over_bars(phrases(line.notes, section.bars), self.bars)
            whole: Bars = (phrase[:, 0] >= 0) & np.all(phrase == phrase[:, :1], axis=1)
            yield from self._taken(line.tokens[:, None], whole, f"with a rest of {GAP_BARS} bar or more")

    def _trio(self, section: Section) -> Iterator[Tokens]:
        """The windows of each melody with each bass and the drums, in which all three play throughout."""
        melodies, basses = section.voices(MELODY_PROGRAMS), section.voices(BASS_PROGRAMS)
        drums = section.drums(Drums(), self.drum_map)
        if not (melodies and basses and drums):
            missing = "without a melody (programs 0..31), a bass (32..39) or drums (channel 10)"
            self._leave_out(missing, section.bars - self.bars + 1)
        for lines in product(melodies, basses, drums):
            playing: Bars = np.all(over_bars(all_playing(lines, section.bars), self.bars), axis=1)
            tokens = np.stack([line.tokens for line in lines], axis=1)
            yield from self._taken(tokens, playing, f"with a part that rests for more than {TRIO_GAP_BARS} bars")

    def _multitrack(self, section: Section) -> Iterator[Tokens]:
        """The windows of bars that are neither too thin nor too full."""
        band = section.band()
        for first in range(section.bars - self.bars + 1):
            window = band[first : first + self.bars]
            whole = [bar for bar in window if not isinstance(bar, str)]
            if len(whole) == self.bars:
                yield np.concatenate(whole)[:, None]
            else:
                self._leave_out(next(bar for bar in window if isinstance(bar, str)), 1)

    def _taken(self, tokens: Tokens, fits: Bars, otherwise: str) -> list[Tokens]:
        """The windows [step, part] that fit [window] and are not silent."""
        starts = tokens >= [FIRST_NOTE_ON if size == MELODY_SIZE else 1 for size in self.representation.sizes]
        in_bar = np.any(starts.reshape(-1, STEPS_PER_BAR * starts.shape[1]), axis=1)
        heard: Bars = np.any(over_bars(in_bar, self.bars), axis=1)
        self._leave_out("silent", int((~heard).sum()))
        self._leave_out(otherwise, int((heard & ~fits).sum()))
        steps = self.bars * STEPS_PER_BAR
        firsts = np.flatnonzero(heard & fits) * STEPS_PER_BAR
        return [self._from_its_start(tokens[first : first + steps]) for first in firsts]

    def _from_its_start(self, window: Tokens) -> Tokens:
        """A window in which a note that began before it is not ended."""
        window = window.copy()
        for part, size in enumerate(self.representation.sizes):
            events = np.flatnonzero(window[:, part])
            if size == MELODY_SIZE and len(events) and window[events[0], part] == NOTE_OFF:
                window[events[0], part] = NOTHING
        return window

    def _leave_out(self, reason: str, count: int) -> None:
        if count:
            self.left_out[reason] += count
