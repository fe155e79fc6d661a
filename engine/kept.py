"""What a user has made and is kept, and in which version it is written.

A file of an older version is read as today's: each step from one version to the next is a function, and stays for
ever. One of a newer version is refused and left alone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from engine.errors import KeptError
from engine.files import read_toml, replacing

VERSION = "version"

Content = dict[str, Any]
Migration = Callable[[Content], Content]
"""The content of one version, as the next has it."""


class KeptFile:
    """A .toml file with its version. migrations: from the first version on; one without a version has the first."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = ()):
        self.path, self._migrations = path, migrations

    def read(self) -> Content:
        """What it holds, as of today, {} if there is no file.

        KeptError where it was written by a newer vaebridge; OSError, ValueError where it cannot be read.
        """
        try:
            content = read_toml(self.path)
        except FileNotFoundError:
            return {}
        today, version = len(self._migrations) + 1, content.pop(VERSION, 1)
        if type(version) is not int or not 1 <= version <= today:
            raise KeptError(
                f"{self.path} has the version {version}, this vaebridge knows those up to {today}: "
                "install the newer one, or move the file away"
            )
        for migrate in self._migrations[version - 1 :]:
            content = migrate(content)
        return content

    def write(self, content: Content) -> None:
        """Keep this, whole or not at all; OSError where it cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as beside:
            beside.write_text(tomlkit.dumps({VERSION: len(self._migrations) + 1, **content}), encoding="utf-8")
