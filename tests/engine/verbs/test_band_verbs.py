"""The verbs on bands: what comes back whatever the weights, what stays, what is told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.clip import Clip, Note, Part
from engine.errors import ClipError, TooLongError
from engine.model.band.decoder import Score, blank
from engine.representation.band import BASS, LEAD
from engine.representation.chords import read_chords
from engine.representation.harmony import chord_tones
from engine.requests import (
    Accompany,
    Continue,
    Decode,
    Encode,
    Infill,
    Interpolate,
    Request,
    Results,
    Sample,
    Vary,
)
from engine.verbs.band_drawing import clashing, key_changes, windows
from engine.verbs.generator import Generator
from engine.verbs.resident import BandResident
from engine.weights import Library
from tests.engine.untrained import SMALL_BANDS, SMALL_PHRASES, write_random_weights

DRUMMER = {"encoder_hidden": 8, "decoder_hidden": 8, "performer_hidden": 8, "context": 4, "z": 4, "feel": 2}
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    folder = tmp_path_factory.mktemp("weights")
    write_random_weights(folder, "drummer", **DRUMMER)
    write_random_weights(folder, "drums_16bar", **SMALL_PHRASES)
    write_random_weights(folder, "trio_16bar", spread=3.0, **SMALL_BANDS)
    generator = Generator(Library((folder,)), device="cpu")
    for name in ("trio_16bar", "drummer", "drums_16bar"):
        generator.load(name)
    return generator


def melody(bars: int = 4, beats_per_bar: float = 4.0, step: int = 0) -> Clip:
    """A note on each beat, in no part."""
    count = int(bars * beats_per_bar)
    notes = tuple(Note(SCALE[k % 8] + step, float(k), 1.0, 90) for k in range(count))
    return Clip(notes, bars * beats_per_bar, beats_per_bar)


def band(bars: int = 4) -> Clip:
    """A lead, a harmony, a bass on channel 5 and drums."""
    beats = range(4 * bars)
    lead = [Note(SCALE[k % 8], float(k), 1.0, 90) for k in beats]
    harmony = [Note(55, float(k), 1.0, 70) for k in beats]
    bass = [Note(36, float(k), 1.0, 91) for k in beats]
    drums = [Note(36 if k % 2 == 0 else 38, k + 0.02, 0.25, 100) for k in beats]
    rows = (("Lead", 1, 80, lead), ("pad", 2, 88, harmony), ("Bass", 5, 34, bass), ("kit", 10, 0, drums))
    notes: list[Note] = []
    parts = []
    for name, channel, program, own in rows:
        parts.append(Part(name, channel, program, len(notes), len(own)))
        notes += own
    return Clip(tuple(notes), 4.0 * bars, tempo_bpm=100.0, parts=tuple(parts))


def run(generator: Generator, request: Request) -> Results:
    return generator.run(request)


def one(generator: Generator, kind: type[Request], **about: Any) -> Clip:
    return run(generator, kind(model="trio_16bar", seed=1, **about)).clips[0]


def of_part(clip: Clip, name: str) -> tuple[Note, ...]:
    (part,) = (part for part in clip.parts if part.name == name)
    return clip.notes[part.first : part.first + part.count]


def test_a_sample_is_three_parts_of_the_bars_that_are_asked_for(generator: Generator) -> None:
    clip = one(generator, Sample, bars=3, tempo=90.0)
    assert [(part.name, part.channel) for part in clip.parts] == [("lead", 1), ("bass", 2), ("drums", 10)]
    assert (clip.bars, clip.tempo_bpm) == (3, 90.0)
    assert all(part.count for part in clip.parts)
    assert max(note.start_beats for note in clip.notes) < 12


def test_a_sample_is_as_long_as_the_window_and_the_same_for_a_seed(generator: Generator) -> None:
    assert one(generator, Sample).bars == 16
    assert one(generator, Sample, bars=2) == one(generator, Sample, bars=2)


def test_only_the_parts_that_are_asked_for_are_made(generator: Generator) -> None:
    clip = one(generator, Sample, bars=2, parts=("drums", "Lead"))
    assert [part.name for part in clip.parts] == ["lead", "drums"]


def test_a_part_that_there_is_not_is_refused_with_those_there_are(generator: Generator) -> None:
    with pytest.raises(ClipError, match="parts are lead, bass and drums, not 'horns'"):
        one(generator, Sample, parts=("horns",))


def test_a_melody_gets_bass_and_drums_as_long_as_it_is(generator: Generator) -> None:
    clip = one(generator, Accompany, clip=melody(5))
    assert [part.name for part in clip.parts] == ["bass", "drums"]
    assert (clip.bars, clip.tempo_bpm) == (5, 120.0)


def test_200_bars_are_accompanied_to_the_end(generator: Generator) -> None:
    clip = one(generator, Accompany, clip=melody(200), parts=("bass",))
    assert clip.bars == 200
    assert {int(note.start_beats // 64) for note in clip.notes} == set(range(13))


def test_new_parts_take_channels_that_the_clip_leaves(generator: Generator) -> None:
    held = replace(band(), parts=tuple(replace(part, channel=2) for part in band().parts[:1]))
    clip = one(generator, Accompany, clip=held)
    assert [(part.name, part.channel) for part in clip.parts] == [("bass", 1), ("drums", 10)]


def test_a_clip_that_lacks_nothing_asks_which_parts(generator: Generator) -> None:
    with pytest.raises(ClipError, match="has a lead, a bass and drums: say with parts which of them"):
        one(generator, Accompany, clip=band())
    clip = one(generator, Accompany, clip=band(), parts=("bass",))
    assert [(part.name, part.channel, part.program) for part in clip.parts] == [("Bass", 5, 34)]


def test_nothing_is_left_to_accompany_where_the_only_part_is_made_anew(generator: Generator) -> None:
    with pytest.raises(ClipError, match="needs a part that stays beside lead"):
        one(generator, Accompany, clip=melody(), parts=("lead",))


def test_since_sends_what_comes_then_alone(generator: Generator) -> None:
    clip = one(generator, Accompany, clip=band(4), parts=("bass", "drums"), since=12.0)
    assert clip.length_beats == 4.0
    assert all(note.start_beats < 4 for note in clip.notes)
    with pytest.raises(ClipError, match="since must be a bar line before the clip's end, not 16"):
        one(generator, Accompany, clip=band(4), parts=("bass",), since=16.0)


@pytest.mark.parametrize(("beats_per_bar", "remark"), [(3.0, "3/4"), (3.5, "7/8")])
def test_other_meters_are_accompanied_and_told(generator: Generator, beats_per_bar: float, remark: str) -> None:
    clip = replace(melody(4, beats_per_bar), beat_unit=8 if beats_per_bar == 3.5 else 4)
    results = run(generator, Accompany(clip=clip, seed=1))
    made = results.clips[0]
    assert (made.bars, made.beats_per_bar) == (4, beats_per_bar)
    assert any(f"bars of {remark} are played as the first" in each for each in results.remarks)
    assert max(note.start_beats for note in made.notes) < made.length_beats


def test_five_beats_a_bar_are_refused(generator: Generator) -> None:
    with pytest.raises(ClipError, match="bars of at most 4 beats"):
        one(generator, Accompany, clip=melody(2, 5.0))


def test_what_continues_has_the_parts_of_the_clip_as_they_are_played(generator: Generator) -> None:
    clip = one(generator, Continue, clip=band(), bars=2)
    assert [(part.name, part.channel, part.program) for part in clip.parts] == [
        ("Lead", 1, 80),
        ("Bass", 5, 34),
        ("kit", 10, 0),
    ]
    assert clip.bars == 2


def test_infill_leaves_every_note_outside_the_mark_and_the_parts(generator: Generator) -> None:
    clip = band()
    made = one(generator, Infill, clip=clip, start=4.0, beats=4.0, parts=("bass", "drums"))
    for name in ("Lead", "pad"):
        assert of_part(made, name) == of_part(clip, name)
    for name in ("Bass", "kit"):
        outside = [note for note in of_part(clip, name) if not 4 <= note.start_beats < 8]
        assert [note for note in of_part(made, name) if not 4 <= note.start_beats < 8] == outside
    new = [note for note in of_part(made, "Bass") if 4 <= note.start_beats < 8]
    assert all(note.start_beats + note.duration_beats <= 8 for note in new)


def test_infill_of_a_part_that_the_clip_lacks_says_who_makes_one(generator: Generator) -> None:
    with pytest.raises(ClipError, match="the clip has no bass to infill: accompany makes one"):
        one(generator, Infill, clip=melody(), parts=("bass",))


def test_infill_of_a_clip_without_parts_has_none(generator: Generator) -> None:
    clip = melody()
    made = one(generator, Infill, clip=clip, start=0.0, beats=4.0)
    assert made.parts == ()
    assert set(clip.notes[4:]) <= set(made.notes)


def test_vary_leaves_other_parts_alone(generator: Generator) -> None:
    clip = band()
    made = one(generator, Vary, clip=clip, parts=("lead",))
    assert [part.name for part in made.parts] == ["Lead", "pad", "Bass", "kit"]
    assert all(of_part(made, name) == of_part(clip, name) for name in ("pad", "Bass", "kit"))
    assert of_part(made, "Lead") != of_part(clip, "Lead")


def test_vary_leaves_other_parts_alone_that_cross_each_other(generator: Generator) -> None:
    clip = band()
    long = replace(of_part(clip, "pad")[0], start_beats=0.5, duration_beats=9.0)
    notes = (*clip.notes, long, replace(long, start_beats=2.0))
    two = tuple(Part(name, 7, 0, len(clip.notes) + at, 1) for at, name in enumerate(("one", "two")))
    crossing = replace(clip, notes=notes, parts=(*clip.parts, *two))
    made = one(generator, Vary, clip=crossing, parts=("lead",))
    assert [of_part(made, name) for name in ("one", "two")] == [(long,), (replace(long, start_beats=2.0),)]


def test_between_two_clips_there_are_as_many_as_steps(generator: Generator) -> None:
    request = Interpolate(model="trio_16bar", clips=(band(2), melody(4)), steps=3, seed=1)
    made = run(generator, request).clips
    assert [(clip.bars, len(clip.parts)) for clip in made] == [(4, 3)] * 3


def test_a_point_is_of_the_phrase_and_of_each_bar_of_each_part(generator: Generator) -> None:
    z = run(generator, Encode(model="trio_16bar", clip=band(2))).latent
    assert len(z) == 6 + 2 * 3 * 4
    assert one(generator, Decode, z=z).bars == 2
    assert one(generator, Decode, z=z[:6]).bars == 16
    with pytest.raises(ClipError, match="6 numbers, or of 12 for each of at most 16 bars more"):
        one(generator, Decode, z=z[:7])
    with pytest.raises(TooLongError, match="clips of up to 16 bars, not 17"):
        run(generator, Encode(model="trio_16bar", clip=melody(17)))


def test_new_notes_are_of_the_scale_that_is_told(generator: Generator) -> None:
    clip = one(generator, Sample, bars=4, key="D", scale="pentatonic")
    pitches = {note.pitch % 12 for name in ("lead", "bass") for note in of_part(clip, name)}
    assert pitches <= {2, 4, 6, 9, 11}


def test_a_bass_begins_the_bars_on_roots_that_are_told(generator: Generator) -> None:
    request = Accompany(clip=melody(8), parts=("bass",), chords="C G Am F", seed=3, count=8)
    clips = run(generator, request).clips
    chords = read_chords("C G Am F", 8, 1)
    on_beats = [
        (int(note.start_beats // 4), note.pitch % 12)
        for clip in clips
        for note in clip.notes
        if note.start_beats % 1 == 0
    ]
    in_chord = np.mean([chord_tones(int(chords[bar]))[pitch] for bar, pitch in on_beats])
    plain = run(generator, replace(request, chords=None)).clips
    beside = [
        chord_tones(int(chords[int(note.start_beats // 4)]))[note.pitch % 12]
        for clip in plain
        for note in clip.notes
        if note.start_beats % 1 == 0
    ]
    assert in_chord > 0.9 > np.mean(beside)
    counts = [sum(len(clip.notes) for clip in each) for each in (clips, plain)]
    assert counts[0] == pytest.approx(counts[1], rel=0.25), "which notes, not how many"


def test_a_key_that_is_told_wrongly_is_used_and_doubted(generator: Generator) -> None:
    results = run(generator, Accompany(clip=melody(4, step=6), key="C", seed=1))
    assert "the key is C, as it was told; what sounds fits F# better" in results.remarks


def test_a_melody_that_is_moved_gets_the_same_accompaniment_moved(generator: Generator) -> None:
    here, there = (one(generator, Accompany, clip=melody(4, step=by)) for by in (0, 2))
    moved = [((note.pitch + 2) % 12, note.start_beats) for note in of_part(here, "bass")]
    assert [(note.pitch % 12, note.start_beats) for note in of_part(there, "bass")] == moved


def test_a_modulation_is_a_new_window_in_its_own_key() -> None:
    degrees = np.array([3.0, 0, 2, 0, 2, 1, 0, 3, 0, 2, 0, 1])
    bars = np.stack([degrees] * 8 + [np.roll(degrees, 6)] * 8)
    assert key_changes(bars) == [8]
    assert key_changes(bars[:8]) == []
    assert list(windows(np.ones(16, bool), 16, key_changes(bars))) == [(0, 8), (8, 8)]


def test_windows_hear_bars_before_what_is_free_and_after_it() -> None:
    free = np.zeros(40, bool)
    free[20] = True
    assert list(windows(free, 16)) == [(16, 9)]
    assert list(windows(np.ones(20, bool), 16)) == [(0, 16), (12, 8)]


def test_a_part_that_rests_for_eight_bars_is_heard_and_accompanied(generator: Generator) -> None:
    notes = tuple(note for note in melody(16).notes if not 16 <= note.start_beats < 48)
    clip = one(generator, Accompany, clip=Clip(notes, 64.0), parts=("drums",))
    assert {int(max(0.0, note.start_beats) // 16) for note in clip.notes} == {0, 1, 2, 3}


def test_silence_is_refused(generator: Generator) -> None:
    for kind in (Accompany, Continue, Vary):
        with pytest.raises(ClipError, match="needs a clip with at least one note that sounds"):
            one(generator, kind, clip=Clip((), 8.0))


def test_parts_keys_and_scales_are_refused_by_models_of_drums(generator: Generator) -> None:
    for told in ({"parts": ("drums",)}, {"key": "C"}, {"scale": "major"}):
        with pytest.raises(ClipError, match=f"drums_16bar is told no {next(iter(told))}"):
            run(generator, Continue(model="drums_16bar", clip=band(), **told))  # type: ignore[arg-type]


def test_a_clip_of_several_parts_is_continued_by_the_model_of_several_parts(generator: Generator) -> None:
    drums = Clip(of_part(band(), "kit"), 16.0)
    assert run(generator, Continue(clip=band(), bars=1)).model == "trio_16bar"
    assert run(generator, Continue(clip=drums, bars=1)).model == "drums_16bar"


def test_without_a_drummer_the_drums_lie_on_the_grid_and_that_is_told(tmp_path: Path) -> None:
    write_random_weights(tmp_path, "trio_16bar", **SMALL_BANDS)
    alone = Generator(Library((tmp_path,)), device="cpu")
    alone.load("trio_16bar")
    results = alone.run(Sample(bars=1, parts=("drums",), seed=1))
    assert results.remarks == ("no model is loaded that plays the hits: they lie on the grid",)
    assert all((4 * note.start_beats).is_integer() for note in results.clips[0].notes)


def test_a_drum_fill_is_asked_of_a_model_of_drums(generator: Generator) -> None:
    asked = Continue(clip=band(), bars=1, fill_in=1, seed=1)
    assert generator.run(asked).model == "drums_16bar"
    with pytest.raises(ClipError, match="leave fill_in out"):
        generator.run(replace(asked, model="trio_16bar"))


def test_a_bass_is_turned_against_notes_that_clash_with_a_known_lead_on_beats() -> None:
    score = blank(1, 1, styles=3, bar_z=4)
    score.states[0, :8, LEAD], score.given[0, :8, LEAD] = 41, 1  # middle C for two beats
    added = clashing(score)
    assert {(token + 19) % 12 for token in np.flatnonzero(added[0, 4]).tolist()} == {1, 6, 11}
    assert not added[0, 5].any(), "between the beats"
    assert not added[0, 8].any(), "the lead is not known"


def test_pads_on_another_channel_are_continued_as_drums(generator: Generator) -> None:
    hits = of_part(band(), "kit")
    pads = Clip(hits, 16.0, parts=(Part("channel 1", 1, 0, 0, len(hits)),))
    assert run(generator, Continue(clip=pads, bars=1)).model == "drums_16bar"
    bass = Clip(hits, 16.0, parts=(Part("Bass", 1, 0, 0, len(hits)),))
    assert run(generator, Continue(clip=bass, bars=1)).model == "trio_16bar"


def test_voices_of_which_nothing_is_known_are_told_to_play_as_usual(generator: Generator) -> None:
    told: dict[int, list[float]] = {}
    resident = generator.resident("trio_16bar")
    assert isinstance(resident, BandResident)
    for part, decoder in enumerate(resident.model.decoders):
        static = decoder.static

        def heard(idea: torch.Tensor, score: Score, part: int = part, static: Any = static) -> torch.Tensor:
            told[part] = score.attributes[0, 0].tolist()
            result: torch.Tensor = static(idea, score)
            return result

        decoder.static = heard  # type: ignore[assignment]
    one(generator, Sample, bars=1)
    assert [attributes[2] for attributes in told.values()] == [1, 1, 0], "told of lead and bass, not of drums"
    one(generator, Continue, clip=band(), bars=1, parts=("bass",))
    assert told[BASS][2] == 0, "its own bars tell"
    for decoder in resident.model.decoders:
        del decoder.static
