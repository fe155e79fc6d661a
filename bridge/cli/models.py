"""train and weights: verbs on models rather than on music."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.learning.training import Progress
    from engine.weights import Library

weights = typer.Typer(help="List, show, verify and import weights; learn attributes.", no_args_is_help=True)

Data = Annotated[
    list[Path],
    typer.Option(
        help="a folder or zip of MIDI files, with the splits of its info.csv; again for another",
        envvar="VAEBRIDGE_DATA",
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N")]


def train(
    config: Annotated[str, typer.Argument(help="a configuration of engine/registry.py", show_default=False)],
    data: Data,
    out: Annotated[Path | None, typer.Option(help="the run's folder; else runs/CONFIG", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="the name of the weights; else CONFIG")] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same run on a CPU")] = 1,
    epochs: Annotated[int | None, typer.Option(help="else what the configuration says")] = None,
    max_windows: Annotated[int | None, typer.Option(help="train on no more than so many, to try a run")] = None,
    device: Device = "cpu",
    start: Annotated[
        str | None,
        typer.Option("--from", help="a model of the same configuration to begin from", show_default=False),
    ] = None,
    stage: Annotated[int, typer.Option(min=1, help="with --from: the first stage to train")] = 1,
) -> None:
    """Train a model; the same command again goes on where it was stopped.

    On several cores, GPUs or machines: torchrun --nproc-per-node 2 --no-python vaebridge train CONFIG --data DATA
    """
    from bridge.cli.show import console
    from engine.learning.training import train as run

    out = out or Path("runs") / config
    said = {
        "epochs": epochs,
        "max-windows": max_windows,
        "from": start,
        "stage": stage if stage > 1 else None,
    }
    words = "".join(f" --{key} {value}" for key, value in said.items() if value is not None)
    tells = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts the first
    with _progress(tells) as on_progress:
        card = run(
            config,
            data=data,
            out=out,
            name=name,
            seed=seed,
            epochs=epochs,
            max_windows=max_windows,
            device=device,
            start=open_library().tensors(start) if start else None,
            stage=stage,
            command=f"vaebridge train {config}{_named(data)} --seed {seed}{words}",
            on_progress=on_progress,
        )
    if tells:
        validation = card.training["validation"]
        told = f"validation {validation[0]} nats" if validation else "nothing to validate on was in the data"
        console().print(f"{out / card.name}.safetensors and its card; {told}")


@weights.command("list")
def list_weights() -> None:
    """All models: what they do, how long, and where they are."""
    from bridge.cli.show import console, table

    library = open_library()
    rows = (
        (name, card.family, str(card.bars), " ".join(card.verbs), str(library.paths[name]))
        for name, card in sorted(library.cards.items())
    )
    console().print(table(("model", "family", "bars", "verbs", "file"), rows))


@weights.command("show")
def show_weights(name: Annotated[str, typer.Argument(help="the model", show_default=False)]) -> None:
    """A model's card."""
    from bridge.cli.show import console

    library = open_library()
    library.card(name)
    card = library.paths[name].with_suffix(".toml").read_text(encoding="utf-8")
    for line in card.removesuffix("\n").split("\n"):
        console().print(line.expandtabs())


@weights.command("verify")
def verify_weights() -> None:
    """Compare each file with the checksum on its card."""
    from bridge.cli.show import console, warn

    library = open_library()
    refused = [_refusal(library, name) for name in sorted(library.cards)]
    warn(filter(None, refused))
    console().print(f"{refused.count('')} of {len(library.cards)} models are what their cards say")
    if library.problems or any(refused):
        raise typer.Exit(1)


@weights.command("import")
def import_weights(
    path: Annotated[
        Path,
        typer.Argument(help="a folder with weights_manifest.json, or a TensorFlow checkpoint", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="what the model is called from now on", show_default=False)],
    to: Annotated[
        Path | None,
        typer.Option(help="the folder; else the first that is searched for weights", show_default=False),
    ] = None,
) -> None:
    """Make a published MusicVAE or GrooVAE checkpoint a model of ours, exact to the last digit."""
    from bridge.cli.show import console
    from bridge.config import Config
    from engine.magenta.importing import import_checkpoint

    out = to or Config().weight_folders[0]
    card = import_checkpoint(path, name=name, out=out)
    console().print(
        f"{out / name}.safetensors and its card: {card.config}, {card.bars} bars, {' '.join(card.verbs)}",
    )
    for remark in card.data.split("; ")[1:]:
        console().print(remark)
    if "encode" in card.verbs and card.family == "musicvae":
        console().print(
            f"`vaebridge weights attributes {name} --data CORPUS`: then density and the like can be asked"
        )


