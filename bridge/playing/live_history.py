"""The variations of a live mode: those that have played, the one that plays, the one that is asked for. Pure."""

from collections import deque
from dataclasses import dataclass, field, replace

from bridge.playing.live_settings import LiveSettings
from bridge.playing.transport import ROUNDING_BEATS, Transport
from engine.clip import Clip
from engine.requests import Request

KEPT = 32


@dataclass(slots=True)
class Asked:
    """A request under way for the bar that begins on line_beat; is_taken: whether it has gone to the engine.

    clips: what it is about. renews: it makes what plays anew, as a knob has been turned: nothing waits for it.
    """

    request: Request
    line_beat: float
    at_seconds: float
    clips: tuple[Clip, ...]
    is_taken: bool = False
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A clip that was made of others, with a seed, for the bar that begins on line_beat."""

    clip: Clip
    clips: tuple[Clip, ...]
    seed: int
    line_beat: float


@dataclass(frozen=True, slots=True)
class Playing:
    """A clip whose beat 0 lies on origin_beat of the song, played for length_beats."""

    clip: Clip
    origin_beat: float
    length_beats: float

    def is_over(self, beat: float) -> bool:
        """Whether it has ended by a bar line."""
        return beat >= self.origin_beat + self.length_beats - ROUNDING_BEATS

    def starts_near(self, line: float, transport: Transport) -> list[tuple[int, float]]:
        """The pitch of each note, and the beat of the song on which it starts, the time round nearest to a line."""
        clip_beats = transport.bars_in(self.clip.length_beats) * transport.beats_per_bar
        starts = [(note.pitch, self.origin_beat + note.start_beats) for note in self.clip.notes]
        return [(pitch, start + round((line - start) / clip_beats) * clip_beats) for pitch, start in starts]


@dataclass(slots=True)
class Variations:
    """Those since a mode began.

    new is to begin on the next bar line: a result, or, after an undo, the variation before. playing is that of the
    present bar, and repeats while frozen; played are those that have begun.
    """

    transport: Transport
    new: Clip | None = None
    playing: Playing | None = None
    frozen: bool = False
    played: deque[Clip] = field(default_factory=lambda: deque(maxlen=KEPT))
    _is_undone: bool = False

    def take(self, clip: Clip) -> None:
        """A result has come: it begins on the next line; what was gone back to stays the last that was played."""
        self._put_back()
        self.new, self._is_undone = clip, False

    def goes_on(self, clip: Clip) -> bool:
        """Whether a clip plays, or is to begin."""
        return self.new is clip or (self.new is None and self.playing is not None and self.playing.clip is clip)

    def renew(self, clip: Clip) -> None:
        """The result that was taken last has been made anew: this goes on in its place."""
        if self.new is not None and not self._is_undone:
            self.new = clip
        elif self.playing is not None and self.played:
            self.playing = replace(self.playing, clip=clip)
            self.played[-1] = clip

    def freeze(self, frozen: bool) -> None:
        """Keep the one that plays, if there is one, or what was gone back to; or let it go."""
        self.frozen = frozen and bool(self.played or self._is_undone)
        if self.frozen and not self._is_undone:
            self.new = None

    def undo(self) -> None:
        """Go back to the one before, from the next bar line on, and keep it."""
        if len(self.played) + self._is_undone > 1:
            self._put_back()
            self.played.pop()
            self.new, self._is_undone = self.played.pop(), True
        self.frozen = bool(self.played or self._is_undone)

    def since(self, clip: Clip) -> tuple[Clip, ...]:
        """Those that have begun since a clip last did, that one first; none where it has not."""
        played = tuple(self.played)
        begun = [place for place, each in enumerate(played) if each is clip]
        return played[begun[-1] :] if begun else ()

    def forget_new(self) -> None:
        """Let what has not begun not begin; what was gone back to stays the last that was played."""
        self._put_back()
        self.new, self._is_undone = None, False

    def _put_back(self) -> None:
        if self._is_undone and self.new is not None:
            self.played.append(self.new)

    def begin_bar(self, line: float, settings: LiveSettings, *, missed: bool) -> Playing | None:
        """What plays in the bar that begins on a line: the new one, else what goes on, else the last, or nothing.

        The last is repeated in place of a result that was missed, while frozen, and where the mode has it so.
        """
        before, about = self.playing, settings.about
        if self.new is not None:
            bars = settings.bars or self.transport.bars_in(self.new.length_beats)
            origin_beat = before.origin_beat if before and about.evolves else line
            self.playing = Playing(self.new, origin_beat, bars * self.transport.beats_per_bar)
            self.played.append(self.new)
            self.new, self._is_undone = None, False
        elif before is None or before.is_over(line):
            repeats = self.played and (missed or self.frozen or (about.repeats and before))
            self.playing = self._once_more(line) if repeats else None
        return self.playing

    def _once_more(self, line: float) -> Playing:
        bars = self.transport.bars_in(self.played[-1].length_beats)
        length_beats = self.playing.length_beats if self.playing else bars * self.transport.beats_per_bar
        return Playing(self.played[-1], line, length_beats)
