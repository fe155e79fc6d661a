"""The real daemon, its settings from the environment; prints `ready` when it is."""

import sys

from bridge.config import Config
from bridge.daemon import serve

FAKE = "tests.bridge.fake_generator:FakeGenerator"


def main() -> None:
    def ready(*told: object) -> None:
        sys.stdout.write(f"ready {told}\n")
        sys.stdout.flush()

    if "fake" in sys.argv:
        serve(Config(), on_ready=ready, generator=FAKE)
    else:
        serve(Config(), on_ready=ready)


if __name__ == "__main__":
    main()
