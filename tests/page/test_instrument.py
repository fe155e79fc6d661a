"""The page as people use it, in Chromium, against the real daemon: each of its promises is a test."""

import itertools
import json
import struct
import time
from pathlib import Path

import pytest

from bridge.page.lists import page_table
from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from engine.midi.song import parse_song
from tests.bridge.peer import Peer
from tests.page.browser import Browser
from tests.page.conftest import Page, visit

pytestmark = pytest.mark.chromium

RECORD = """
window.told = [];
vaebridge.player.addEventListener('bar', ({ detail: { n, line, beats, tempo, notes, at } }) => {
  told = told.filter((bar) => bar.n !== n);
  told.push({ n, line, seconds: beats * 60 / tempo, notes, at });
});
"""
"""Keeps each bar that is told, as it was told last."""

CLIP = "vaebridge.session.heard"


def on_grid(start: float) -> bool:
    return abs(start * 4 - round(start * 4)) < 1e-3


def wait_for_bars(page: Browser, count: int) -> None:
    page.until(f"window.told && told.length >= {count}", 30)


def song(folder: Path, name: str = "beat.mid") -> Path:
    """Four stiff bars."""
    notes = [Note(42, step * 0.5, 0.25, 90) for step in range(32)]
    notes += [Note(36, beat * 2.0, 0.25, 100) for beat in range(8)]
    notes += [Note(38, beat * 2.0 + 1.0, 0.25, 100) for beat in range(8)]
    clip_to_midi(Clip(tuple(notes), 16.0, tempo_bpm=96.0).in_order(), folder / name)
    return folder / name


def open_song(page: Browser, folder: Path) -> None:
    page.drop(song(folder))
    page.until("vaebridge.session.base.notes.length === 48 && !vaebridge.session.result")


def ask(page: Browser, verb: str) -> None:
    """Press a verb, and wait until its result is there."""
    page.run("window.before = vaebridge.session.document.results;")
    page.click(f"[data-key='verb {verb}']")
    page.until(
        f"vaebridge.session.result && vaebridge.session.document.verb === '{verb}' && vaebridge.session.document.results !== before"
    )


def test_in_the_first_minute_a_stiff_beat_and_the_same_beat_played_are_heard_and_seen(
    chromium: Browser, page: Page
) -> None:
    began = time.monotonic()
    visit(chromium, page.address)
    chromium.run(RECORD)
    chromium.click("#play")
    chromium.run(
        """
        const { context, sound } = vaebridge.player;
        window.meter = new AnalyserNode(context, { fftSize: 32768 });
        sound.out.connect(meter);
        """
    )
    chromium.until("localStorage.getItem('vaebridge introduced')", 30)
    wait_for_bars(chromium, 5)
    bars = chromium.run("return told;")
    stiff, played = bars[0], bars[-1]
    assert all(on_grid(note[1]) and note[3] == 100 for note in stiff["notes"])
    assert sum(not on_grid(note[1]) for note in played["notes"]) > 3
    assert sorted(note[0] for note in stiff["notes"]) in [
        sorted(note[0] for note in bar["notes"]) for bar in bars[-2:]
    ]
    loudest = chromium.run(
        "const wave = new Float32Array(32768); meter.getFloatTimeDomainData(wave); return Math.max(...wave);"
    )
    assert loudest > 0.01
    colors = chromium.run(
        """
        const canvas = document.getElementById('roll'), found = new Set();
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < data.length; i += 4) found.add(data.slice(i, i + 3).join());
        return [...found];
        """
    )
    assert {"88,182,232", "240,168,72"} & set(colors)  # early and late
    assert "125,136,156" in colors  # as it was
    assert time.monotonic() - began < 60
    chromium.click("#play")
    chromium.until("document.getElementById('play').getAttribute('aria-pressed') === 'false'")


