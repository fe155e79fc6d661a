"""/vae/audio/continue against a daemon with the real generator and a model of sound that nobody has trained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.files import RATE
from engine.weights import Library
from tests.bridge.conftest import Daemon, launch
from tests.bridge.peer import Peer
from tests.engine.untrained import SMALL_SCORES, write_random_weights


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "seed.wav", 0.1 * np.sin(np.arange(11 * RATE) / 10), RATE)
    (folder / "letter.wav").write_text("hello")
    return folder


@pytest.fixture(scope="module")
def sound_daemon(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("sound")
    write_random_weights(folder, "score", "tiny", **SMALL_SCORES)
    daemon = launch(folder, weights=folder, models="drums_2bar", audio_folder=sounds)
    assert "tiny" not in daemon.wait_until_ready()
    yield daemon
    daemon.stop()


@pytest.fixture
def client(sound_daemon: Daemon) -> Iterator[Peer]:
    with Peer(sound_daemon.port) as client:
        yield client


def test_a_file_goes_on_and_done_says_where(client: Peer, sounds: Path) -> None:
    answer = client.ask(
        "audio/continue", "path", "seed.wav", "to", "out.wav", "seconds", 2.0, "model", "tiny", "seed", 3
    )
    assert (answer.keys["path"], answer.keys["model"], answer.keys["seed"]) == ("out.wav", "tiny", 3)
    assert soundfile.info(sounds / "out.wav").frames == 2 * RATE


def test_what_is_no_sound_and_what_lies_outside_is_told(client: Peer, sounds: Path) -> None:
    refused = client.ask("audio/continue", "path", "letter.wav", "to", "out.wav", "model", "tiny")
    assert (refused.code, "is no sound that can be read" in refused.text) == ("bad_request", True)
    outside = client.ask("audio/continue", "path", "../seed.wav", "to", "out.wav", "model", "tiny")
    assert (outside.code, outside.text) == ("bad_request", f"path must lie in the audio folder, {sounds}")


def test_a_model_of_sound_is_not_loaded_and_says_who_asks_it(client: Peer) -> None:
    for answer in (client.ask("load", "model", "tiny"), client.ask("sample", "model", "tiny")):
        assert answer.code == "no_model"
        assert answer.text.startswith("tiny makes sound, no clips")
    assert client.ask("sample").is_done
    listed = [name for name, *_ in client.ask("models").rows("model")]
    assert "drums_2bar" in listed  # in whose menus it would be of no use
    assert not {"tiny", "score"} & set(listed)


def test_the_shipped_weights_hold_a_model_of_sound() -> None:
    library = Library([Path(__file__).parents[2] / "weights"])
    assert library.card("score").family == "score"
    assert library.verify("score").stat().st_size <= 8 * 2**20
