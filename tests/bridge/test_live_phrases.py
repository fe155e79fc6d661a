"""A loop that goes on and comes back, with the whole daemon and a model of phrases, on real MIDI ports."""

import pytest

from engine.clip import Clip, Note
from tests.bridge.conftest import Daemon, Starts
from tests.bridge.jack import Jack
from tests.bridge.peer import Peer
from tests.bridge.performer import Performer
from tests.engine.untrained import SMALL_PHRASES, write_random_weights

pytestmark = pytest.mark.jack

THEME_PITCH = 88
THEME = Clip(tuple(Note(THEME_PITCH, float(beat), 0.25, 100) for beat in range(4)), 4.0)
"""One bar of a pitch that the models never play."""


@pytest.fixture
def daemon_on_jack(jack: Jack, start: Starts, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    folder = tmp_path_factory.mktemp("phrases")
    write_random_weights(folder, "drums_16bar", "phrases", spread=3.0, **SMALL_PHRASES)
    daemon = start(midi=1, tempo=300, weights=folder, models="phrases,drummer")
    daemon.wait_until_ready()
    return daemon


def themes(performer: Performer) -> list[tuple[bool, int]]:
    """Runs of notes: whether they are the theme's, and how many."""
    runs: list[tuple[bool, int]] = []
    for _, pitch, _ in performer.struck:
        is_theme = pitch == THEME_PITCH
        if runs and runs[-1][0] == is_theme:
            runs[-1] = (is_theme, runs[-1][1] + 1)
        else:
            runs.append((is_theme, 1))
    return runs


def test_the_clip_of_the_slot_comes_first_goes_on_and_comes_back(client: Peer, performer: Performer) -> None:
    client.upload("theme", THEME)
    answer = client.ask("live", "mode", "loop", "verb", "continue", "slot", "theme", "bars", 8, "seed", 1)
    assert answer.keys == {"mode": "loop", "verb": "continue"}
    performer.wait_until(lambda: len(themes(performer)) >= 4)
    assert client.ask("stop").is_done
    assert [is_theme for is_theme, _ in themes(performer)][:3] == [True, False, True]
    assert themes(performer)[0] == (True, 32), "eight bars of it"
    assert "problem" not in client.ask("status").keys
    performer.wait_until(lambda: not performer.hanging)


def test_what_is_tapped_goes_on(client: Peer, performer: Performer) -> None:
    assert client.ask("tempo", "bpm", 60.0).is_done, "an answer has half a step, an eighth of a second"
    assert client.ask("subscribe", "topic", "beat").is_done
    assert client.ask("live", "mode", "answer", "verb", "continue", "bars", 1, "fill_in", 1).is_done
    while client.hear().arguments != (1, 1):  # the song begins
        pass
    performer.tap(36)
    performer.wait_until(lambda: bool(performer.struck) and not performer.hanging)
    assert client.ask("stop").is_done
