"""A song that plays on the internal clock, for tests in which time is a number."""

from typing import Any

from bridge.playing.transport import Transport


def song(tempo_bpm: float = 120.0, *, beat: float = 0.0, at: float = 0.0, **meter_and_latency: Any) -> Transport:
    """A transport whose song is on a beat at a moment."""
    transport = Transport(tempo_bpm, **meter_and_latency)
    transport.clock.start(at, beat)
    return transport
