"""The command line: `vaebridge serve` and the rest.

Knows which verbs there are and how an error is told. What is slow to import is imported by the verb that needs it.
"""

import errno
from importlib.metadata import version as version_of
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bridge.cli import desktop, devices, evaluate, files, latent, models, own, play, ports, serve
from bridge.cli.desk import HEARING, MAKE, READ, with_desk
from bridge.entry import INTERRUPTED
from bridge.escapes import shown
from engine.errors import VaebridgeError
from engine.requests import VERBS


class Commands(TyperGroup):
    """The verbs: a user's mistake is one line, Ctrl-C is silent, serve reads its flags when it is asked for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except VaebridgeError as error:
            typer.echo(f"vaebridge: {shown(str(error))}", err=True)
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read has read enough
                raise
            what = f"{error.filename} cannot be" if error.filename else "a file or the output could not be"
            typer.echo(f"vaebridge: {shown(what)} read or written: {error.strerror or error}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb to run; the configuration that serve's flags name is slow to import."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, serve.serve_command() if name == "serve" else command, rest


app = typer.Typer(
    name="vaebridge",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Human drums in milliseconds: MusicVAE and GrooVAE over OSC, MIDI and on files.",
)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"vaebridge {version_of('vaebridge')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Human drums in milliseconds: MusicVAE and GrooVAE over OSC, MIDI and on files."""


OWN_COMMANDS = {
    "encode": with_desk("encode", latent.encode, ("output", "force", *READ)),
    "decode": with_desk("decode", latent.decode, MAKE),
}
"""The verbs whose command is not that of others like them: they write a point to a file or read one."""

DAEMON, FILES, OWN, MODELS = "The daemon", "Verbs on MIDI files", "Styles and feels of your own", "Models"

app.command("serve", rich_help_panel=DAEMON)(serve.serve)
app.command("send", cls=serve.Asking, rich_help_panel=DAEMON, context_settings=serve.ANY_ARGUMENTS)(serve.send)
app.command("ports", rich_help_panel=DAEMON)(ports.ports)
app.command("doctor", rich_help_panel=DAEMON)(serve.doctor)
app.add_typer(devices.devices, name="devices", rich_help_panel=DAEMON)
app.command("autostart", rich_help_panel=DAEMON)(desktop.autostart)
app.command("uninstall", rich_help_panel=DAEMON)(desktop.uninstall)
for verb in dict.fromkeys(("humanize", *VERBS)):  # what people come for is named first
    command = OWN_COMMANDS.get(verb) or files.command_of(verb, VERBS[verb])
    app.command(verb, rich_help_panel=FILES)(command)
app.command("play", rich_help_panel=FILES)(with_desk("play", play.play, HEARING))
app.command("learn-style", rich_help_panel=OWN)(with_desk("humanize", own.learn_style, READ))
app.add_typer(own.styles, name="style", rich_help_panel=OWN)
own.feels.command("save")(with_desk("groove", own.save_feel, READ))
app.add_typer(own.feels, name="feel", rich_help_panel=OWN)
app.command("train", rich_help_panel=MODELS)(models.train)
app.command("evaluate", rich_help_panel=MODELS)(evaluate.evaluate)
app.add_typer(models.weights, name="weights", rich_help_panel=MODELS)


def main() -> None:
    """The command `vaebridge`."""
    app(prog_name="vaebridge")
