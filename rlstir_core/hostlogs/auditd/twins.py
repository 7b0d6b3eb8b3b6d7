"""What a raw audit log tells of the times of another that `ausearch -i` made of the same events.

Both number their events alike, so that the difference of their times is the zone in which the one was printed. What
does not belong here: what a log tells of itself (`survey.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from rlstir_core.hostlogs.auditd.survey import local_heads, raw_heads
from rlstir_core.hostlogs.times.date_orders import ORDERS, Order
from rlstir_core.hostlogs.times.locales import local_time
from rlstir_core.hostlogs.times.reading import LogReading
from rlstir_core.hostlogs.times.zones import offset_name

_S = 1_000_000_000
_QUARTER_S = 900
_FARTHEST_S = 15 * 3600
_KEPT = 100_000  # events
_AGREE = 0.9  # of the events that both logs hold
_LINE_BYTES = 1 << 20
_MOST = 1_000_000  # events of all raw logs together

RawTimes = dict[tuple[int, int], int]


class RawLogs:
    """What the raw logs of one import tell of those that `ausearch -i` made of the same events."""

    def __init__(self) -> None:
        self._times: RawTimes = {}

    def may_tell(self, log: bytes, reading: LogReading) -> bool:
        """Whether a twin may tell this log's zone: it has local times and nobody says of where. A raw one is kept."""
        if reading.zone or reading.zones:
            return False
        if next(local_heads((log,), _LINE_BYTES), None) is not None:
            return True
        if len(self._times) < _MOST:
            for key, at in raw_times((log,)).items():
                if self._times.setdefault(key, at) != at:
                    self._times[key] = -1  # two hosts, or two boots of one
        return False

    def zone_of(self, log: bytes, reading: LogReading) -> LogReading:
        """The reading with what the raw logs that were seen tell of the log's times."""
        return twin_reading((log,), self._times, reading)


def raw_times(chunks: Iterable[bytes]) -> RawTimes:
    """Seconds since 1970 by number and milliseconds of a raw log's events; of a large log, of every n-th number."""
    times: RawTimes = {}
    every = 1
    for seconds, millis, serial in raw_heads(chunks, _LINE_BYTES):
        if serial % every:
            continue
        key = serial, millis
        if times.setdefault(key, seconds) != seconds:
            times[key] = -1  # two boots of the host: it tells nothing
        if len(times) > _KEPT:
            every *= 2
            times = {key: at for key, at in times.items() if not key[0] % every}
    return times


def twin_reading(chunks: Iterable[bytes], times: Mapping[tuple[int, int], int], reading: LogReading) -> LogReading:
    """The reading with the zone, and the order of day and month, in which the log agrees with its raw twins.

    It stays as it was where fewer than nine in ten of the common events agree on one zone. A zone that a user gave
    counts more.
    """
    agreed: Counter[tuple[Order, int]] = Counter()
    n_common, ordered = 0, False
    sure = reading.order if reading.order and not reading.order_assumed else ""
    for head in local_heads(chunks, _LINE_BYTES):
        at = times.get((head.serial, head.millis), -1)
        time = local_time(head.date) if at >= 0 else None
        if time is None:
            continue
        n_common += 1
        ordered = ordered or len(time.days) > 1
        for order in ORDERS:
            if (ns := time.ns(order)) is None or (sure and time.days and order != sure):
                continue
            offset = ns // _S - at
            if not offset % _QUARTER_S and abs(offset) <= _FARTHEST_S:
                agreed[order, offset] += 1
    if not agreed:
        return reading
    (order, offset), n = agreed.most_common(1)[0]
    if n < _AGREE * n_common or sum(n == other for (_, shift), other in agreed.items() if shift != offset):
        return reading
    found = msgspec.structs.replace(reading, zone=reading.zone or offset_name(offset))
    return msgspec.structs.replace(found, order=order, order_assumed=False) if ordered else found
