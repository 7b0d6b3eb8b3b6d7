"""What the whole of an audit log tells of its times: the order of day and month in the dates of `ausearch -i`.

What does not belong here: the rest of a record (`record.py`), and how an order is decided (`times/date_orders.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rlstir_core.hostlogs.times.date_orders import DateOrders
from rlstir_core.hostlogs.times.locales import local_time
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading
from rlstir_core.text import decoded

_HEAD = rb"^(?:node=(\S{1,255}) )?type=(DAEMON_)?\S+ msg=audit\("  # the daemon's own records are numbered apart
_LOCAL = re.compile(_HEAD + rb"(?![0-9.:]+\))([^)\n]{1,200})\.([0-9]{1,9}):([0-9]{1,10})\)", re.MULTILINE)
_RAW = re.compile(_HEAD + rb"([0-9]{9,10})\.([0-9]{3}):([0-9]{1,10})\)", re.MULTILINE)


class LocalHead(NamedTuple):
    """The time and number of an event that `ausearch -i` printed."""

    date: str
    millis: int
    serial: int
    counter: str  # whose numbers these are


def survey(chunks: Iterable[bytes], evidence: LogEvidence) -> LogReading:
    """How the times of the log are to be read."""
    orders = DateOrders()
    for head in local_heads(chunks, evidence.line_bytes):
        time = local_time(head.date)
        if time is not None:
            orders.saw(time, head.serial, head.counter)
    order, assumed = orders.decide(evidence.modified_ns)
    return LogReading(zone=evidence.zone, zones=evidence.zones, order=order, order_assumed=assumed)


def local_heads(chunks: Iterable[bytes], limit: int) -> Iterator[LocalHead]:
    """The head of every event with a local time, once where its records stand together."""
    last: tuple[bytes, ...] = ()
    for block in _blocks(chunks, limit):
        for match in _LOCAL.finditer(block):
            found = match.groups(b"")
            if found == last:
                continue
            last = found
            node, daemon, date, fraction, serial = found
            counter = decoded(node) + ("/daemon" if daemon else "")
            yield LocalHead(decoded(date), int(fraction[:3]), int(serial), counter)


def raw_heads(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[int, int, int]]:
    """Seconds, milliseconds and number of every event of a raw log, once where its records stand together."""
    last: tuple[bytes, ...] = ()
    for block in _blocks(chunks, limit):
        for match in _RAW.finditer(block):
            found = match.groups(b"")
            if found != last:
                last = found
                _, daemon, seconds, millis, serial = found
                if not daemon:
                    yield int(seconds), int(millis), int(serial)


def _blocks(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The bytes again, cut at line ends; of a line beyond the limit the rest is not looked at."""
    rest = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        elif len(rest) < limit:
            rest += chunk
    yield rest
