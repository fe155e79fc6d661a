from dataclasses import replace

import pytest

from bridge.cli.piano_roll import ASCII, compare, draw, drum_name, pitch_name
from engine.clip import Clip, Note, Part

BEAT = Clip((Note(36, 0.0, 0.25, 127), Note(38, 1.0, 0.25, 1), Note(42, 3.75, 0.25, 64)), 4.0)


def lines(text: object) -> list[str]:
    return str(text).splitlines()


def test_a_row_is_an_instrument_and_the_kick_is_at_the_bottom() -> None:
    assert [line.split()[0] for line in lines(draw(BEAT))[1:]] == ["closed", "snare", "kick"]


def test_a_hit_stands_in_the_column_of_its_sixteenth_and_a_block_is_its_velocity() -> None:
    assert lines(draw(BEAT))[1:] == [
        "closed hat │·   ·   ·   ·  ▄│",
        "     snare │·   ▁   ·   ·   │",
        "      kick │█   ·   ·   ·   │",
    ]


def test_a_terminal_without_block_characters_gets_digits() -> None:
    text = str(draw(BEAT, glyphs=ASCII))
    assert text.isascii()
    assert "|8   .   .   .   |" in text


def test_pitches_are_named_where_the_clip_is_no_drums() -> None:
    clip = Clip((Note(96, 0.0, 1, 90), Note(100, 1.0, 1, 90)), 4.0)
    assert [line.split()[0] for line in lines(draw(clip))[1:]] == ["E7", "C7"]


def test_parts_say_what_is_drums() -> None:
    notes = (Note(40, 0.0, 1, 90), Note(47, 0.0, 1, 90), Note(36, 0.0, 1, 90), Note(42, 0.0, 1, 90))
    clip = Clip(notes, 4.0, parts=(Part("bass", 2, 33, 0, 2), Part("drums", 10, 0, 2, 2)))
    assert [line.split()[0] for line in lines(draw(clip))[1:]] == ["B2", "E2", "closed", "kick"]


def test_middle_c_is_c4() -> None:
    assert pitch_name(60) == "C4"


@pytest.mark.parametrize(("pitch", "name"), [(36, "kick"), (42, "closed hat"), (57, "crash")])
def test_a_drum_is_called_by_its_class(pitch: int, name: str) -> None:
    assert drum_name(pitch) == name


def test_bars_that_do_not_fit_go_below() -> None:
    clip = replace(BEAT, length_beats=16.0)
    assert len(lines(draw(clip, width=50))) == 2 * 4


def test_no_line_is_wider_than_the_terminal() -> None:
    clip = replace(BEAT, length_beats=28.0, beats_per_bar=7.0)
    assert max(map(len, lines(compare(clip, clip, width=30)))) <= 30 + len("after, with the ms")


def test_only_the_first_bars_are_drawn() -> None:
    assert lines(draw(replace(BEAT, length_beats=40.0)))[-1] == "… and 6 more bars"


def test_a_bar_of_seven_eight_has_fourteen_columns() -> None:
    clip = Clip((Note(36, 3.5, 0.25, 127),), 7.0, 3.5)
    assert lines(draw(clip))[1] == "      kick │·   ·   ·   · │█   ·   ·   · │"


def test_a_played_clip_shows_how_many_ms_each_hit_is_early_or_late() -> None:
    kick, snare, hat = BEAT.notes
    played = BEAT.with_notes((replace(kick, start_beats=-0.02), replace(snare, start_beats=1.03), hat))
    after = str(compare(BEAT, played)).split("after")[1]
    assert "█-10" in after
    assert "▁+15" in after
    assert "▄   │" in after


def test_a_hit_that_is_played_half_a_step_late_stays_in_its_column() -> None:
    played = BEAT.with_notes(tuple(replace(n, start_beats=n.start_beats + 0.13) for n in BEAT.notes))
    assert "      kick │█+65·"[:13] in str(compare(BEAT, played))


def test_a_muted_note_is_not_drawn() -> None:
    clip = BEAT.with_notes((*BEAT.notes[:2], replace(BEAT.notes[2], mute=True)))
    assert len(lines(draw(clip))) == 3


def test_a_clip_without_notes_is_drawn_as_an_empty_bar() -> None:
    assert len(lines(draw(Clip((), 4.0)))) == 1


def test_an_instrument_that_is_heard_later_has_no_row() -> None:
    clip = Clip((Note(36, 0.0, 0.25, 127), Note(38, 9.0, 0.25, 127)), 12.0)
    assert len(lines(draw(clip, bars=2))) == 1 + 1 + 1
