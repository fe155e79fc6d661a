from dataclasses import replace

import mido
import numpy as np
import pytest
import torch

from engine.data.drum_songs import DrumSong
from engine.errors import DataError, ModelError
from engine.evaluation.phrases import judge as phrase_judge
from engine.evaluation.phrases.bar_prediction import ConvPredictor, LstmPredictor, bar_prediction_of, trained
from engine.evaluation.phrases.figures import (
    copies_of,
    interpolation_of,
    nearest_of,
    reconstruction_of,
    repetition_of,
    step_model,
    subsets,
)
from engine.evaluation.phrases.likelihood import CopyModel, bounds_of, likelihood_of
from engine.evaluation.phrases.pictures import self_similarity
from engine.evaluation.phrases.report import Amount, Corpus, evaluate_phrases
from engine.evaluation.phrases.samples import (
    condition_of,
    continued,
    cut_phrases,
    drawn_of,
    drumified,
    sampled,
    songs_of,
    varied,
)
from engine.evaluation.showing import show
from engine.evaluation.strangers import strangers
from engine.midi.song import clip_from_midi
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.verbs.resident import load_resident
from engine.weights import Card, Library, write_weights

SIZES = {
    "z": 4,
    "bar_z": 3,
    "styles": 2,
    "encoder_hidden": 8,
    "bar_hidden": 8,
    "decoder_hidden": 16,
    "context": 4,
    "conductor": 8,
    "plan": 4,
    "prior_hidden": 8,
}
TINY = Amount(samples=6, windows=1, judged=2, draws=2, few_draws=2, pairs=3, epochs=1)


def beat(bars, *, seed, wander=0.03):
    """A beat of kick, snare and hat of a song's own, of which each bar differs a little."""
    chance = np.random.default_rng(seed)
    bar = np.zeros((16, 9), bool)
    bar[0, 0] = bar[8, 0] = bar[4, 1] = bar[12, 1] = True
    bar[:, 2] = chance.random(16) < 0.5
    return bar ^ (chance.random((bars, 16, 9)) < wander)


