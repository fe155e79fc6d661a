"""A process of the daemon's kind that waits for ever with Python's lock held, as RtMidi may for a JACK server."""

import ctypes

from bridge.worker.children import inherited

SECONDS = 600


def main() -> None:
    _, channel = inherited()
    channel.put("it waits")
    ctypes.PyDLL(None).sleep(SECONDS)
