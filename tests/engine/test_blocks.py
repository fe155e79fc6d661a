"""The numbers of a row are the same bits alone and in any company, in any order."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.model import tasks
from engine.model.blocks import ROWS, Laid, in_blocks, product
from engine.model.lstm import Lstm, heard
from engine.model.noise import Noise
from engine.model.stepping import BlockHead, Stepper
from engine.model.vae import Vae
from engine.pausing import letting_first
from engine.registry import CONFIGS

STEPS = 20


@pytest.fixture(scope="module")
def drummer():
    torch.manual_seed(0)
    return Vae(CONFIGS["drummer"].shape).eval()


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def same_bits(one, other):
    return torch.equal(one.contiguous().view(torch.int32), other.contiguous().view(torch.int32))


sizes = st.sampled_from([5, 22, 59, 192, 278])
orders = st.integers(1, 19).flatmap(lambda rows: st.permutations(range(rows)))


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from([3, 32, 129, 512, 1024]), orders)  # the largest is cut into columns
def test_a_product(read, said, order):
    torch.manual_seed(len(order))
    layer, rows = nn.Linear(read, said), torch.randn(len(order), read)
    weights = Laid(layer)()
    together = product(rows[list(order)], *weights)
    for place, row in enumerate(order):
        assert same_bits(product(rows[row : row + 1], *weights)[0], together[place])
    torch.testing.assert_close(together, layer(rows[list(order)]))


@settings(max_examples=15, deadline=None)
@given(orders)
def test_a_network(order):
    torch.manual_seed(len(order))
    lstm, rows = nn.LSTM(9, 32, batch_first=True, bidirectional=True), torch.randn(len(order), STEPS, 9)

    def network(part):
        assert len(part) == ROWS
        return lstm(part)[0]

    together = in_blocks(network, rows[list(order)])
    for place, row in enumerate(order):
        assert same_bits(in_blocks(network, rows[row : row + 1])[0], together[place])


@settings(max_examples=15, deadline=None)
@given(orders)
def test_steps(order):
    torch.manual_seed(len(order))
    lstm, head, rows = Lstm(6 + 5, 48), Laid(nn.Linear(48, 33)), torch.randn(len(order), STEPS, 6 + 5)

    def stepped(part):
        state = [(torch.zeros(len(part), 48), torch.zeros(len(part), 48))]
        stepper, said = Stepper(lstm, 5, state, blocks=True), []
        last, gates = BlockHead(head()[0], stepper.top_in_blocks(), len(part)), torch.zeros(len(part), 4 * 48)
        for step in range(STEPS):
            stepper.fed[...] = part[:, step, :5].numpy()
            stepper.step(gates)
            said.append(last(head()[1].numpy()).copy())
        return torch.from_numpy(np.stack(said, axis=1))

    together = stepped(rows[list(order)])
    for place, row in enumerate(order):
        assert same_bits(stepped(rows[row : row + 1])[0], together[place])


@pytest.mark.parametrize(("rows", "steps"), [(1, 700), (3, 300), (2, 5)])
def test_a_long_sequence_is_heard_in_stretches_as_at_once(rows, steps):
    torch.manual_seed(rows)
    lstm, inputs, looks = nn.LSTM(9, 32, batch_first=True, bidirectional=True), torch.randn(rows, steps, 9), []
    with letting_first(lambda: looks.append(1)):
        said = heard(lstm, inputs)
    torch.testing.assert_close(said, lstm(inputs)[0])
    assert len(looks) >= 2 * (rows * steps // 256)


def groove(rows):
    torch.manual_seed(1)
    hits = (torch.rand(rows, STEPS, 9) < torch.linspace(0.05, 0.5, rows)[:, None, None]).float()
    return torch.cat([hits, hits * torch.rand(rows, STEPS, 9), hits * (torch.rand(rows, STEPS, 9) - 0.5)], dim=-1)


@settings(max_examples=12, deadline=None)
@given(st.data())
@pytest.mark.parametrize("hits", ["given", "drawn"])
@pytest.mark.parametrize("draws", [1, 3])
def test_what_a_drummer_decodes(drummer, hits, draws, data):
    """With numbers of hits, tempos, temperatures and given timing of their own."""
    if hits == "drawn":
        draws = 1
    order = data.draw(st.integers(1, 9).flatmap(lambda rows: st.permutations(range(rows))))
    rows, z = groove(9), torch.randn(9, 1, CONFIGS["drummer"].shape.z, generator=torch.Generator().manual_seed(2))
    known = tasks.nothing_given(rows, torch.linspace(90, 160, 9), 16)
    timing = (torch.rand(9, STEPS, 9, generator=torch.Generator().manual_seed(3)) < 0.3).float()
    timing[:, :4] = 1
    if hits == "given":
        known = tasks.partial(rows, known, torch.Generator().manual_seed(4)).given
        known.timing_given[...] = timing
    temperature = torch.linspace(0.5, 1.2, 9)[:, None, None]

    def decoded(part):
        noise = Noise([100 + int(row) for row in part])
        path = z[part].expand(-1, STEPS, -1)
        return drummer.decode(path, known.rows(part), temperature=temperature[part], noise=noise, draws=draws)

    together = decoded(torch.tensor(order)).unflatten(0, (len(order), draws))
    for place, row in enumerate(order):
        assert same_bits(decoded(torch.tensor([row])), together[place])


@settings(max_examples=10, deadline=None)
@given(orders)
def test_what_a_drummer_expects(drummer, order):
    rows = groove(19)
    known = tasks.humanize(rows, tasks.nothing_given(rows, torch.full((19,), 120.0), 16)).given
    z = torch.randn(19, 1, CONFIGS["drummer"].shape.z, generator=torch.Generator().manual_seed(2))

    def decoded(part):
        path = z[part].expand(-1, STEPS, -1)
        return drummer.decode(path, known.rows(part), temperature=0.0, noise=Noise(1))

    together = decoded(torch.tensor(order))
    for place, row in enumerate(order):
        assert same_bits(decoded(torch.tensor([row]))[0], together[place])
