"""The negative log likelihood of played offsets and velocities under a model, in nats a hit, over its bins.

p(played | hits) = E[p(played | hits, z)] over the z that humanize samples; the mean over a few samples gives an
upper bound of the nats. The same with all earlier hits hidden shows what modelling them jointly gains.
"""

import math
from dataclasses import dataclass

import torch

from engine.data.windows import Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, mean
from engine.model import tasks
from engine.model.drummer_decoder import DrummerDecoder
from engine.model.noise import Noise
from engine.representation.groove import HITS
from engine.verbs.resident import GrooveResident

DRAWS = 8


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Nats a hit of its offset, and of its velocity given that; together joint, and each hit on its own."""

    joint: Interval
    alone: Interval


@torch.inference_mode()
def likelihood_of(resident: GrooveResident, windows: Windows) -> Likelihood:
    """The negative log likelihood of how the hits of windows were played, given the hits."""
    decoder = resident.model.decoder
    assert isinstance(decoder, DrummerDecoder)
    nats: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for first in range(0, len(windows), 256):
        part = slice(first, first + 256)
        groove = torch.from_numpy(windows.grooves[part]).to(resident.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[part]).to(resident.device)
        example = tasks.humanize(groove, tasks.nothing_given(groove, tempo_bpm))
        for alone, rows in nats.items():
            noise, draws = Noise(first, device=resident.device), []
            for _ in range(DRAWS):
                z = resident.encode(example.encoder_input, hits_given=True, temperature=1.0, noise=noise)[:, 0]
                losses = decoder.loss(z, groove, example.given, hidden_share=float(alone))
                draws.append(-losses["offset"] - losses["velocity"])
            rows.append(math.log(DRAWS) - torch.logsumexp(torch.stack(draws), dim=0))
    bootstrap, hits = Bootstrap(windows.performance), windows.grooves[..., HITS].sum(axis=(1, 2))
    joint, alone_nats = (bootstrap.of_sums(mean, torch.cat(nats[key]).cpu().numpy(), hits) for key in (False, True))
    return Likelihood(joint, alone_nats)
