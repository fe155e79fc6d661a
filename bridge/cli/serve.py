"""serve, send and doctor: the verbs around a running daemon. None of them imports torch but the doctor."""

import contextlib
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from bridge.cli.options import config_of, with_config
from bridge.errors import BridgeError
from engine.errors import VaebridgeError
from engine.requests import VERBS

if TYPE_CHECKING:
    from bridge.cli.show import Screen
    from bridge.config import Config
    from bridge.osc.remote import Remote
    from engine.requests import Request

ANY_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}
FILE_ARGUMENT = re.compile(r"-[A-Za-z-]|.*\.midi?$", re.IGNORECASE)
"""What only the verbs on files have: an option, or the name of a MIDI file."""


BESIDE_FILES = {
    "slot": "the MIDI file is named itself: `send humanize in.mid -o out.mid`",
    "keep_slot": "it is keep_clip with a MIDI file",
    **dict.fromkeys(
        ("from", "to", "from2", "to2"), "the MIDI files are named themselves: `send groove a.mid b.mid`"
    ),
}
"""What is said of the keys of slots where files are meant."""


class Asking(TyperCommand):
    """A command whose help ends with what can be asked."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        from bridge.cli.show import console, table
        from bridge.osc.table import TABLE

        super().format_help(ctx, formatter)
        alone = (verb for verb in TABLE.values() if verb.begins or not verb.begun_by)
        console().print(table(("verb", "what it does"), ((verb.name, verb.text) for verb in alone)))


class Serving(TyperCommand):
    """serve, whose --page may stand without a port."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the flags."""
        from bridge.config import PAGE_PORT

        followed = zip_longest(args, args[1:], fillvalue="")
        bare = [place for place, (flag, port) in enumerate(followed) if flag == "--page" and not port.isdecimal()]
        for place in reversed(bare):
            args[place : place + 1] = ["--page", str(PAGE_PORT)]
        return super().parse_args(ctx, args)


def serve() -> None:
    """Start the daemon: models stay in memory, musicians talk to it over OSC."""


def serve_command() -> Any:
    """serve, with a flag for each field of the configuration."""
    from bridge.config import Config

    @with_config(Config)
    def serve_now(
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no first clip")] = False, **settings: Any
    ) -> None:
        from bridge.daemon import serve as run

        config = config_of(Config, settings)

        def ready(address: str, models: tuple[str, ...], seconds: float) -> None:
            here = config.model_copy(update={"osc_port": int(address.rpartition(":")[2])})
            told = {"models": models, "seconds": seconds, "quiet": quiet}
            threading.Thread(target=greet, args=(here,), kwargs=told, name="welcome", daemon=True).start()

        run(config, on_ready=ready)

    serve_now.__doc__ = serve.__doc__
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command("serve", cls=Serving)(serve_now)
    return typer.main.get_command(one)


def send(
    ctx: typer.Context,
    verb: Annotated[str, typer.Argument(help="a verb of the protocol: humanize, clip/get, status, …")],
) -> None:
    """Ask a running daemon: `send humanize slot a timing 0.8`, or on files: `send humanize in.mid timing 0.8`.

    On files -o names the one to write; `vaebridge humanize --help` tells what humanize takes, and so on.
    """
    from bridge.cli.show import console
    from bridge.config import Config
    from bridge.osc.remote import atom

    if verb in VERBS and any(FILE_ARGUMENT.match(argument) for argument in ctx.args):
        raise typer.Exit(_send_files(ctx, [verb, *ctx.args]))
    with _remote(Config()) as daemon:
        for reply in daemon.ask(verb, *map(atom, ctx.args)):
            console().print(reply.address, *reply.arguments)


def doctor() -> None:
    """Look at what this machine has and lacks, and say what to do."""
    from bridge.cli.doctor import examine
    from bridge.cli.show import console
    from bridge.config import Config

    broken = False
    for finding in examine(Config()):
        console().print(f"{finding.state:6} {finding.subject:8} {finding.text}", style=STYLES[finding.state])
        if finding.advice:
            console().print(f"{'':15} → {finding.advice}")
        broken = broken or finding.state == "broken"
    if broken:
        raise typer.Exit(1)


STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


def _send_files(ctx: typer.Context, arguments: list[str]) -> int:
    """Run the verb on files with the daemon as its engine; its exit code."""
    from bridge.cli.show import warn

    commands: Any = ctx.find_root().command
    verb, *words = arguments
    for word in words:
        if word in BESIDE_FILES and not Path(word).exists():
            raise BridgeError(f"{word} names a clip in the daemon: beside files {BESIDE_FILES[word]}")
    if any(word.replace("-", "_").lstrip("_").startswith("drum_map") for word in words):
        warn(["the daemon plays by its own drum map, `vaebridge serve --drum-map`: this one is for the picture"])
    arguments = [verb, *as_flags(words, commands.get_command(ctx.find_root(), verb).params)]
    code = commands.main(args=arguments, prog_name="vaebridge send", obj=_open_remote, standalone_mode=False)
    return code or 0


def as_flags(words: Sequence[str], parameters: Iterable[Any]) -> Iterator[str]:
    """The arguments of a command in which `key value` may stand for `--key=value`, and several values for several.

    What ends as a MIDI file does is one; where several values may stand, they go on to the next key, flag or file.
    """
    parameters = list(parameters)
    options = [each for each in parameters if each.param_type_name == "option" and not each.is_flag]
    files = {each.name for each in parameters if each.param_type_name == "argument"}
    flags = {flag: each for each in options for flag in each.opts}
    keys = {flag.removeprefix("--").replace("-", "_"): each for flag, each in flags.items()}
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word in flags and rest:
            yield from (word, rest.popleft())
        elif word in keys and rest:
            option = keys[word]
            yield f"{option.opts[0]}={rest.popleft()}"
            while option.multiple and rest and rest[0] not in keys and not FILE_ARGUMENT.match(rest[0]):
                yield f"{option.opts[0]}={rest.popleft()}"
        elif not (word in files and rest):  # a file is named without a key, or behind it
            yield word


def _open_remote(config: "Config", request: "Request") -> "Remote":
    return _remote(config)


def _remote(config: "Config") -> "Remote":
    from bridge.osc.remote import Remote

    return Remote(config.osc_host, config.osc_port)


def greet(config: "Config", *, models: tuple[str, ...], seconds: float, quiet: bool) -> None:
    """Say that the daemon is ready, show what it does, and how to ask it; on a thread of its own."""
    from bridge.cli.show import console, stdout_of_its_own

    with contextlib.suppress(OSError), stdout_of_its_own() as file:  # whoever reads it may be gone
        screen = console(file)
        try:
            with _remote(config) as daemon:
                screen.print(_ready(daemon, models, seconds))
                if models and not quiet:
                    _show_first_clip(daemon, screen)
        except VaebridgeError as error:
            screen.print(f"the first clip failed: {error}")


def _ready(daemon: "Remote", models: tuple[str, ...], seconds: float) -> str:
    """What the daemon has, or why it has not."""
    status = daemon.ask("status")[-1].keys
    problem, midi = status.get("problem"), status.get("ports")
    if not models:
        return f"ready on {daemon.address} without a model: {problem}; after {seconds:.1f} s; MIDI: {midi}"
    who = f"{', '.join(models)} on {status.get('device')}"
    return f"ready on {daemon.address} with {who} after {seconds:.1f} s; MIDI: {problem or midi}"


def _show_first_clip(daemon: "Remote", screen: "Screen") -> None:
    from bridge.cli.show import show_change
    from bridge.welcome import first_clip

    before, results = first_clip(daemon)
    show_change(before, results.clips[0], screen)
    screen.print(f"played in {results.ms:.1f} ms. In another terminal:")
    screen.print("  vaebridge send humanize YOUR.mid -o played.mid")
    screen.print("  vaebridge send status")
