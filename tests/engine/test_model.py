import copy
from dataclasses import replace

import pytest
import torch

from engine.model import tasks
from engine.model.encoder import BidirectionalEncoder, Posterior
from engine.model.expectation import REACH
from engine.model.groove_decoder import GrooveDecoder
from engine.model.noise import Noise
from engine.model.performer import (
    CONTEXT_DEPTH,
    MEAN_WEIGHTS,
    OFFSET_BINS,
    SHARED_ERROR_DISCOUNT,
    step_features,
)
from engine.model.plan import later
from engine.model.subsets import drums_of_subsets
from engine.model.vae import Vae
from engine.model.walk import walk
from engine.registry import CONFIGS

BATCH, STEPS = 5, 32
PATTERN = CONFIGS["drummer"].shape.z - CONFIGS["drummer"].shape.feel


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=[name for name, config in CONFIGS.items() if config.family == "groovae"])
def config(request):
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def model(config):
    torch.manual_seed(0)
    return Vae(config.shape).eval()


@pytest.fixture(scope="module")
def drummer():
    torch.manual_seed(0)
    return Vae(CONFIGS["drummer"].shape).eval()


@pytest.fixture
def groove():
    generator = torch.Generator().manual_seed(0)
    hits = (torch.rand(BATCH, STEPS, 9, generator=generator) < 0.15).float()
    velocities = torch.rand(BATCH, STEPS, 9, generator=generator) * hits
    offsets = (torch.rand(BATCH, STEPS, 9, generator=generator) * 2 - 1) * hits
    return torch.cat([hits, velocities, offsets], dim=-1)


@pytest.fixture
def nothing(groove):
    return tasks.nothing_given(groove, torch.full((BATCH,), 110.0))


def latent(model):
    z = torch.randn(BATCH, model.shape.z, generator=torch.Generator().manual_seed(1))
    return z, z[:, None].expand(-1, STEPS, -1)


def test_what_is_given_is_kept_to_the_last_digit(model, groove, nothing):
    every = torch.ones_like(nothing.hits_given)
    given = replace(nothing, hits_given=every, timing_given=every)
    played = model.decode(latent(model)[1], given, temperature=1.0, noise=Noise(1))
    torch.testing.assert_close(played, groove)


def test_given_hits_are_kept_and_played(model, groove, nothing):
    given = tasks.humanize(groove, nothing).given
    played = model.decode(latent(model)[1], given, temperature=1.0, noise=Noise(1))
    assert torch.equal(played[..., :9], groove[..., :9])
    assert played[..., 9:18].min() >= 0
    assert played[..., 9:18].max() <= 1
    assert played[..., 18:].abs().max() <= 1
    assert not played[..., 18:][groove[..., :9] == 0].any()


