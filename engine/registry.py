"""Every named configuration, once: the network, what it is trained on, and what it can then do.

drummer, melody_2bar and drums_2bar are our own. The other rows are the published ones: GrooVAE, Gillick et al.
2019, arXiv 1905.06118; MusicVAE, Roberts et al. 2018, arXiv 1803.05428; multitrack, Simon et al. 2018, 1806.00195.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.errors import ModelError, WeightsError
from engine.model.band.vae import BandShape
from engine.model.musicvae import SequenceShape
from engine.model.phrases.vae import PhraseShape
from engine.model.score.vae import ScoreShape
from engine.model.vae import GrooveShape
from engine.requests import VERBS
from engine.weights import Card


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a configuration is trained.

    free_bits, beta weigh the divergence of the pattern, or of all of z, and feel_bits, feel_beta that of the feel,
    or of each bar's z;
    joined_bars, tempo_spread and silent_drums are shares, see engine.data.augmentation.
    averaged: the share by which a running mean of the weights, which is kept in their place, goes on at each step.
    step_temperature, opening_temperature: how phrases are drawn, see Card.
    second: how what is trained after the rest is: a drummer's expectations, a prior of phrases.
    third: how a decoder then learns from what it draws; its tasks are verbs, see engine.learning.drawing.
    bars: window lengths, a batch has one of them. tasks: names in engine.model.tasks with their share of batches.
    The learning rate falls from peak to floor by `decay` a step, or on a cosine over the run where decay is 0.
    beta_rate: beta grows as 1 - beta_rate^step. sampling_steps: k of the inverse sigmoid by which scheduled
    sampling grows, 0 for none. hidden_past: the share of steps that are not fed the token before. transpose: by up
    to so many semitones each way.
    """

    bars: tuple[int, ...]
    tasks: dict[str, float] = field(default_factory=dict)
    batch: int = 512
    epochs: int = 50
    free_bits: float = 48
    beta: float = 0.2
    beta_rate: float = 0
    sampling_steps: float = 0
    hidden_past: float = 0
    transpose: int = 0
    feel_bits: float = 0
    feel_beta: float = 0
    joined_bars: float = 0
    tempo_spread: float = 0
    silent_drums: float = 0
    rate_peak: float = 1e-3
    rate_floor: float = 1e-5
    decay: float = 0.9999
    clip_norm: float = 1.0
    averaged: float = 0
    step_temperature: float = 1.0
    opening_temperature: float = 1.0
    second: "Recipe | None" = None
    third: "Recipe | None" = None


