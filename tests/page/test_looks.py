"""How the page looks: axe finds no serious fault, nothing jumps, and the README's picture is of it."""

from pathlib import Path

import pytest

from tests.page.browser import SIZES, Browser
from tests.page.conftest import Page, visit
from tests.page.picture import PICTURE, difference, take

pytestmark = pytest.mark.chromium

TABS = ("shape", "morph", "tap", "log")


@pytest.mark.parametrize(("size", "dark"), [("phone", False), ("tablet", True), ("desktop", False)])
def test_axe_finds_no_serious_fault(chromium: Browser, page: Page, axe: str, size: str, dark: bool) -> None:
    visit(chromium, page.address, size=size, dark=dark, touch=size != "desktop")
    chromium.command("Runtime.evaluate", expression=axe)
    for tab in TABS:
        chromium.click(f"#tab-{tab}")
        faults = chromium.run(
            """
            const { violations } = await axe.run(document, { resultTypes: ['violations'] });
            return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
              .map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]);
            """
        )
        assert not faults, (tab, faults)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_and_nothing_jumps(chromium: Browser, page: Page, size: str) -> None:
    """The document never scrolls, and the stage stays where it is whatever is chosen beside it."""
    visit(chromium, page.address, size=size, touch=size != "desktop")
    places = set()
    for tab in TABS:
        chromium.click(f"#tab-{tab}")
        box = chromium.run(
            "const { x, y, width, height } = document.getElementById('roll').getBoundingClientRect(); return [x, y, width, height];"
        )
        places.add(tuple(box))
        wide = chromium.run("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight];")
        assert wide[0] <= SIZES[size][0]
        assert wide[1] <= SIZES[size][1]
        over = chromium.run(
            """
            const panel = document.querySelector('[role=tabpanel]:not([hidden])');
            return [panel.scrollWidth - panel.clientWidth, panel.clientHeight];
            """
        )
        assert over[0] <= 0
        assert over[1] > 200
    chromium.run("document.getElementById('toast').classList.add('shown');")
    assert len(places) == 1


def test_the_picture_in_the_readme_is_of_this_page(chromium: Browser, page: Page, tmp_path: Path) -> None:
    taken = tmp_path / "page.png"
    take(chromium, page.address, taken)
    assert difference(taken, PICTURE) < 0.01, "take it anew: python -m tests.page.picture"
