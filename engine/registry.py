"""Every named configuration, once: the network, what it is trained on, and what it can then do.

The groovae rows are the published ones (Gillick et al. 2019, arXiv 1905.06118); drummer is our own.
"""

from dataclasses import dataclass, replace

from engine.errors import ModelError
from engine.model.vae import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a configuration is trained.

    free_bits, beta and feel_bits, feel_beta weigh the divergence of the pattern, or of all of z, and of the feel;
    tempo_spread and silent_drums are shares, see engine.data.augmentation.
    expectation: how a drummer's expectations are trained, after all the rest has been.
    bars: window lengths, a batch has one of them. tasks: names in engine.model.tasks with their share of batches.
    The learning rate falls from peak to floor by `decay` a step, or on a cosine over the run where decay is 0.
    """

    bars: tuple[int, ...]
    tasks: dict[str, float]
    batch: int = 512
    epochs: int = 50
    free_bits: float = 48
    beta: float = 0.2
    feel_bits: float = 0
    feel_beta: float = 0
    tempo_spread: float = 0
    silent_drums: float = 0
    rate_peak: float = 1e-3
    rate_floor: float = 1e-5
    decay: float = 0.9999
    clip_norm: float = 1.0
    expectation: "Recipe | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One named configuration. verbs: what weights of it can do."""

    name: str
    family: str
    shape: ModelShape
    recipe: Recipe
    verbs: tuple[str, ...]


_GROOVE_SHAPE = ModelShape(encoder_hidden=512, decoder="groove", decoder_hidden=256, decoder_layers=2, z=256)


def _groovae(name: str, bars: int, task: str, verbs: tuple[str, ...], *, hits_control: bool = False) -> Config:
    shape = replace(_GROOVE_SHAPE, hits_control=hits_control)
    return Config(
        name=name, family="groovae", shape=shape, recipe=Recipe(bars=(bars,), tasks={task: 1.0}), verbs=verbs
    )


CONFIGS: dict[str, Config] = {
    config.name: config
    for config in (
        Config(
            name="drummer",
            family="groovae",
            shape=ModelShape(
                encoder_hidden=256,
                decoder="drummer",
                decoder_hidden=256,
                decoder_layers=1,
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
                expectation=Recipe(
                    bars=(2,),
                    tasks={"humanize": 0.5, "partial": 0.1, "transfer": 0.2, "same_feel": 0.2},
                    batch=128,
                    epochs=12,
                    tempo_spread=0.03,
                    silent_drums=0.06,
                    decay=0,
                ),
            ),
            verbs=("sample", "humanize", "drumify", "fill", "interpolate", "vary", "groove"),
        ),
        _groovae("groovae_4bar", 4, "autoencode", ("sample", "interpolate", "vary")),
        _groovae("groovae_2bar_humanize", 2, "humanize", ("humanize",)),
        _groovae("groovae_2bar_hits_control", 2, "transfer", ("humanize",), hits_control=True),
        _groovae("groovae_2bar_tap_fixed_velocity", 2, "tap_fixed_velocity", ("drumify",)),
        _groovae(
            "groovae_2bar_tap_fixed_velocity_note_dropout", 2, "tap_fixed_velocity_note_dropout", ("drumify",)
        ),
        _groovae("groovae_2bar_add_closed_hh", 2, "add_closed_hat", ("fill",)),
    )
}


def find_config(name: str) -> Config:
    """The configuration of that name, or a ModelError that lists them."""
    if name not in CONFIGS:
        raise ModelError(f"there is no configuration {name!r}; there are: {', '.join(CONFIGS)}")
    return CONFIGS[name]
