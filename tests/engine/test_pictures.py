import sys

import numpy as np
import pytest
from matplotlib import colors
from PIL import Image

from engine.data.windows import Windows
from engine.errors import EngineError
from engine.evaluation.hits import hits_of
from engine.evaluation.pictures import (
    COLOURS,
    OURS,
    PLAYED,
    draw_feels,
    draw_pictures,
    draw_timing,
    draw_velocity,
    lateness_ms,
    most_frequent,
    principal_axes,
    profile,
)
from engine.representation.groove import HITS, OFFSETS, VELOCITIES


def some_windows(count=60, *, offset=0.0, velocity=0.5, tempo_bpm=125.0):
    """Two bars of kick, snare and hat on every sixteenth, all as late and as loud as each other."""
    grooves = np.zeros((count, 32, 27), np.float32)
    grooves[..., [0, 1, 2]] = 1
    grooves[..., VELOCITIES] = velocity * grooves[..., HITS]
    grooves[..., OFFSETS] = offset * grooves[..., HITS]
    rows = np.arange(count)
    return Windows(
        grooves=grooves,
        tempo_bpm=np.full(count, tempo_bpm, np.float32),
        style=rows % 3,
        style_names=("funk", "jazz", "rock"),
        performance=rows // 4,
        drummer=rows % 2,
        drummer_names=("drummer1", "drummer2"),
    )


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def texts(figure):
    """Everything that is written on a picture's axes."""
    return [text for axes in figure.axes for text in (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel())]


def colour_of(line):
    return colors.to_hex(line.get_color()).upper()


def test_a_positive_offset_is_early_and_so_a_negative_lateness():
    hits = hits_of(some_windows(offset=0.5, tempo_bpm=125))
    np.testing.assert_allclose(lateness_ms(hits), -30)


def test_a_profile_is_the_mean_and_spread_at_each_place():
    values = profile(np.array([10.0, 20.0, 40.0]), np.array([0, 0, 3]), fewest=1)
    assert values.mean[[0, 3]].tolist() == [15, 40]
    assert values.spread[[0, 3]].tolist() == [5, 0]
    assert values.hits.tolist() == [2, 0, 0, 1] + 12 * [0]


def test_a_place_with_few_hits_has_no_mean():
    values = profile(np.array([10.0, 20.0, 40.0]), np.array([0, 0, 3]), fewest=2)
    assert np.isnan(values.mean[3])
    assert not np.isnan(values.mean[0])


def test_the_principal_axes_are_the_widest_directions():
    chance = np.random.default_rng(0)
    points = np.zeros((500, 8))
    points[:, 5], points[:, 2] = chance.normal(0, 3, 500), chance.normal(0, 1, 500)
    axes, share = principal_axes(points)
    assert abs(np.corrcoef(axes[:, 0], points[:, 5])[0, 1]) == pytest.approx(1, abs=1e-3)
    assert abs(np.corrcoef(axes[:, 1], points[:, 2])[0, 1]) == pytest.approx(1, abs=1e-3)
    assert share.sum() == pytest.approx(1)


def test_the_most_frequent_names_come_first_and_none_is_no_name():
    index = np.array([2, 2, 2, 0, -1, -1, -1, -1])
    assert most_frequent(index, ("a", "b", "c"), 3) == [2, 0]


def test_each_picture_is_a_small_png_of_eight_inches(tmp_path, z):
    played, ours = some_windows(), some_windows(offset=-0.2)
    paths = draw_pictures(tmp_path / "new", played=played, ours=ours, z=z, feels=played)
    assert [path.name for path in paths] == ["timing.png", "velocity.png", "feel.png"]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width == 1200
        assert path.stat().st_size < 150_000


def test_a_small_picture_keeps_its_colours(tmp_path, z):
    windows = some_windows()
    *_, path = draw_pictures(tmp_path, played=windows, ours=windows, z=z, feels=windows)
    with Image.open(path) as picture:
        drawn = np.asarray(picture.convert("RGB")).reshape(-1, 3) / 255
    for colour in COLOURS[:3]:
        assert np.abs(drawn - colors.to_rgb(colour)).max(axis=1).min() < 0.02


def test_the_medians_of_timing_lie_where_the_hits_are():
    figure = draw_timing(some_windows(offset=0.5), some_windows(offset=-0.25))
    kick = figure.axes[0]
    medians = {
        (colour_of(line), round(float(line.get_ydata()[0])))
        for line in kick.lines
        if colour_of(line) in (PLAYED, OURS)
    }
    assert medians == {(PLAYED, -30), (OURS, 15)}


def test_played_is_drawn_left_of_ours_at_each_sixteenth():
    kick = draw_timing(some_windows(), some_windows()).axes[0]
    spans = {
        colour: sorted(tuple(line.get_xdata()) for line in kick.lines if colour_of(line) == colour)
        for colour in (PLAYED, OURS)
    }
    assert [max(span) for span in spans[PLAYED]] == list(range(16))
    assert [min(span) for span in spans[OURS]] == list(range(16))


def test_velocities_are_drawn_from_1_to_127_for_each_style_and_drum():
    figure = draw_velocity(some_windows(velocity=0.5), some_windows(velocity=1.0))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["funk", "jazz", "rock"]
    means = {
        (colour_of(line), float(line.get_ydata()[0]))
        for line in figure.axes[0].lines
        if len(line.get_ydata()) == 16
    }
    assert means == {(PLAYED, 63.5), (OURS, 127.0)}


def test_windows_without_styles_have_one_row():
    windows = some_windows()
    windows.style[:] = -1
    figure = draw_velocity(windows, windows)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["all"]


def test_feels_are_coloured_by_style_and_by_drummer(z):
    figure = draw_feels(z, some_windows())
    named = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert named == [["funk", "jazz", "rock"], ["drummer1", "drummer2"]]


def test_rare_styles_are_others(z):
    windows = some_windows()
    names = tuple(f"style {i}" for i in range(20))
    windows = Windows(
        windows.grooves,
        windows.tempo_bpm,
        np.arange(60) % 20,
        names,
        windows.performance,
        windows.drummer,
        windows.drummer_names,
    )
    legend = draw_feels(z, windows).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["others", *names[: len(COLOURS)]]


def test_every_picture_names_its_units(z):
    windows = some_windows()
    assert draw_timing(windows, windows).get_supylabel() == "ms late"
    assert draw_velocity(windows, windows).get_supylabel() == "velocity"
    assert any("of the variance" in text for text in texts(draw_feels(z, windows)))


def test_without_matplotlib_a_sentence_says_what_to_install(monkeypatch, tmp_path, z):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    windows = some_windows()
    with pytest.raises(EngineError, match=r"pip install 'vaebridge\[pictures\]'"):
        draw_pictures(tmp_path, played=windows, ours=windows, z=z, feels=windows)
