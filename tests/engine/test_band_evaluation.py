"""The figures of bands: each on music where it is known what it has to be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.clip import Clip, Note, Part
from engine.data.band_songs import BandSong
from engine.errors import DataError, ModelError
from engine.evaluation.bands.figures import (
    accompaniment_of,
    interpolation_of,
    music_of,
    nearest_of,
    part_tokens,
    reconstruction_of,
)
from engine.evaluation.bands.judges import judged_part
from engine.evaluation.bands.report import BandAmount, BandCorpus, band_resident, evaluate_bands
from engine.evaluation.bands.stretches import Stretches, cut, score_of
from engine.evaluation.paths import StepModel
from engine.evaluation.strangers import strangers
from engine.midi.clips import clip_to_midi
from engine.representation.band import BASS, DRUMS, LEAD, band_states, part_hits
from engine.verbs.resident import BandResident
from engine.weights import Library
from tests.engine.untrained import SMALL_BANDS, SMALL_PHRASES, write_random_weights

C = 41


def song(name: str, split: str = "validation", tempo: float = 120.0, bars: int = 24, up: int = 0) -> BandSong:
    """A scale, a bass an octave and a half below on the beat, two drums: each bar as the one before."""
    tokens = np.zeros((bars, 16, 3), np.int64)
    tokens[:, ::2, LEAD] = C + up + np.array([0, 2, 4, 5, 7, 9, 11, 12])
    tokens[:, ::4, BASS] = C + up - 17
    tokens[:, ::8, DRUMS], tokens[:, 4::8, DRUMS] = 1, 2
    states = band_states(tokens.reshape(-1, 3)).reshape(bars, 16, 3)
    return BandSong(name, split, "band", tempo, states, np.ones((bars, 3), bool))


SONGS = [song("a"), song("b", up=5), song("c", tempo=60.0), song("d", "train", up=2)]


@pytest.fixture(scope="module")
def resident(tmp_path_factory: pytest.TempPathFactory) -> BandResident:
    folder = tmp_path_factory.mktemp("weights")
    write_random_weights(folder, "trio_16bar", **SMALL_BANDS)
    return band_resident(Library((folder,)), "trio_16bar")


@pytest.fixture(scope="module")
def stretches() -> Stretches:
    return cut(SONGS[:3], (LEAD, BASS, DRUMS), 2)


def test_stretches_are_spread_over_each_piece_and_in_one_key(stretches: Stretches) -> None:
    assert stretches.piece.tolist() == [0, 0, 1, 1, 2, 2]
    assert stretches.first.tolist() == [0, 8, 0, 8, 0, 8]
    assert all(np.array_equal(states, stretches.states[0]) for states in stretches.states)


def test_strangers_are_of_another_piece_of_near_tempo(stretches: Stretches) -> None:
    rows, others = strangers(stretches)
    assert rows.tolist() == [0, 1, 2, 3]
    assert all(stretches.piece[row] != stretches.piece[other] for row, other in zip(rows, others, strict=True))


def test_only_parts_that_play_are_given(resident: BandResident, stretches: Stretches) -> None:
    plays = stretches.plays.copy()
    plays[0, DRUMS] = False
    given = score_of(resident, replace(stretches, plays=plays), (BASS, DRUMS)).given
    assert given[0, 0].tolist() == [0, 1, 0]
    assert given[1, 0].tolist() == [0, 1, 1]


def test_what_comes_back_lies_between_nothing_and_all_and_has_its_rate(
    resident: BandResident, stretches: Stretches
) -> None:
    for part in (LEAD, DRUMS):
        found = reconstruction_of(resident, part, stretches, draw=True)
        assert 0 <= found["events"].value <= 1
        assert found["nats a bar in z"].value > 0


def test_own_others_and_those_of_a_piece_that_is_the_same_cost_the_same(
    resident: BandResident, stretches: Stretches
) -> None:
    found = accompaniment_of(resident, BASS, stretches[slice(0, 4)], (LEAD,), 2)
    assert found["its own others"].value == pytest.approx(found["another piece's"].value, rel=1e-4)
    assert found["nats a bar, nothing given"].value != pytest.approx(found["its own others"].value, rel=1e-6)


def test_a_piece_that_repeats_each_bar_repeats_it(stretches: Stretches) -> None:
    found = music_of(stretches.states, stretches.piece)
    assert found["bass: bars as the one 4 before"].value == 1
    assert found["lead: steps a bar at which it plays"].value == 8
    assert found["bass and lead clash on beats"].value == 0
    clashing = stretches.states.copy()
    clashing[..., BASS] += 4  # an octave and a semitone below the first of four notes on beats
    assert music_of(clashing, stretches.piece)["bass and lead clash on beats"].value == pytest.approx(0.25)


@pytest.mark.parametrize("part", [LEAD, BASS, DRUMS])
def test_a_mix_of_two_parts_leads_from_the_first_to_the_second(
    resident: BandResident, stretches: Stretches, part: int
) -> None:
    higher = stretches.states.copy()
    higher[..., LEAD] += 1
    higher[..., BASS] += 1
    higher[..., DRUMS] ^= 4
    known = StepModel(part_tokens(stretches.states, part))
    found = interpolation_of(resident, part, (stretches, replace(stretches, states=higher)), known)
    mixed, costs = (
        found["the data mixed, steps a bar that differ from the first"],
        found["the data mixed, nats a step"],
    )
    begins = np.count_nonzero(part_tokens(stretches.states[:1], part)) / 16
    assert mixed["0"].value == 0
    assert mixed["1"].value == (16 if part == DRUMS else begins)
    assert costs["0"].value < costs["0.5"].value
    assert set(found["ours, nats a step"]) == {"0", "0.25", "0.5", "0.75", "1"}


def test_what_is_train_is_nearest_to_itself_and_another_octave_is_not(stretches: Stretches) -> None:
    assert nearest_of(stretches.states, stretches.states, LEAD).tolist() == [0.0] * 6
    higher = stretches.states.copy()
    higher[..., LEAD] += 12
    assert nearest_of(higher, stretches.states, LEAD).min() >= 1


def test_judges_hear_degrees_drums_and_ends_in_no_octave() -> None:
    states = song("a").states[None]
    lead = part_hits(states, LEAD)
    assert lead.shape == (*states.shape[:3], 9)
    assert lead[0, 0, ::2].argmax(axis=1).tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert not lead[0, 0, 1::2].any()  # where notes go on nothing begins
    sharp = states.copy()
    sharp[..., LEAD] += 1
    assert part_hits(sharp, LEAD)[0, 0, 0].argmax() == 7
    assert part_hits(states, DRUMS)[0, 0, ::4, :2].tolist() == [[True, False], [False, True]] * 2
    assert part_hits(np.ones_like(states), BASS)[..., 8].all()


def test_judges_tell_a_part_that_is_another_and_not_one_that_is_the_same() -> None:
    rng = np.random.default_rng(0)
    songs = [song(str(k), "train", up=int(rng.integers(0, 5))) for k in range(24)]
    train, ask = cut(songs[:16], (LEAD,), 2), cut(songs[16:], (LEAD,), 2)
    same, other = ([each.states.copy() for each in (train, ask)] for _ in range(2))
    for states in other:
        states[..., LEAD] = np.roll(states[..., LEAD], 1, axis=2)
    found = judged_part(LEAD, train, ask, {"same": same, "other": other}, judges=1, epochs=8)
    assert found["same"].value == 0.5
    assert found["other"].value > 0.95


def test_a_split_without_bands_and_a_model_of_drums_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the split 'test' must hold 16 bars in 4/4 of a lead, a bass and drums"):
        BandCorpus(SONGS, "test", BandAmount())
    write_random_weights(tmp_path, "drums_16bar", **SMALL_PHRASES)
    with pytest.raises(ModelError, match="drums_16bar is no model of bands"):
        band_resident(Library((tmp_path,)), "drums_16bar")


def test_all_of_it_is_measured_of_a_corpus(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "music").mkdir()
    rows = ["midi_filename,split"]
    for number, split in enumerate(("train", "validation", "validation")):
        lead = [Note(int(pitch), k / 2, 0.5, 90) for k, pitch in enumerate(rng.integers(60, 80, 128))]
        bass = [Note(36, float(k), 1.0, 90) for k in range(64)]
        drums = [Note((36, 38)[k % 2], float(k), 0.25, 90) for k in range(64)]
        parts = (Part("lead", 1, 0, 0, 128), Part("bass", 2, 33, 128, 64), Part("drums", 10, 0, 192, 64))
        clip_to_midi(Clip((*lead, *bass, *drums), 64.0, parts=parts), tmp_path / "music" / f"{number}.mid")
        rows.append(f"{number}.mid,{split}")
    (tmp_path / "music" / "info.csv").write_text("\n".join(rows))
    write_random_weights(tmp_path, "trio_16bar", **SMALL_BANDS)
    tables = list(
        evaluate_bands(
            data=[tmp_path / "music"],
            library=Library((tmp_path,)),
            models=["trio_16bar"],
            judges=0,
            amount=BandAmount(windows=1, draws=2, samples=2, pairs=3, timed=1),
        )
    )
    assert [table.title.split(": ")[1] for table in tables] == [
        "what comes back from z, temperature 1",
        "what a part costs beside others",
        "from one stretch, 0, to another, 1",
        "bands of 16 bars",
    ]
    assert [row[0] for row in tables[1].rows][:2] == ["bass beside lead, band", "bass beside lead and drums, band"]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
