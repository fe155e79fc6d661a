from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.data.windows import Windows
from engine.evaluation import drums
from engine.evaluation.bootstrap import Bootstrap, mean
from engine.evaluation.contenders import baselines, in_their_styles, of_model
from engine.evaluation.feel import FEEL, feel_of, in_the_feel_of_others, steering_of
from engine.evaluation.figures import compare, divergence, figures_of
from engine.evaluation.hearing import HATS, hats_given, hearing_of
from engine.evaluation.hits import hits_of, played
from engine.evaluation.judge import auc, judged
from engine.evaluation.likelihood import likelihood_of
from engine.model import tasks
from engine.representation.groove import HITS, OFFSETS, VELOCITIES
from engine.verbs.resident import load_resident


def swung(count, *, seed, late=0.2, loud=0.6):
    """Windows of two bars of kick, snare and hat: the off-beats late and soft, each hit a little its own."""
    chance = np.random.default_rng(seed)
    grooves = np.zeros((count, 32, 27), np.float32)
    for step in range(32):
        drum = 0 if step % 8 == 0 else 1 if step % 8 == 4 else 2
        grooves[:, step, drum] = chance.random(count) < 0.9
    hits = grooves[..., HITS]
    off_beat = (np.arange(32) % 2)[None, :, None]
    offsets = -late * off_beat + chance.normal(0, 0.05, hits.shape)
    velocities = loud - 0.2 * off_beat + chance.normal(0, 0.05, hits.shape)
    grooves[..., OFFSETS], grooves[..., VELOCITIES] = hits * offsets, hits * velocities
    rows = np.arange(count)
    return Windows(
        grooves=grooves,
        tempo_bpm=np.full(count, 100, np.float32),
        style=rows % 2,
        style_names=("funk", "rock"),
        performance=rows // 4,
        drummer=rows % 2,
        drummer_names=("a", "b"),
    )


@pytest.fixture(scope="module")
def windows():
    return swung(120, seed=0)


def with_offsets(windows, offset):
    grooves = windows.grooves.copy()
    grooves[..., OFFSETS] = offset * grooves[..., HITS]
    return grooves


def test_companions_were_played_in_one_go_in_whatever_order_the_windows_are(windows):
    shuffled = windows[np.random.default_rng(1).permutation(len(windows))]
    chosen = np.arange(0, len(shuffled), 3)
    companions = shuffled.companions(chosen, np.random.default_rng(2))
    np.testing.assert_array_equal(shuffled.performance[companions], shuffled.performance[chosen])
    assert (companions != chosen).any()


def test_the_hits_of_windows_can_be_put_back(windows):
    hits = hits_of(windows)
    np.testing.assert_array_equal(played(windows, hits, hits.offset, hits.velocity), windows.grooves)


def test_who_plays_what_was_played_has_no_error(windows):
    row = compare("same", windows, mean_grooves=windows.grooves, drawn=windows.grooves)
    assert row.timing_mae_ms.value == row.timing_mse.value == row.velocity_mae.value == 0
    assert row.timing_kl.value == row.velocity_kl.value == 0


def test_the_timing_error_is_in_ms_and_in_sixteenths(windows):
    on_the_grid, late = (replace(windows, grooves=with_offsets(windows, 0)), with_offsets(windows, -0.5))
    row = compare("late", on_the_grid, mean_grooves=late, drawn=late)
    assert row.timing_mae_ms.value == pytest.approx(0.25 * 150)
    assert row.timing_mse.value == pytest.approx(0.25**2)


def test_the_divergence_is_that_of_the_definition():
    true, ours = np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]])
    assert divergence(true, ours)[0] == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), abs=1e-6)


def test_an_interval_holds_the_mean_of_many_such_samples():
    chance = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        performance = np.repeat(np.arange(30), 5)
        values = chance.normal(size=30)[performance] + chance.normal(size=150)
        found = Bootstrap(performance).of_sums(mean, values, np.ones(150))
        held += found.low <= 0 <= found.high
    assert 85 <= held <= 100


def test_windows_of_one_performance_are_drawn_together():
    values = np.repeat([0.0, 1.0], 50)
    together, apart = (
        Bootstrap(performance).of_sums(mean, values, np.ones(100))
        for performance in (np.repeat([0, 1], 50), np.arange(100))
    )
    assert together.high - together.low > 3 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1], 0.5),
        ([1, 3], [2, 2], 0.5),
        ([1, 2], [0, 1], 0.875),
    ],
)
def test_the_auc_is_the_share_of_pairs_in_the_right_order(positive, negative, expected):
    assert auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(expected)


def test_a_window_that_weighs_two_is_a_window_twice():
    positive, negative = np.array([0.3, 0.8]), np.array([0.5, 0.1])
    twice = auc(np.array([0.3, 0.8, 0.8]), np.array([0.5, 0.1, 0.1]))
    assert auc(positive, negative, np.array([1.0, 2.0])) == pytest.approx(twice)


def test_judges_tell_the_stiff_from_the_played_and_not_the_played_from_the_played(windows):
    lesson, fresh = swung(300, seed=1), swung(300, seed=2)
    stiff = judged(lambda given, _: with_offsets(given, 0), lesson, windows, windows, judges=1)
    alike = judged(lambda given, _: fresh.grooves[: len(given)], lesson, windows, windows, judges=2)
    assert stiff.auc().value > 0.95
    assert 0.3 < alike.auc().value < 0.7


