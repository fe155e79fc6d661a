"""What the page serves: its files, the websocket, the table of verbs, and MIDI files read and written.

Holds no music: a file that comes is answered as a clip, a clip as a file.
"""

import json
import mimetypes
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from bridge.addresses import Address
from bridge.page.clips import clip_of, file_as_clips, text_of
from bridge.page.lists import page_table
from bridge.page.relay import Relay
from engine.errors import VaebridgeError
from engine.midi.clips import clip_as_midi
from engine.midi.events import format_midi

BROWSER = Path(__file__).with_name("browser")
LARGEST_UPLOAD_BYTES = 4 << 20
"""Of a MIDI file, and of a clip that becomes one."""

TOO_LARGE = 413


def page_app(daemon: Address) -> Starlette:
    """The app, for a daemon at an address."""
    for suffix, kind in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
        mimetypes.add_type(kind, suffix)  # some systems say otherwise, and then no module is loaded
    return Starlette(
        routes=[
            WebSocketRoute("/ws", Relay(daemon).serve),
            Route("/table", table),
            Route("/midi/clips", read_file, methods=["POST"]),
            Route("/midi/file", write_file, methods=["POST"]),
            Mount("/", StaticFiles(directory=BROWSER, html=True)),
        ],
        exception_handlers={VaebridgeError: tell},
    )


async def table(request: Request) -> Response:
    """The verbs with their keys, the live modes, the first clip."""
    return JSONResponse(page_table())


async def read_file(request: Request) -> Response:
    """The bytes of a MIDI file -> the clips in it."""
    content = await body_of(request)
    return JSONResponse(await run_sync(file_as_clips, content))


async def write_file(request: Request) -> Response:
    """A clip as JSON -> a MIDI file."""
    try:
        told: Any = json.loads(await body_of(request))
    except (ValueError, RecursionError):
        return PlainTextResponse("a clip is a JSON object", 400)
    content = await run_sync(
        lambda: format_midi(clip_as_midi(clip_of(told), text=text_of(told.get("text", ""))[:200]))
    )
    return Response(content, media_type="audio/midi")


async def body_of(request: Request) -> bytes:
    """What came with a request; one that is too large is refused before it has been read."""
    told = request.headers.get("content-length", "0")
    content = bytearray()
    if not told.isdecimal() or int(told) <= LARGEST_UPLOAD_BYTES:
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_UPLOAD_BYTES:
                break
        else:
            return bytes(content)
    raise HTTPException(
        TOO_LARGE, f"a file may have {LARGEST_UPLOAD_BYTES >> 20} MiB", headers={"connection": "close"}
    )


async def tell(request: Request, error: Exception) -> Response:
    """A user's mistake is one sentence."""
    return PlainTextResponse(str(error), 400)
