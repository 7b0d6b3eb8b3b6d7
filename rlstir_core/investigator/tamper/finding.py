"""What a rule says: where in a log file, how strongly, and why in words.

What does not belong here: any rule, and how strengths become scores (`calibration.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that looks tampered with.

    A gap lies between the places `first` and `last` (-1 and the number of rows are the ends of the file); any other
    stretch is the places from `first` to `last`. `strength` means what the rule says it means: more is less honest.
    """

    rule: str
    kind: str  # an operator that leaves such marks
    log: str
    first: int
    last: int
    gap: bool
    strength: float
    reason: str

    @property
    def rows(self) -> tuple[int, int]:
        """The first and last place that it concerns, borders of a gap among them."""
        if self.gap and self.first < 0:
            return self.last, self.last
        return self.first, self.last


def spelled_ns(ns: int) -> str:
    """How long, in the largest unit that says it: `14 minutes`, `0.3 seconds`."""
    seconds = abs(ns) / SECOND_NS
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{seconds:.3g} seconds"


def clock(ns: int) -> str:
    """A moment in UTC to the millisecond."""
    moment = _EPOCH + timedelta(microseconds=min(max(ns // 1000, -62_135_596_800_000_000), 253_402_300_799_000_000))
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def counted(n: int, word: str) -> str:
    """`1 row`, `29 rows`."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
