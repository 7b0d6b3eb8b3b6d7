"""HTTP/1.1 whose patience ends: a request's line and headers must come whole within some seconds.

uvicorn bounds how long a connection may be idle between requests, but not how slowly a request may begin, so that a
client that sends a byte now and then would hold a connection for ever. What does not belong here: bodies (`app.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(head_s: float) -> type[asyncio.Protocol]:
    """The protocol for `uvicorn.Config(http=...)`."""

    class Patient(H11Protocol):
        """Closes a connection whose request does not come."""

        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._late = self.loop.call_later(head_s, self._give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:  # the head of a request is not whole yet
                if self._late is None and self.conn.trailing_data[0]:
                    self._late = self.loop.call_later(head_s, self._give_up)
            else:
                self._relax()

        def connection_lost(self, exc: Exception | None) -> None:
            self._relax()
            super().connection_lost(exc)

        def _relax(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if not self.transport.is_closing():
                self.transport.abort()

    return Patient
