from bridge.playing.ear import BEFORE_SECONDS, ECHO_SECONDS, Ear, EchoGuard
from bridge.playing.recorder import Recorder
from bridge.playing.transport import Transport
from tests.bridge.song import song


def test_a_note_just_before_the_song_begins_belongs_to_its_beginning_and_one_long_before_does_not() -> None:
    transport = Transport(60.0)
    recorder = Recorder(transport)
    ear = Ear(transport, recorder, {})
    ear.hear(b"\x99\x26\x40", 10.0 - 2 * BEFORE_SECONDS, "in")
    ear.hear(b"\x99\x24\x40", 9.999, "in")
    transport.clock.start(10.0)
    ear.song_moved(10.0)
    assert recorder.count(-1.0, 1.0) == 1
    assert abs((recorder.first_since(-1.0) or 0.0) + 0.001) < 1e-9


def test_a_message_that_is_no_note_and_no_pedal_is_not_recorded() -> None:
    transport = song()
    recorder = Recorder(transport)
    ear = Ear(transport, recorder, {})
    for message in (b"\xe9\x00\x40", b"\xd9\x40", b"\xb9\x01\x40", b"\xa9\x24\x40"):
        ear.hear(message, 10.0, "in")
    assert recorder.first_since(-100.0) is None


def test_a_note_that_comes_back_is_an_echo_once() -> None:
    guard = EchoGuard()
    guard.sent(1.0, 36, 100)
    assert guard.is_echo(1.02, 36, 100)
    assert not guard.is_echo(1.03, 36, 100)


def test_another_velocity_or_a_later_time_is_no_echo() -> None:
    guard = EchoGuard()
    guard.sent(1.0, 36, 100)
    assert not guard.is_echo(1.02, 36, 99)
    assert not guard.is_echo(1.0 + ECHO_SECONDS + 0.01, 36, 100)


def test_eight_echoes_in_a_row_are_a_loop() -> None:
    guard = EchoGuard()
    for index in range(8):
        assert not guard.is_loop
        guard.sent(float(index), 36 + index, 100)
        assert guard.is_echo(index + 0.01, 36 + index, 100)
    assert guard.is_loop


def test_who_plays_one_of_the_daemons_notes_along_is_heard() -> None:
    guard = EchoGuard()
    for index in range(16):
        guard.sent(index / 4, 42, 90)
        guard.sent(index / 4, 36, 127)
        assert not guard.is_echo(index / 4 + 0.012, 36, 127) or index == 0


def test_who_plays_all_of_them_along_like_a_musician_is_heard() -> None:
    guard = EchoGuard()
    delays = [0.005, 0.03, 0.012, 0.05, 0.002, 0.04, 0.02, 0.06, 0.01]
    heard = []
    for index, delay in enumerate(delays):
        guard.sent(float(index), 36, 127)
        heard.append(not guard.is_echo(index + delay, 36, 127))
    assert sum(heard) >= len(delays) - 2
    assert not guard.is_loop
