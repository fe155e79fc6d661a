"""Models to be heard and seen: the listening test and the pictures of each, on the windows of a split."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from engine.data.corpus import read_corpus
from engine.data.windows import Windows, cut_windows
from engine.errors import EngineError, ModelError
from engine.evaluation.contenders import AT_ONCE, models_of_grooves, of_model
from engine.evaluation.examples import write_examples
from engine.evaluation.phrases.examples import write_phrases
from engine.evaluation.phrases.pictures import SHOWN, draw_phrase_pictures
from engine.evaluation.phrases.report import Amount, Corpus, phrase_resident
from engine.evaluation.pictures import draw_pictures
from engine.evaluation.sound.pictures import show_sound
from engine.learning.phrase_tasks import load_drums
from engine.model.noise import Noise
from engine.model.tasks import autoencode, humanize, nothing_given
from engine.representation.groove import Array
from engine.verbs.generator import Generator
from engine.verbs.resident import GrooveResident
from engine.verbs.score_verbs import load_score
from engine.weights import Library

BARS = 4


def show(
    *,
    data: Sequence[Path],
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    seed: int = 0,
    examples: Path | None = None,
    pictures: Path | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write into a folder for each model that humanizes what is asked for, and say what there is to open.

    Examples of phrases are files, sampled and played ones of one style; those of sound begin with what was heard.
    Draws are at temperature 1. ModelError if there is nothing to be heard or seen of any model, EngineError if the
    disk takes nothing.
    """
    names = list(models)
    phrases = [name for name in names if library.card(name).family == "phrase"]
    sounds = [name for name in names if library.card(name).family == "score"]
    residents = models_of_grooves(library, (name for name in names if name not in (*phrases, *sounds)))
    humanizing = [resident for resident in residents if "humanize" in resident.card.verbs]
    if not (humanizing or phrases or sounds):
        raise ModelError("none of these models can humanize: there is nothing to hear or see of them")
    paths = []
    try:
        if humanizing:
            performances = [performance for path in data for performance in read_corpus(path)]
            windows = cut_windows(performances, split=split, bars=BARS, pad=False)
        for resident in humanizing:
            name, play = resident.card.name, of_model(resident, humanize).draw
            if examples is not None:
                on_progress(f"{name}: examples")
                write_examples(examples / name, windows, play, model=name, seed=seed)
                paths.append(examples / name / "index.html")
            if pictures is not None:
                on_progress(f"{name}: pictures")
                ours, z = windows.played_by(play(windows, seed)), feels_of(resident, windows)
                paths += draw_pictures(pictures / name, played=windows, ours=ours, z=z, feels=windows)
        if phrases:
            corpus = Corpus(load_drums(data), split, Amount(samples=SHOWN, windows=1))
        for name in sounds:
            on_progress(f"{name}: sound")
            paths += show_sound(data, split, *load_score(library, name), examples=examples, pictures=pictures)
        for name in phrases:
            if examples is not None:
                on_progress(f"{name}: examples")
                paths += write_phrases(examples / name, corpus.measured, _with_drummer(library, name), name, seed)
            if pictures is not None:
                on_progress(f"{name}: pictures")
                samples = corpus.samples(phrase_resident(library, name), seed)
                paths += draw_phrase_pictures(pictures / name, played=corpus.measured.hits, ours=samples)
    except OSError as error:
        raise EngineError(
            f"{error.filename or examples or pictures} cannot be written: {error.strerror}"
        ) from error
    return paths


def _with_drummer(library: Library, name: str) -> Generator:
    """A model of phrases in memory, and what plays its hits; ModelError where nothing of the library does."""
    drummers = [card.name for card in library.cards.values() if card.config == "drummer"]
    if not drummers:
        raise ModelError(f"to hear {name} a drummer must be there, to play its hits")
    generator = Generator(library, device="cpu")
    for each in (drummers[0], name):
        generator.load(each)
    return generator


@torch.inference_mode()
def feels_of(resident: GrooveResident, windows: Windows) -> Array:
    """The mean z of how windows were played, its feel part where it has one: [window, feel]."""
    parts = []
    for first in range(0, len(windows), AT_ONCE):
        groove = torch.from_numpy(windows.grooves[first : first + AT_ONCE]).to(resident.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + AT_ONCE]).to(resident.device)
        encoder_input = autoencode(groove, nothing_given(groove, tempo_bpm)).encoder_input
        z = resident.encode(encoder_input, temperature=0.0, noise=Noise(0, device=resident.device))
        parts.append(z.mean(dim=1)[:, -resident.model.shape.feel :].cpu().numpy())
    return np.concatenate(parts)
