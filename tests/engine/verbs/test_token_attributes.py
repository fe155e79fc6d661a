"""What is asked of the shipped models of tokens comes; and a new band has the parts that are asked for."""

import numpy as np
import pytest

from engine.requests import Decode, Encode, Interpolate, Sample, Vary
from engine.verbs.generator import Generator
from engine.weights import Library, shipped_folder


@pytest.fixture(scope="module")
def generator():
    return Generator(Library([shipped_folder()]), device="cpu")


def came(results):
    return dict(results.facts)


OF_TOKENS = {
    "melody_2bar": ("register", "interval", "density", "syncopation", "repetition"),
    "drums_2bar": ("density", "syncopation", "repetition"),
}


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, names in OF_TOKENS.items() for name in names])
def test_what_is_asked_of_a_model_of_tokens_comes_and_other_attributes_stay(generator, model, name):
    by_asked = {
        asked: came(generator.run(Sample(model=model, seed=4, count=16, bars=2, **{name: (asked,)})))[name]
        for asked in (-1.0, 1.0)
    }
    assert by_asked[-1.0] < -0.5 < 0.5 < by_asked[1.0]


def test_a_clip_is_varied_continued_on_the_way_and_decoded_as_is_asked(generator):
    low, high = (
        generator.run(Sample(model="melody_2bar", seed=seed, register=(side,))).clips[0]
        for seed, side in ((1, -1.5), (2, 1.5))
    )
    (z,) = [generator.run(Encode(clip=low, model="melody_2bar")).latent]
    for kind, about in (
        (Vary, {"clip": low}),
        (Interpolate, {"clips": (low, high), "steps": 5}),
        (Decode, {"z": z}),
    ):
        results = generator.run(kind(**about, model="melody_2bar", seed=3, register=(1.0,)))
        assert came(results)["register"] == pytest.approx(1, abs=0.5)
        pitches = [note.pitch for clip in results.clips for note in clip.notes]
        scale = generator.resident("melody_2bar").scales["register"]
        assert np.mean(pitches) == pytest.approx(scale.value(1), abs=3)


def test_what_is_asked_by_bar_of_windows_of_two_bars_comes_window_by_window(generator):
    results = generator.run(Sample(model="drums_2bar", bars=4, seed=1, count=8, density=(-1, -1, 1, 1)))
    told = [float(each) for each in str(came(results)["density"]).split(",")]
    assert np.mean(told[:2]) == pytest.approx(-1, abs=0.4)
    assert np.mean(told[2:]) == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("seed", [17, 56])
def test_a_new_band_has_every_part_that_is_asked_for(generator, seed):
    (clip,) = generator.run(Sample(model="trio_16bar", seed=seed)).clips  # whose lead, drawn once, rests throughout
    assert all(part.count for part in clip.parts)
    assert [part.name for part in clip.parts] == ["lead", "bass", "drums"]
