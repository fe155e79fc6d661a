"""The errors of everything on a wire, each with one sentence that says what to do.

    VaebridgeError          (engine/errors.py)
    └── BridgeError
        ├── ConfigError     a setting that is unknown, outside its range, or in an unreadable file
        ├── PortError       a port that cannot be had
        ├── ClockError      a tempo or a start that a clock cannot have
        ├── PacketError     a datagram that is no OSC
        ├── RequestError    a request that is refused, with the code of its fail
        └── StartError      a model process that says why it cannot start

A bug raises what it raises.
"""

from engine.errors import VaebridgeError


class BridgeError(VaebridgeError):
    """Anything the bridge refuses."""


class ConfigError(BridgeError):
    """A setting that is unknown, outside its range, or in an unreadable file."""


class PortError(BridgeError):
    """A port that cannot be had."""


class ClockError(BridgeError):
    """A tempo or a start that a clock cannot have."""


class PacketError(BridgeError):
    """A datagram that is no OSC."""


class RequestError(BridgeError):
    """A request that is refused; code is the one in its fail."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code = code


class StartError(BridgeError):
    """A model process that says why it cannot start."""
