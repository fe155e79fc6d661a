from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from engine.model.musicvae import MusicVae, SequenceShape
from engine.model.nade import Nade, to_bits, to_sets
from engine.model.noise import Noise
from engine.model.token_decoder import TRUTH, Conductor, Feeding, one_hot
from engine.registry import CONFIGS, find_config
from tests.engine.untrained import small

TOKENS = [name for name, config in CONFIGS.items() if isinstance(config.shape, SequenceShape)]

MELODY = SequenceShape(alphabet=(9,), z=4, encoder=(8,), decoder=(8, 8))
TRIO = SequenceShape(
    alphabet=(5, 5, 7), z=4, encoder=(8,), decoder=(8, 8), conductor=(6, 6), levels=(3, 4), split=True
)
SHAPES = {
    "categorical": MELODY,
    "several parts": replace(MELODY, alphabet=(9, 4)),
    "stacked encoder": replace(MELODY, encoder=(8, 8)),
    "nade": replace(MELODY, alphabet=(5,), nade=6, roll=True),
    "roll heard": replace(MELODY, alphabet=(16,), roll=True),
    "control": replace(MELODY, control=3),
    "plan": replace(MELODY, plan=(4, 3)),
    "conductor": replace(MELODY, conductor=(6,), levels=(3, 4)),
    "levels on both sides": replace(MELODY, encoder=(8, 6), encoder_levels=(4, 3), conductor=(6,), levels=(3, 4)),
    "trio": TRIO,
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Small networks are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(shape: SequenceShape, *, chained: bool = False) -> MusicVae:
    torch.manual_seed(3)
    model = MusicVae(shape, chained=chained).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "bias" not in name:
            parameter.data.normal_(0, 0.7)
    return model


def tokens_for(shape: SequenceShape, batch: int = 3, steps: int = 12) -> torch.Tensor:
    sizes = (2 ** shape.alphabet[0],) if shape.nade else shape.alphabet
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(size, (batch, steps), generator=generator) for size in sizes], dim=-1)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_decoded_greedily_is_likelier_than_anything_near(shape):
    """The stepped decoder and the loss, which runs over whole sequences, mean the same distribution."""
    model, z = build(shape), torch.randn(2, shape.z)
    decoded = model.decode(z, 12, temperature=0, noise=Noise(0))

    def first_bar_nats(tokens):
        first = torch.full_like(tokens[:, 0], -1)
        control = torch.zeros(2, 12, shape.control)
        return model.decoder.loss(z, tokens, first, control, TRUTH)

    best = first_bar_nats(decoded)
    for part in range(decoded.shape[-1]):
        other = decoded.clone()
        other[:, -1, part] = (other[:, -1, part] + 1) % 2  # the last step: nothing follows from it
        changed = other[:, -1, part] != decoded[:, -1, part]
        assert bool((first_bar_nats(other) >= best)[changed].all())


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_tokens_drawn_often_have_the_probability_that_the_loss_says(shape, chained):
    model, z = build(shape, chained=chained), torch.randn(1, shape.z).expand(4000, -1)
    drawn = model.decode(z, 12, temperature=1, noise=Noise(0))[:, :2]
    whole = model.decode(z[:1], 12, temperature=0, noise=Noise(0))
    same = (drawn == drawn[:1]).all(dim=-1).all(dim=-1)

    def nats(tokens):  # of the first two steps: what follows is the same in both
        full = whole.clone()
        full[:, : tokens.shape[1]] = tokens
        control = torch.zeros(1, 12, shape.control)
        if isinstance(model.decoder, Conductor):
            plans, bar = model.decoder.plans(z[:1])[:, 0], full[:, :2]
            return model.decoder.core.loss(plans, bar, torch.full_like(bar[:, 0], -1), control[:, :2], TRUTH)
        return model.decoder.loss(z[:1], full[:, :2], torch.full_like(full[:, 0], -1), control[:, :2], TRUTH)

    said = float(torch.exp(-nats(drawn[:1])))
    assert float(same.float().mean()) == pytest.approx(said, abs=4 * (said / 4000) ** 0.5 + 1e-3)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_heard_makes_the_posterior(shape):
    model, tokens = build(shape), tokens_for(shape)
    posterior = model.encode(tokens)
    assert posterior.mu.shape == posterior.sigma.shape == (3, shape.z)
    assert bool((posterior.sigma > 0).all())
    assert not torch.allclose(model.encode(tokens.flip(1)).mu, posterior.mu)


def test_chained_bars_start_with_the_last_token_of_the_bar_before_and_others_from_the_conductor_alone():
    shape, z = SHAPES["conductor"], torch.randn(1, 4)
    for chained in (True, False):
        model = build(shape, chained=chained)
        decoded = model.decode(z, 12, temperature=0, noise=Noise(0))
        plans = model.decoder.plans(z)[0]
        # bars that know nothing of each other are decoded side by side, and so they are here: with fewer rows
        # rounding might turn a token
        bars, first = (plans[1:2], decoded[:, 3]) if chained else (plans, torch.full((3, 1), -1))
        alone = model.decoder.core.decode(bars, first, torch.zeros(len(bars), 4, 0), torch.zeros(len(bars), 4, 9))
        assert torch.equal(decoded[:, 4:8], alone if chained else alone[1:2])


