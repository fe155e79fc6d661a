"""The cards of all models there are, read again when a file comes, goes or changes while the daemon runs."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import EngineError
from engine.weights import Card, Library

logger = logging.getLogger(__name__)


class Cards:
    """The cards in some folders of weights, by name; a folder given earlier wins."""

    def __init__(self, folders: Sequence[Path]):
        self._folders = folders
        self._seen: dict[Path, int] = {}
        self._library = Library(())

    def look(self) -> Mapping[str, Card]:
        """The cards as they are now; nothing is read where nothing has changed."""
        seen = {path: _changed(path) for folder in self._folders for path in folder.glob("*.toml")}
        if seen != self._seen:
            self._seen, self._library = seen, Library(self._folders)
            for problem in self._library.problems:
                logger.warning("%s", problem)
        return self._library.cards

    def why_not(self, name: str) -> str:
        """What is wrong with the model of that name, which is not among the cards."""
        try:
            self._library.card(name)
        except EngineError as error:
            return str(error)
        return ""


def _changed(path: Path) -> int:
    """When a file was written last, 0 if it has just gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
