"""Which pitches are which drum on the kits that are known by name. Loads no numpy.

Of each class the first pitch is the one that is written. Sources: General MIDI as MusicVAE reads it (Roberts et al.
2018, arXiv 1803.05428) and the TD-11 of the Groove MIDI Dataset (Gillick et al. 2019, arXiv 1905.06118), both as
released; Addictive Drums 2 Keymap (XLN Audio, June 2021); Superior Drummer 3's keyboard layout (Toontrack), as far
as several independent drum maps agree on it.
"""

from engine.representation.instruments import INSTRUMENTS

TD11_PITCHES = (
    (36,),
    (38, 37, 40),
    (42, 22, 44),
    (46, 26),
    (43, 58),
    (47, 45),
    (50, 48),
    (49, 52, 55, 57),
    (51, 53, 59),
)
"""What the models were trained on. 45, 48, 58 differ from GM."""

GENERAL_MIDI_PITCHES = (
    (36, 35),
    (38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85),
    (42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22),
    (46, 67, 72, 74, 79, 81, 26),
    (45, 29, 41, 43, 61, 64, 84),
    (48, 47, 60, 63, 77, 86, 87),
    (50, 30, 62, 76, 83),
    (49, 52, 55, 57, 58),
    (51, 53, 59, 82),
)
"""What a clip's pitches mean at inference."""

ADDICTIVE_DRUMS_PITCHES = (
    (36,),
    (38, 37, 39, 40, 41, 42, 43, 44, 75, 26, *range(28, 36)),
    (49, 48, 50, 51, 52, 53),
    (54, 55, 56, 57, 58, 59),
    (65, 66, 67, 68),
    (69, 70),
    (71, 72),
    (77, 46, 78, 79, 80, 81, 82, *range(89, 95)),
    (60, 45, 61, 62, 63, 84, 85, 86, 87),
)
"""Its toms 3 and 4 are the low ones; what damps a cymbal belongs to it."""

SUPERIOR_DRUMMER_PITCHES = (
    (36, 35),
    (38, 33, 37, 39, 40, 71, 125),
    (42, 21, 22, 44, 61, 62, 63),
    (46, 17, 23, 24, 25, 26, 60),
    (43, 41, 45, 72, 73, 74, 75, 77, 78),
    (47, 79, 80),
    (48, 81, 82),
    (49, 50, 52, 54, 55, 56, 57, 58),
    (51, 53, 59),
)
"""EZdrummer's as well. 50 damps a cymbal, where General MIDI has a tom."""

KITS = {
    "general_midi": GENERAL_MIDI_PITCHES,
    "roland_td11": TD11_PITCHES,
    "addictive_drums": ADDICTIVE_DRUMS_PITCHES,
    "superior_drummer": SUPERIOR_DRUMMER_PITCHES,
}

KIT_NAMES = ", ".join(KITS)


def kit(name: str) -> dict[str, list[int]] | None:
    """The pitches of a kit by instrument, as a drum map's file has them; None where no kit has that name."""
    return {each: list(own) for each, own in zip(INSTRUMENTS, KITS[name], strict=True)} if name in KITS else None
