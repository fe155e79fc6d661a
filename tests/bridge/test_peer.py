"""What a test is told when the daemon says nothing."""

import pytest

from tests.bridge.conftest import Daemon, Starts, free_port
from tests.bridge.peer import Peer


def test_while_the_daemon_runs_a_peer_that_hears_nothing_says_so(fake_daemon: Daemon, peer: Peer) -> None:
    with pytest.raises(TimeoutError, match=r"(?s)no message in 0.01 s; the daemon still runs;.*listening on"):
        peer.hear(0.01)


def test_of_a_daemon_that_has_died_a_peer_tells_the_exit_code_and_the_end_of_the_log(start: Starts) -> None:
    daemon = start("fake")
    daemon.wait_until_ready()
    daemon.process.kill()
    daemon.process.wait()
    with Peer(daemon.port) as peer, pytest.raises(TimeoutError, match=r"(?s)exit code -9;.*listening on"):
        peer.answer(1, 0.01)


def test_a_peer_of_a_daemon_that_nobody_has_started_here_says_that() -> None:
    with Peer(free_port()) as peer, pytest.raises(TimeoutError, match="nothing is known of its daemon"):
        peer.hear(0.01)
