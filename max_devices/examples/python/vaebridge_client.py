"""Humanizes a bar of drums and prints it: `python vaebridge_client.py timing 0.8`, while `vaebridge serve` runs.

Copy this one file and change the notes; it needs python-osc (`pip install python-osc`) and nothing else.
"""

import itertools
import os
import sys
from collections.abc import Sequence

from pythonosc.udp_client import SimpleUDPClient

Atom = int | float | str
Note = tuple[int, float, float, int, int]
"""Pitch, start and duration in beats (quarter notes), velocity, mute."""

BEATS = 4.0
NOTES: list[Note] = [
    (36, 0.0, 0.25, 110, 0),
    (42, 0.0, 0.25, 90, 0),
    (42, 0.5, 0.25, 90, 0),
    (38, 1.0, 0.25, 110, 0),
    (42, 1.0, 0.25, 90, 0),
    (42, 1.5, 0.25, 90, 0),
    (36, 1.75, 0.25, 110, 0),
    (42, 2.0, 0.25, 90, 0),
    (36, 2.5, 0.25, 110, 0),
    (42, 2.5, 0.25, 90, 0),
    (38, 3.0, 0.25, 110, 0),
    (42, 3.0, 0.25, 90, 0),
    (46, 3.5, 0.25, 90, 0),
]
NOTES_PER_MESSAGE = 48


class Daemon:
    """The daemon at an address; RuntimeError says what it refuses, or that it is not there."""

    def __init__(self, host: str = "127.0.0.1", port: int = 8710):
        self._client = SimpleUDPClient(host, port)
        self._ids = itertools.count(1)

    def upload(self, slot: str, notes: Sequence[Note], beats: float) -> None:
        """Put a clip into a slot."""
        chunks: list[tuple[Atom, ...]] = []
        for first in range(0, len(notes), NOTES_PER_MESSAGE):
            chunk = notes[first : first + NOTES_PER_MESSAGE]
            chunks.append(("clip/notes", first, len(chunk), *(atom for note in chunk for atom in note)))
        self._answer(("clip/begin", slot, len(notes), beats), *chunks, ("clip/end",))

    def ask(self, verb: str, *arguments: Atom) -> list[Note]:
        """The notes of the first result, as of `ask("sample", "bars", 4)`."""
        return self._answer((verb, *arguments))

    def _answer(self, *messages: tuple[Atom, ...]) -> list[Note]:
        """The notes that answer one request, sent again under its id if something of it or of them is lost."""
        number = next(self._ids)
        for _ in range(3):
            for verb, *arguments in messages:
                self._client.send_message(f"/vae/{verb}", [number, *arguments])
            notes: dict[int, Note] = {}
            total = 0
            for reply in self._client.get_messages(timeout=1):
                about, *atoms = reply.params
                if about != number:
                    continue
                if reply.address == "/vae/fail":
                    raise RuntimeError(f"{atoms[2]} ({atoms[1]})")
                if reply.address == "/vae/notes" and atoms[0] == 0:
                    notes |= enumerate(zip(*[iter(atoms[3:])] * 5, strict=True), atoms[1])
                if reply.address == "/vae/notes/end" and atoms[0] == 0:
                    total = atoms[1]
                if reply.address == "/vae/done" and len(notes) == total:
                    return [notes[place] for place in range(total)]
        raise RuntimeError("no daemon answers; `vaebridge serve` starts one")


def main() -> None:
    """Print each note as it was and as it is played; the arguments are keys of humanize and their values."""
    daemon = Daemon(port=int(os.environ.get("VAEBRIDGE_OSC_PORT", "8710")))
    keys = [float(each) if each.replace(".", "", 1).isdigit() else each for each in sys.argv[1:]]
    try:
        daemon.upload("python", NOTES, BEATS)
        played = daemon.ask("humanize", "slot", "python", *keys)
    except RuntimeError as error:
        sys.exit(str(error))
    print("pitch  start   played  velocity played")
    for (pitch, start, _, velocity, _), (_, played_start, _, played_velocity, _) in zip(NOTES, played, strict=True):
        print(f"{pitch:5}  {start:5.2f}  {played_start:7.3f}  {velocity:8} {played_velocity:6}")


if __name__ == "__main__":
    main()
