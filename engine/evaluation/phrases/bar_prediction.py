"""How well the z of the next bars follow from those so far: an LSTM and convolutions of the same size."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.drum_songs import DrumSong
from engine.evaluation.bootstrap import Bootstrap, Interval, mean
from engine.evaluation.phrases.judge import parted
from engine.evaluation.phrases.samples import condition_of, cut_phrases
from engine.verbs.resident import PhraseResident

PAST, NEXT, BACK = 40, 5, 4
"""Bars that are read, that are predicted, and how many before those one is that may come again."""

HIDDEN, CHANNELS, KERNEL, DILATIONS = 96, 68, 5, (1, 3, 8)
BATCH, RATE, PATIENCE = 64, 2e-3, 3

MOST = 64
"""Windows of a song, of which most are alike."""

CHOOSING = 0.15
"""The share of the train pieces by which training is stopped."""

Array = NDArray[np.float32]


class LstmPredictor(nn.Module):
    """Reads the past bar by bar; its last state says the next."""

    def __init__(self, z: int):
        super().__init__()
        self.lstm = nn.LSTM(z, HIDDEN, batch_first=True)
        self.next = nn.Linear(HIDDEN, NEXT * z)

    def forward(self, past: Tensor) -> Tensor:
        """(batch, 40, z) -> (batch, 5, z)."""
        states, _ = self.lstm(past)
        return self.next(states[:, -1]).view(len(past), NEXT, -1)  # type: ignore[no-any-return]


class ConvPredictor(nn.Module):
    """Convolutions, of which the last sees all 40 bars."""

    def __init__(self, z: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(CHANNELS if layer else z, CHANNELS, KERNEL, dilation=dilation)
            for layer, dilation in enumerate(DILATIONS)
        )
        self.next = nn.Linear(CHANNELS, NEXT * z)

    def forward(self, past: Tensor) -> Tensor:
        """(batch, 40, z) -> (batch, 5, z)."""
        states = past.transpose(1, 2)
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            states = F.relu(layer(F.pad(states, ((KERNEL - 1) * dilation, 0))))
        return self.next(states[:, :, -1]).view(len(past), NEXT, -1)  # type: ignore[no-any-return]


def bar_prediction_of(
    resident: PhraseResident, train: Sequence[DrumSong], ask: Sequence[DrumSong], *, epochs: int
) -> dict[str, tuple[Interval, int]]:
    """The mean squared error in mu of the next bars, and how many weights each predictor has.

    Empty where no song of both is long enough.
    """
    (known, pieces), (asked, asked_pieces) = _windows(resident, train), _windows(resident, ask)
    if len(np.unique(pieces)) < 2 or not len(asked):
        return {}
    bootstrap, z = Bootstrap(asked_pieces), known.shape[2]

    def error(predicted: Array) -> Interval:
        squared = ((asked[:, PAST:] - predicted) ** 2).mean(axis=(1, 2))
        return bootstrap.of_sums(mean, squared, np.ones(len(asked)))

    again = asked[:, PAST - BACK + np.arange(NEXT) % BACK]
    found = {"their mean": (error(known.mean(axis=(0, 1))), 0), f"the bar {BACK} before": (error(again), 0)}
    for name, network in (("LSTM", LstmPredictor), ("Conv1D", ConvPredictor)):
        model = trained(network, torch.from_numpy(known), pieces, z, epochs)
        with torch.no_grad():
            predicted = model(torch.from_numpy(asked[:, :PAST])).numpy()
        found[name] = error(predicted), sum(each.numel() for each in model.parameters())
    return found


def trained(
    network: Callable[[int], nn.Module], known: Tensor, pieces: NDArray[np.int64], z: int, epochs: int
) -> nn.Module:
    """A predictor as it was when it predicted other pieces best."""
    torch.manual_seed(0)
    choosing, learning = parted(pieces, CHOOSING, seed=0)
    model, best, since = network(z), float("inf"), 0
    state, optimizer = model.state_dict(), torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-2)

    def loss(rows: Tensor) -> Tensor:
        return F.mse_loss(model(known[rows, :PAST]), known[rows, PAST:])

    for _ in range(epochs):
        for order in torch.split(torch.randperm(len(learning)), BATCH):
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss(torch.from_numpy(learning)[order]))
            optimizer.step()
        with torch.no_grad():
            error = float(loss(torch.from_numpy(choosing)))
        since += 1
        if error < best:
            best, state, since = error, copy.deepcopy(model.state_dict()), 0
        if since >= PATIENCE:
            break
    model.load_state_dict(state)
    return model


@torch.no_grad()
def _windows(resident: PhraseResident, songs: Sequence[DrumSong]) -> tuple[Array, NDArray[np.int64]]:
    """The mu of the bars of all stretches of 45 bars, (window, 45, z), and which song each is of."""
    phrases = cut_phrases(songs, PAST + NEXT, most=MOST)
    encoder = resident.model.bar_encoder
    rows = [encoder(condition_of(resident, part)).mu.cpu().numpy() for part in phrases.parts()]
    return np.concatenate(rows) if rows else np.zeros((0, PAST + NEXT, 1), np.float32), phrases.piece
