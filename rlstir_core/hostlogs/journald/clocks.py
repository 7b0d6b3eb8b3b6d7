"""The time of a journal entry, by whichever of its clocks can be read.

The journal counts microseconds; those who pass its entries on write seconds, milliseconds, nanoseconds or a date. What
does not belong here: what a date may look like (`times/spelled.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rlstir_core.hostlogs.journald.values import text
from rlstir_core.hostlogs.times.spelled import int64_time
from rlstir_core.hostlogs.times.zones import Zones, zone_between

SHIPPED = "@timestamp"  # what an entry's time is called that the journal did not write
_EITHER = re.compile(r"(0?[1-9]|1[0-2])[/-](0?[1-9]|1[0-2])[/-][0-9]{4}", re.ASCII)
_US = range(10**14, 2**63 // 1000)  # microseconds of 1973 and later
_COUNTS = 10**9  # a smaller number counts from the start of a host whose clock did not know the time
_DAY_US = 86_400 * 10**6
_LATE_NS = 60 * 10**9  # how long after a program's time the journal's may be for the two to tell a zone


def time_of(fields: Mapping[str, object], zones: Zones, host: str) -> tuple[int, str] | None:
    """(ns, what of it is assumed) of the source's time, else the journal's, else the shipper's; None without any."""
    source = fields.get("_SOURCE_REALTIME_TIMESTAMP")
    if type(source) is str and len(source) == 16 and source.isdecimal() and source.isascii():
        us = int(source)
        if us in _US:  # nearly every entry, so that nothing else is looked at
            return us * 1000, ""
    if source is not None:
        told = _counted(source, fields)
        if told is not None:
            return told, ""
    said = None if source is None else _said(source)
    for key in ("__REALTIME_TIMESTAMP", SHIPPED):
        value = fields.get(key)
        if value is None:
            continue
        told = _counted(value, fields)
        other = (told, True) if told is not None else _said(value)
        if said is None:
            said = other
        elif not said[1] and other is not None and other[1]:
            # a local time and one of known zone: python-systemd leaves the zone off the first
            said = _in_zone_of(said[0], other[0]), True
        if said is not None and said[1]:
            return said[0], ""
    if said is None:
        return None
    ns, assumed = zones.utc(said[0], host)
    return ns, "zone" if assumed else ""


def _counted(value: object, fields: Mapping[str, object]) -> int | None:
    """Nanoseconds of a field that counts microseconds."""
    if type(value) is not str:
        if type(value) is not int:
            return None
        value = str(value)
    if not value.isdecimal() or not value.isascii() or len(value) > 16:
        return None
    us = int(value)
    if us in _US:
        return us * 1000
    monotonic = text(fields.get("__MONOTONIC_TIMESTAMP"))
    since_start = monotonic.isdecimal() and monotonic.isascii() and len(monotonic) < 16
    if us < _COUNTS or (us < _US.start and since_start and abs(us - int(monotonic)) < _DAY_US):
        return us * 1000
    return None  # no microseconds: its size tells the unit


def _said(value: object) -> tuple[int, bool] | None:
    """Nanoseconds of a time in any spelling, and whether it names its zone."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str) and (date := _EITHER.match(value.strip())) and date[1] != date[2]:
        return None  # day first or month first: no entry tells
    return int64_time(value)


def _in_zone_of(local_ns: int, utc_ns: int) -> int:
    ahead_ns = zone_between(local_ns, utc_ns, _LATE_NS)
    return utc_ns if ahead_ns is None else local_ns - ahead_ns
