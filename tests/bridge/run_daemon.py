"""The real daemon, its settings from the environment; prints `ready` when it is.

`fake`: with the generator of the tests; `stumble Class.method`: a part of the loop that throws, half of the time.
"""

import sys
from typing import Any

from bridge.config import Config
from bridge.daemon import GENERATOR, serve
from bridge.midi.ports import MidiPorts
from bridge.playing.ensemble import Ensemble
from bridge.service.engine_verbs import EngineVerbs
from bridge.service.reception import Reception
from bridge.service.service import Service

FAKE = "tests.bridge.fake_generator:FakeGenerator"
PARTS: dict[str, Any] = {each.__name__: each for each in (EngineVerbs, MidiPorts, Ensemble, Reception, Service)}


def main() -> None:
    def ready(*told: object) -> None:
        sys.stdout.write(f"ready {told}\n")
        sys.stdout.flush()

    if "stumble" in sys.argv:
        stumble(*sys.argv[-1].split("."))
    serve(Config(), on_ready=ready, generator=FAKE if "fake" in sys.argv else GENERATOR)


def stumble(owner: str, part: str) -> None:
    """Let a part throw every other time that it is called."""
    works, calls = getattr(PARTS[owner], part), iter(range(10**9))

    def throw(*arguments: Any, **settings: Any) -> Any:
        if next(calls) % 2:
            raise RuntimeError("a bug that nobody expects")
        return works(*arguments, **settings)

    setattr(PARTS[owner], part, throw)


if __name__ == "__main__":
    main()
