import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bridge.conftest import Daemon, launch
from tests.bridge.conftest import start as start
from tests.npm import install
from tests.page.browser import Browser, browser

HERE = Path(__file__).parent
ADDRESS = re.compile(r"page on (http://\S+)")
SECONDS = 20.0


@dataclass
class Page:
    """A daemon with a page, and where that is."""

    daemon: Daemon
    address: str

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)", self.address)[-1])


def page_of(daemon: Daemon) -> Page:
    """The page of a daemon that has been started, when its log says where it is."""
    deadline = time.monotonic() + SECONDS
    while not (found := ADDRESS.findall(daemon.log.read_text())):
        assert time.monotonic() < deadline, daemon.tell()
        time.sleep(0.02)
    return Page(daemon, found[-1])


def launch_page(folder: Path, *arguments: str, **settings: object) -> Page:
    daemon = launch(folder, *arguments, **{"page": 0, "models": "drums_16bar,drummer", **settings})
    daemon.wait_until_ready()
    return page_of(daemon)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A daemon with the real models and a page."""
    made = launch_page(tmp_path_factory.mktemp("page"))
    yield made
    made.daemon.stop()


@pytest.fixture(scope="session")
def fake_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A daemon whose generator is tests/bridge/fake_generator.py, with a page."""
    daemon = launch(tmp_path_factory.mktemp("page"), "fake", page=0)
    daemon.wait_until_ready()
    yield page_of(daemon)
    daemon.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as opened:
        yield opened


@pytest.fixture
def fresh(chromium: Browser, page: Page) -> Iterator[Browser]:
    """The page as somebody sees it who is here for the first time; nothing plays."""
    visit(chromium, page.address)
    yield chromium
    chromium.run("window.vaebridge && await vaebridge.daemon.ask('stop', [])")
    assert not chromium.errors()


def visit(chromium: Browser, address: str, **how: object) -> None:
    """Open a page whose past is forgotten, and wait until it has its first result."""
    chromium.open(f"{address}/icon.svg")
    chromium.run("localStorage.clear();")
    chromium.open(address, **how)  # type: ignore[arg-type]
    chromium.until("window.vaebridge?.session.result && vaebridge.daemon.link === 'ready'")
    chromium.run("await vaebridge.daemon.ask('stop', [])")
    chromium.until("document.getElementById('play').getAttribute('aria-pressed') === 'false'")
    chromium.errors()


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core, installed as package-lock.json says."""
    folder = request.config.cache.mkdir("axe")
    install(HERE, folder)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