def songs(count, split, *, bars=20, seed=0, wander=0.03, style="funk"):
    return [
        DrumSong(f"{split}{k}", split, style, 100.0 + k % 3, beat(bars, seed=(seed, k), wander=wander))
        for k in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small model of phrases that was never trained."""
    path = tmp_path_factory.mktemp("phrases")
    torch.manual_seed(0)
    model = PhraseVae(PhraseShape(**SIZES))
    card = Card(
        name="phrases",
        config="drums_16bar",
        family="phrase",
        bars=16,
        steps_per_bar=16,
        verbs=("sample",),
        styles=("funk", "rock"),
        sizes=SIZES,
        sha256="",
    )
    write_weights(path, {key: value.to(torch.bfloat16) for key, value in model.state_dict().items()}, card)
    return path


@pytest.fixture(scope="module")
def resident(folder):
    return load_resident(Library([folder]), "phrases", torch.device("cpu"))


@pytest.fixture
def data(tmp_path):
    """Three pieces of train and of validation each, 18 bars of eighths on the hat with kick and snare."""
    path = tmp_path / "data"
    path.mkdir()
    rows = ["drummer,style,bpm,time_signature,midi_filename,split"]
    for name, split in zip("abcdef", ["train"] * 3 + ["validation"] * 3, strict=True):
        track = mido.MidiTrack()
        for eighth in range(18 * 8):
            for pitch in (42, 36 if eighth % 4 == 0 else 38):
                track.append(mido.Message("note_on", channel=9, note=pitch, velocity=60))
            track.append(mido.Message("note_off", channel=9, note=42, time=240))
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path / f"{name}.mid")
        rows.append(f"{name},funk,110,4-4,{name}.mid,{split}")
    (path / "info.csv").write_text("\n".join(rows) + "\n")
    return path


def test_phrases_are_spread_over_a_song_and_know_from_where_they_are():
    (song,) = songs(1, "train", bars=21)
    phrases = cut_phrases([song, replace(song, hits=song.hits[:3])], 4, most=3)
    assert phrases.first.tolist() == [0, 8, 17]
    np.testing.assert_array_equal(phrases.hits[1], song.hits[8:12])
    np.testing.assert_array_equal(phrases.bars(1, 2).hits[1], song.hits[9:11])
    assert len(cut_phrases([song], 4)) == 18


def test_bars_that_alternate_are_like_those_two_before_and_not_those_one_before():
    hits = np.zeros((2, 16, 16, 9), bool)
    hits[:, ::2, 0, 0] = hits[:, 1::2, 4, 1] = True
    found = repetition_of(hits, np.arange(2))
    assert [found[f"like the bar {lag} before"].value for lag in (1, 2, 4, 8)] == [0, 1, 1, 1]
    assert [found[f"as the bar {lag} before"].value for lag in (1, 2)] == [0, 1]
    assert found["kick on 1"].value == 0.5
    assert found["its quartiles, 2"] == "1 1 1"


def test_two_bars_of_rest_are_no_repeat():
    hits = np.zeros((1, 4, 16, 9), bool)
    hits[:, 0, 0, 0] = hits[:, 1, 0, 0] = True
    assert repetition_of(hits, np.arange(1))["like the bar 1 before"].value == 0.5


@pytest.mark.parametrize("draw", [sampled, drumified, varied])
def test_the_same_seed_draws_the_same_phrases_of_as_many_bars(resident, draw):
    phrases = cut_phrases(songs(3, "train"), 8, most=1)
    hits = drawn_of(draw, resident, phrases, 1)
    assert hits.shape == phrases.hits.shape
    np.testing.assert_array_equal(hits, drawn_of(draw, resident, phrases, 1))
    assert (hits != drawn_of(draw, resident, phrases, 2)).any()


def test_what_is_continued_is_the_second_half_and_reads_the_first(resident):
    phrases = cut_phrases(songs(3, "train"), 16, most=1)
    hits = drawn_of(continued, resident, phrases, 1)
    assert hits.shape == (3, 8, 16, 9)
    later = replace(phrases, hits=np.concatenate([phrases.hits[:, :8], ~phrases.hits[:, 8:]], axis=1))
    earlier = replace(phrases, hits=np.concatenate([~phrases.hits[:, :8], phrases.hits[:, 8:]], axis=1))
    np.testing.assert_array_equal(hits, drawn_of(continued, resident, later, 1))
    assert (hits != drawn_of(continued, resident, earlier, 1)).any()


def test_drums_on_a_rhythm_are_hit_where_it_is_tapped(resident):
    phrases = cut_phrases(songs(3, "train"), 8, most=1)
    onset = drawn_of(drumified, resident, phrases, 1).any(axis=3)
    assert onset[phrases.hits.any(axis=3)].all()


def test_the_nearest_phrase_is_the_one_that_differs_in_the_fewest_hits():
    train = cut_phrases(songs(3, "train"), 4).hits
    ours = train[[5, 7]].copy()
    ours[1, 0, 0, 6:8] ^= True
    expected = [0, min(int((ours[1] != other).sum()) for other in train)]
    assert nearest_of(ours, train).tolist() == expected
    assert copies_of(ours, np.arange(2), train)["is a copy"].value == 0.5


def test_what_comes_back_is_counted_for_all_steps_and_for_those_with_a_hit(resident, monkeypatch):
    phrases = cut_phrases(songs(3, "train"), 16, most=1)
    silence = "engine.evaluation.phrases.figures.drawn"
    monkeypatch.setattr(silence, lambda _, condition, *__: np.zeros((len(condition.hits), 16, 16, 9), bool))
    found = reconstruction_of(resident, phrases, bars_given=True, draw=True)
    assert found["steps that come back"].value == pytest.approx(1 - phrases.hits.any(axis=3).mean())
    assert found["steps with a hit"].value == 0


def test_the_rate_of_the_bars_is_added_to_that_of_the_phrase(resident):
    phrases = cut_phrases(songs(3, "train"), 16, most=1)
    rates = [
        reconstruction_of(resident, phrases, bars_given=given, draw=True)["nats a bar in z"].value
        for given in (True, False)
    ]
    of_bars = resident.model.bar_encoder(condition_of(resident, phrases)).kl().sum(dim=2).mean()
    assert rates[0] - rates[1] == pytest.approx(float(of_bars), rel=1e-4)


def test_many_draws_bound_the_nats_more_closely_than_one(resident):
    phrases = cut_phrases(songs(4, "train"), 16, most=1)
    elbo, bound = bounds_of(resident, phrases, np.zeros(16, bool), 8)
    assert (bound < elbo).all()
    one, same = bounds_of(resident, phrases, np.zeros(16, bool), 1)
    np.testing.assert_allclose(one, same)


def test_the_nats_are_of_the_bars_that_are_not_given_alone(resident):
    """Untrained a step is one of 512, so each bar costs about as much."""
    phrases = cut_phrases(songs(4, "train"), 16, most=1)
    for first in (0, 4):
        nats = bounds_of(resident, phrases, np.arange(16) < 12, 2, first=first)[1]
        assert nats.mean() / 64 == pytest.approx(9 * np.log(2), rel=0.15)


def test_the_model_of_copies_knows_what_returns_and_what_is_usual():
    model = CopyModel(songs(12, "train", bars=40))
    same, other = songs(1, "validation", seed=5)[0].hits, songs(1, "validation", seed=6)[0].hits
    nats = model.nats(same[None, :16])
    assert nats.shape == (1, 8)
    strange = np.concatenate([other[:12], same[12:16]])[None]
    assert model.nats(strange)[0, 4] > 1.2 * nats[0, 4:].mean()
    assert nats.mean() < 0.7 * 144 * np.log(2)


def test_the_chances_of_the_model_of_copies_add_up_to_one():
    """Over all that one drum can do in one step, all else as it was."""
    model = CopyModel(songs(4, "train", bars=30))
    bars = songs(1, "validation")[0].hits[:9]
    hits = np.repeat(bars[None], 2, axis=0)
    hits[1, 8, 3, 5] ^= True
    both = np.exp(-model.nats(hits)).sum()
    alone = songs(1, "validation")[0].hits[:9][None].copy()
    assert both > np.exp(-model.nats(alone)).sum()
    assert both < 1


def test_a_stranger_is_another_piece_of_the_style_and_about_the_tempo():
    pieces = songs(3, "train", style="funk") + songs(1, "train", style="rock")
    pieces[2] = replace(pieces[2], tempo_bpm=140.0)
    rows, others = strangers(cut_phrases(pieces, 16, most=1))
    assert (rows.tolist(), others.tolist()) == ([0, 1], [1, 0])


def test_every_likelihood_is_there(resident):
    found = likelihood_of(
        resident,
        cut_phrases(songs(4, "validation"), 16, most=1),
        CopyModel(songs(4, "train")),
        draws=2,
        few_draws=2,
    )
    assert found.following_copied.value < found.following.value
    assert found.own_beats_other is not None
    assert 0 <= found.own_beats_other.value <= 1


def nats(model, hits):
    return model.nats(subsets(hits).reshape(len(hits), -1))


def test_a_step_costs_little_where_it_always_follows():
    hits = np.zeros((1, 8, 16, 9), bool)
    hits[:, :, ::4, 0] = True
    song = DrumSong("a", "train", "funk", 100.0, hits[0])
    other = hits.copy()
    other[0, 4, 2, 8] = True
    model = step_model([song])
    assert nats(model, hits).shape == (1, 8 * 16 - 4)
    assert nats(model, hits).mean() < 0.2
    assert nats(model, other)[0, 4 * 16 + 2 - 4] > 3


def test_the_chances_of_a_step_add_up_to_one():
    model = step_model(songs(3, "train"))
    hits = np.repeat(songs(1, "validation")[0].hits[None, :1], 512, axis=0)
    hits[:, 0, 15] = (np.arange(512)[:, None] >> np.arange(9)) & 1
    assert np.exp(-nats(model, hits)[:, -1]).sum() == pytest.approx(1)


def test_a_mix_of_the_data_leads_from_the_first_to_the_second(resident):
    clips = cut_phrases(songs(4, "validation"), 8, most=1)
    found = interpolation_of(resident, (clips[np.arange(3)], clips[np.arange(1, 4)]), step_model(songs(3, "train")))
    mixed = found["the data mixed, hits a bar that differ from the first"]
    assert mixed["0"].value == 0
    assert mixed["1"].value == pytest.approx((clips.hits[:3] != clips.hits[1:]).sum() / 3 / 8)
    assert mixed["steps of the way that lead no nearer"].value == 1
    assert set(found["ours, nats a step"]) == {"0", "0.25", "0.5", "0.75", "1"}


def test_judges_tell_bars_in_another_order_and_not_the_played_from_the_played():
    """The bars of these pieces change by little from one to the next, and return four bars later."""
    train, ask, other_train, other_ask = (
        cut_phrases([replace(song, hits=verse(song)) for song in songs(count, "train", seed=seed)], 8, most=3)
        for seed, count in enumerate((50, 30, 50, 30))
    )
    orders = [phrase_judge.shuffled(phrases, 1) for phrases in (train, ask)]
    assert phrase_judge.judged(train, ask, orders, judges=1, epochs=8).value > 0.85
    others = [other_train.hits, other_ask.hits]
    assert 0.25 < phrase_judge.judged(train, ask, others, judges=2, epochs=3).value < 0.75


def verse(song):
    """Four bars of a song, again and again."""
    return song.hits[np.arange(20) % 4]


def test_the_floor_is_near_a_half_where_the_splits_are_alike():
    train, ask = (cut_phrases(songs(40, split, seed=k), 8, most=3) for k, split in enumerate(("train", "test")))
    assert 0.3 < phrase_judge.floor(train, ask, judges=2, epochs=4).value < 0.7
    other = cut_phrases(songs(40, "test", seed=2, wander=0.2), 8, most=3)
    assert phrase_judge.floor(train, other, judges=1, epochs=8).value > 0.9


def test_bars_are_shuffled_within_their_piece():
    phrases = cut_phrases(songs(3, "train"), 8, most=3)
    hits = phrase_judge.shuffled(phrases, 1)
    assert (hits != phrases.hits).any()
    for piece in range(3):
        own = {bar.tobytes() for bar in phrases.hits[phrases.piece == piece].reshape(-1, 16, 9)}
        assert {bar.tobytes() for bar in hits[phrases.piece == piece].reshape(-1, 16, 9)} == own


def test_a_judge_sees_what_returned_and_whether_that_is_known():
    hits = np.zeros((1, 8, 16, 9), bool)
    hits[0, :, 0, 0] = True
    hits[0, 5, 3, 2] = True
    seen = phrase_judge.compared(hits)[0].numpy()
    one_before = seen[:, 9 : 9 + 11]
    assert one_before[:16].sum() == 0
    assert one_before[5 * 16 + 3].tolist() == [0, 0, 1, *[0] * 6, 0, 1]
    assert one_before[5 * 16].tolist() == [*[0] * 9, 1, 1]


def test_no_piece_is_in_two_parts():
    piece = np.repeat(np.arange(10), 3)
    parts = phrase_judge.parted(piece, 0.3, 0.2, seed=1)
    assert [len(set(piece[part])) for part in parts] == [3, 2, 5]
    assert sorted(np.concatenate(parts)) == list(range(30))
    assert all(len(part) for part in phrase_judge.parted(np.arange(3), 0.1, 0.8, seed=1))
    with pytest.raises(DataError, match="3 pieces or more"):
        phrase_judge.parted(np.arange(2), 0.4, 0.4, seed=1)


@pytest.mark.parametrize("network", [LstmPredictor, ConvPredictor])
def test_a_predictor_learns_that_all_stays_as_it_is(network):
    held = np.random.default_rng(0).choice([-1.0, 1.0], size=(300, 1, 2)).astype(np.float32)
    known = torch.from_numpy(held.repeat(45, axis=1))
    model = trained(network, known, np.arange(300), 2, 6)
    with torch.no_grad():
        assert float(((model(known[:, :40]) - known[:, 40:]) ** 2).mean()) < 0.3 * float((known**2).mean())


def test_the_predictors_are_of_one_size_and_stand_beside_the_mean(resident):
    found = bar_prediction_of(resident, songs(4, "train", bars=50), songs(2, "validation", bars=48), epochs=1)
    assert list(found) == ["their mean", "the bar 4 before", "LSTM", "Conv1D"]
    assert all(np.isfinite(error.value) for error, _ in found.values())
    sizes = [sum(each.numel() for each in network(24).parameters()) for network in (LstmPredictor, ConvPredictor)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
    assert bar_prediction_of(resident, songs(4, "train"), songs(2, "validation"), epochs=1) == {}


def test_a_bar_is_like_itself():
    phrase = songs(1, "train")[0].hits[:16]
    matrix = self_similarity(phrase)
    assert matrix.shape == (16, 16)
    np.testing.assert_array_equal(np.diag(matrix), 1)
    np.testing.assert_array_equal(matrix, matrix.T)


def test_played_songs_are_measured_where_there_are_any():
    pieces = [*songs(2, "train"), *songs(2, "train", style="sequenced"), *songs(2, "validation", style="sequenced")]
    assert [song.style for song in Corpus(pieces, "validation", TINY).ask] == ["sequenced"] * 2
    assert len(songs_of(pieces, "train", sequenced=False)) == 2
    with pytest.raises(DataError, match="16 bars"):
        Corpus(songs(2, "validation"), "validation", TINY)


def test_every_table_comes_with_its_figures(folder, data):
    told = []
    tables = list(
        evaluate_phrases(
            data=[data],
            library=Library([folder]),
            models=["phrases"],
            judges=1,
            amount=TINY,
            on_progress=told.append,
        )
    )
    assert len(tables) == len(told) == 7
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    repetition = {name: (ours, asked) for name, ours, asked, _ in tables[0].rows}
    assert repetition["like the bar 1 before"][1].value == 1
    assert repetition["hits a bar"][1].value == 16


def test_only_a_model_of_phrases_is_measured_as_one(library, data):
    with pytest.raises(ModelError, match="phrases"):
        next(evaluate_phrases(data=[data], library=library, models=["drummer"]))


def test_phrases_are_seen_as_repetition_and_as_a_score(tmp_path, folder, data):
    written = show(data=[data], library=Library([folder]), models=["phrases"], pictures=tmp_path / "seen")
    assert [path.name for path in written] == ["repetition.png", "score.png"]
    assert all(path.is_file() for path in written)


def test_phrases_are_heard_beside_played_ones_of_their_style_and_length(tmp_path, folder, weights_folder, data):
    library = Library([folder, weights_folder])
    written = show(data=[data], library=library, models=["phrases"], examples=tmp_path / "heard")
    assert [path.name for path in written[:2]] == ["01-funk-sample.mid", "01-funk-played.mid"]
    assert len(written) == 2 * 3
    sample, played = (clip_from_midi(path) for path in written[:2])
    assert sample.length_beats == played.length_beats == 64
    assert sample.tempo_bpm == played.tempo_bpm == pytest.approx(110, abs=1e-3)
    assert len(played.notes) == 16 * 16
    with pytest.raises(ModelError, match="drummer"):
        show(data=[data], library=Library([folder]), models=["phrases"], examples=tmp_path / "heard")
