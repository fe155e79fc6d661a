"""The UDP edge: one non-blocking socket of our own. Knows nothing of OSC but that it comes in datagrams."""

import errno
import logging
import socket
import struct
import sys
from types import TracebackType

from bridge.addresses import Address, resolved, shown_address
from bridge.errors import PortError

logger = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES = 4 << 20
LARGEST_DATAGRAM = 65_536
BATCH = 64
"""Datagrams taken at a time, so that a flood leaves time for everything else."""

ADDRESSES = (
    "--osc-host takes an address of this machine, such as 127.0.0.1 or ::1, and 0.0.0.0 or :: for all of them"
)

SO_RXQ_OVFL = 40
"""Linux: each datagram tells how many the kernel has dropped so far."""


class OscSocket:
    """A UDP port that nobody else has; PortError if it cannot be had."""

    def __init__(self, host: str, port: int):
        try:
            family, address = resolved(host, port)
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise PortError(f"there is no host {host!r} here ({error.strerror}): {ADDRESSES}") from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: is for IPv4 as well
        if sys.platform == "win32":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if sys.platform == "linux":
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise PortError(f"{host} is not here: {ADDRESSES}") from error
            raise PortError(
                f"UDP port {port} of {host} cannot be had ({error.strerror}): "
                f"is a daemon running already? --osc-port {port + 1} takes another"
            ) from error
        self.host, self.port = self._socket.getsockname()[:2]
        self.lost = 0

    def __enter__(self) -> "OscSocket":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """The socket's, to wait for."""
        return self._socket.fileno()

    def receive(self) -> list[tuple[bytes, Address]]:
        """The next datagrams, at most a batch. lost is what the kernel had no room for until now."""
        datagrams = []
        for _ in range(BATCH):
            try:
                datagram, source = self._receive_one()
            except BlockingIOError:
                break
            except OSError as error:  # Windows says here that an earlier reply found nobody
                logger.debug("receiving: %s", error)
                continue
            datagrams.append((datagram, source))
        return datagrams

    def send(self, datagram: bytes, address: Address) -> bool:
        """Whether a datagram could be sent."""
        try:
            self._socket.sendto(datagram, address)
        except OSError as error:
            logger.debug("sending to %s: %s", shown_address(*address), error)
            return False
        return True

    def _receive_one(self) -> tuple[bytes, Address]:
        if sys.platform != "linux":
            datagram, source = self._socket.recvfrom(LARGEST_DATAGRAM)
            return datagram, _address(source)
        datagram, notices, _, source = self._socket.recvmsg(LARGEST_DATAGRAM, socket.CMSG_SPACE(4))
        for level, kind, content in notices:
            if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                self.lost = struct.unpack("=I", content)[0]
        return datagram, _address(source)


def _address(source: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Where a datagram came from; of a link-local IPv6 address the link too, without which no reply finds it."""
    host, port, *rest = source
    return (f"{host}%{rest[1]}" if any(rest[1:]) else host, port)
