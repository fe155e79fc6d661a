"""The sound: the same graph, rendered without a loudspeaker, has each onset where its note is."""

import pytest

from tests.page.browser import Browser

pytestmark = pytest.mark.chromium

ONSETS = """
const [parts, notes, tempo] = given, { Sound } = await import('/sound.js'), { moments } = await import('/player.js');
const { drums } = await (await fetch('/table')).json(), rate = 48000, zero = 0.25;
const played = moments({ notes, parts, tempo });
const seconds = Math.max(...played.map(({ when }) => when)) + 0.5 + zero;
async function rendered(without) {
  const context = new OfflineAudioContext(1, Math.ceil(seconds * rate), rate), sound = new Sound(context, drums, context.destination);
  played.forEach(({ when, seconds, channel, note }, index) => {
    if (index !== without) sound.play(channel, note[0], note[3], zero + when, seconds);
  });
  return (await context.startRendering()).getChannelData(0);
}
const whole = await rendered(-1), found = [];
for (let index = 0; index < played.length; index += 1) {
  const other = await rendered(index);
  const at = whole.findIndex((sample, place) => Math.abs(sample - other[place]) > 1e-5);
  found.push([played[index].when, at / rate - zero]);
}
return { found, loudest: whole.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) };
"""
"""For each note when it is to sound, and when it does: where the whole differs from the whole without it."""

BAND = [
    [1, 0, 0, 3, "lead"],
    [2, 33, 3, 3, "bass"],
    [10, 0, 6, 9, "drums"],
]
BAND_NOTES = [
    *([72, 0.013, 0.5, 90, 0], [76, 1.02, 0.5, 80, 0], [79, 2.0, 1.0, 127, 0]),
    *([36, 0.0, 0.9, 100, 0], [43, 1.51, 0.4, 60, 0], [40, 2.98, 0.4, 110, 0]),
    *(
        [pitch, 0.37 * place - 0.05, 0.25, 20 + 12 * place, 0]
        for place, pitch in enumerate((36, 38, 42, 46, 45, 48, 50, 49, 51))
    ),
]


def test_what_the_daemon_has_humanized_sounds_within_a_millisecond_of_its_notes(fresh: Browser) -> None:
    clip = fresh.run("return vaebridge.session.result;")
    told = fresh.run(ONSETS, [], clip["notes"], clip["tempo"])
    assert len(told["found"]) == len(clip["notes"]) > 20
    assert all(abs(expected - found) < 0.001 for expected, found in told["found"])
    assert told["loudest"] > 0.05


def test_every_instrument_begins_within_a_millisecond_of_its_note(fresh: Browser) -> None:
    told = fresh.run(ONSETS, BAND, BAND_NOTES, 97.0)
    assert len(told["found"]) == 15
    assert all(abs(expected - found) < 0.001 for expected, found in told["found"]), told["found"]


def test_bars_that_come_late_early_and_again_are_played_on_one_line(fresh: Browser) -> None:
    """A bar's line is the end of the bar before, though messages jitter; a bar told again doubles nothing."""
    fresh.click("#tab-log")  # browsers let nothing sound before somebody has pressed something
    told = fresh.run(
        """
        const { Player } = await import('/player.js'), struck = [];
        const player = new Player(() => ({ play: (channel, pitch, velocity, when) => {
          const voice = { when, stop() { this.stopped = true; } };
          struck.push([pitch, voice]);
          return voice;
        } }));
        await player.wake();
        const zero = performance.now() + 300, jitter = [0, 12, -9, 20];
        const bar = (n, late, notes, at = performance.now()) => ({ n, start: (zero + (n - 1) * 500 + late - at) / 1000, beats: 1,
          tempo: 120, notes: notes.map((start) => [36, start, 0.1, 100, 0]), parts: [], at });
        jitter.forEach((late, index) => player.take(bar(index + 1, late, [0, 0.5])));
        player.take(bar(3, 2, [0, 0.25]));
        await new Promise((resolve) => setTimeout(resolve, 420));
        player.take(bar(1, 0, [0.5]));
        const first = [...player.bars.values()].map(({ line }) => line * 1000 - zero);
        const live = struck.filter(([, voice]) => !voice.stopped).map(([, voice]) => voice.when).sort((a, b) => a - b);
        return { lines: first, live: live.map((when) => when - live[0]), cuts: player.cuts };
        """
    )
    assert told["lines"] == pytest.approx([0, 500, 1000, 1500], abs=8)
    assert told["live"] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.125, 1.5, 1.75], abs=0.012)
    assert told["cuts"] == 0
