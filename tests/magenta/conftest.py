import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.npm import install

HERE = Path(__file__).parent
Original = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def original(request: pytest.FixtureRequest) -> Original:
    """Asks @magenta/music, see magenta.js; installed as package-lock.json says, and kept in pytest's cache."""
    folder = request.config.cache.mkdir("magenta-js")
    install(HERE, folder)

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
