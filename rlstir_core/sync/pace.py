"""How fast bytes may come: a rate as people write it, and waiting so that it is kept.

What does not belong here: fetching.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from rlstir_core.errors import ConfigError
from rlstir_core.text import shown

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([kmg]i?)?b?(?:/s)?", re.ASCII | re.IGNORECASE)
_LEAST = 1024  # bytes a second: what the tools of ssh can be told
_NAP_S = 0.5  # no wait is longer without a word


def read_rate(text: str) -> int:
    """Bytes a second from "5MB", "500 kB/s" or "2MiB"; 0, which is no limit, from an empty text."""
    if not text.strip():
        return 0
    found = _RATE.fullmatch(text.strip())
    rate = int(float(found[1]) * _UNITS[(found[2] or "").lower()]) if found else 0
    if rate < _LEAST:
        raise ConfigError(f"rate {shown(text)} is no rate of at least 1KiB a second; write 500kB, 5MB or 2MiB")
    return rate


class Pace:
    """Waits so that no more than `rate` bytes a second come, whatever the size of a piece; 0 is no limit."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.rate = rate
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()

    def now(self) -> float:
        """The time that `spent` is told as `since`."""
        return self._clock()

    def spent(self, n_bytes: int, since: float, waiting: Callable[[], None]) -> None:
        """Waits until `n_bytes`, whose fetching began at `since`, were due; says so while it waits."""
        if not self.rate:
            return
        self._free_at = max(self._free_at, since) + n_bytes / self.rate
        while (left := self._free_at - self._clock()) > 0:
            waiting()
            self._sleep(min(left, _NAP_S))

    def piece(self, most: int) -> int:
        """How many bytes to read at once, so that a slow rate is a flow and no row of bursts."""
        return min(most, max(1024, self.rate // 4)) if self.rate else most
