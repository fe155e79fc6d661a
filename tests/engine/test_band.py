"""Bands: what their tokens become, what a part is drawn from, what is given and stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.data.band_songs import BandSong
from engine.learning.band_tasks import BandCourse
from engine.learning.training import Run
from engine.model.band.decoder import Score, alike, blank, chroma, looks, tokens_of
from engine.model.band.steps import draw_part
from engine.model.band.vae import BandShape, BandVae
from engine.model.noise import Noise
from engine.registry import Config, Recipe
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, band_states, moved, to_c, token_of, voice_states

SHAPE = BandShape(
    z=6, bar_z=4, styles=5, encoder_hidden=8, bar_hidden=16, decoder_hidden=24, context=4, prior_hidden=8, dropout=0
)
RECIPE = Recipe(
    bars=(8, 16),
    tasks={"autoencode": 0.3, "accompany": 0.2, "continue": 0.2, "infill": 0.2, "vary": 0.1},
    batch=4,
    epochs=1,
    free_bits=26,
    beta=0.3,
    feel_bits=26,
    feel_beta=0.25,
    rate_peak=2e-3,
    decay=0,
)
CONFIG = Config(name="trio_16bar", family="band", representation="band", shape=SHAPE, recipe=RECIPE)
C, E, G = 41, 45, 48
"""Tokens of middle C, E and G."""


def song(split: str = "train", bars: int = 16) -> BandSong:
    """A lead of broken chords, a bass on the beat, a kick and a snare."""
    tokens = np.zeros((bars, 16, 3), np.int64)
    tokens[:, ::4, LEAD] = [C, E, G, E]
    tokens[:, ::8, BASS] = C - 24
    tokens[:, ::8, DRUMS], tokens[:, 4::8, DRUMS] = 1, 2
    states = band_states(tokens.reshape(-1, 3)).reshape(bars, 16, 3)
    return BandSong(f"a {split} piece", split, "band", 120.0, states, np.ones((bars, 3), bool))


@pytest.fixture
def course() -> BandCourse:
    torch.manual_seed(0)
    return BandCourse(CONFIG, [song(), song("validation")], torch.device("cpu"))


def score_of(course: BandCourse, part: int, task: str) -> tuple[Score, torch.Tensor, torch.Tensor]:
    """Two rows of a batch that a task makes."""
    return course.scores(course.starts[part][:2], part, 8, {task: 1.0}, np.random.default_rng(0), training=False)


def with_copies(model: BandVae) -> BandVae:
    """The same with what starts at zero drawn, so that copying and bars' z count."""
    for decoder in model.decoders:
        for weights in (decoder.copy.weight, decoder.bar[-1].weight):  # type: ignore[union-attr,index]
            torch.nn.init.normal_(weights, std=0.3)  # type: ignore[arg-type]
    return model.eval().requires_grad_(False)


def test_the_states_of_a_voice_say_what_sounds() -> None:
    tokens = np.array([0, C, 0, 0, 1, 0, E, 0])
    assert voice_states(tokens).tolist() == [0, C, C + 88, C + 88, 1, 0, E, E + 88]
    assert token_of(voice_states(tokens)).tolist() == tokens.tolist()


@pytest.mark.parametrize("by", [-5, -1, 2, 5])
def test_a_band_is_moved_back_to_its_key(by: int) -> None:
    states = song().states.reshape(-1, 3)
    assert to_c(states) == 0
    there = moved(states, by)
    assert to_c(there) == -by
    assert np.array_equal(moved(there, -by), states)
    assert np.array_equal(there[:, DRUMS], states[:, DRUMS])


@pytest.mark.parametrize("part", range(3), ids=PARTS)
def test_a_step_depends_on_no_later_step_that_is_not_given(course: BandCourse, part: int) -> None:
    model = with_copies(course.model)
    score, _, _ = score_of(course, part, "autoencode")
    score = replace(score, given=torch.zeros_like(score.given))
    z, later = torch.randn(2, SHAPE.z), 70
    other = score.states.clone()
    other[:, later:] = torch.randint(2, 90, other[:, later:].shape)
    decoder = model.decoders[part]
    nats, changed = (decoder.nats(z, each) for each in (score, replace(score, states=other)))  # type: ignore[operator]
    assert torch.equal(nats[:, :later], changed[:, :later])
    assert not torch.equal(nats[:, later:], changed[:, later:])


@pytest.mark.parametrize("part", range(3), ids=PARTS)
def test_drawing_step_by_step_is_what_training_learns(course: BandCourse, part: int) -> None:
    decoder = with_copies(course.model).decoders[part]
    score, _, _ = score_of(course, part, "infill")
    score = replace(score, bar_z=torch.randn_like(score.bar_z), bar_z_given=torch.ones_like(score.bar_z_given))
    z = torch.randn(2, SHAPE.z)
    drawn = draw_part(decoder, z, score, temperature=0, noise=Noise(0))  # type: ignore[arg-type]
    whole = replace(score.with_drawn(part, drawn), given=score.given)
    nats = decoder.nats(z, whole)  # type: ignore[operator]
    logits = _logits(decoder, z, whole)
    free = score.given[..., part] == 0
    assert bool(free.any())
    assert torch.equal(logits.argmax(dim=-1)[free], tokens_of(part, drawn)[free])
    expected = -logits.log_softmax(dim=-1).gather(2, tokens_of(part, drawn)[..., None])[..., 0]
    torch.testing.assert_close(nats, expected * free)


