"""A melody gets bass and drums in the bars after, with the whole daemon and a model of bands, on MIDI ports."""

import pytest

from tests.bridge.conftest import Daemon, Starts
from tests.bridge.jack import Jack
from tests.bridge.peer import Peer
from tests.bridge.performer import Performer
from tests.engine.untrained import SMALL_BANDS, write_random_weights

pytestmark = pytest.mark.jack

NOTE_ON, BASS, DRUMS = 0x90, 1, 9
"""The kind of message, and the channels of the answer, from 0."""


@pytest.fixture
def daemon_on_jack(jack: Jack, start: Starts, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    folder = tmp_path_factory.mktemp("bands")
    write_random_weights(folder, "trio_16bar", "bands", spread=3.0, **SMALL_BANDS)
    daemon = start(midi=1, tempo=60, weights=folder, models="bands,drummer")
    daemon.wait_until_ready()
    return daemon


def channels(performer: Performer) -> set[int]:
    """Those on which notes have been struck."""
    return {message[0] & 0x0F for _, message in performer.heard if message[0] & 0xF0 == NOTE_ON and message[2]}


def test_what_is_played_gets_bass_and_drums(client: Peer, performer: Performer) -> None:
    assert client.ask("subscribe", "topic", "beat").is_done
    answer = client.ask("live", "mode", "accompany", "key", "C")
    assert answer.keys == {"mode": "accompany", "verb": "accompany"}
    while client.hear().arguments != (1, 1):  # the song begins
        pass
    performer.tap(72)
    performer.wait_until(lambda: channels(performer) == {BASS, DRUMS})
    assert "problem" not in client.ask("status").keys
    assert client.ask("stop").is_done
    performer.wait_until(lambda: not performer.hanging)
