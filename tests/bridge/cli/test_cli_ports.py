import pytest

from bridge.cli.ports import ports
from bridge.errors import PortError
from bridge.midi.ports import Ports
from tests.bridge.jack import Jack
from tests.bridge.midi.ports import Turned


@pytest.fixture(autouse=True)
def _jack_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAEBRIDGE_MIDI_API", "jack")


@pytest.mark.jack
def test_the_ports_are_listed_and_our_own_are_marked(jack: Jack, capsys: pytest.CaptureFixture[str]) -> None:
    with Turned(Ports(outputs=("another's",), api="jack")).until_settled():
        ports()
    assert capsys.readouterr().out.splitlines() == [
        "listen to  another's:out",
        "play to    vaebridge in:in  (vaebridge's own)",
    ]


@pytest.mark.jack
def test_where_there_are_no_ports_that_is_said(jack: Jack, capsys: pytest.CaptureFixture[str]) -> None:
    ports()
    assert "jack has no MIDI ports yet" in capsys.readouterr().out


def test_without_a_midi_system_the_one_sentence_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    with pytest.raises(PortError, match="no JACK server runs"):
        ports()
