"""Weights on a split of a corpus: every figure that the model cards hold.

Baselines and judges are trained on the train split; a judge's epoch is chosen on the validation split.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from engine.data.corpus import Performance, read_corpus
from engine.data.windows import cut_windows
from engine.evaluation import drums
from engine.evaluation.bootstrap import Interval
from engine.evaluation.contenders import baselines, in_their_styles, models_of_grooves, of_model
from engine.evaluation.drums import Completion, completion_of
from engine.evaluation.feel import Steering, in_the_feel_of_others, steering_of
from engine.evaluation.figures import Figures, figures_of
from engine.evaluation.hearing import Hearing, hats_given, hearing_of
from engine.evaluation.judge import SIZE, Play, judged
from engine.evaluation.likelihood import Likelihood, likelihood_of
from engine.model.tasks import humanize
from engine.representation.groove import HITS
from engine.weights import Library

BARS = 2
LONG_BARS = 8
"""Windows of this length contain the boundaries between the windows that a model decodes."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of models and baselines on the windows of a split.

    humanize and completion have the baselines' rows first; likelihood and steering an entry for each model; judges
    the AUC of each model under four more conditions: style-conditioned, 8-bar windows, larger judge, feel transfer.
    """

    split: str
    windows: int
    hits: int
    humanize: list[Figures] = field(default_factory=list)
    judges: dict[str, dict[str, Interval | None]] = field(default_factory=dict)
    likelihood: dict[str, Likelihood] = field(default_factory=dict)
    steering: dict[str, Steering] = field(default_factory=dict)
    completion: list[Completion] = field(default_factory=list)
    hearing: list[Hearing] = field(default_factory=list)


def evaluate(
    *,
    data: Sequence[Path],
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    judges: int = 5,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Report]:
    """Everything that can be measured of each model, and of the baselines on the same windows.

    It takes long, so each part of the report comes as soon as it is there, the others empty.

    judges: how many are trained for each AUC; with 0 there are no AUCs, which saves most of the time.
    """
    performances = [performance for path in data for performance in read_corpus(path)]
    short, long = _Jury(performances, split, BARS, judges), _Jury(performances, split, LONG_BARS, judges)
    residents = models_of_grooves(library, models)
    humanizing = [resident for resident in residents if "humanize" in resident.card.verbs]
    nothing = Report(split, len(short.ask), int(short.ask.grooves[..., HITS].sum()))
    ours = [of_model(resident, humanize) for resident in humanizing]
    figures = []
    for contender in (*baselines(short.train), *ours):
        on_progress(f"{contender.name}: humanize")
        figures.append(figures_of(contender, short.ask, seed, short.auc_of(contender.draw)))
    yield replace(nothing, humanize=figures)
    for resident in humanizing:
        if "partial" in resident.config.recipe.tasks:
            on_progress(f"{resident.card.name}: with the hats given")
            auc = short.auc_of(of_model(resident, hats_given).draw)
            yield replace(nothing, hearing=list(hearing_of(resident, short.ask, seed, auc)))
    for resident in residents:
        if resident.model.shape.feel:
            name = resident.card.name
            on_progress(f"{name}: likelihood and z")
            likelihood = likelihood_of(resident, short.ask)
            steering = steering_of(resident, short.train, short.ask)
            yield replace(nothing, likelihood={name: likelihood}, steering={name: steering})
    completions = []
    for task_name, (verb, task) in drums.TASKS.items():
        able = [of_model(resident, task) for resident in residents if verb in resident.card.verbs]
        for contender in (drums.histograms(short.train, task), *able):
            on_progress(f"{contender.name}: {task_name}")
            auc = short.auc_of(contender.draw)
            completions.append(completion_of(contender, task_name, short.ask, seed, auc))
    yield replace(nothing, completion=completions)
    for resident, contender in zip(humanizing, ours, strict=True) if judges else ():
        for heard, jury, play, size in (
            ("in the style of each window", short, partial(in_their_styles, resident), SIZE),
            (f"windows of {LONG_BARS} bars", long, contender.draw, SIZE),
            ("judges of 4 times the size", short, contender.draw, 4 * SIZE),
            (
                "groove, with another window of the performance",
                short,
                partial(in_the_feel_of_others, resident),
                SIZE,
            ),
        ):
            on_progress(f"{contender.name}: {heard}")
            yield replace(nothing, judges={contender.name: {heard: jury.auc_of(play, size=size)}})


class _Jury:
    """Windows of one length, on which judges are trained and asked."""

    def __init__(self, performances: list[Performance], split: str, bars: int, judges: int):
        self.train, self.choose, self.ask = (
            cut_windows(performances, split=name, bars=bars, pad=bars == BARS)
            for name in ("train", "validation", split)
        )
        self._judges = judges

    def auc_of(self, play: Play, *, size: int = SIZE) -> Interval | None:
        """The mean AUC of the judges against how play plays the hits, or None where there are to be none."""
        if not self._judges:
            return None
        return judged(play, self.train, self.choose, self.ask, judges=self._judges, size=size).auc()