Shape = GrooveShape | SequenceShape | PhraseShape | BandShape | ScoreShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One named configuration. representation: what its clips become, groove or a name of engine.representation."""

    name: str
    family: str
    representation: str
    shape: Shape
    recipe: Recipe

    @property
    def stages(self) -> list[Recipe]:
        """The recipes of its training, one after the other."""
        later = (self.recipe.second, self.recipe.third)
        return [self.recipe, *(recipe for recipe in later if recipe)]

    @property
    def verbs(self) -> tuple[str, ...]:
        """What weights of it can do, by what they have learnt; models of tokens learn to autoencode alone.

        A model of sound does nothing with clips.
        """
        if isinstance(self.shape, ScoreShape):
            return ()
        learnt = self.recipe.tasks or {"autoencode": 1.0}
        return tuple(
            verb
            for verb, kind in VERBS.items()
            if not kind.learnt_by or any(task in learnt for task in kind.learnt_by)
        )


_GROOVE_SHAPE = GrooveShape(
    encoder_hidden=512, decoder="groove", decoder_hidden=256, decoder_layers=2, z=256, dropout=0.7
)


def _groovae(name: str, bars: int, task: str, *, hits_control: bool = False) -> Config:
    shape = replace(_GROOVE_SHAPE, hits_control=hits_control)
    recipe = Recipe(bars=(bars,), tasks={task: 1.0})
    return Config(name=name, family="groovae", representation="groove", shape=shape, recipe=recipe)


MELODY, SUBSETS, DRUMS, KIT = 90, 512, 9, 61
MULTITRACK, TRACKS, EVENTS = 490, 8, 64
CHORDS = 49

BARS = (16, 16)
"""The levels of a hierarchy over 16 bars of 16 steps, from either end."""


def _musicvae(name: str, representation: str, shape: SequenceShape, **recipe: Any) -> Config:
    return Config(name=name, family="musicvae", representation=representation, shape=shape, recipe=Recipe(**recipe))


def _two_bars(
    name: str, representation: str, alphabet: int, encoder: int, decoder: tuple[int, ...], z: int, **more: Any
) -> Config:
    """A flat model of two bars; more is of the shape (roll, nade, control, plan) or of the recipe."""
    shape = {key: more.pop(key) for key in ("roll", "nade", "control", "plan") if key in more}
    sizes = SequenceShape(alphabet=(alphabet,), z=z, encoder=(encoder,), decoder=decoder, **shape)
    return _musicvae(name, representation, sizes, bars=(2,), **more)


def _melody_2bar(name: str, encoder: int, decoder: tuple[int, ...], z: int, **recipe: Any) -> Config:
    settings = {"free_bits": 0, "beta_rate": 0.99999, "sampling_steps": 1000, "transpose": 5} | recipe
    return _two_bars(name, "melody", MELODY, encoder, decoder, z, **settings)


def _drums_2bar(name: str, encoder: int, decoder: tuple[int, ...], *, nade: int = 0, drums: int = DRUMS) -> Config:
    z = decoder[0] if decoder[0] < 512 else 256 if nade else 512
    representation, alphabet = ("kit" if drums == KIT else "drums"), drums if nade else SUBSETS
    return _two_bars(name, representation, alphabet, encoder, decoder, z, roll=True, nade=nade, sampling_steps=1000)


def _sixteen_bars(kind: str, representation: str, alphabet: tuple[int, ...]) -> Config:
    """flat, a conductor (hierdec), or levels on both sides (hier); batch and weights as released."""
    is_trio, hierarchy = len(alphabet) > 1, kind != "flat"
    shape = SequenceShape(
        alphabet=alphabet,
        z=512,
        encoder=(1024, 1024) if kind == "hier" else (2048, 2048),
        encoder_levels=BARS if kind == "hier" else (),
        decoder=(1024, 1024) if hierarchy else (2048, 2048, 2048),
        conductor=(1024, 1024) if hierarchy else (),
        levels=BARS if hierarchy else (),
        split=is_trio and hierarchy,
    )
    weights = {"free_bits": 0, "beta": 1} if is_trio and not hierarchy else {"free_bits": 256}
    short = "mel" if representation == "melody" else representation
    name, batch = f"{kind}-{short}_16bar", 256 if is_trio else 512
    return _musicvae(name, representation, shape, bars=(16,), batch=batch, **weights)


def _multitrack(name: str, encoder: int, decoder: int, *, chords: bool) -> Config:
    shape = SequenceShape(
        alphabet=(MULTITRACK,),
        z=512,
        encoder=(encoder, encoder),
        encoder_levels=(EVENTS, TRACKS),
        decoder=(decoder,) * 3,
        conductor=(decoder,) * 3,
        levels=(TRACKS, EVENTS),
        control=CHORDS if chords else 0,
    )
    return _musicvae(name, "multitrack", shape, bars=(1,), batch=256, free_bits=0, beta=1, transpose=3)


def _score(name: str, predictor: Literal["lstm", "conv"]) -> Config:
    """A model of sound; of one seed both predictors follow the same VAE."""
    recipe = Recipe(
        bars=(45,),
        batch=128,
        epochs=16,
        free_bits=0,
        beta=1,
        rate_peak=2e-3,
        decay=0,
        second=Recipe(bars=(45,), batch=128, epochs=12, decay=0),
    )
    shape = ScoreShape(predictor=predictor)
    return Config(name=name, family="score", representation="sound", shape=shape, recipe=recipe)


_MODEST: dict[str, Any] = {
    "plan": (32, 32),
    "batch": 128,
    "epochs": 12,
    "free_bits": 64,
    "beta_rate": 0,
    "sampling_steps": 0,
    "hidden_past": 0.5,
    "rate_peak": 2e-3,
    "decay": 0,
}
"""What our own small models have beyond the published ones, and how they are trained."""

CONFIGS: dict[str, Config] = {
    config.name: config
    for config in (
        Config(
            name="drummer",
            family="groovae",
            representation="groove",
            shape=GrooveShape(
                encoder_hidden=256,
                decoder="drummer",
                decoder_hidden=256,
                decoder_layers=1,
                performer_hidden=192,
                context=128,
                z=128,
                feel=32,
                dropout=0.25,
            ),
            recipe=Recipe(
                bars=(2, 4),
                tasks={
                    "humanize": 0.26,
                    "partial": 0.1,
                    "transfer": 0.08,
                    "same_feel": 0.18,
                    "autoencode": 0.18,
                    "tap": 0.1,
                    "fill": 0.1,
                },
                batch=64,
                epochs=20,
                feel_bits=16,
                feel_beta=0.5,
                decay=0,
                second=Recipe(
                    bars=(2,),
                    tasks={"humanize": 0.7, "partial": 0.06, "transfer": 0.12, "same_feel": 0.12},
                    batch=128,
                    epochs=12,
                    joined_bars=0.5,
                    tempo_spread=0.03,
                    silent_drums=0.06,
                    decay=0,
                ),
            ),
        ),
        Config(
            name="drums_16bar",
            family="phrase",
            representation="phrase",
            shape=PhraseShape(),
            recipe=Recipe(
                bars=(4, 8, 8, 16, 16, 16),
                tasks={
                    "autoencode": 0.45,
                    "continue": 0.12,
                    "infill": 0.15,
                    "drums": 0.1,
                    "vary": 0.06,
                    "tap": 0.12,
                },
                batch=32,
                epochs=18,
                free_bits=20,
                beta=0.3,
                feel_bits=29,
                feel_beta=0.2,
                step_temperature=0.92,
                rate_peak=2e-3,
                decay=0,
                second=Recipe(
                    bars=(4, 8, 16),
                    tasks={"autoencode": 0.4, "continue": 0.2, "infill": 0.15, "drums": 0.1, "tap": 0.15},
                    batch=64,
                    epochs=18,
                    decay=0,
                ),
                third=Recipe(
                    bars=(8,),
                    tasks={"sample": 0.6, "drumify": 0.2, "vary": 0.2},
                    batch=128,
                    epochs=8,
                    averaged=0.03,
                    step_temperature=0.92,
                    rate_peak=1e-4,
                    decay=0,
                ),
            ),
        ),
        Config(
            name="trio_16bar",
            family="band",
            representation="band",
            shape=BandShape(),
            recipe=Recipe(
                bars=(8, 16, 16),
                tasks={"autoencode": 0.25, "accompany": 0.3, "continue": 0.18, "infill": 0.17, "vary": 0.1},
                batch=32,
                epochs=9,
                free_bits=26,
                beta=0.3,
                feel_bits=28,
                feel_beta=0.25,
                step_temperature=0.94,
                rate_peak=2e-3,
                decay=0,
                second=Recipe(
                    bars=(8, 16, 16),
                    tasks={"autoencode": 0.22, "accompany": 0.36, "continue": 0.16, "infill": 0.14, "vary": 0.12},
                    batch=32,
                    epochs=5,
                    free_bits=26,
                    beta=0.3,
                    feel_bits=34,
                    feel_beta=0.25,
                    rate_peak=1.2e-3,
                    decay=0,
                ),
                third=Recipe(
                    bars=(8,),
                    tasks={"sample": 0.6, "accompany": 0.4},
                    batch=96,
                    epochs=2,
                    averaged=0.03,
                    step_temperature=0.94,
                    rate_peak=1e-4,
                    decay=0,
                ),
            ),
        ),
        _score("score", "lstm"),
        _score("score_conv", "conv"),
        _groovae("groovae_4bar", 4, "autoencode"),
        _groovae("groovae_2bar_humanize", 2, "humanize"),
        _groovae("groovae_2bar_hits_control", 2, "transfer", hits_control=True),
        _groovae("groovae_2bar_tap_fixed_velocity", 2, "tap_fixed_velocity"),
        _groovae("groovae_2bar_tap_fixed_velocity_note_dropout", 2, "tap_fixed_velocity_note_dropout"),
        _groovae("groovae_2bar_add_closed_hh", 2, "add_closed_hat"),
        _melody_2bar("melody_2bar", 256, (256, 256), 128, **_MODEST | {"epochs": 10, "free_bits": 48}),
        _two_bars(
            "drums_2bar",
            "drums",
            SUBSETS,
            256,
            (256, 256),
            128,
            roll=True,
            **_MODEST | {"epochs": 32},
        ),
        _melody_2bar("cat-mel_2bar_small", 512, (256, 256), 256),
        _melody_2bar("cat-mel_2bar_big", 2048, (2048, 2048, 2048), 512, beta=0.5),
        _two_bars(
            "cat-mel_2bar_med_chords",
            "melody",
            MELODY,
            1024,
            (512, 512, 512),
            256,
            control=CHORDS,
            free_bits=0,
            beta=1,
            transpose=3,
        ),
        _drums_2bar("cat-drums_2bar_small", 512, (256, 256)),
        _drums_2bar("cat-drums_2bar_big", 2048, (2048, 2048, 2048)),
        _drums_2bar("nade-drums_2bar_reduced", 1024, (512, 512), nade=128),
        _drums_2bar("nade-drums_2bar_full", 1024, (512, 512), nade=128, drums=KIT),
        *(_sixteen_bars(kind, "melody", (MELODY,)) for kind in ("flat", "hierdec", "hier")),
        *(_sixteen_bars(kind, "trio", (MELODY, MELODY, SUBSETS)) for kind in ("flat", "hierdec", "hier")),
        *(
            _multitrack(f"hier-multiperf_vel_1bar_{size}{suffix}", encoder, decoder, chords=bool(suffix))
            for size, encoder, decoder in (("med", 1024, 512), ("big", 2048, 1024))
            for suffix in ("", "_chords")
        ),
    )
}


def find_config(name: str) -> Config:
    """The configuration of that name, or a ModelError that lists them."""
    if name not in CONFIGS:
        raise ModelError(f"there is no configuration {name!r}; there are: {', '.join(CONFIGS)}")
    return CONFIGS[name]


LARGEST = 16_384
"""What a size on a card may be."""


def configure(card: Card) -> Config:
    """The configuration of a card, with the sizes that the card has of its own; WeightsError if it cannot be."""
    config = find_config(card.config)
    sizes = {name: tuple(size) if isinstance(size, list) else size for name, size in card.sizes.items()}
    for name, size in sizes.items():
        each = size if isinstance(size, tuple) else (size,)
        if not all(isinstance(number, int) and 0 <= number <= LARGEST for number in each):
            raise WeightsError(f"the size {name} of {card.name} must be whole numbers in 0..{LARGEST}, not {size}")
    try:
        shape: Shape = replace(config.shape, **sizes)  # type: ignore[arg-type]
        return replace(config, shape=shape)
    except TypeError as error:
        raise WeightsError(f"the card of {card.name} has a size that {card.config} has not: {error}") from error