def _logits(decoder: torch.nn.Module, z: torch.Tensor, score: Score) -> torch.Tensor:
    """The logits of all steps, by a hook on what adds the copies."""
    seen = looks(score, decoder.part)  # type: ignore[arg-type]
    hidden: list[torch.Tensor] = []
    handle = decoder.lstm.register_forward_hook(lambda _, __, out: hidden.append(out[0]))  # type: ignore[union-attr,operator]
    decoder.nats(z, score)  # type: ignore[operator]
    handle.remove()
    logits: torch.Tensor = decoder.logits(hidden[0], seen) + decoder.of_tokens(score)  # type: ignore[operator]
    return logits


def test_a_bar_that_returns_in_a_given_part_is_told_and_one_of_a_hidden_part_is_not(course: BandCourse) -> None:
    score, _, _ = score_of(course, BASS, "accompany")
    states = score.states.clone()
    states[:, 48:64, LEAD] = 0
    shares = torch.unflatten(alike(replace(score, states=states)), 2, (7, 3))
    assert shares[0, 2, :2, LEAD].tolist() == [1, 1]
    assert float(shares[0, 3, 0, LEAD]) == 0, "the fourth bar is silent where the third is not"
    assert not shares[..., BASS].any()
    assert not shares[0, 0, :4].any(), "before the first bar there is none"


def test_the_pitch_classes_of_a_bar_are_those_of_given_voices(course: BandCourse) -> None:
    score, _, _ = score_of(course, BASS, "accompany")
    heard = course.model.decoders[BASS].alphabets.all_parts(score.states, score.given)  # type: ignore[union-attr,operator]
    classes = chroma(heard)
    assert torch.equal(classes[0, 0], classes[0, 7])
    assert classes[0, 0, :12].nonzero().flatten().tolist() == [0, 4], "its first half"
    assert classes[0, 0, 12:].nonzero().flatten().tolist() == [0, 4, 7]
    assert classes[0, 0, :12].sum() == pytest.approx(1)
    nothing = course.model.decoders[BASS].alphabets.all_parts(score.states, 0 * score.given)  # type: ignore[union-attr,operator]
    assert not chroma(nothing).any()


def test_a_bars_z_teaches_by_itself_what_is_played(course: BandCourse) -> None:
    model = course.model.train()
    score, heard, weight = score_of(course, LEAD, "autoencode")
    assert not score.bar_z_given.any()
    losses = model.loss(LEAD, score, heard, weight, beta=0.3, free_nats=9, bar_beta=0.25, bar_free_nats=9)
    torch.autograd.backward(losses["total"])
    gradient = model.decoders[LEAD].bar[-1].weight.grad  # type: ignore[union-attr,index]
    assert bool(gradient.any())  # type: ignore[union-attr,operator]


@pytest.mark.parametrize("part", range(3), ids=PARTS)
@torch.inference_mode()
def test_what_is_given_stays(course: BandCourse, part: int) -> None:
    score, _, _ = score_of(course, part, "infill")
    drawn = draw_part(course.model.decoders[part], torch.zeros(2, 6), score, temperature=1, noise=Noise(1))  # type: ignore[arg-type]
    given = score.given[..., part] > 0
    assert torch.equal(drawn[given], score.states[..., part][given])


def test_a_band_of_which_nothing_is_known_is_drawn_part_by_part() -> None:
    torch.manual_seed(0)
    model, noise = BandVae(SHAPE).eval(), Noise(0)
    score = blank(1, 3, styles=SHAPE.styles, bar_z=SHAPE.bar_z)
    with torch.inference_mode():
        z = model.z_prior.draw(score, noise.normal(1, SHAPE.z))
        for part, decoder in enumerate(model.decoders):
            score = score.with_drawn(part, draw_part(decoder, z, score, temperature=1, noise=noise))  # type: ignore[arg-type]
    assert bool((score.given == 1).all())
    assert score.states.shape == (1, 48, 3)
    assert all(len(score.states[0, :, part].unique()) > 3 for part in range(3))


def test_a_run_of_bands_writes_weights_that_know_more_than_before(course: BandCourse, tmp_path: object) -> None:
    run = Run(CONFIG, course, tmp_path, 1, 1)  # type: ignore[arg-type]
    run.steps_per_epoch = [40]
    before = run.validate()
    run.train(lambda _: None)
    assert run.validate() < 0.8 * before
    assert {"lead.autoencode.notes", "bass.accompany.notes", "drums.accompany.kl"} <= set(run.validation)
    assert run.write("trio").styles == ("band", "drums", "folk", "pop", "song")
