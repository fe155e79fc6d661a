"""The page under load: `python -m tests.benchmarks.page --minutes 60`.

Frame times with 5,000 notes in the roll, resting and scrolled, in Chromium without a window or GPU; then a loop for
so many minutes: gaps between its bars, notes that came too late, and what the page's memory grows by.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.page.browser import Browser, browser
from tests.page.conftest import launch_page, visit

NOTES = 5000
FRAMES = """
const [scrolls] = given, times = [], { roll } = vaebridge;
let last = await new Promise(requestAnimationFrame);
for (let frame = 0; frame < 240; frame += 1) {
  if (scrolls) roll.scroller.scrollLeft = (frame * 37) % 4000;
  const now = await new Promise(requestAnimationFrame);
  times.push(now - last);
  last = now;
}
times.sort((a, b) => a - b);
return [0.5, 0.95, 0.99].map((share) => times[Math.floor(share * times.length)]);
"""
DRAW = """
const times = [];
for (let run = 0; run < 40; run += 1) {
  const begin = performance.now();
  vaebridge.roll.draw();
  times.push(performance.now() - begin);
}
return times.sort((a, b) => a - b)[20];
"""
WATCH = """
window.bars = 0; window.late = [];
vaebridge.player.addEventListener('bar', ({ detail: { n, line } }) => {
  const last = vaebridge.player.bars.get(n - 1);
  if (last) { bars += 1; late.push(Math.abs(line - last.line - last.beats * 60 / last.tempo) * 1000); }
});
"""


def frames(page: Browser) -> None:
    """Print the frame times with many notes."""
    page.run(
        """
        const [count] = given, { session } = vaebridge;
        const start = (i) => Math.floor(i / 5) / 4 + 0.01 * (i % 7);
        const hit = (i) => [[36, 38, 42, 46, 51][i % 5], start(i), 0.25, 20 + (i * 37) % 107, 0];
        const base = { beats: count / 20, beatsPerBar: 4, tempo: 120, parts: [] };
        base.notes = Array.from({ length: count }, (_, i) => hit(i));
        session.set({ base, results: [], shown: -1, verb: '' });
        """,
        NOTES,
    )
    for name, scrolls in (("resting", False), ("scrolled", True)):
        middle, most, worst = page.run(FRAMES, scrolls)
        sys.stdout.write(
            f"frames with {NOTES} notes, {name}: p50 {middle:.1f}, p95 {most:.1f}, p99 {worst:.1f} ms\n"
        )
    sys.stdout.write(f"one drawing of what is in view: {page.run(DRAW):.2f} ms\n")


def loop(page: Browser, minutes: float) -> None:
    """Print what a loop does in so many minutes."""
    page.run("localStorage.setItem('vaebridge introduced', '1');" + WATCH)
    page.click("#play")
    page.until("bars > 2")
    page.run("late = [];")
    before = heap(page)
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        time.sleep(min(10.0, max(0.1, end - time.monotonic())))
    worst, cuts, count, status = page.run(
        "return [Math.max(...late), vaebridge.player.cuts, bars, vaebridge.daemon.status.missed];"
    )
    grown = heap(page) - before
    sys.stdout.write(
        f"{minutes:g} minutes of a loop: {count} bars, the worst gap between two {worst:.1f} ms, "
        f"{cuts} notes too late, {status} missed by the daemon, memory {grown / 2**20:+.1f} MiB\n"
    )


def heap(page: Browser) -> int:
    """The bytes in use once what is of no more use has been given back."""
    page.command("HeapProfiler.collectGarbage")
    return int(page.command("Runtime.getHeapUsage")["usedSize"])


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of a loop")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        served = launch_page(Path(folder))
        try:
            visit(page, served.address)
            frames(page)
            visit(page, served.address)
            loop(page, minutes)
        finally:
            served.daemon.stop()


if __name__ == "__main__":
    main()
