"""The application of a live view: events in by POST, events out as Server-Sent Events, the page and the schema.

A watcher has no queue: it has a place in the ring, so that a slow one costs nothing and no producer waits for it. What
does not belong here: who may ask (`guard.py`), and how events are kept (`ring.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from rlstir_core.live.contract import EventRefused, EventTooLarge, LiveEvent, encoded, parse, schema
from rlstir_core.live.serving.guard import Guard, Refusal
from rlstir_core.live.serving.limits import Bucket, LiveLimits
from rlstir_core.live.serving.ring import Ring

_MEDIA: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_CLOSE: Final = {"connection": "close"}  # a body that was not read to its end must not be taken for a request
_HEARTBEAT_S = 10.0
_DRAINED = 4  # bodies, so that whoever sends one that is too long hears why before the connection closes
_COUNTED_BYTES = 4096  # long events count for more than one
_KNOWN = 1 << 16  # events that are known by source and id, so that one that is sent again is kept once
_JSON = frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})


class LiveState:
    """What the requests of one server share."""

    def __init__(self, ring: Ring, limits: LiveLimits) -> None:
        self.ring, self.limits = ring, limits
        self.bucket = Bucket(limits.events_per_s, limits.burst)
        self.news = asyncio.Event()
        self.watchers = 0
        self.closing = False
        self._known: dict[int, None] = {}
        self._order: deque[int] = deque()
        self._recall()

    def keep(self, events: list[LiveEvent]) -> tuple[int, int]:
        """Keeps those that were not kept before; gives how many those are, and the number of the newest event."""
        fresh: list[bytes] = []
        keys: dict[int, None] = {}
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for event in events:
            key = hash((event.source, event.id))
            if key in self._known or key in keys:
                continue
            keys[key] = None
            fresh.append(encoded(event if event.time else msgspec.structs.replace(event, time=now)))
        if fresh:
            self.ring.append(fresh)
            self._learn(keys)
            self.wake()
        return len(fresh), self.ring.last

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def _learn(self, keys: Mapping[int, None]) -> None:
        for key in keys:
            self._known[key] = None
            self._order.append(key)
        while len(self._order) > _KNOWN:
            del self._known[self._order.popleft()]

    def _recall(self) -> None:
        """Knows again what the ring holds of an earlier process."""
        after = max(self.ring.first - 1, self.ring.last - _KNOWN)
        while (found := self.ring.read(after)).events:
            heads = (msgspec.json.decode(event, type=_Head) for _, event in found.events)
            self._learn(dict.fromkeys(hash((head.source, head.id)) for head in heads))
            after = found.events[-1][0]


class _Head(msgspec.Struct):
    source: str
    id: str


def live_app(
    ring: Ring, *, hosts: tuple[str, ...], token: str, limits: LiveLimits | None = None
) -> tuple[ASGIApp, LiveState]:
    """The application, guarded, and what its requests share; `hosts` are the values of Host that it answers to."""
    limits = limits or LiveLimits()
    pages = _pages()
    described = msgspec.json.encode(schema())
    state = LiveState(ring, limits)

    async def page(request: Request) -> Response:
        body, media = pages[request.url.path]
        return Response(body, media_type=media, headers={"cache-control": "no-cache"})

    async def described_as(_: Request) -> Response:
        return Response(described, media_type="application/schema+json")

    async def take(request: Request) -> Response:
        try:
            return _kept(state, await _body(state.limits, request))
        except Refusal as refused:
            return refused.response()

    async def give(request: Request) -> Response:
        try:
            return StreamingResponse(
                _watched(state, _place(state, request)),
                media_type="text/event-stream",
                headers={"x-accel-buffering": "no"},
            )
        except Refusal as refused:
            return refused.response()

    async def gone(*_: object) -> Response:
        return Refusal(404, "there is nothing here").response()

    async def not_so(*_: object) -> Response:
        return Refusal(405, "there is something here, but not for this method").response()

    app = Starlette(
        routes=[
            *(Route(path, page, methods=["GET"]) for path in pages),
            Route("/schema.json", described_as, methods=["GET"]),
            Route("/events", give, methods=["GET"]),
            Route("/events", take, methods=["POST"]),
        ],
        exception_handlers={404: gone, 405: not_so},
    )
    app.router.redirect_slashes = False
    return Guard(app, hosts=hosts, token=token, open_paths=frozenset(pages) | {"/schema.json"}), state


def _pages() -> dict[str, tuple[bytes, str]]:
    """What the page is made of, by path: nothing else can be asked for."""
    folder = resources.files(__package__) / "page"
    found = {}
    for each in folder.iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in _MEDIA:
            found["/" if each.name == "index.html" else f"/{each.name}"] = (each.read_bytes(), _MEDIA[ending])
    return found


async def _body(limits: LiveLimits, request: Request) -> bytes:
    """The body, as soon as it is whole; Refusal where it is too long or too slow."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _JSON:
        raise Refusal(415, f"send JSON with the Content-Type {' or '.join(sorted(_JSON))}", _CLOSE)
    too_long = Refusal(413, f"a request holds at most {limits.body_bytes} bytes; send fewer events at once", _CLOSE)
    told = request.headers.get("content-length", "0")
    if not told.isdigit() or int(told) > _DRAINED * limits.body_bytes:
        raise too_long
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(limits.body_s):
            async for part in request.stream():
                size += len(part)
                if size <= limits.body_bytes:
                    body += part
                elif size > _DRAINED * limits.body_bytes:
                    raise too_long
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {limits.body_s:g} s", _CLOSE) from None
    except ClientDisconnect:
        raise Refusal(400, "the body did not come", _CLOSE) from None
    if size > limits.body_bytes:
        raise too_long
    return bytes(body)


