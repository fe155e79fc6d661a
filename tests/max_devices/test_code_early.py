"""An early first hit goes to the end of its loop, before a seam, or, where neither can be, on its line."""

import pytest

from tests.max_devices.ableton import Ableton, drums
from tests.max_devices.test_code_bridge import kicks_and_snares, press, starts

pytestmark = pytest.mark.node

EARLY = (
    "(function () {{ var c = live.clip();"
    "var early = {{pitch: 36, start: -0.1, duration: 0.25, velocity: 90, mute: 0}};"
    "var later = {{pitch: 36, start: 2, duration: 0.25, velocity: 80, mute: 0}};"
    "take.offer(c, [{{beats: {beats}, notes: [early, later], parts: []}}], {how}); }})()"
)


@pytest.mark.parametrize(
    ("place", "beats", "how", "expected"),
    [
        ({"beats": 4}, 4, "{}", [2, 3.9]),
        ({"start": 8, "beats": 4}, 4, "{}", [10, 11.9]),
        ({"beats": 4}, 8, "{}", [2, 7.9]),  # the loop becomes longer
        ({"beats": 8}, 4, "{}", [0, 2]),  # what lies before the line of the loop is not ours to write
        ({"beats": 4, "looping": 0}, 4, "{}", [0, 2]),
        ({"beats": 4}, 4, "{at: 4}", [3.9, 6]),  # what comes next begins before its line
    ],
)
def test_an_early_first_hit_sounds_before_its_line(
    ableton: Ableton, place: dict[str, float], beats: float, how: str, expected: list[float]
) -> None:
    clip = ableton.clip(**place)
    device = ableton.connected("VAE Bridge")
    device.ask("evaluate", expression=EARLY.format(beats=beats, how=how))
    assert starts(ableton, clip) == pytest.approx(expected)
    device.press("original")
    assert ableton.notes(clip) == []
    device.press("original")
    assert starts(ableton, clip) == pytest.approx(expected)


def test_in_a_new_clip_an_early_first_hit_goes_to_its_end(ableton: Ableton) -> None:
    ableton.clip(beats=4)
    device = ableton.connected("VAE Bridge")
    device.ask("evaluate", expression=EARLY.format(beats=4, how="{new_clip: true}"))
    assert starts(ableton, ableton.state()["tracks"][0]["slots"][1]) == pytest.approx([2, 3.9])


def test_what_leads_into_the_loop_is_told_as_its_early_first_hit(ableton: Ableton) -> None:
    clip = ableton.clip(drums(3), beats=4)
    hit = ableton.notes(clip)[0]
    ableton.ask("edit", id=clip, change={hit["note_id"]: {"start_time": 3.95}})
    device = ableton.connected("VAE Humanize")
    press(device, "humanize")
    notes = next(atoms for address, *atoms in ableton.traffic()["messages"] if address == "/vae/clip/notes")
    assert notes[13 + 1] == pytest.approx(-0.05)
    assert starts(ableton, clip)[-1] == pytest.approx(3.97, abs=1e-4)


def test_of_many_seeds_no_early_first_hit_of_the_drummer_is_put_on_the_line(musical: Ableton) -> None:
    clip = musical.clip(kicks_and_snares(), beats=4)
    device = musical.connected("VAE Bridge")
    on_the_line = early = 0
    for seed in range(1, 21):
        device.set(seed=seed)
        press(device, "humanize")
        starts_now = {note["note_id"]: note["start_time"] for note in musical.notes(clip)}
        first = [starts_now[note_id] for note_id in (1, 2)]
        on_the_line += sum(start == 0 for start in first)
        early += sum(start > 3.8 for start in first)
    assert on_the_line == 0
    assert early > 5
