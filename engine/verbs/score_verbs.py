"""Sound that goes on: the end of a file as a score, the score that comes next, and what that sounds like.

Nothing stays in memory; knows no clips.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from engine.audio.files import RATE, Samples, Sound, blocks_of, read_sound, write_sound
from engine.audio.spectrogram import (
    FRAME,
    FRAME_COLUMNS,
    HOP,
    LOUDNESS,
    SCALE_DB,
    from_frames,
    loudness_of,
    to_frames,
    to_levels,
    to_samples,
)
from engine.errors import AudioError, ModelError
from engine.model.noise import Noise
from engine.model.score.vae import ScoreShape, ScoreVae
from engine.registry import configure
from engine.requests import MAX_SEED, ContinueSound, Results
from engine.verbs.resident import give_tensors
from engine.weights import Library

BLOCK_FRAMES = 40
"""So much is made sound of at a time, so that an hour takes no more memory."""

KEPT_HOPS = 16
"""So much of the sound before is heard where phases are looked for."""

CLIPPED_SHARE = 0.001

MOST_LOST = 1.0
"""20 dB: so much at most is given back to a band."""

REST_LEVELS = 1.0
"""20 dB: a stretch that is so much quieter than the middle one is a rest, which would go on without end."""


def continue_sound(library: Library, request: ContinueSound) -> Results:
    """Write what comes after a file; AudioError, ModelError or WeightsError where that cannot be.

    The model hears the last 10 s, as one side at its rate and at a loudness of its own; less is repeated until it
    is so much.
    """
    began = time.perf_counter()
    torch.set_num_threads(1)  # what it multiplies is small: on a busy machine threads wait for each other
    name, model = load_score(library, request.model)
    seed = int(np.random.default_rng().integers(MAX_SEED + 1)) if request.seed is None else request.seed
    heard = read_sound(request.path, last_seconds=model.shape.past * FRAME / RATE)
    past, remarks = heard_past(heard, model.shape.past)
    samples = round(request.seconds * RATE)
    new = go_on(model, past, samples, seed=seed, temperature=request.temperature)
    blocks = chain(blocks_of(request.path) if request.append else (), new)
    write_sound(_unless(request.given_up, blocks), request.to)
    ms = (time.perf_counter() - began) * 1000
    return Results((), name, seed, ms, remarks=remarks, facts=(("seconds", request.seconds),))


def _unless(given_up: Callable[[], bool], blocks: Iterable[Samples]) -> Iterator[Samples]:
    for block in blocks:
        if given_up():
            raise AudioError("the sound was given up")
        yield block


def load_score(library: Library, name: str | None = None) -> tuple[str, ScoreVae]:
    """The model of sound of that name, else `score`, else any; ModelError where it is none, or there is none."""
    able = [each for each, card in library.cards.items() if card.family == "score"]
    if name is None and not able:
        raise ModelError("there is no model of sound; `vaebridge train score --data FOLDER` makes one")
    name = name or ("score" if "score" in able else able[0])
    shape = configure(library.card(name)).shape
    if not isinstance(shape, ScoreShape):
        raise ModelError(f"{name} makes clips, no sound; models of sound are: {', '.join(able) or 'none'}")
    tensors = {key: each.float() for key, each in library.tensors(name).items() if not key.startswith("prior.")}
    model = ScoreVae(shape)
    give_tensors(name, model, tensors)
    return name, model


def heard_past(heard: Sound, frames: int) -> tuple[Samples, tuple[str, ...]]:
    """The end of a sound as so many frames, and what is to be said of it; AudioError where it has nothing."""
    samples, remarks = heard.samples, []
    if len(samples) < FRAME:
        raise AudioError(f"the sound lasts {len(samples) / RATE:.2f} s: 0.25 s or more are needed to go on from")
    if not loudness_of(samples):
        raise AudioError(f"the last {len(samples) / RATE:.3g} s of the sound are silent: nothing to go on from")
    if heard.truncated:
        remarks.append("the file lacks its end, and is heard as far as it goes")
    if heard.clipped > CLIPPED_SHARE:
        remarks.append(f"{heard.clipped:.1%} of its samples are clipped, and heard as they are")
    if heard.rate < RATE:
        remarks.append(f"it has {heard.rate} samples a second: nothing above {heard.rate // 2} Hz is heard")
    if len(samples) < frames * FRAME:
        wanted = frames * FRAME / RATE
        there = math.floor(len(samples) / RATE * 100) / 100  # 9.999 s are not 10
        remarks.append(f"{there:g} s were repeated until they were the {wanted:g} s that are heard")
        samples = np.tile(samples, math.ceil(frames * FRAME / len(samples)))
    return samples[-frames * FRAME :], tuple(remarks)


@torch.inference_mode()
def go_on(model: ScoreVae, past: Samples, samples: int, *, seed: int, temperature: float) -> Iterator[Samples]:
    """So many samples after the past, in blocks; the same seed gives the same."""
    loudness = LOUDNESS / loudness_of(past)
    kept, turns = torch.from_numpy(past * np.float32(loudness)), torch.Generator().manual_seed(seed)
    heard = to_levels(kept)[:, : len(kept) // HOP]
    frames, lost = foresee(model, heard, Noise(seed), temperature), lost_levels(model, heard)
    ahead = next(frames)
    for first in range(0, samples, BLOCK_FRAMES * FRAME):
        count = min(BLOCK_FRAMES, math.ceil((samples - first) / FRAME))
        block = torch.stack([ahead, *(next(frames) for _ in range(count))])
        ahead, levels = block[-1], from_frames(model.decoder(block)) + lost
        kept = to_samples(levels, kept[-KEPT_HOPS * HOP :], turns)[: count * FRAME]
        yield (kept / loudness).numpy()[: samples - first]


def lost_levels(model: ScoreVae, levels: Tensor) -> Tensor:
    """How much less power each band of levels (band, column) has as the model plays it back: (band, 1).

    A decoder of means blurs what it is not sure of, and what is blurred is quieter.
    """
    back = from_frames(model.decoder(model.encoder(to_frames(levels)).mu))
    heard, played = ((10 ** (each * SCALE_DB / 10)).mean(dim=1, keepdim=True) for each in (levels, back))
    return (10 * torch.log10(heard / played) / SCALE_DB).clamp(-MOST_LOST, MOST_LOST)


def foresee(model: ScoreVae, levels: Tensor, noise: Noise, temperature: float) -> Iterator[Tensor]:
    """The frames that come after levels (band, column), one after the other, each (z,), without end.

    What a predictor expects of each number is a normal distribution: drawn from it, sound is a mist. So of the
    stretches that were heard one is taken, by what its frames cost on average: at temperature 0 the likeliest.
    """
    score, stretches = model.encoder(to_frames(levels)).mu, stretches_of(model, levels)
    while True:
        nats = model.predictor(score[None]).nats(stretches).mean(dim=1)
        taken = stretches[(temperature * noise.gumbel(1, len(nats))[0] - nats).argmax()]
        yield from taken
        score = torch.cat([score, taken])[-len(score) :]


def stretches_of(model: ScoreVae, levels: Tensor) -> Tensor:
    """What is as long as a predictor foresees, from each 1/16 s on, but for rests: (stretch, future, z)."""
    scores, loudness = [], []
    for shift in range(0, FRAME_COLUMNS, FRAME_COLUMNS // 4):
        frames = to_frames(levels[:, shift:])
        scores.append(model.encoder(frames).mu.unfold(0, model.shape.future, 1).transpose(1, 2))
        loudness.append(frames.amax(dim=1).mean(dim=1).unfold(0, model.shape.future, 1).mean(dim=1))
    each, level = torch.cat(scores), torch.cat(loudness)
    return each[level >= level.median() - REST_LEVELS]
