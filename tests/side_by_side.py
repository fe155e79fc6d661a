"""How pytest-xdist shares the tests out between its workers."""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]

TOGETHER = {
    "what plays in real time": re.compile(r"\bpytest\.mark\.(?:jack|ardour|link|chromium)\b"),
    "what installs the original models": re.compile(r"\boriginal: Original\b"),
}
"""What one worker tests alone, one after the other, and the text by which a file belongs to it."""


class ByFile(LoadScopeScheduling):
    """Each file goes to one worker, so that what its tests share is made once; some files go to the same."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.partition("::")[0])


@cache
def group(file: str) -> str:
    """The name of what a file belongs to, or else the file."""
    text = (ROOT / file).read_text()
    return next((name for name, pattern in TOGETHER.items() if pattern.search(text)), file)