def test_a_bar_of_a_parallel_hierarchy_knows_nothing_of_the_bar_before():
    model, tokens = build(SHAPES["conductor"]), tokens_for(SHAPES["conductor"], 1)
    other = tokens.clone()
    other[:, 3] = (other[:, 3] + 1) % 9

    def nats(chained, each):
        model.decoder.chained = chained
        first, control = torch.full((1, 1), -1), torch.zeros(1, 12, 0)
        return float(model.decoder.loss(torch.ones(1, 4), each, first, control, TRUTH))

    first_bar = [nats(False, each) for each in (tokens, other)]
    assert first_bar[0] != first_bar[1]  # the token itself has another probability
    chained = [nats(True, each) for each in (tokens, other)]
    assert chained[0] - chained[1] != pytest.approx(first_bar[0] - first_bar[1], abs=1e-6)


def test_parts_of_a_split_decoder_do_not_hear_each_other():
    model, tokens = build(TRIO), tokens_for(TRIO, 1)
    louder = tokens.clone()
    louder[..., 2] = (louder[..., 2] + 1) % 7
    z, control = torch.ones(1, 4), torch.zeros(1, 4, 0)
    plans = model.decoder.plans(z)[:, 0]
    melody = model.decoder.core.parts[0]
    nats = [
        float(melody.loss(plans, each[:, :4, :1], torch.full((1, 1), -1), control, TRUTH))
        for each in (tokens, louder)
    ]
    assert nats[0] == nats[1]


def test_a_track_is_read_as_far_as_it_goes():
    shape = SequenceShape(
        alphabet=(9,), z=4, encoder=(8, 8), encoder_levels=(4, 3), decoder=(8,), conductor=(8,), levels=(3, 4)
    )
    model, tokens = build(shape), tokens_for(shape)
    tokens[:, 2:4] = -1
    level = model.encoder.levels[0]
    _, (h, _) = level(one_hot(tokens[:, :2], (9,)))
    short = torch.cat([h[0], h[1]], dim=-1)
    rest = [torch.cat(list(level(one_hot(tokens[:, k : k + 4], (9,)))[1][0]), dim=-1) for k in (4, 8)]
    _, (h, _) = model.encoder.levels[1](torch.stack([short, *rest], dim=1))
    assert torch.allclose(model.encode(tokens).mu, model.encoder.mu(torch.cat([h[0], h[1]], dim=-1)), atol=1e-6)


def test_the_control_of_a_step_is_heard_and_followed():
    model, tokens = build(SHAPES["control"]), tokens_for(SHAPES["control"], 1)
    chords = torch.zeros(1, 12, dtype=torch.long)
    other = chords + 1
    assert not torch.allclose(model.encode(tokens, chords).mu, model.encode(tokens, other).mu)
    z = torch.randn(8, 4)
    one, two = (
        model.decode(z, 12, control=each.expand(8, -1), temperature=0, noise=Noise(0)) for each in (chords, other)
    )
    assert not torch.equal(one, two)


def test_the_probabilities_of_all_sets_of_a_nade_add_up_to_one():
    torch.manual_seed(0)
    nade, biases = Nade(4, 6), torch.randn(10)
    every = to_bits(torch.arange(16), 4)
    assert float(torch.exp(-nade.nats(biases.expand(16, -1), every)).sum().detach()) == pytest.approx(1)
    assert to_sets(every).tolist() == list(range(16))


def test_sampling_what_it_says_itself_costs_about_as_much_and_still_learns():
    model = build(MELODY).requires_grad_(True)
    tokens, given = tokens_for(MELODY), {"beta": 0.2, "free_bits": 0, "noise": torch.zeros(3, 4)}
    loss = model.loss(tokens, **given, feeding=Feeding(sampling=0.5))
    torch.autograd.backward(loss["total"])
    assert all(parameter.grad is not None for parameter in model.parameters())
    true = model.loss(tokens, **given)
    assert float(loss["tokens"].detach()) != float(true["tokens"].detach())


@pytest.mark.parametrize("name", TOKENS)
def test_every_configuration_learns_one_batch_by_heart(name):
    config = find_config(name)
    shape = replace(config.shape, **small(config) | {"z": 16})
    torch.manual_seed(0)
    model = MusicVae(shape)
    steps = {"trio": 256, "multitrack": 512}.get(config.representation, 16 * config.recipe.bars[0])
    tokens = tokens_for(shape, 2, steps) % 4
    control = torch.zeros(2, steps, dtype=torch.long) if shape.control else None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    nats = []
    for _ in range(12 if steps > 100 else 40):
        loss = model.loss(tokens, control=control, beta=0, free_bits=0, noise=torch.zeros(2, 16))
        optimizer.zero_grad()
        torch.autograd.backward(loss["total"])
        optimizer.step()
        nats.append(float(loss["tokens"].detach()))
    assert nats[-1] < 0.6 * nats[0]


@pytest.mark.parametrize("chained", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_weights_that_are_kept_for_decoding_decode_the_same_and_are_there_once(shape, chained):
    model, z = build(shape, chained=chained), torch.randn(2, shape.z)
    size = kept_bytes(model)
    before = model.decode(z, 12, temperature=1, noise=Noise(1))
    model.keep_for_decoding()
    assert torch.equal(model.decode(z, 12, temperature=1, noise=Noise(1)), before)
    assert kept_bytes(model) <= size


def kept_bytes(model: MusicVae) -> int:
    """The bytes of all tensors that the modules of a model hold, each counted once."""
    kept = [tensor for module in model.modules() for tensor in tensors_in(vars(module))]
    return sum({each.data_ptr(): each.nbytes() for each in (tensor.untyped_storage() for tensor in kept)}.values())


def tensors_in(held: object) -> Iterator[torch.Tensor]:
    """The tensors in nested dictionaries, lists and tuples."""
    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, dict | list | tuple):
        for each in held.values() if isinstance(held, dict) else held:
            yield from tensors_in(each)