def test_a_file_that_is_dropped_is_humanized_varied_continued_and_infilled(fresh: Browser, tmp_path: Path) -> None:
    open_song(fresh, tmp_path)
    before = fresh.run(f"return {CLIP};")
    ask(fresh, "humanize")
    humanized = fresh.run(f"return {CLIP};")
    assert [note[0] for note in humanized["notes"]] == [note[0] for note in before["notes"]]
    assert any(not on_grid(note[1]) for note in humanized["notes"])
    ask(fresh, "vary")
    assert fresh.run("return vaebridge.session.base;") == humanized  # what was shown is what is varied
    varied = fresh.run(f"return {CLIP};")
    assert varied["beats"] == 16
    fresh.click("#keep")
    ask(fresh, "continue")
    longer = fresh.run(f"return {CLIP};")
    assert longer["beats"] == 32
    assert longer["notes"][: len(varied["notes"])] == varied["notes"]
    assert any(note[1] >= 16 for note in longer["notes"])
    fresh.click("#keep")
    fresh.click("#ruler button:nth-child(2)")
    ask(fresh, "infill")
    filled = fresh.run(f"return {CLIP};")
    outside = [[note for note in clip["notes"] if not 4 <= note[1] < 8] for clip in (longer, filled)]
    assert rounded(outside[0]) == rounded(outside[1])
    assert rounded(longer["notes"]) != rounded(filled["notes"])
    for _ in range(6):
        fresh.click("#undo")
    assert rounded(fresh.run(f"return {CLIP};")["notes"]) == rounded(before["notes"])


def rounded(notes: list[list[float]]) -> list[tuple[float, ...]]:
    """As OSC sends them: as float32."""
    return sorted(tuple(struct.unpack("f", struct.pack("f", value))[0] for value in note) for note in notes)


def test_a_result_is_dragged_out_as_a_file_and_saved(fresh: Browser, tmp_path: Path) -> None:
    open_song(fresh, tmp_path)
    ask(fresh, "humanize")
    shown = fresh.run(f"return {CLIP};")
    fresh.run("document.querySelector('.card[data-index=\"0\"]').dispatchEvent(new PointerEvent('pointerenter'));")
    url = fresh.until(
        """(() => {
        const data = new DataTransfer();
        document.querySelector('.card[data-index="0"]').dispatchEvent(new DragEvent('dragstart', { dataTransfer: data }));
        return data.getData('DownloadURL');
        })()"""
    )
    kind, name, address = url.split(":", 2)
    assert (kind, name) == ("audio/midi", "humanize-1.mid")
    fresh.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    fresh.run(
        "document.body.append(Object.assign(document.createElement('a'), { href: given[0], download: given[1] }));"
        "document.body.lastChild.click();",
        address,
        name,
    )
    assert_is(shown, downloaded(tmp_path, name))
    fresh.click("#save")
    assert_is(shown, downloaded(tmp_path, "beat.humanize.*.mid"))


def downloaded(folder: Path, pattern: str) -> bytes:
    """The content of a file that the browser saves, once it is there."""
    deadline = time.monotonic() + 10
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.05)
    return found[0].read_bytes()


def assert_is(shown: dict[str, object], content: bytes) -> None:
    clip = parse_song(content).clip
    notes = shown["notes"]
    assert isinstance(notes, list)
    assert (clip.length_beats, clip.tempo_bpm) == (16.0, 96.0)
    told = sorted((note.pitch, note.start_beats, note.velocity) for note in clip.notes)
    for (pitch, start, velocity), note in zip(
        told, sorted((n[0], max(0.0, n[1]), n[3]) for n in notes), strict=True
    ):
        assert (pitch, velocity) == (note[0], note[2])
        assert start == pytest.approx(note[1], abs=1 / 480)


WATCH_VOICES = """
window.cut = [];
const { sound, context } = vaebridge.player, play = sound.play.bind(sound);
sound.play = (channel, pitch, velocity, when, seconds) => {
  const voice = play(channel, pitch, velocity, when, seconds), stop = voice.stop.bind(voice);
  voice.stop = () => { if (when < context.currentTime) cut.push([pitch, when, context.currentTime]); stop(); };
  return voice;
};
"""
"""Keeps each note that is ended while it sounds: that would be heard as a click."""


def assert_no_gap(page: Browser) -> None:
    """Bars follow each other without a gap, no note came late and none was cut."""
    bars = sorted(page.run("return told;"), key=lambda bar: bar["n"])
    for bar, following in itertools.pairwise(bars):
        assert following["n"] == bar["n"] + 1
        assert following["line"] - bar["line"] == pytest.approx(bar["seconds"], abs=0.012)
    assert page.run("return [vaebridge.player.cuts, cut];") == [0, []]


