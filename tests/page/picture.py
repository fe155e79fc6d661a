"""The picture of the page in the README, taken from the running page: `python -m tests.page.picture`.

test_looks.py compares the page with it, so that it cannot go stale.
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from tests.page.browser import Browser, browser
from tests.page.conftest import launch_page, visit

PICTURE = Path(__file__).parents[2] / "bridge/page/picture.png"
SEED, STYLE = 7, "funk"
BLOCK = 12
"""Pictures are compared by the mean of blocks of so many pixels, which other fonts hardly change."""


def take(chromium: Browser, address: str, path: Path) -> None:
    """The page with its first beat humanized."""
    visit(chromium, address, size="tablet")
    chromium.run(
        """
        vaebridge.session.set({ keys: { seed: given[0] }, knobs: { humanize: { style: given[1], count: 4 } } });
        await vaebridge.verbs.choose('humanize');
        await vaebridge.verbs.ask({ isFresh: false });
        document.activeElement.blur();
        for (const id of ['latency', 'late']) document.getElementById(id).textContent = '5.0 ms';
        document.getElementById('seed').textContent = 'drummer · seed 7 · 5.0 ms';
        """,
        SEED,
        STYLE,
    )
    chromium.until("!document.getElementById('toast').classList.contains('shown')")
    chromium.run("await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));")
    chromium.picture(path)


def difference(one: Path, other: Path) -> float:
    """How far two pictures of one size are from each other, 0 to 1; 1 where their sizes differ."""
    pictures = [imread(each)[..., :3] for each in (one, other)]
    if pictures[0].shape != pictures[1].shape:
        return 1.0
    means = []
    for picture in pictures:
        height, width = (side - side % BLOCK for side in picture.shape[:2])
        blocks = picture[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
        means.append(blocks.mean(axis=(1, 3)))
    return float(np.abs(means[0] - means[1]).mean())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        page = launch_page(Path(folder))
        try:
            take(chromium, page.address, PICTURE)
        finally:
            page.daemon.stop()


if __name__ == "__main__":
    main()
