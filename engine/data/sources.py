"""Facts about known corpora, by file name: origin, licence, and the drum map of their pitches."""

from pathlib import Path

from engine.representation.drum_map import GENERAL_MIDI, TD11, DrumMap

GROOVE = "groove-v1.0.0-midionly.zip"

CREDITS = {
    GROOVE: "Groove MIDI Dataset, Gillick et al. 2019, CC BY 4.0; official train split, 4/4",
    "pop909-beats.zip": "POP909 on its beats, Wang et al. 2020, MIT; train split by song",
    "folk-midi.zip": "folk tunes of O'Neill 1850, Aird's Airs and Ryan's Mammoth Collection, public domain, as "
    "distributed with music21's corpus; train split by tune",
    "lieder-melodies.zip": "voice lines of OpenScore Lieder (CC0); train split by song",
    "band-midi.zip": "band pieces of Freedoom (BSD style) and OpenMSX (GPL v2)",
    "freedoom-history.zip": "earlier band pieces of Freedoom (BSD style); train split by piece",
    "simutrans.zip": "music of Simutrans (Artistic 1.0, simutrans-data 123.0.1-1); train split by piece",
}


def credit_of(corpus: Path) -> str:
    """What a corpus is, for the cards of weights that have learnt from it; or its name."""
    return CREDITS.get(corpus.name, corpus.name)


def drum_map_of(corpus: Path) -> DrumMap:
    """The drum map of a corpus: the Groove MIDI Dataset has a Roland TD-11's pitches, others General MIDI's."""
    return TD11 if corpus.name == GROOVE else GENERAL_MIDI