def test_a_knob_that_is_turned_while_it_loops_is_in_the_next_bar(fresh: Browser) -> None:
    fresh.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    fresh.click("#play")
    fresh.run(WATCH_VOICES)
    wait_for_bars(fresh, 3)
    assert any(not on_grid(note[1]) for note in fresh.run("return told.at(-1).notes;"))
    for value, is_stiff in ((0, True), (1, False), (0, True)):
        turned = fresh.until(
            """(() => {  // half a bar before the line, as a hand does it
            const place = vaebridge.player.place(performance.now());
            return place && place.beat > 1 && place.beat < 2.2 && place.n;
            })()"""
        )
        fresh.run(
            """
            const knob = document.querySelector('[data-key=timing]');
            knob.focus(); knob.value = given[0]; knob.dispatchEvent(new Event('input', { bubbles: true }));
            """,
            value,
        )
        fresh.until(f"told.some(({{ n }}) => n === {turned + 1})")
        notes = fresh.run(f"return told.find(({{ n }}) => n === {turned + 1}).notes;")
        assert all(on_grid(note[1]) for note in notes) == is_stiff
    assert_no_gap(fresh)


def test_the_pad_that_is_moved_while_it_loops_is_in_the_next_bar(fresh: Browser) -> None:
    fresh.click("#tab-morph")
    fresh.click("#fill-corners")
    fresh.until("vaebridge.session.document.verb === 'morph'")
    fresh.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    fresh.click("#play")
    fresh.run(WATCH_VOICES)
    wait_for_bars(fresh, 2)
    x, y = fresh.middle(".pad-field")
    turned = fresh.until(
        "(() => { const p = vaebridge.player.place(performance.now()); return p && p.beat > 0.2 && p.beat < 1.5 && p.n; })()"
    )
    fresh.command("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    for step in range(5):
        fresh.command(
            "Input.dispatchMouseEvent",
            type="mouseMoved",
            x=x + 30 * step,
            y=y + 20 * step,
            button="left",
            buttons=1,
        )
    fresh.command("Input.dispatchMouseEvent", type="mouseReleased", x=x + 120, y=y + 80, button="left")
    fresh.until("!vaebridge.pad.moving && !vaebridge.daemon.pending.size")
    there, expected = fresh.run(
        """
        const { n, beat } = vaebridge.player.place(performance.now()), bar = beat < 3.2 ? n + 1 : n + 2;
        const { beats, notes } = vaebridge.session.heard, first = ((bar - 1) * 4) % beats;
        const own = notes.filter(([, start]) => start >= first - 0.125 && start < first + 3.875);
        const early = first ? [] : notes.filter(([, start]) => start >= beats - 0.125);  // of the next repeat's line
        return [bar, [...own.map(([pitch, start]) => [pitch, start - first]), ...early.map(([pitch, start]) => [pitch, start - beats])]];
        """
    )
    assert there <= turned + 2  # at once, but for the time that a busy machine takes to move a mouse
    fresh.until(f"told.some(({{ n }}) => n === {there})")
    notes = fresh.run(f"return told.find(({{ n }}) => n === {there}).notes;")
    assert rounded([note[:2] for note in notes]) == rounded(expected)
    assert_no_gap(fresh)


def test_the_page_says_what_the_daemon_says(fresh: Browser, page: Page) -> None:
    with Peer(page.daemon.port) as peer:
        status = peer.ask("status").keys
    fresh.until(f"document.getElementById('model').textContent === '{status['model']}'")
    assert fresh.text("#link") == "ready"
    assert fresh.text("#queue") == "0"
    assert fresh.text("#latency").endswith(" ms")
    fresh.click("#tab-log")
    assert fresh.text("#problem") == status["problem"]
    fresh.click("#tab-shape")
    fresh.run(
        "vaebridge.session.set({ knobs: { vary: { scale: 'no such scale' } } }); await vaebridge.verbs.choose('vary');"
    )
    fresh.click("[data-key='verb vary']")
    fresh.until("document.getElementById('toast').classList.contains('error')")
    with Peer(page.daemon.port) as peer:
        peer.ask("clip", "x", 4.0, 1, 36, 0.0, 0.25, 100, 0)
        answer = peer.ask("vary", "slot", "x", "scale", "no such scale", "count", 4)
    if answer.is_done:  # a model that has no scales ignores it
        pytest.fail("the daemon takes any scale: this test needs another mistake")
    assert fresh.run("return document.getElementById('toast').textContent;") == answer.text


def test_the_attributes_are_those_of_the_model_that_answers_and_untouched_have_no_value(
    fresh: Browser, page: Page
) -> None:
    verbs = fresh.run("return vaebridge.verbs.music;")
    every = {key["name"] for verb in page_table()["verbs"].values() for key in verb["keys"] if key["isAttribute"]}
    with Peer(page.daemon.port) as peer:
        for verb in verbs:
            fresh.run("await vaebridge.verbs.choose(given[0]);", verb)
            rows = fresh.run(
                "return [...document.querySelectorAll('.knobs [data-key]')].map((each) => [each.dataset.key, each.type, each.parentElement.querySelector('output')?.textContent]);"
            )
            shown = {key: (kind, told) for key, kind, told in rows if key.partition(".")[0] in every}
            taken = {key["name"] for key in page_table()["verbs"][verb]["keys"]}
            has = {row[0] for row in peer.ask("attributes", "verb", verb).rows("attribute")}
            assert set(shown) == {name for name in has if name.partition(".")[0] in taken}, verb
            assert set(shown.values()) <= {("range", "–")}, verb
    values = fresh.run(
        """
        const { session, verbs } = vaebridge;
        await verbs.choose('vary');
        session.set({ knobs: { ...session.document.knobs, vary: { interval: 1, late: 0.5 } } });
        const values = await verbs.values('vary', session.base, true);
        session.set({ knobs: { ...session.document.knobs, vary: {} } });
        return values;
        """
    )
    assert "interval" not in values
    assert values[values.index("late") + 1] == 0.5


def test_what_plays_and_how_late_is_shown(fresh: Browser) -> None:
    fresh.click("#play")
    fresh.until("/^\\d+\\.\\d$/.test(document.getElementById('place').textContent)")
    fresh.until("document.getElementById('late').textContent !== '– ms'")
    fresh.until("!document.getElementById('playhead').hidden")


def test_it_works_with_a_finger_on_a_tablet(chromium: Browser, page: Page) -> None:
    visit(chromium, page.address, size="tablet", touch=True)
    chromium.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    chromium.tap("#play", "told.length >= 2")
    chromium.run("window.before = vaebridge.session.document.results;")
    chromium.tap(
        "[data-key='verb vary']",
        "vaebridge.session.document.verb === 'vary' && vaebridge.session.document.results !== before",
    )
    x, y = chromium.middle("[data-key=similarity]")
    chromium.touch((x, y), (x + 40, y), (x + 60, y))
    chromium.until("vaebridge.session.document.knobs.vary?.similarity > 0.5")
    chromium.tap("#tab-morph", "document.querySelector('#fill-corners')?.offsetParent")
    chromium.tap("#fill-corners", "vaebridge.session.document.verb === 'morph'")
    x, y = chromium.middle(".pad-field")
    chromium.touch((x, y), (x + 50, y + 40), (x + 90, y + 60))
    chromium.until("vaebridge.session.document.pad[0] > 0.6 && vaebridge.session.document.pad[1] > 0.6")
    chromium.tap(".lane[data-lane=kick]", "vaebridge.roll.locked.has('kick')")
    chromium.tap(".card[data-index='-1']", "vaebridge.session.document.ear === 'before'")
    small = chromium.run(
        """
        return [...document.querySelectorAll('button, select, input[type=range]')]
          .filter((each) => each.offsetParent && !each.closest('.log'))
          .map((each) => [each.id || each.textContent, each.getBoundingClientRect()])
          .filter(([, box]) => Math.min(box.width, box.height) < 24).map(([name]) => name);
        """
    )
    assert not small  # WCAG 2.2: what a finger must hit has 24 pixels at least
    chromium.run("await vaebridge.daemon.ask('stop', []);")


def focus(page: Browser, selector: str) -> None:
    """Press Tab until something has the focus, as people do; it can be reached."""
    for _ in range(80):
        if page.run("return document.activeElement.matches(given[0]);", selector):
            return
        page.press("Tab")
    raise AssertionError(f"no Tab reaches {selector}")


def test_it_works_with_the_keyboard_alone(fresh: Browser) -> None:
    fresh.run("localStorage.setItem('vaebridge introduced', '1'); document.activeElement.blur();" + RECORD)
    fresh.press(" ", "Space")
    wait_for_bars(fresh, 2)
    focus(fresh, "[data-key='verb vary']")
    fresh.press("Enter")
    fresh.until("vaebridge.session.document.verb === 'vary'")
    focus(fresh, "[data-key=similarity]")
    fresh.run("window.before = vaebridge.session.document.results;")
    for _ in range(5):
        fresh.press("ArrowRight")
    fresh.until("vaebridge.session.document.knobs.vary?.similarity > 0.5")
    fresh.until("vaebridge.session.document.results !== before")
    fresh.run("document.activeElement.blur();")
    focus(fresh, "#roll")
    notes = fresh.run(f"return {CLIP}.notes.length;")
    for _ in range(3):
        fresh.press("ArrowRight")
    fresh.press("Enter")
    fresh.until(f"{CLIP}.notes.length !== {notes}")
    assert "1.1" in fresh.text("#readout") or "crash" in fresh.text("#readout")
    fresh.press("m")
    fresh.until("vaebridge.roll.marked")
    fresh.run("document.activeElement.blur();")
    fresh.press("\\", "Backslash")
    fresh.until("vaebridge.session.document.ear === 'before'")
    focus(fresh, "#play")
    fresh.press("Enter")
    fresh.until("document.getElementById('play').getAttribute('aria-pressed') === 'false'")


@pytest.mark.parametrize(
    ("button", "redraw", "pressed"),
    [
        ("[data-key='verb vary']", "vaebridge.verbs.draw();", "vaebridge.session.document.verb === 'vary'"),
        (
            "[data-lane='kick']",
            "vaebridge.roll.lanesKey = ''; vaebridge.roll.lay();",
            "vaebridge.roll.locked.has('kick')",
        ),
    ],
)
def test_a_press_counts_though_what_is_pressed_would_be_drawn_anew_meanwhile(
    fresh: Browser, button: str, redraw: str, pressed: str
) -> None:
    fresh.mouse("mousePressed", button)
    fresh.run(redraw)
    fresh.mouse("mouseReleased", button)
    fresh.until(pressed)
    before = "window.pressed = document.querySelector(given[0]);"
    fresh.run(before + redraw, button)
    fresh.until(f'window.pressed !== document.querySelector("{button}")')


def test_a_hit_that_is_set_is_heard_in_the_next_bar_and_taken_back(fresh: Browser) -> None:
    fresh.click("#draw")
    before = fresh.run("return vaebridge.session.heard.notes.length;")
    x, y = fresh.run(
        "const { roll } = vaebridge, row = roll.rows.find(({ name }) => name === 'low_tom'), box = roll.canvas.getBoundingClientRect(); return [box.left + roll.x(1.55), box.top + row.top + row.height / 2];"
    )
    for kind in ("mousePressed", "mouseReleased"):
        fresh.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    fresh.until(f"vaebridge.session.heard.notes.length === {before + 1}")
    assert fresh.run("return vaebridge.session.heard.notes.at(-1);") == [45, 1.5, 0.25, 100, 0]
    fresh.press("z", "KeyZ")
    fresh.click("#undo")
    fresh.until(f"vaebridge.session.heard.notes.length === {before}")


@pytest.mark.parametrize("verb", ["vary", "humanize"])
def test_an_edit_that_is_drawn_before_an_answer_comes_is_kept(fresh: Browser, verb: str) -> None:
    base, results = fresh.run(
        """
        const { roll, session, verbs, daemon } = vaebridge;
        await verbs.choose(given[0]);
        const ask = daemon.ask.bind(daemon);
        daemon.ask = async (...what) => {
          const answer = await ask(...what);
          if (what[0] === given[0]) roll.dispatchEvent(new CustomEvent('edit', { detail: { add: [45, 1.5, 0.25, 100, 0] } }));
          return answer;
        };
        try { await verbs.ask({ isFresh: true }); } finally { delete daemon.ask; }
        return [session.base, session.document.results];
        """,
        verb,
    )
    assert [45, 1.5, 0.25, 100, 0] in base["notes"]
    assert results == []
    fresh.click("#undo")


def test_an_answer_that_comes_after_another_browsers_copy_of_the_clip_is_shown(fresh: Browser) -> None:
    results = fresh.run(
        """
        const { session, verbs } = vaebridge, asked = verbs.ask({ isFresh: true }), before = session.document.results;
        session.hear({ address: '/page/session', values: [{ ...JSON.parse(JSON.stringify(session.document)), by: 'x', revision: 1e6 }] });
        await asked;
        return session.document.results !== before && session.document.revision > 1e6;
        """
    )
    assert results


def test_after_undo_name_and_tempo_are_those_of_the_file_before(fresh: Browser, page: Page, tmp_path: Path) -> None:
    open_song(fresh, tmp_path)
    other = Clip((Note(36, 0.0, 0.25, 100),), 4.0, tempo_bpm=141.0)
    clip_to_midi(other, tmp_path / "other.mid")
    fresh.drop(tmp_path / "other.mid")
    fresh.until("vaebridge.session.document.name === 'other.mid'")
    for button, name, tempo in (("undo", "beat.mid", 96), ("redo", "other.mid", 141)):
        fresh.click(f"#{button}")
        fresh.until(f"Math.round(vaebridge.daemon.status.tempo) === {tempo}")
        assert fresh.run("return vaebridge.session.document.name;") == name
        assert round(fresh.run("return vaebridge.session.base.tempo;")) == tempo


def test_drums_that_are_locked_stay_as_they_are(fresh: Browser) -> None:
    fresh.click(".lane[data-lane=kick]")
    fresh.click("[data-key='verb humanize']")
    fresh.until("vaebridge.session.document.keys.seed && vaebridge.session.past.length")
    base, heard = fresh.run("return [vaebridge.session.base.notes, vaebridge.session.heard.notes];")
    kicks = [(a, b) for a, b in zip(base, heard, strict=True) if a[0] == 36]
    assert kicks
    assert all(rounded([a]) == rounded([b]) for a, b in kicks)
    assert rounded(base) != rounded(heard)


def test_taps_become_drums_in_the_bars_that_follow(fresh: Browser) -> None:
    fresh.click("#tab-tap")
    fresh.run(RECORD)
    fresh.click("[data-mode=drumify]")
    fresh.until("document.querySelector('[data-mode=drumify]').getAttribute('aria-pressed') === 'true'")
    wait_for_bars(fresh, 1)
    for _ in range(6):
        fresh.press("z", "KeyZ")
        time.sleep(0.3)
        fresh.press("x", "KeyX")
        time.sleep(0.3)
    fresh.until("told.filter(({ notes }) => notes.length > 4).length >= 1", 20)
    fresh.click("[data-mode=off]")
    fresh.until("!vaebridge.daemon.status.playing")


def test_what_was_asked_and_answered_stands_in_the_log(fresh: Browser) -> None:
    fresh.click("[data-key='verb humanize']")
    fresh.click("#tab-log")
    line = fresh.until(
        "[...document.querySelectorAll('#log .asked')].map((row) => row.textContent).findLast((text) => text.startsWith('/vae/humanize'))"
    )
    assert "slot" in line
    assert '"page base"' in line
    fresh.until(
        "[...document.querySelectorAll('#log .answered')].some((row) => row.textContent.includes('humanize model drummer'))"
    )


def test_what_was_played_is_kept_as_a_file_with_its_seeds(fresh: Browser, tmp_path: Path) -> None:
    fresh.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    fresh.run("localStorage.setItem('vaebridge introduced', '1');" + RECORD)
    fresh.click("#play")
    wait_for_bars(fresh, 4)
    fresh.click("#capture")
    content = downloaded(tmp_path, "vaebridge-played.mid")
    assert f"humanize seed {fresh.run('return vaebridge.session.document.keys.seed;')}".encode() in content
    first = fresh.run(f"return {CLIP}.notes;")
    kept = [note.pitch for note in parse_song(content).clip.notes if note.start_beats < 3.8]
    assert sorted(kept) == sorted(note[0] for note in first if note[1] < 3.8)


def test_the_map_shows_where_styles_and_clips_lie_and_lets_hear_what_is_at_a_point(fresh: Browser) -> None:
    fresh.click("#tab-morph")
    fresh.click("#draw-map")
    fresh.until("vaebridge.map.points", 60)
    points = fresh.run(
        "return vaebridge.map.points.map(({ name, isStyle, at }) => [name, Boolean(isStyle), ...at]);"
    )
    styles = {name for name, is_style, *_ in points if is_style}
    assert {"funk", "jazz", "rock"} <= styles
    assert "now" in {name for name, is_style, *_ in points if not is_style}
    assert len({(round(x, 3), round(y, 3)) for _, _, x, y in points}) > len(styles) / 2
    back = fresh.run("const { plane } = vaebridge.map; return plane.project(plane.lift([0.3, -0.7]));")
    assert back == pytest.approx([0.3, -0.7], abs=1e-6)
    fresh.click("canvas.map")
    fresh.until("vaebridge.session.document.verb === 'map' && vaebridge.session.result.notes.length > 3")
    first = fresh.run(f"return {CLIP};")
    for _ in range(12):
        fresh.press("ArrowRight")
    fresh.press("Enter")
    fresh.until(f"JSON.stringify({CLIP}) !== {json.dumps(json.dumps(first, separators=(',', ':')))}")
