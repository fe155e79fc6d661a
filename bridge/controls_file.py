"""The learned controls on disk: a .toml of target = { kind, channel, number }."""

import logging
from pathlib import Path

import tomlkit
import typer

from bridge.errors import ConfigError, RequestError
from bridge.playing.controls import TARGETS, Control
from engine.files import read_toml, replacing

logger = logging.getLogger(__name__)

NAME = "controls.toml"


class ControlsFile:
    """One file, read once and written whenever a control has been learned."""

    def __init__(self, path: Path | None):
        self._path = path or Path(typer.get_app_dir("vaebridge")) / NAME

    def read(self) -> dict[str, Control]:
        """The control of each target, none if there is no file; ConfigError if it cannot be understood."""
        try:
            found = read_toml(self._path)
            controls = {target: Control(**each) for target, each in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, RequestError) as error:
            raise ConfigError(f"{self._path} cannot be read: {error}; delete it to learn anew") from error
        if strange := set(controls) - set(TARGETS):
            raise ConfigError(f"{self._path}: there is no {min(strange)!r}; there are {', '.join(TARGETS)}")
        return controls

    def write(self, controls: dict[str, Control]) -> None:
        """Keep these; where that cannot be, say so and play on."""
        content = {
            target: {"kind": each.kind, "channel": each.channel, "number": each.number}
            for target, each in sorted(controls.items())
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as beside:
                beside.write_text(tomlkit.dumps(content), encoding="utf-8")
        except OSError as error:
            logger.warning("what was learned is not kept: %s", error)
