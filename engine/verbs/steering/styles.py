"""Where a style lies: a normal distribution of z, the feel that is steered to, and what its notes are like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import ClipError
from engine.representation.attributes import FEEL
from engine.styles import PROGRAMMED, TIGHT_PLAYER, mixture, no_style, own_styles, read_z, styles_of
from engine.verbs.resident import GrooveResident


@dataclass(frozen=True, slots=True)
class Chosen:
    """A style, or a mixture. z: mean and scale, None where the hits alone decide; feel: in deviations.

    like: styles of the data that its notes are like, the nearest first; notes: attributes of these in their units.
    remarks: what is to be said of it.
    """

    z: tuple[Tensor, Tensor] | None = None
    feel: Mapping[str, float] = field(default_factory=dict)
    like: tuple[str, ...] = ()
    notes: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def choose(text: str, resident: GrooveResident, folder: Path | None, others: Sequence[str] = ()) -> Chosen:
    """The style that a text names, for a drummer; ClipError, with those there are, where there is none of the name.

    others: styles of the model whose hits the drummer plays.
    """
    shares, known = mixture(text), tuple(dict.fromkeys((*others, *known_styles(resident, folder))))
    if strange := [name for name in shares if name not in known]:
        raise no_style(strange[0], known, folder)
    each = [_one(name, resident, folder) for name in shares]
    weights = list(shares.values())
    if len(each) == 1:
        return each[0]
    zs = [(share, *chosen.z) for share, chosen in zip(weights, each, strict=True) if chosen.z]
    z = _between(zs) if zs else None
    feels: list[Mapping[str, float]] = [
        chosen.feel or _feel_of(name, resident) for name, chosen in zip(shares, each, strict=True)
    ]
    steered = any(chosen.feel for chosen in each)
    order = sorted(zip(weights, each, strict=True), key=lambda pair: -pair[0])
    like = tuple(dict.fromkeys(name for _, chosen in order for name in chosen.like))
    notes, remarks = [chosen.notes for chosen in each], [said for chosen in each for said in chosen.remarks]
    return Chosen(z, _blend(weights, feels) if steered else {}, like, _blend(weights, notes), tuple(remarks))


def _between(zs: list[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The normal distribution between several: that of the weighted mean of draws from the same noise."""
    whole = sum(share for share, *_ in zs)
    mean = torch.stack([share / whole * mean for share, mean, _ in zs]).sum(dim=0)
    return mean, torch.stack([share / whole * scale for share, _, scale in zs]).sum(dim=0)


def known_styles(resident: GrooveResident, folder: Path | None) -> tuple[str, ...]:
    """All that can be named."""
    return styles_of(resident.card, (), own_styles(folder))


def _one(name: str, resident: GrooveResident, folder: Path | None) -> Chosen:
    prior, card = resident.prior, resident.card
    if name in prior.names:
        index = prior.names.index(name)
        is_player = float(prior.share[index]) == 0
        feel = _feel_of(name, resident) if is_player else {}
        return Chosen((prior.mean[index], prior.scale[index]), feel, () if is_player else (name,))
    if name in PROGRAMMED and card.feels:
        about = PROGRAMMED[name]
        player = TIGHT_PLAYER if TIGHT_PLAYER in prior.names else ""
        z = _one(player, resident, folder).z if player else None
        feel = {of: _in_deviations(of, value, resident) for of, value in about.feel.items()}
        said = f"nobody in the data plays {name}: it is a tight player, on the beat"
        return Chosen(z, feel, about.like, remarks=(said,))
    own = own_styles(folder)
    if name in own and folder is not None:
        style = own[name]
        if style.sha256 != card.sha256:
            raise ClipError(f"the style {name} was learnt with other weights of {style.model}: learn it again")
        mean, scale = (each.to(resident.device) for each in read_z(folder, name))
        return Chosen((mean, scale), style.feel, (style.near,), style.notes)
    return Chosen(like=(name,))


def _feel_of(name: str, resident: GrooveResident) -> dict[str, float]:
    """The mean feel of a style or player of the data, as the card has it."""
    return dict(zip(FEEL, resident.card.feels.get(name, ()), strict=False))


def _in_deviations(of: str, value: float, resident: GrooveResident) -> float:
    return float(resident.scales[of.partition(".")[0]].asked(value))


def _blend(weights: list[float], rows: "list[Mapping[str, float]]") -> dict[str, float]:
    """The weighted mean of each value over the rows that have it, if only in common for all drums."""
    names = dict.fromkeys(name for row in rows for name in row)
    blended = {}
    for name in names:
        found = [
            (weight, row.get(name, row.get(name.partition(".")[0])))
            for weight, row in zip(weights, rows, strict=True)
        ]
        known = [(weight, value) for weight, value in found if value is not None]
        blended[name] = sum(weight * value for weight, value in known) / sum(weight for weight, _ in known)
    return blended


def drawn(z: tuple[Tensor, Tensor], noise: Tensor, temperature: float) -> Tensor:
    """(count, z) from a normal distribution, from standard normal noise (count, z)."""
    mean, scale = z
    return mean + temperature * (scale @ noise[..., None])[..., 0]
