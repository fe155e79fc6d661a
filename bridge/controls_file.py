"""The learned controls on disk: a .toml of target = { kind, channel, number }."""

import logging
from pathlib import Path

from bridge.errors import ConfigError, RequestError
from bridge.kept import kept_folder
from bridge.playing.controls import TARGETS, Control
from engine.errors import KeptError
from engine.kept import KeptFile

logger = logging.getLogger(__name__)

NAME = "controls.toml"


class ControlsFile:
    """One file, read once and written whenever a control has been learned."""

    def __init__(self, path: Path | None):
        self._file = KeptFile(path or kept_folder() / NAME)

    def read(self) -> dict[str, Control]:
        """The control of each target, none if there is no file; ConfigError if it cannot be understood."""
        try:
            controls = {target: Control(**each) for target, each in self._file.read().items()}
        except KeptError as error:
            raise ConfigError(str(error)) from error
        except (OSError, ValueError, TypeError, RequestError) as error:
            raise ConfigError(f"{self._file.path} cannot be read: {error}; delete it to learn anew") from error
        if strange := set(controls) - set(TARGETS):
            raise ConfigError(f"{self._file.path}: there is no {min(strange)!r}; there are {', '.join(TARGETS)}")
        return controls

    def write(self, controls: dict[str, Control]) -> None:
        """Keep these; where that cannot be, say so and play on."""
        content = {
            target: {"kind": each.kind, "channel": each.channel, "number": each.number}
            for target, each in sorted(controls.items())
        }
        try:
            self._file.write(content)
        except OSError as error:
            logger.warning("what was learned is not kept: %s", error)
