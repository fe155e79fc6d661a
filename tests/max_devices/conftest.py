from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bridge.conftest import Daemon, daemon, fake_daemon, needs, phrase_daemon, start  # noqa: F401
from tests.max_devices.ableton import Ableton

Needs = Callable[[str, str], None]
Opens = Callable[..., Ableton]


@pytest.fixture
def opens(needs: Needs) -> Iterator[Opens]:  # noqa: F811
    """Opens Live sets; when the test ends, every device must be without an error."""
    needs("node", "nodejs")
    opened: list[Ableton] = []

    def open_set(daemon_port: int, **settings: Any) -> Ableton:
        opened.append(Ableton(daemon_port, **settings))
        return opened[-1]

    yield open_set
    for each in opened:
        each.close()


@pytest.fixture
def ableton(opens: Opens, fake_daemon: Daemon) -> Ableton:  # noqa: F811
    """A Live set beside a daemon whose generator plays every note 0.02 beats late."""
    return opens(fake_daemon.port)


@pytest.fixture
def phrasing(opens: Opens, phrase_daemon: Daemon) -> Ableton:  # noqa: F811
    """A Live set beside a daemon that has a model of phrases as well."""
    return opens(phrase_daemon.port, default="drummer")


@pytest.fixture
def musical(opens: Opens, daemon: Daemon) -> Ableton:  # noqa: F811
    """A Live set beside the daemon with the real generator."""
    return opens(daemon.port)