@weights.command("attributes")
def learn(
    name: Annotated[str, typer.Argument(help="a model of melodies, drums or trios", show_default=False)],
    data: Data,
    seed: Annotated[int, typer.Option(help="the same seed learns the same on a CPU")] = 0,
    max_windows: Annotated[
        int, typer.Option(min=64, help="learn from no more than so many: a large encoder takes its time")
    ] = 8192,
    replace: Annotated[
        bool, typer.Option("--replace", help="also where what the model has learnt before does better")
    ] = False,
) -> None:
    """Learn density, register and what else its notes have, so that it can be asked of a model of tokens.

    An imported checkpoint as well. Two ways are learnt, attribute vectors and a generator of points, and the better
    one is kept beside the weights; the weights stay as they are.
    """
    from rich.text import Text

    from bridge.cli.show import console, table
    from bridge.escapes import shown
    from engine.verbs.steering.learning_points import learn_attributes

    screen = console()
    with screen.status("reading the data") as status:
        learnt = learn_attributes(
            open_library(),
            name,
            data,
            seed=seed,
            max_windows=max_windows,
            replace=replace,
            command=f"vaebridge weights attributes {name}{_named(data)} --seed {seed} --max-windows {max_windows}",
            on_progress=lambda text: status.update(Text(shown(text))),
        )
    rows = (
        (
            of,
            f"{mean:g} ± {deviation:g}",
            *(f"{each[k]:+.2f}" for way in learnt.ways for each in (way.rho, way.slope, way.others)),
        )
        for k, (of, (mean, deviation)) in enumerate(learnt.better.attributes.items())
    )
    columns = [f"{what}, {way.kind}" for way in learnt.ways for what in ("ρ", "slope", "others move")]
    screen.print(table(("attribute", "data", *columns), rows, "asked −2..2 of single draws"))
    if learnt.path is None:
        screen.print(
            f"{name} keeps what it had: by its card that does better (mean ρ less what others move "
            f"{learnt.before:.2f}, now {learnt.better.merit:.2f}); --replace takes the new"
        )
    else:
        screen.print(f"{learnt.path} beside {name}: the {learnt.better.kind}, which does better")


def _named(data: list[Path]) -> str:
    """Corpora as a command on a card has them."""
    return "".join(f" --data {path.name}" for path in data)


def _refusal(library: "Library", name: str) -> str:
    """What is wrong with a model's file, or nothing."""
    try:
        library.verify(name)
        library.verify_steering(name)
    except WeightsError as error:
        return str(error)
    return ""


def open_library() -> "Library":
    """The weights that are here, with a word on those that cannot be read; WeightsError if there are none."""
    from bridge.cli.show import warn
    from bridge.config import Config
    from engine.weights import Library

    library = Library(Config().weight_folders)
    if not library.cards and not library.problems:
        raise WeightsError(
            "there are no weights; `vaebridge train` makes some, `vaebridge doctor` says where they go"
        )
    warn(library.problems)
    return library


@contextmanager
def _progress(tells: bool) -> "Iterator[Callable[[Progress], None]]":
    """Follows a run: a bar on a terminal, else a line for each epoch; nothing where it does not tell."""
    from rich import progress

    from bridge.cli.show import console

    screen, seen = console(), set()
    text, steps = progress.TextColumn("{task.description}"), progress.MofNCompleteColumn()
    columns = (text, progress.BarColumn(), steps, progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=screen, disable=not (tells and screen.is_terminal)) as bars:
        task = bars.add_task("reading the data", total=None)

        def follow(now: "Progress") -> None:
            validation = "" if math.isnan(now.validation) else f"  validation {now.validation:.2f}"
            where = f"epoch {now.epoch}/{now.epochs}  loss {now.loss:.2f}{validation}"
            bars.update(task, completed=now.step, total=now.steps, description=where)
            if not screen.is_terminal and now.epoch not in seen:
                screen.print(where)
            seen.add(now.epoch)

        yield follow