def _kept(state: LiveState, body: bytes) -> Response:
    """Keeps the events of a body, all or none, and says so."""
    limits = state.limits
    try:
        events = parse(body, most=limits.events, event_bytes=limits.event_bytes)
    except EventTooLarge as error:
        raise Refusal(413, str(error)) from None
    except EventRefused as error:
        raise Refusal(400, str(error)) from None
    wait_s = state.bucket.take(max(len(events), len(body) // _COUNTED_BYTES))
    if wait_s:
        raise Refusal(
            429,
            f"more than {limits.events_per_s:g} events a second; send these again in {wait_s:.2f} s",
            {"retry-after": str(math.ceil(wait_s))},
        )
    try:
        kept, last = state.keep(events)
    except OSError as error:
        raise Refusal(507, f"the events cannot be kept: {error.strerror}", {"retry-after": "2"}) from None
    return JSONResponse({"accepted": kept, "known": len(events) - kept, "last": last}, 202)


def _place(state: LiveState, request: Request) -> int:
    """The number of the event after which a watcher goes on."""
    if request.method == "HEAD":
        raise Refusal(405, "events are read with GET")
    if state.watchers >= state.limits.watchers:
        raise Refusal(503, f"{state.limits.watchers} watch already; close a page", {"retry-after": "5"})
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if given == "now":
        return state.ring.last
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise Refusal(400, "Last-Event-ID, or ?after=, is the number of an event, or `now`")
    return int(given) or state.ring.first - 1


async def _watched(state: LiveState, after: int) -> AsyncIterator[bytes]:
    """What a watcher is sent: events from its place in the ring on; that it lost its place, where it did."""
    state.watchers += 1
    try:
        yield b"retry: 500\n\n"
        while not state.closing:
            news = state.news
            found = state.ring.read(after)
            if found.lost is not None:
                yield b'event: lost\ndata: {"after":%d,"before":%d}\n\n' % (after, found.lost + 1)
                after = found.lost
            if found.events:
                yield b"".join(b"id: %d\ndata: %s\n\n" % each for each in found.events)
                after = found.events[-1][0]
                continue
            try:
                await asyncio.wait_for(news.wait(), _HEARTBEAT_S)
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        state.watchers -= 1
