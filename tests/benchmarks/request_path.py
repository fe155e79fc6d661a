"""The way of one /vae/humanize through the daemon, counted: `python -m tests.benchmarks.request_path`.

From its datagram to its last answer, with an engine that answers at once: how many of our functions, files
and values it meets, and how often each file is entered from another. Counts, no times: the same on every machine.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TypeVar

from bridge.osc.packet import write_message
from bridge.worker.messages import Finished
from engine.requests import Results
from tests.bridge.service.test_service import CLIP, Studio

Result = TypeVar("Result")

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / package}/" for package in ("bridge", "engine"))


@dataclass
class Way:
    """What some work has met. entries: how often each file was entered from another; forms: the values made."""

    functions: set[str] = field(default_factory=set)
    entries: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def follow(self, work: Callable[[], Result]) -> Result:
        """Do a piece of the work."""
        sys.setprofile(self._see)
        try:
            return work()
        finally:
            sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code, caller = frame.f_code, frame.f_back
        made = type(frame.f_locals.get("self"))
        if code.co_name == "__init__" and made.__module__.startswith(("bridge.", "engine.")):
            self.forms[made.__qualname__] += 1
        if not code.co_filename.startswith(OURS):
            return
        file = str(Path(code.co_filename).relative_to(ROOT))
        self.functions.add(f"{file} {code.co_qualname}")
        while caller is not None and not caller.f_code.co_filename.startswith(OURS):
            caller = caller.f_back
        self.entries[file] += caller is None or caller.f_code.co_filename != code.co_filename


def humanize(studio: Studio, number: int) -> Way:
    """The way of one request; what the engine does is left out."""
    way, verbs = Way(), studio.service.engine_verbs
    datagram = write_message("/vae/humanize", number, "slot", "a")
    way.follow(lambda: studio.receive(datagram))
    job = way.follow(lambda: verbs.take(studio.now))
    assert job is not None
    report = Finished.of(job.number, Results((CLIP,), "m", 5, 1.0))
    way.follow(lambda: verbs.report(report, studio.now))
    way.follow(lambda: studio.service.outbox.due(studio.now))
    return way


def main() -> None:
    """Print the counts."""
    studio = Studio()
    studio.send("clip", 1, "a", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    humanize(studio, 2)
    way = humanize(studio, 3)
    lines = [f"{len(way.functions)} functions in {len(way.entries)} files, entered {way.entries.total()} times"]
    lines += [f"{times:4} {file}" for file, times in way.entries.most_common()]
    lines += [f"{way.forms.total()} values of {len(way.forms)} classes: {', '.join(way.forms)}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
