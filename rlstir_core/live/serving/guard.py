"""Who may speak to a live view: the right Host, no foreign Origin, and the token where there is anything to see.

A page of another site, also one whose name was rebound to this machine, sends its own name as Host or Origin. What
does not belong here: what is served (`app.py`).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_FRIENDLY = frozenset({b"same-origin", b"none"})


class Guard:
    """Refuses in one sentence of JSON what should not be answered, and dresses every answer in `HEADERS`."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str, open_paths: frozenset[str]) -> None:
        self._app, self._token, self._open = app, token.encode(), open_paths
        self._hosts = frozenset(host.lower().encode() for host in hosts)
        self._origins = frozenset(b"http://" + host for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # uvicorn is given no other protocol

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(each for each in more if each[0] not in own)]
            await send(message)

        try:
            self._check(scope)
        except Refusal as refused:
            await refused.response()(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    def _check(self, scope: Scope) -> None:
        """Refusal where the request should not be answered."""
        headers = [(name, value.strip().lower()) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise Refusal(421, "this live view does not answer to that Host")
        if any(value not in self._origins for name, value in headers if name == b"origin"):
            raise Refusal(403, "requests of other origins are not answered")
        raw = scope["raw_path"]
        if b"%" in raw or b"\\" in raw or b"//" in raw or b"/." in raw:
            raise Refusal(404, "there is nothing here")
        is_open = scope["path"] in self._open
        followed = is_open and (b"sec-fetch-mode", b"navigate") in headers  # a link from elsewhere to the page
        if not followed and any(value not in _FRIENDLY for name, value in headers if name == b"sec-fetch-site"):
            raise Refusal(403, "requests of other sites are not answered")
        if is_open:
            return
        given = [value.strip() for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise Refusal(
                401, "send the token of this live view: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"}
            )


class Refusal(Exception):
    """A request that is not answered as it wishes, and why, in one sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self._status, self._sentence, self._headers = status, sentence, dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse({"error": self._sentence}, self._status, self._headers)