def test_a_seed_means_the_same_groove(model, nothing):
    first, second, other = (
        model.decode(latent(model)[1], nothing, temperature=1.0, noise=Noise(seed)) for seed in (7, 7, 8)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_rows_notes_do_not_depend_on_its_neighbours(model, groove, nothing):
    """A padded walk must not leak from row to row."""
    before, path = tasks.humanize(groove, nothing).given, latent(model)[1]
    others = tasks.humanize(groove.flip(1), nothing).given  # with other hits, and more or fewer of them
    names = [name for name in before.__dataclass_fields__ if torch.is_tensor(getattr(before, name))]
    changed = {name: torch.cat([getattr(others, name)[:2], getattr(before, name)[2:]]) for name in names}
    other_path = torch.cat([path[:2].flip(-1), path[2:]])
    first = model.decode(path, before, temperature=0.0, noise=Noise(1))
    second = model.decode(other_path, replace(before, **changed), temperature=0.0, noise=Noise(1))
    torch.testing.assert_close(first[2:], second[2:])
    assert not torch.equal(first[:2], second[:2])


def test_the_step_by_step_pattern_is_the_one_that_was_trained(drummer, nothing):
    z, path = (each[..., :PATTERN] for each in latent(drummer))
    pattern = drummer.decoder.pattern
    hits = pattern.decode(path, nothing, temperature=0.0, noise=Noise(1))
    inputs = torch.cat([later(hits, 1), later(hits, 16), *pattern.static(path, nothing)], dim=-1)
    logits = pattern.output(pattern.lstm.run(inputs, pattern.initial_state(z))[0])
    chosen = (drums_of_subsets(hits.device) == hits[..., None, :]).all(dim=-1)
    likeliest = logits.amax(dim=-1)
    assert ((likeliest - logits.where(chosen, -torch.inf).amax(dim=-1)) < 1e-3).all()  # equal but for rounding


def first_given(groove, given, steps):
    timing_given = (torch.arange(STEPS) < steps).float()[None, :, None].expand(BATCH, -1, 9)
    return replace(tasks.humanize(groove, given).given, timing_given=timing_given)


@pytest.mark.parametrize("given_steps", [0, 16])
def test_the_hit_by_hit_performance_is_the_one_that_was_trained(drummer, groove, nothing, given_steps):
    z, path = (each[..., PATTERN:] for each in latent(drummer))
    performer, given = drummer.decoder.performer, first_given(groove, nothing, given_steps)
    played = performer.decode(path, groove[..., :9], given, temperature=1e-9, noise=Noise(1))
    order = walk(groove[..., :9])
    bins = performer.predictions(order, z, played, given)[1].argmax(dim=-1)
    middle, drawn = torch.linspace(-1, 1, OFFSET_BINS)[bins], order.real & (order.step >= given_steps)
    assert ((order.at(played[..., 18:]) - middle).abs() * drawn).max() <= 1 / 32 + 1e-5


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("given_steps", [0, 16, STEPS])
def test_some_draws_of_a_row_are_as_so_many_rows(model, groove, nothing, given_steps, temperature):
    given, path = first_given(groove, nothing, given_steps), latent(model)[1]
    rows = torch.arange(BATCH).repeat_interleave(3)
    draws = model.decode(path, given, temperature=temperature, noise=Noise(1), draws=3)
    alone = model.decode(path[rows], given.rows(rows), temperature=temperature, noise=Noise(1))
    same = torch.isclose(draws, alone, rtol=1e-4, atol=1e-4).flatten(1).all(1)
    assert same.float().mean() > 0.7  # where rounding turns a choice, another batch size plays another row


def test_temperature_0_is_what_is_expected_and_what_is_given_is_as_given(drummer, groove, nothing):
    path, performer = latent(drummer)[1][..., PATTERN:], drummer.decoder.performer
    timing_given = torch.zeros_like(groove[..., :9])
    timing_given[..., 2] = 1
    given = replace(tasks.humanize(groove, nothing).given, timing_given=timing_given)
    expected = performer.expectation(step_features(groove[..., :9], given), path)
    played = performer.decode(path, groove[..., :9], given, temperature=0.0, noise=Noise(1))
    own = (groove[..., :9] > 0) & (timing_given == 0)
    torch.testing.assert_close(played[..., 18:][own], expected[..., 0, :].clamp(-1, 1)[own])
    torch.testing.assert_close(played[..., 9:18][own], expected[..., 1, :].clamp(0, 1)[own])
    assert torch.equal(played[..., 2::9], groove[..., 2::9])


def test_what_is_expected_is_the_mean_of_all_members(drummer):
    expectation, steps, z = (
        drummer.decoder.performer.expectation,
        torch.randn(2, 32, CONTEXT_DEPTH),
        torch.randn(2, 1, 32),
    )
    predictions = expectation.predictions(steps, z)
    assert not torch.allclose(predictions[0], predictions[1])
    torch.testing.assert_close(expectation(steps, z), predictions.mean(dim=0))


@pytest.mark.parametrize("block", [0, 1])
def test_training_counts_less_of_what_a_whole_window_is_off_by(groove, nothing, block):
    """All off alike, or the hits of a drum by turns one way and the other: the squares are the same."""
    performer, z = Vae(CONFIGS["drummer"].shape).decoder.performer, torch.zeros(BATCH, 32)
    given, hits = tasks.humanize(groove, nothing).given, torch.zeros(BATCH, STEPS, 9)
    hits[:, ::2] = 1
    performer.expectation.predictions = lambda steps, z: torch.zeros(1, BATCH, STEPS, 2, 9)
    turns = torch.where(torch.arange(STEPS) % 4 == 0, 1.0, -1.0)[None, :, None]
    none, squares = torch.zeros_like(hits), MEAN_WEIGHTS[block] * 0.01 * hits.sum(dim=(1, 2))
    for training, sign, counted in ((False, 1, 1), (True, 1, 1 - SHARED_ERROR_DISCOUNT), (True, turns, 1)):
        off = 0.1 * sign * hits
        target = torch.cat([hits, none, off] if block == 0 else [hits, off, none], dim=-1)
        loss = performer.train(training).expectation_loss(z, target, given)
        torch.testing.assert_close(loss, counted * squares)


def test_what_no_feel_is_given_for_is_drawn_towards_the_centre(drummer):
    expectation = copy.deepcopy(drummer.decoder.performer.expectation)
    expectation.centre[:], expectation.trust[:] = torch.tensor([0.1, 0.5]), torch.tensor([0.5, 0.0])
    steps, z = torch.randn(2, 32, CONTEXT_DEPTH), torch.zeros(2, 1, 32)
    z[1] = 1
    mean, answer = expectation.predictions(steps, z).mean(dim=0), expectation(steps, z)
    torch.testing.assert_close(answer[0, :, 0], 0.1 + 0.5 * (mean[0, :, 0] - 0.1))
    torch.testing.assert_close(answer[0, :, 1], torch.full_like(mean[0, :, 1], 0.5))
    torch.testing.assert_close(answer[1], mean[1])


def test_hits_alone_give_temperature_0_no_feel(drummer, groove, nothing):
    encoder_input = groove.clone()
    encoder_input[0, :, 9:] = 0
    position = nothing.position[0]
    posterior = drummer.encode(encoder_input, position)
    z = drummer.expected_z(posterior, encoder_input)
    assert not z[0, PATTERN:].any()
    assert torch.equal(z[0, :PATTERN], posterior.mu[0, :PATTERN])
    assert torch.equal(z[1:], posterior.mu[1:])


def test_a_long_clip_is_read_in_windows_and_a_short_one_whole(drummer):
    expectation = drummer.decoder.performer.expectation
    steps, z = torch.randn(2, 3 * REACH - 5, CONTEXT_DEPTH), torch.randn(2, 1, 32)
    expected = expectation(steps, z)
    assert expected.shape[:2] == steps.shape[:2]
    half, quarter = REACH // 2, REACH // 4
    torch.testing.assert_close(expected[:, :half], expectation(steps[:, :REACH], z)[:, :half])
    middle = expectation(steps[:, quarter : quarter + REACH], z)
    torch.testing.assert_close(expected[:, half:REACH], middle[:, quarter : 3 * quarter])
    rest = steps.shape[1] % half
    torch.testing.assert_close(expected[:, -rest:], expectation(steps[:, -REACH:], z)[:, -rest:])


def test_the_step_by_step_groove_is_the_one_that_was_trained(nothing):
    torch.manual_seed(0)
    model = Vae(CONFIGS["groovae_4bar"].shape).eval()
    z, path = latent(model)
    played = model.decode(path, nothing, temperature=0.0, noise=Noise(1))
    fed = torch.zeros(len(z), 1, 27)
    for step in range(played.shape[1]):
        inputs = torch.cat([fed, path[:, : step + 1]], dim=-1)
        logits = model.decoder.output(model.decoder.lstm.run(inputs, model.decoder.initial_state(z))[0])[:, -1]
        hits = played[:, step, :9]
        assert torch.equal(hits, (logits[:, :9] > 0).float().where(logits[:, :9].abs() > 1e-4, hits))
        said = torch.stack([torch.sigmoid(logits[:, 9:18]), torch.tanh(logits[:, 18:])], dim=1)
        masked = torch.cat([hits, (said * hits[:, None]).flatten(1)], dim=1)
        assert torch.allclose(played[:, step], masked, atol=1e-5)
        fed = torch.cat([fed, torch.cat([hits, said.flatten(1)], dim=1)[:, None]], dim=1)


def test_what_published_grooves_are_fed_is_thinned_in_training_alone(groove, nothing):
    shape = CONFIGS["groovae_4bar"].shape
    encoder = BidirectionalEncoder(27, 8, shape.z, dropout=shape.dropout)
    decoder = GrooveDecoder(shape.z, 8, 2, dropout=shape.dropout)
    z, fed = torch.zeros(BATCH, shape.z), []
    for lstm in (encoder.lstm, decoder.lstm):
        lstm.register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0][..., :27]))

    def said():
        return encoder(groove).mu, decoder.loss(z, groove, nothing)["hits"]

    torch.manual_seed(0)
    for one, other in zip(said(), said(), strict=True):
        assert not torch.equal(one, other)
    left = [float((each != 0).sum() / (groove != 0).sum()) for each in fed]
    assert left == pytest.approx([0.3] * 4, abs=0.05)
    encoder.eval(), decoder.eval()
    for one, other in zip(said(), said(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(fed[-2], groove)


def test_a_pattern_never_contradicts_what_it_was_given(drummer, groove, nothing):
    given = tasks.fill(groove, nothing, instrument=2).given
    hits = drummer.decoder.pattern.decode(latent(drummer)[1][..., :PATTERN], given, temperature=2.0, noise=Noise(3))
    others = [drum for drum in range(9) if drum != 2]
    assert torch.equal(hits[..., others], groove[..., others])


def test_what_is_read_of_nothing_is_kept_for_its_length_meter_and_tempo(drummer, groove):
    pattern, path = drummer.decoder.pattern, latent(drummer)[1][..., :PATTERN]
    new = copy.deepcopy(pattern).train()  # in training nothing is kept
    for steps, tempo, bar in ((32, 100.0, 16), (32, 140.0, 16), (32, 140.0, 14), (16, 140.0, 14), (32, 100.0, 16)):
        given = tasks.nothing_given(groove[:, :steps], torch.full((BATCH,), tempo), bar)
        for _ in range(2):
            kept, read = (each.static(path[:, :steps], given)[1] for each in (pattern, new))
            torch.testing.assert_close(kept, read)


def test_every_tap_is_answered_by_a_hit(drummer, groove, nothing):
    example = tasks.tap(groove, nothing)
    hits = drummer.decoder.pattern.decode(
        latent(drummer)[1][..., :PATTERN], example.given, temperature=2.0, noise=Noise(3)
    )
    assert (hits.amax(dim=-1) >= example.given.taps[..., 0]).all()


def test_the_loss_is_finite_for_a_bar_without_a_hit(model):
    silence = torch.zeros(2, 32, 27)
    given = tasks.nothing_given(silence, torch.full((2,), 120.0))
    losses = model.loss(
        tasks.autoencode(silence, given), silence, beta=0.2, free_bits=48, noise=torch.zeros(2, model.shape.z)
    )
    assert torch.isfinite(losses["total"])


def test_free_bits_leave_a_small_divergence_without_cost(drummer, groove, nothing):
    example, noise = tasks.autoencode(groove, nothing), torch.zeros(BATCH, drummer.shape.z)
    free = drummer.loss(example, groove, beta=0.2, free_bits=1e6, feel_beta=0.2, feel_bits=1e6, noise=noise)
    paid = drummer.loss(example, groove, beta=0.2, free_bits=0, feel_beta=0.2, noise=noise)
    assert (paid["total"] - free["total"]).item() == pytest.approx(0.2 * paid["kl"].item(), rel=1e-3)


def test_the_pattern_costs_nothing_where_the_hits_are_given(drummer, groove, nothing):
    posterior = drummer.encode(groove, nothing.position[0])
    losses = drummer.loss(
        tasks.transfer(groove, nothing), groove, beta=1.0, free_bits=0, noise=torch.zeros(BATCH, drummer.shape.z)
    )
    assert losses["kl"].item() == pytest.approx(posterior.kl()[:, PATTERN:].sum(dim=1).mean().item(), rel=1e-4)


def test_the_feel_does_not_change_the_pattern_nor_the_pattern_the_feel(drummer, groove, nothing):
    path, with_hits = latent(drummer)[1], tasks.humanize(groove, nothing).given
    other = torch.randn(drummer.shape.z, generator=torch.Generator().manual_seed(2))
    other_feel, other_pattern = path.clone(), path.clone()
    other_feel[..., PATTERN:], other_pattern[..., :PATTERN] = other[PATTERN:], other[:PATTERN]

    def decode(z, given):
        return drummer.decode(z, given, temperature=0.0, noise=Noise(1))

    assert torch.equal(decode(other_feel, nothing)[..., :9], decode(path, nothing)[..., :9])
    assert torch.equal(decode(other_pattern, with_hits), decode(path, with_hits))
    assert not torch.equal(decode(other_feel, with_hits), decode(path, with_hits))


def test_a_hit_whose_past_is_hidden_is_as_if_there_were_none(drummer, groove, nothing):
    """What is hidden is how the hits before were played, and that alone."""
    given, z = tasks.humanize(groove, nothing).given, latent(drummer)[0][:, PATTERN:]
    louder = groove.clone()
    louder[:, :16, 9:18] = (groove[:, :16, 9:18] * 0.5).clamp(max=1)
    after = torch.where(torch.arange(STEPS)[None, :, None] < 16, 1.0, 0.0).expand(BATCH, -1, 9)
    last_bar = replace(given, timing_given=after, groove=torch.zeros_like(groove))
    first, second = (
        drummer.decoder.performer.loss(z, target, last_bar, hidden_share=1.0)["offset"]
        for target in (groove, louder)
    )
    torch.testing.assert_close(first, second)
    seen = drummer.decoder.performer.loss(z, louder, last_bar, hidden_share=0.0)["offset"]
    assert not torch.allclose(first, seen)


def test_the_divergence_of_the_standard_normal_from_itself_is_zero():
    assert Posterior(torch.zeros(2, 8), torch.ones(2, 8)).kl().abs().max() == 0


def test_a_tap_is_the_loudest_hit_of_its_step(groove, nothing):
    taps = tasks.tap(groove, nothing).given.taps
    assert torch.equal(taps[..., 1], groove[..., 9:18].amax(dim=-1))
    assert torch.equal(
        tasks.tap(groove, nothing, velocity_given=False).given.taps[..., 1].any(), torch.tensor(False)
    )


def test_humanize_reads_hits_alone(groove, nothing):
    encoder_input = tasks.humanize(groove, nothing).encoder_input
    assert torch.equal(encoder_input[..., :9], groove[..., :9])
    assert not encoder_input[..., 9:].any()


def test_where_the_hits_are_given_the_feel_is_the_same_and_the_pattern_says_nothing(drummer, groove, nothing):
    whole, feel = (drummer.encode(groove, nothing.position[0], hits_given=given) for given in (False, True))
    assert torch.equal(whole.mu[:, PATTERN:], feel.mu[:, PATTERN:])
    assert feel.kl()[:, :PATTERN].abs().max() == 0


def test_the_feel_is_that_of_the_bars_in_any_order(drummer, groove, nothing):
    turned = torch.cat([groove[:, 16:], groove[:, :16]], dim=1)
    feels = [drummer.encode(each, nothing.position[0]).mu[:, PATTERN:] for each in (groove, turned)]
    torch.testing.assert_close(*feels)


def test_partial_reads_all_hits_and_how_those_that_it_gives_are_played(groove, nothing):
    example = tasks.partial(groove, nothing, torch.Generator().manual_seed(3))
    given = example.given.timing_given
    assert torch.equal(example.encoder_input[..., :9], groove[..., :9])
    assert torch.equal(example.encoder_input[..., 9:18], groove[..., 9:18] * given)
    assert 0 < given.mean() < 1


def test_fill_does_not_read_the_instrument_it_adds(groove, nothing):
    encoder_input = tasks.fill(groove, nothing, instrument=2).encoder_input
    assert not encoder_input[..., [2, 11, 20]].any()


def test_the_meter_is_given_as_the_place_in_the_bar(groove):
    tempo = torch.full((BATCH,), 120.0)
    assert tasks.nothing_given(groove, tempo, 14).position[0, :16].tolist() == [*range(14), 0, 1]
    assert tasks.nothing_given(groove, tempo, 20).position.max() < 16
