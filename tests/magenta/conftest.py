import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.missing import missing

HERE = Path(__file__).parent
LOCKED = ("package.json", "package-lock.json")
Original = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def original(request: pytest.FixtureRequest) -> Original:
    """Asks @magenta/music, see magenta.js; installed as package-lock.json says, and kept in pytest's cache."""
    folder = request.config.cache.mkdir("magenta-js")
    _install(folder)

    def ask(**question: Any) -> dict[str, Any]:
        told = subprocess.run(
            ["node", HERE / "magenta.js", folder],
            input=json.dumps(question, default=str),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)  # type: ignore[no-any-return]

    return ask


def _install(folder: Path) -> None:
    """Skips without Node.js or npm; where CI is true that is a failure."""
    needed = (HERE / LOCKED[1]).read_bytes()
    done = folder / "installed"
    if done.exists() and done.read_bytes() == needed:
        return
    sentence = _missing() or _npm(folder)
    if sentence:
        missing(sentence)
    done.write_bytes(needed)


def _missing() -> str:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{missing[0]} is not installed; Debian: apt install nodejs npm" if missing else ""


def _npm(folder: Path) -> str:
    for name in LOCKED:
        (folder / name).write_bytes((HERE / name).read_bytes())
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True)
    return f"npm cannot install @magenta/music: {done.stderr[-500:]}" if done.returncode else ""
