import base64
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from engine.data.windows import Windows
from engine.errors import DataError
from engine.evaluation.examples import BEATS_PER_BAR, choose, write_examples
from engine.midi.clips import TICKS_PER_BEAT
from engine.midi.song import clip_from_midi
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, clip_to_groove
from tests.missing import missing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OURS_OFFSET, OURS_VELOCITY = 0.25, 64 / 127


def some_windows(count=24, *, performances=8, styles=("funk", "jazz"), hits_per_beat=4):
    """Windows of four bars, early by a tenth of a step on average, of performances of three windows each."""
    chance = np.random.default_rng(0)
    grooves = np.zeros((count, 64, 27), np.float32)
    for window in grooves:
        steps = np.arange(0, 64, 4 // hits_per_beat)
        drums = chance.integers(0, 9, len(steps))
        window[steps, drums] = 1
        window[steps, 9 + drums] = chance.uniform(0.2, 1, len(steps))
        window[steps, 18 + drums] = chance.normal(0.2, 0.2, len(steps)).clip(-1, 1)
    performance = np.sort(np.arange(count) % performances)
    return Windows(
        grooves=grooves,
        tempo_bpm=np.linspace(80, 160, count, dtype=np.float32),
        style=performance % len(styles),
        style_names=styles,
        performance=performance,
        drummer=performance % 2,
        drummer_names=("drummer1", "drummer2"),
    )


def lazily(windows, seed):
    """A model that plays every hit as late and as loud as the other."""
    hits = windows.grooves[..., HITS]
    return np.concatenate([hits, hits * OURS_VELOCITY, hits * -OURS_OFFSET], axis=-1)


@pytest.fixture(scope="module")
def windows():
    return some_windows()


@pytest.fixture(scope="module")
def excerpts(windows, folder):
    return write_examples(folder, windows, lazily, model="drummer", count=12, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def page(folder, excerpts):
    return (folder / "index.html").read_text(encoding="utf-8")


def script_of(page, name):
    return re.search(rf'<script id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)[1]


@pytest.fixture(scope="module")
def content(page):
    return json.loads(script_of(page, "content"))


@pytest.fixture
def node(page, tmp_path):
    """Runs an expression after the page's program, with its content in `test`, and returns the value."""
    program = shutil.which("node")
    if program is None:
        missing("node is not there")

    def run(expression):
        path = tmp_path / "page.js"
        path.write_text(
            f"{script_of(page, 'program')}\nconst test = {script_of(page, 'content')};\n"
            f"console.log(JSON.stringify({expression}));",
            encoding="utf-8",
        )
        done = subprocess.run([program, str(path)], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def heard(path):
    """A file as a groove, without the empty bar before it, and its tempo."""
    clip = clip_from_midi(path)
    groove = clip_to_groove(clip, GENERAL_MIDI, steps=80)
    assert not groove[:16].any()
    return groove[16:], clip.tempo_bpm


def test_a_folder_holds_three_neutral_files_for_each_excerpt_a_page_and_a_key(folder, excerpts):
    files = {f"{i:02}-{part}.mid" for i in range(1, 13) for part in ("stiff", "a", "b")}
    assert {path.name for path in folder.iterdir()} == files | {"index.html", "key.toml"}


def test_the_key_tells_which_file_the_drummer_played(folder, excerpts, windows):
    key = tomllib.loads((folder / "key.toml").read_text())["drummer"]
    tempos = windows.tempo_bpm.tolist()
    for excerpt in excerpts:
        groove, tempo_bpm = heard(folder / f"{excerpt.name}-{key[excerpt.name]}.mid")
        source = windows.grooves[np.argmin(np.abs(np.array(tempos) - tempo_bpm))]
        np.testing.assert_allclose(groove[:, HITS], source[:, HITS])
        np.testing.assert_allclose(groove[:, OFFSETS], source[:, OFFSETS], atol=0.01)
        np.testing.assert_allclose(groove[:, VELOCITIES], source[:, VELOCITIES], atol=0.005)


def test_the_other_file_is_the_models(folder, excerpts):
    for excerpt in excerpts:
        other = "b" if excerpt.drummer == "a" else "a"
        groove, _ = heard(folder / f"{excerpt.name}-{other}.mid")
        hits = groove[:, HITS] > 0
        np.testing.assert_allclose(groove[:, OFFSETS][hits], -OURS_OFFSET, atol=0.01)
        np.testing.assert_allclose(groove[:, VELOCITIES][hits], OURS_VELOCITY, atol=0.005)


def test_stiff_is_on_the_grid_and_equally_loud(folder, excerpts):
    for excerpt in excerpts:
        clip = clip_from_midi(folder / f"{excerpt.name}-stiff.mid")
        assert {note.start_beats % 0.25 for note in clip.notes} == {0}
        assert len({note.velocity for note in clip.notes}) == 1


def test_an_early_first_hit_is_not_lost(tmp_path):
    windows = some_windows(1, performances=1)
    windows.grooves[0, 0, OFFSETS] = 0.5 * windows.grooves[0, 0, HITS]
    (excerpt,) = write_examples(tmp_path, windows, lazily, model="drummer")
    clip = clip_from_midi(tmp_path / f"01-{excerpt.drummer}.mid")
    assert min(note.start_beats for note in clip.notes) == pytest.approx(BEATS_PER_BAR - 0.0625, abs=0.003)


def test_drummer_and_model_change_places(excerpts):
    assert {excerpt.drummer for excerpt in excerpts} == {"a", "b"}


def test_the_page_plays_the_notes_of_the_files(folder, excerpts, content):
    for excerpt in content["excerpts"]:
        for part in ("stiff", "a", "b"):
            clip = clip_from_midi(folder / f"{excerpt['name']}-{part}.mid")
            lead = round(BEATS_PER_BAR * TICKS_PER_BEAT)
            notes = [(round(n.start_beats * TICKS_PER_BEAT) - lead, n.pitch, n.velocity) for n in clip.notes]
            assert sorted(tuple(note) for note in excerpt[part]) == sorted(notes)
            assert clip.tempo_bpm == pytest.approx(excerpt["tempo_bpm"], abs=0.01)


def test_the_page_loads_nothing_from_elsewhere(page):
    assert not re.search(r"https?://|src=|@import|url\(|fetch\(|XMLHttpRequest|import\(", page)


def test_the_page_does_not_show_the_key(page, excerpts):
    letters = "".join(excerpt.drummer for excerpt in excerpts)
    assert letters not in page
    assert base64.b64encode(letters.encode()).decode() not in page


def test_the_same_seed_writes_the_same_test(windows, folder, excerpts, tmp_path):
    write_examples(tmp_path, windows, lazily, model="drummer", count=12, seed=3)
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())


def test_every_performance_comes_once_before_one_comes_twice(windows):
    chosen = windows.performance[choose(windows, 12, seed=0)]
    assert sorted(chosen[:8].tolist()) == list(range(8))
    assert len(set(chosen[8:].tolist())) == 4


def test_the_styles_come_in_turn(windows):
    styles = windows.style[choose(windows, 8, seed=0)]
    assert [set(pair) for pair in styles.reshape(-1, 2).tolist()] == [{0, 1}] * 4


def test_another_seed_chooses_others(windows):
    assert choose(windows, 8, seed=0).tolist() != choose(windows, 8, seed=1).tolist()


def test_no_more_excerpts_are_chosen_than_there_are(windows):
    assert len(set(choose(windows, 100, seed=0).tolist())) == len(windows)


def test_a_window_with_an_empty_bar_is_not_chosen():
    windows = some_windows()
    windows.grooves[:23, 16:32] = 0
    assert choose(windows, 12, seed=0).tolist() == [23]


def test_data_without_enough_hits_is_refused(tmp_path):
    with pytest.raises(DataError, match="8 hits in each of its bars"):
        write_examples(tmp_path, some_windows(hits_per_beat=1), lazily, model="drummer")


@pytest.mark.node
def test_the_page_unlocks_the_key(node, excerpts):
    assert node("unlock(test)") == "".join(excerpt.drummer for excerpt in excerpts)


@pytest.mark.node
def test_every_pitch_of_the_page_has_a_sound(node):
    kit = set(node("Object.keys(KIT).map(Number)"))
    assert kit == set(GENERAL_MIDI.pitch_of.tolist())


@pytest.mark.node
@pytest.mark.parametrize("pitch", GENERAL_MIDI.pitch_of.tolist())
def test_a_harder_hit_is_brighter(node, pitch):
    """Brightness is the power of the samples' differences against that of the samples."""
    soft, hard = node(
        f"[0.25, 1].map((v) => hit({pitch}, v, 0, 44100)).map((s) => "
        "s.slice(1).reduce((sum, x, i) => sum + (x - s[i]) ** 2, 0) / s.reduce((sum, x) => sum + x * x, 0))"
    )
    assert hard > 1.1 * soft


@pytest.mark.node
def test_a_sound_ends_in_silence(node):
    ends = node("Object.keys(KIT).map((pitch) => Math.abs(hit(pitch, 1, 0, 44100).at(-1)))")
    assert ends == [0] * 9


@pytest.mark.node
def test_a_closed_hat_stops_the_open_one(node):
    notes = node("plan([[0, 46, 90], [240, 36, 90], [480, 42, 90], [960, 46, 90]], 0.001)")
    assert [note["until"] for note in notes] == [0.48, None, None, None]


@pytest.mark.node
@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(9, 12, 0.4281, 0.9451), (10, 12, 0.5159, 0.9791), (0, 12, 0.0, 0.2646), (12, 12, 0.7354, 1.0)],
)
def test_the_interval_is_clopper_and_pearsons(node, right, of, low, high):
    assert node(f"interval({right}, {of})") == pytest.approx([low, high], abs=1e-4)


@pytest.mark.node
@pytest.mark.parametrize(
    ("answers", "counts", "says"),
    [
        ("abababababab", [12, 0], "above guessing"),
        ("babababababa", [0, 0], "below guessing"),
        ("aaaaaaaaaaaa", [6, 0], "no different from guessing"),
        ("ab??????????", [2, 10], "no different from guessing"),
        ("????????????", [0, 12], "nothing to count"),
    ],
)
def test_the_reading_of_a_score_is_honest(node, answers, counts, says):
    right, unsure, text = node(
        f"(({{ right, unsure, text }}) => [right, unsure, text])(reading('abababababab', '{answers}'))"
    )
    assert [right, unsure] == counts
    assert says in text


@pytest.mark.node
def test_a_score_near_half_says_what_it_would_have_taken(node):
    assert "10 right of 12" in node("reading('abababababab', 'aaaaaaaaaaaa').limits")
