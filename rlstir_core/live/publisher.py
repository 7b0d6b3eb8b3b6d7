"""Publishes events to a live view from any program: the standard library alone, so this file may be copied anywhere.

    publisher = Publisher("http://127.0.0.1:8718", token)
    publisher.publish("prediction", {"host": "h", "episode": "e", "model": "mine", ...})
    publisher.close()

A thread sends what waits, in batches. A call never waits longer than it says, and nothing is lost silently: what found
no room, or was refused, is counted. An event that was sent twice because an answer was lost is kept once. What does
not belong here: what events say (`docs/live.md`).
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

_EVENT_BYTES = 64 * 1024
_BATCH_EVENTS, _BATCH_BYTES = 500, 500_000
_MOST_BYTES = 16 * 2**20  # that wait
_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # between attempts
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507})


@dataclass(frozen=True, kw_only=True)
class PublisherCounts:
    """What became of the events so far."""

    sent: int  # and accepted
    waiting: int
    dropped: int  # for want of room, or because they are no JSON
    refused: int  # by the server
    error: str  # the last one, in words


class Publisher:
    """Sends events to the live view at `url`; safe to call from several threads."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        source: str = "",
        room: int = 10_000,
        timeout_s: float = 5.0,
        linger_s: float = 0.02,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a live view, such as http://127.0.0.1:8718")
        self._address = (parts.hostname, parts.port or 80)
        self._token, self._room, self._timeout_s, self._linger_s = token, room, timeout_s, linger_s
        run = secrets.token_hex(6)
        self._source, self._run = source or f"urn:rlstir:{run}", run
        self._waiting: deque[bytes] = deque()
        self._bytes = self._made = self._sent = self._dropped = self._refused = self._flying = 0
        self._error = ""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._give_up_at: float | None = None

    @classmethod
    def of(cls, folder: Path | str, **more: Any) -> Publisher:
        """The publisher for the live view of a data folder; FileNotFoundError where none was ever opened."""
        told = json.loads((Path(folder) / "live" / "address.json").read_text(encoding="utf-8"))
        return cls(told["url"], told["token"], **more)

    def publish(self, type: str, data: Mapping[str, Any], *, subject: str = "", wait_s: float = 0.0) -> bool:
        """Whether the event waits to be sent. For room it waits at most `wait_s`; it never raises.

        `type` is `prediction` or, in full, `io.rlstir.prediction.v1`.
        """
        with self._changed:
            self._made += 1
            number = self._made
        event = {
            "specversion": "1.0",
            "id": f"{self._run}-{number}",
            "source": self._source,
            "type": type if "." in type else f"io.rlstir.{type}.v1",
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **({"subject": subject} if subject else {}),
            "data": dict(data),
        }
        try:
            text = json.dumps(event, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            with self._changed:
                self._dropped += 1
                self._error = f"an event of type {type} is no JSON: {error}"
            return False
        if len(text) > _EVENT_BYTES:
            with self._changed:
                self._dropped += 1
                self._error = f"an event of type {type} has {len(text)} bytes; a live view takes {_EVENT_BYTES}"
            return False
        until = time.monotonic() + wait_s
        with self._changed:
            while len(self._waiting) + self._flying >= self._room or self._bytes + len(text) > _MOST_BYTES:
                left = until - time.monotonic()
                if left <= 0 or self._closing:
                    self._dropped += 1
                    self._error = self._error or "no room: the live view takes less than is published"
                    return False
                self._changed.wait(left)
            if self._closing:
                self._dropped += 1
                return False
            self._waiting.append(text)
            self._bytes += len(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run_thread, name="rlstir-live", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    @property
    def counts(self) -> PublisherCounts:
        with self._changed:
            return PublisherCounts(
                sent=self._sent,
                waiting=len(self._waiting) + self._flying,
                dropped=self._dropped,
                refused=self._refused,
                error=self._error,
            )

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Whether everything was sent or refused within `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while self._waiting or self._flying:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout_s: float = 5.0) -> PublisherCounts:
        """Sends what waits for at most so long; what is left then is counted as dropped."""
        self.flush(timeout_s)
        with self._changed:
            self._closing = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(min(timeout_s, 1.0))
        return self.counts

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run_thread(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    break
                self._changed.wait_for(lambda: len(self._waiting) >= _BATCH_EVENTS or self._closing, self._linger_s)
                batch: list[bytes] = []
                size = 0
                while self._waiting and len(batch) < _BATCH_EVENTS:
                    if batch and size + len(self._waiting[0]) > _BATCH_BYTES:
                        break
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1]) + 1
                self._bytes -= sum(map(len, batch))
                self._flying = len(batch)
                self._changed.notify_all()
            if batch:
                connection = self._deliver(connection, batch)
        if connection is not None:
            connection.close()

    def _deliver(
        self, connection: http.client.HTTPConnection | None, batch: list[bytes]
    ) -> http.client.HTTPConnection | None:
        """Sends a batch until it is accepted or refused; a batch that is refused is sent event by event."""
        attempt = 0
        while True:
            status, said, wait_s = 0, "", 0.0
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self._address, timeout=self._timeout_s)
                connection.request(
                    "POST",
                    "/events",
                    b"[" + b",".join(batch) + b"]",
                    {
                        "Authorization": f"Bearer {self._token}",
                        "Content-Type": "application/cloudevents-batch+json",
                    },
                )
                answer = connection.getresponse()
                said = answer.read(10_000).decode("utf-8", "replace")
                status = answer.status
                wait_s = float(answer.headers.get("Retry-After") or 0)
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException, ValueError) as error:
                said = str(error) or type(error).__name__
                if connection is not None:
                    connection.close()
                connection = None
            if 200 <= status < 300:
                self._done(sent=len(batch))
                return connection
            if status and status not in _AGAIN:
                if len(batch) > 1 and status in (400, 413):
                    self._done(error=said, still=len(batch))
                    for one in batch:
                        connection = self._deliver(connection, [one])
                else:
                    self._done(refused=len(batch), error=f"{status}: {said}")
                return connection
            pause = max(wait_s, _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
            with self._changed:
                self._error = f"{status}: {said}" if status else said
                if self._closing:
                    self._dropped += len(batch)
                    self._flying -= len(batch)
                    return connection
                self._changed.wait_for(lambda: self._closing, pause)

    def _done(self, *, sent: int = 0, refused: int = 0, error: str = "", still: int = 0) -> None:
        with self._changed:
            self._sent += sent
            self._refused += refused
            self._flying = self._flying - sent - refused if not still else self._flying
            self._error = error or self._error
            self._changed.notify_all()
