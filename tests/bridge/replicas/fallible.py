"""The real generator, in a replica, which says in which process it ran, and fails as a request's style says."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.asking import Asking
from engine.requests import ContinueSound, Request, Results
from engine.verbs.generator import Generator


class Fallible(Generator):
    """Styles: `crash`, `bug`, `sleep 0.5`. Its sound never ends until it is given up, which the file `to` tells.

    Remarks: the process, and the models in it. together, among the facts: how many requests ran together.
    """

    together = 0

    def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
        self.together = len(requests)
        return super().run_together(requests)

    def _asking(self, request: Request) -> Asking[Results]:
        if isinstance(request, ContinueSound):
            request.to.with_suffix(".begun").touch()
            while not request.given_up():
                time.sleep(0.01)
            request.to.touch()
            return Results((), "none", 0, 0.0)
        word, _, seconds = (getattr(request, "style", None) or "").partition(" ")
        if word == "crash":
            os.abort()
        if word == "bug":
            raise RuntimeError("a bug")
        if word == "sleep":
            time.sleep(float(seconds))
            request = replace(request, style=None)  # type: ignore[call-arg]
        results = yield from super()._asking(request)
        return replace(results, remarks=(str(os.getpid()), *self.loaded), facts=(("together", self.together),))
