"""The inside of the page's process, in the order of its life: bind, say where, serve until the daemon ends."""

import asyncio
import contextlib
import errno
import logging
import socket
import threading

import uvicorn

from bridge.addresses import shown_address
from bridge.log import set_up_log
from bridge.osc.access import is_loopback
from bridge.page.app import page_app
from bridge.page.guard import Guard
from bridge.page.process import PageRecipe
from bridge.page.relay import LARGEST_MESSAGE_BYTES
from bridge.worker.children import inherited
from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)

QUIET = ("uvicorn.error", "uvicorn.access", "websockets")
"""Loggers that tell what is of no use to a musician."""

SHUT_DOWN_SECONDS = 1
PING_SECONDS = 10.0
"""A browser from which nothing comes for twice as long is let go."""


def main() -> None:
    """Read how to be, and serve."""
    recipe, channel = inherited()
    set_up_log(recipe.log_level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        listener = listening(recipe.host, recipe.port)
    except (OSError, UnicodeError) as error:
        logger.error("no page: %s", why_not(recipe.host, recipe.port, error))
        return
    asyncio.run(serve(recipe, listener, channel))


def why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    """Why there is no listening there, and what to do about it."""
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; --page-host takes one, as 127.0.0.1, or 0.0.0.0 for all"
    return f"TCP port {port} of {host} cannot be had ({error.strerror}); --page 0 takes any that is free"


def listening(host: str, port: int) -> socket.socket:
    """A TCP socket that listens; OSError if it cannot be had, UnicodeError for what no host can be called."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    if hasattr(socket, "SO_REUSEPORT"):  # not Windows, where another could then take the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(recipe: PageRecipe, listener: socket.socket, channel: Channel) -> None:
    """Serve until the daemon closes the channel."""
    host, port = listener.getsockname()[:2]
    token = "" if is_loopback(host) else recipe.token
    app = Guard(page_app(recipe.daemon), token=token)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            ws_max_size=LARGEST_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # it costs more time than it saves
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            timeout_graceful_shutdown=SHUT_DOWN_SECONDS,
        )
    )
    tell_where(host, port, token)
    channel.put(port)
    loop = asyncio.get_running_loop()
    threading.Thread(target=wait_for_end, args=(channel, loop, server), name="daemon", daemon=True).start()
    await server.serve([listener])


def tell_where(host: str, port: int, token: str) -> None:
    """Say in the log where the page is; beyond this machine with the token that opens it."""
    if not token:
        logger.info("page on http://%s", shown_address(host, port))
        return
    near = shown_address(host if host not in ("0.0.0.0", "::") else "127.0.0.1", port)
    logger.warning("page on http://%s/?token=%s", near, token)
    for each in own_addresses() if host in ("0.0.0.0", "::") else ():
        logger.warning("beyond this machine: http://%s/?token=%s", shown_address(each, port), token)


def own_addresses() -> list[str]:
    """The machine's address in its network, if it has one; nothing is sent to find it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return [str(probe.getsockname()[0])]
    return []


def wait_for_end(channel: Channel, loop: asyncio.AbstractEventLoop, server: uvicorn.Server) -> None:
    """On a thread of its own: end with the daemon."""
    with contextlib.suppress(EOFError):
        while True:
            for _ in channel.read():
                continue

    def end() -> None:
        server.should_exit = server.force_exit = True

    loop.call_soon_threadsafe(end)
