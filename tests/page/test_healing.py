"""What goes away comes back: daemons that are killed or hang, processes that die; and several browsers."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.peer import Peer
from tests.page.browser import Browser, browser
from tests.page.conftest import Page, launch_page, visit

pytestmark = pytest.mark.chromium

RECORD = """
window.told = [];
vaebridge.player.addEventListener('bar', ({ detail: { n, notes } }) => { told.push({ n, notes }); });
"""


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Page]:
    """A page whose daemon may be killed."""
    made = launch_page(tmp_path, models="drummer")
    yield made
    with contextlib.suppress(ProcessLookupError):
        os.kill(made.daemon.process.pid, signal.SIGCONT)
    made.daemon.process.kill()
    made.daemon.process.wait()


def link(page: Browser) -> str:
    return str(page.run("return document.body.dataset.link;"))


def test_a_daemon_that_is_killed_and_comes_back_is_played_on(
    chromium: Browser, mortal: Page, tmp_path: Path
) -> None:
    visit(chromium, mortal.address)
    chromium.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    chromium.click("#play")
    chromium.until("told.length > 1")
    before = chromium.run("return vaebridge.session.document;")
    mortal.daemon.process.kill()
    mortal.daemon.process.wait()
    chromium.until("document.body.dataset.link !== 'ready'")
    assert chromium.text("#link") in ("looking for the daemon", "the daemon does not answer; it is looked for")
    assert chromium.text("#model") == "–"
    again = launch_page(tmp_path, models="drummer", osc_port=mortal.daemon.port, page=mortal.port)
    try:
        chromium.until("document.body.dataset.link === 'ready'", 30)
        chromium.run("told = [];")
        chromium.until("told.some(({ n, notes }) => n > 1 && notes.length)", 30)
        assert chromium.run("return vaebridge.session.document.results;") == before["results"]
        with Peer(mortal.daemon.port) as peer:
            slots = [row[0] for row in peer.ask("clip/list").rows("clip/slot")]
        assert "page" in slots
        chromium.click("[data-key='verb vary']")
        chromium.until("vaebridge.session.document.verb === 'vary'")
        chromium.run("await vaebridge.daemon.ask('stop', []);")
    finally:
        again.daemon.stop()
    chromium.errors()  # the browser itself says that it could not connect


def test_a_daemon_that_hangs_is_told_and_heals_by_itself(chromium: Browser, mortal: Page) -> None:
    visit(chromium, mortal.address)
    mortal.daemon.process.send_signal(signal.SIGSTOP)
    chromium.until("document.body.dataset.link === 'away'", 15)
    assert chromium.text("#link") == "the daemon does not answer; it is looked for"
    mortal.daemon.process.send_signal(signal.SIGCONT)
    chromium.until("document.body.dataset.link === 'ready'", 15)
    chromium.click("[data-key='verb vary']")
    chromium.until("vaebridge.session.document.verb === 'vary'")


RECORD_LINK = """
window.links = [];
new MutationObserver(() => links.push([document.body.dataset.link, document.querySelector('#link').textContent]))
    .observe(document.body, {attributes: true, attributeFilter: ['data-link']});
"""


def test_a_model_process_that_dies_is_told_in_the_daemons_words_while_the_loop_goes_on(
    chromium: Browser, mortal: Page
) -> None:
    visit(chromium, mortal.address)
    chromium.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    chromium.click("#play")
    chromium.until("told.length > 1")
    chromium.run(RECORD_LINK)
    os.kill(mortal.daemon.model_pid, signal.SIGKILL)
    chromium.until("links.some(([link]) => link === 'warming')")  # for a moment: these models are there at once
    assert ["warming", "the models warm up"] in chromium.run("return links;")
    count = chromium.run("return told.length;")
    chromium.until(f"told.length > {count}")
    chromium.until("document.body.dataset.link === 'ready'", 30)
    chromium.click("[data-key='verb vary']")
    chromium.until("vaebridge.session.document.verb === 'vary'")


def test_a_page_whose_process_dies_comes_back(chromium: Browser, tmp_path: Path) -> None:
    port = free_tcp_port()
    settled = launch_page(tmp_path, "fake", page=port)
    try:
        visit(chromium, settled.address)
        os.kill(settled.daemon.pid_of("bridge.page.main"), signal.SIGKILL)
        chromium.until("document.body.dataset.link === 'connecting'")
        chromium.until("document.body.dataset.link === 'ready'")
    finally:
        settled.daemon.stop()
    chromium.errors()


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_browsers_see_and_hear_the_same(fresh: Browser, page: Page) -> None:
    fresh.click("[data-key='verb vary']")
    fresh.until("vaebridge.session.document.verb === 'vary'")
    with browser() as other:
        other.open(page.address, size="tablet", touch=True)
        other.until("window.vaebridge?.session.document.verb === 'vary' && vaebridge.daemon.link === 'ready'")
        for each in (fresh, other):
            each.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
        assert seen(other) == seen(fresh)
        other.click(".card[data-index='2']")
        fresh.until("vaebridge.session.document.shown === 2")
        fresh.click("#tab-morph")
        fresh.click(".corner-A")
        other.until("vaebridge.session.document.corners[0]")
        fresh.click("#play")
        other.until("new Set(told.map(({ n }) => n)).size > 3", 30)
        other.until("document.getElementById('play').getAttribute('aria-pressed') === 'true'")
        fresh.until("new Set(told.map(({ n }) => n)).size > 3", 30)
        bars = [{bar["n"]: bar["notes"] for bar in each.run("return told;")} for each in (fresh, other)]
        common = sorted(set(bars[0]) & set(bars[1]))[:-1]
        assert common
        assert all(bars[0][n] == bars[1][n] for n in common)
        other.touch(other.middle("#play"))
        fresh.until("document.getElementById('play').getAttribute('aria-pressed') === 'false'")
        assert seen(other) == seen(fresh)


def seen(page: Browser) -> object:
    return page.run(
        "const { base, results, shown, corners, ear } = vaebridge.session.document; return { base, results, shown, corners, ear };"
    )