def test_every_baseline_keeps_the_hits_and_does_not_look_at_how_they_are_played(windows):
    for contender in baselines(swung(80, seed=3)):
        hidden = replace(windows, grooves=np.where(np.arange(27) < 9, windows.grooves, 0))
        for seen, unseen in zip(
            (contender.mean(windows), contender.draw(windows, 1)),
            (contender.mean(hidden), contender.draw(hidden, 1)),
            strict=True,
        ):
            np.testing.assert_array_equal(seen[..., HITS], windows.grooves[..., HITS])
            np.testing.assert_array_equal(seen, unseen)


def test_the_linear_baseline_finds_the_swing(windows):
    quantised, *_, linear = (figures_of(each, windows) for each in baselines(swung(80, seed=3)))
    assert linear.timing_mae_ms.value < 0.7 * quantised.timing_mae_ms.value


def test_the_feel_of_a_window_is_what_was_put_in(windows):
    feel = dict(zip(FEEL, feel_of(windows).mean(axis=0), strict=True))
    assert feel["swing"] == pytest.approx(0.1, abs=0.01)
    assert feel["late"] == pytest.approx(0.05 * 150, abs=1)
    assert feel["loudness"] == pytest.approx(0.5 * 127, abs=3)
    assert feel["accent"] > 0.1 * 127


@pytest.fixture
def drummer(library):
    return load_resident(library, "drummer", torch.device("cpu"))


def test_a_model_plays_the_hits_and_does_not_look_at_how_they_are_played(windows, drummer):
    hidden = replace(windows, grooves=np.where(np.arange(27) < 9, windows.grooves, 0))
    contender = of_model(drummer, tasks.humanize)
    for seen, unseen in ((contender.draw(each, 1), contender.mean(each)) for each in (windows, hidden)):
        np.testing.assert_array_equal(seen[..., HITS], windows.grooves[..., HITS])
        np.testing.assert_array_equal(unseen[..., HITS], windows.grooves[..., HITS])
    np.testing.assert_array_equal(contender.draw(windows, 1), contender.draw(hidden, 1))


def test_each_window_is_played_in_its_own_style(windows, drummer):
    grooves = in_their_styles(drummer, windows, 3)
    np.testing.assert_array_equal(grooves[..., HITS], windows.grooves[..., HITS])
    funk = windows[np.flatnonzero(windows.style == 0)]
    np.testing.assert_array_equal(in_their_styles(drummer, funk, 3), grooves[windows.style == 0])


def test_groove_plays_each_hit_in_its_step_wherever_it_was_played_before(windows, drummer):
    """A hit that lay on a triplet would keep its place, and be told by that."""
    late = replace(windows, grooves=with_offsets(windows, -2 / 3))[:20]
    grooves = in_the_feel_of_others(drummer, late, 1)
    assert np.abs(grooves[..., HITS] - late.grooves[..., HITS]).sum() < 0.05 * late.grooves[..., HITS].sum()


def test_the_likelihood_is_that_of_the_bins(windows, drummer):
    """Untrained it is about as good as guessing one of 33 · 32."""
    found = likelihood_of(drummer, windows)
    assert found.joint.value == pytest.approx(np.log(33 * 32), abs=0.5)
    assert found.joint.low <= found.joint.value <= found.joint.high


def test_steering_is_measured_from_none_to_all(windows, drummer):
    found = steering_of(drummer, windows, windows, clips=6)
    assert set(found.groove) == set(FEEL)
    for hits, feel in (found.interpolate, found.vary):
        assert hits[0] == feel[0] == 0
        assert np.isfinite([*hits, *feel]).all()
    assert all(share.value <= 1 for pair in found.explained.values() for share in pair)


@pytest.mark.parametrize("name", list(drums.TASKS))
def test_the_histogram_drummer_keeps_what_it_is_given(windows, name):
    _, task = drums.TASKS[name]
    drummer = drums.histograms(swung(80, seed=3), task)
    given = np.arange(9) != drums.CLOSED_HAT if name == "closed hat" else np.zeros(9, bool)
    for grooves in (drummer.mean(windows), drummer.draw(windows, 1)):
        np.testing.assert_array_equal(grooves[..., HITS][..., given], windows.grooves[..., HITS][..., given])
    assert drums.completion_of(drummer, name, windows).f1_mean.value > 0.5


def test_f1_is_one_for_what_was_played_and_nothing_for_silence(windows):
    same = drums.Contender("same", lambda given: given.grooves, lambda given, _: np.zeros_like(given.grooves))
    row = drums.completion_of(same, "taps", windows)
    assert (row.f1_mean.value, row.f1.value) == (1.0, 0.0)


def test_with_the_hats_given_all_other_drums_are_compared_on_the_same_windows(windows, drummer):
    drawn, expected = hearing_of(drummer, windows[:12], auc=None)
    assert (drawn.temperature, expected.temperature) == (1, 0)
    for row in (drawn, expected):
        for without, heard, lower in (row.timing, row.velocity):
            assert lower.value == pytest.approx(1 - heard.value / without.value)


def test_the_hats_that_are_given_come_back_as_they_were_played(windows, drummer):
    grooves = of_model(drummer, hats_given).draw(windows[:12], 1)
    for block in (HITS, VELOCITIES, OFFSETS):
        hats, played_hats = (each[..., block][..., HATS] for each in (grooves, windows.grooves[:12]))
        np.testing.assert_allclose(hats, played_hats, atol=1e-6)
