"""How much a live view takes, from whom and how fast; `SECURITY.md` names these numbers.

What does not belong here: how they are enforced (`app.py`, `patience.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """Beyond a size a request is refused with 413, beyond the rate with 429."""

    body_bytes: int = 2**20
    events: int = 1_000  # of one request
    event_bytes: int = 64 * 1024
    events_per_s: float = 10_000.0
    burst: int = 20_000  # events that may come at once after a rest
    head_s: float = 5.0  # for a request's line and headers
    body_s: float = 10.0
    connections: int = 64
    watchers: int = 24
    head_bytes: int = 16 * 1024


class Bucket:
    """Tokens that come back with time."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._tokens, self._since = float(burst), clock()

    def take(self, n: int) -> float:
        """0 where `n` were there and are taken; else the seconds after which they will be, and none is taken."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._per_s)
        self._since = now
        if self._tokens >= n:
            self._tokens -= n
            return 0.0
        return (n - self._tokens) / self._per_s
