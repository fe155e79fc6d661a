import os
from pathlib import Path

import pytest

from bridge.controls_file import ControlsFile
from bridge.errors import ConfigError, RequestError
from bridge.playing.controls import HOLD_SECONDS, Action, Control, Controls

Learned = list[tuple[str, Control | None]]
KNOB = Control("control", 1, 21)
PAD = Control("note", 10, 36)


def turn(value: int, number: int = 21) -> bytes:
    return bytes((0xB0, number, value))


def press(down: bool, number: int = 64) -> bytes:
    return bytes((0xB0, number, 127 if down else 0))


@pytest.fixture
def learned() -> Learned:
    return []


@pytest.fixture
def controls(learned: Learned) -> Controls:
    return Controls({}, lambda target, control: learned.append((target, control)))


def test_the_next_knob_that_moves_is_learned_and_then_turns_its_target(
    controls: Controls, learned: Learned
) -> None:
    controls.learn("temperature")
    assert controls.hear(turn(5), 0.0, running=False) == []
    assert learned == [("temperature", KNOB)]
    assert controls.hear(turn(127), 0.0, running=False) == [Action("temperature", 2.0)]
    assert controls.hear(turn(0), 0.0, running=False) == [Action("temperature", 0.0)]


@pytest.mark.parametrize(("target", "low", "high"), [("position", 0, 1), ("similarity", 0, 1), ("density", -3, 3)])
def test_a_knob_runs_over_the_whole_range_of_its_target(target: str, low: float, high: float) -> None:
    controls = Controls({target: KNOB}, lambda *_: None)
    assert controls.hear(turn(0), 0.0, running=False) == [Action(target, low)]
    assert controls.hear(turn(127), 0.0, running=False) == [Action(target, high)]


def test_a_pad_can_be_a_switch_and_not_a_knob(controls: Controls, learned: Learned) -> None:
    controls.learn("position")
    assert controls.hear(b"\x99\x24\x40", 0.0, running=False) is None
    controls.learn("freeze")
    assert controls.hear(b"\x99\x24\x40", 0.0, running=False) == []
    assert learned == [("freeze", PAD)]
    assert controls.hear(b"\x99\x24\x01", 0.0, running=True) == [Action("freeze")], "however softly it is struck"
    assert controls.hear(b"\x89\x24\x40", 0.0, running=True) == []


def test_what_is_no_control_of_ours_is_left_alone(controls: Controls) -> None:
    assert controls.hear(turn(5), 0.0, running=False) is None
    assert controls.hear(b"\x90\x24\x40", 0.0, running=False) is None
    assert controls.hear(b"\xc0\x01", 0.0, running=False) is None


def test_a_target_has_one_control_and_a_control_one_target(controls: Controls, learned: Learned) -> None:
    controls.learn("temperature")
    controls.hear(turn(5), 0.0, running=False)
    controls.learn("temperature")
    controls.hear(turn(5, 22), 0.0, running=False)
    assert controls.bindings == {"temperature": Control("control", 1, 22)}
    controls.learn("position")
    controls.hear(turn(5, 22), 0.0, running=False)
    assert controls.bindings == {"position": Control("control", 1, 22)}
    controls.forget("position")
    assert controls.bindings == {}
    assert learned[-1] == ("position", None), "whoever keeps them is told"


def test_one_foot_switch_starts_freezes_and_stops() -> None:
    controls = Controls({"switch": Control("control", 1, 64)}, lambda *_: None)
    assert controls.hear(press(True), 0.0, running=False) == [Action("start")]
    assert controls.hear(press(False), 0.1, running=True) == []
    assert controls.hear(press(True), 1.0, running=True) == []
    assert controls.hear(press(False), 1.2, running=True) == [Action("freeze")]
    assert controls.hear(press(True), 2.0, running=True) == []
    assert controls.next_due() == 2.0 + HOLD_SECONDS
    assert controls.run_due(2.1) == []
    assert controls.run_due(2.0 + HOLD_SECONDS) == [Action("stop")]
    assert controls.hear(press(False), 3.0, running=False) == []
    assert controls.next_due() == float("inf")


def test_the_start_switch_also_stops() -> None:
    controls = Controls({"start": Control("control", 1, 64)}, lambda *_: None)
    assert controls.hear(press(True), 0.0, running=False) == [Action("start")]
    assert controls.hear(press(True), 1.0, running=True) == [Action("stop")]


def test_a_lesson_that_nobody_takes_is_forgotten(controls: Controls) -> None:
    controls.learn("temperature")
    controls.forget_lesson()
    assert controls.hear(turn(5), 0.0, running=False) is None


def test_an_unknown_target_is_refused(controls: Controls) -> None:
    with pytest.raises(RequestError, match=r"target must be mode, model, temperature, .* not 'volume'"):
        controls.learn("volume")


def test_what_was_learned_is_there_again(tmp_path: Path) -> None:
    file = ControlsFile(tmp_path / "new" / "controls.toml")
    assert file.read() == {}
    file.write({"temperature": KNOB, "freeze": PAD})
    assert file.read() == {"temperature": KNOB, "freeze": PAD}


@pytest.mark.parametrize(
    "text",
    [
        "temperature = 3",
        "= ",
        '[volume]\nkind="note"\nchannel=1\nnumber=2',
        '[freeze]\nkind="note"\nchannel=0\nnumber=2',
    ],
)
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "controls.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"controls\.toml"):
        ControlsFile(tmp_path / "controls.toml").read()


def test_a_file_of_controls_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "controls.toml")
    with pytest.raises(ConfigError, match="no regular file"):
        ControlsFile(tmp_path / "controls.toml").read()


def test_where_nothing_can_be_written_it_is_said_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    ControlsFile(tmp_path / "file" / "controls.toml").write({"freeze": PAD})
    assert "not kept" in caplog.text
