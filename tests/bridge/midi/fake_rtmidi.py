"""rtmidi as on Windows: others' ports alone, by their numbers."""

from types import SimpleNamespace
from typing import Any


class FakeRtMidi:
    """Stands where the module stands.

    refusing: its outputs take nothing, and refused counts what they were given. vanishing: listing fails so often.
    coming: ports that are there, before all others, when the next is opened.
    """

    API_WINDOWS_MM = 4

    class RtMidiError(Exception):
        pass

    def __init__(self, sources: list[str], destinations: list[str]):
        self.sources, self.destinations = sources, destinations
        self.opened: dict[str, Any] = {}
        self.closed: list[str] = []
        self.sent: list[tuple[str, bytes]] = []
        self.coming: list[str] = []
        self.refusing, self.refused, self.vanishing = False, 0, 0

    def get_compiled_api(self) -> list[int]:
        return [self.API_WINDOWS_MM]

    def MidiIn(self, api: int, client: str, queue_size: int) -> Any:  # noqa: N802 -- rtmidi's name
        return self._port(self.sources)

    def MidiOut(self, api: int, client: str) -> Any:  # noqa: N802 -- rtmidi's name
        return self._port(self.destinations)

    def _list(self, names: list[str]) -> list[str]:
        if self.vanishing:
            self.vanishing -= 1
            raise self.RtMidiError("Invalid port number: 7")
        return list(names)

    def _port(self, names: list[str]) -> Any:
        port = SimpleNamespace(get_ports=lambda: self._list(names), ignore_types=lambda **_: None, name="")
        port.close_port = lambda: self.closed.append(port.name)
        port.delete = lambda: None

        def open_port(number: int, _: str) -> None:
            if self.coming:
                names.insert(0, self.coming.pop())
            port.name = names[number]
            self.opened[port.name] = port

        def send_message(message: bytes) -> None:
            if self.refusing:
                self.refused += 1
                raise self.RtMidiError("unplugged")
            self.sent.append((port.name, bytes(message)))

        port.open_port, port.send_message = open_port, send_message
        port.heard = []
        port.get_message = lambda: (list(port.heard.pop(0)), 0.0) if port.heard else None
        return port
