"""Who may speak to the page: our own page in a browser, and beyond this machine whoever has the token.

A page of somebody else's, open in the same browser, may reach every port of this machine: its Origin gives it away,
and where it has made its own name point here, its Host does.
"""

import secrets
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "vaebridge_token"
REFUSED, FORBIDDEN = 401, 403

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Nothing is loaded from anywhere else, and nobody frames the page or reads from it."""


class Guard:
    """An ASGI app around another. token: what must be shown, empty where only this machine is listened to."""

    def __init__(self, app: ASGIApp, *, token: str = ""):
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass, with headers that keep others out; else refuse it with a sentence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008})  # before the handshake: 403
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY)
            await send(message)

        await (refusal or self._app)(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._token and name_of(host) not in HERE:
            return PlainTextResponse(
                "this page is for this machine alone: http://127.0.0.1 and the port", FORBIDDEN
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return PlainTextResponse("a page from elsewhere may not speak to this one", FORBIDDEN)
        return self._refusal_of_strangers(scope, headers) if self._token else None

    def _refusal_of_strangers(self, scope: Scope, headers: Headers) -> Response | None:
        """None for whoever has the token as a cookie; who brings it in the address is given the cookie."""
        told = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if self._is_token(told):
            if scope["type"] == "websocket":
                return None
            response = RedirectResponse(scope["path"], 303)
            response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", max_age=30 * 86400)
            return response
        if self._is_token(cookies(headers)):
            return None
        return PlainTextResponse("the terminal in which the daemon runs says the address with its token", REFUSED)

    def _is_token(self, told: Iterable[str]) -> bool:
        return any(secrets.compare_digest(each.encode(), self._token.encode()) for each in told)


def name_of(host: str) -> str:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def cookies(headers: Headers) -> list[str]:
    """The tokens among the cookies, whatever the others of this host look like."""
    pairs = (each.strip().partition("=") for line in headers.getlist("cookie") for each in line.split(";"))
    return [value.strip('"') for name, _, value in pairs if name == COOKIE]
