"""What the world around a log file says of its times: when the file was last written, and the user's word on zones.

What does not belong here: what the log itself says (a format's survey).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeGuard

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.schema import short_host
from rlstir_core.hostlogs.times.reading import LogEvidence
from rlstir_core.hostlogs.times.zones import zone_named

_EARLIEST_NS = 946_771_200 * 10**9  # 2000-01-02; reproducible archives say 1970, 1980 or 1985, clocks never set 2000
_DAY_NS = 86_400 * 10**9


def earlier(one_ns: int | None, other_ns: int | None) -> int | None:
    """The earlier of two times of last writing, for a copy is younger than its file; those that cannot be do not count.

    The file's own, which may be none, where neither can be.
    """
    return min((ns for ns in (one_ns, other_ns) if _can_be(ns)), default=one_ns)


def _can_be(modified_ns: int | None) -> TypeGuard[int]:
    return modified_ns is not None and _EARLIEST_NS <= modified_ns <= time.time_ns() + _DAY_NS


def evidence_of(modified_ns: int | None, zone: str = "", zones: Mapping[str, str] | None = None) -> LogEvidence:
    """The evidence on one file; a time of last writing that cannot be one counts as unknown."""
    if not _can_be(modified_ns):
        modified_ns = None
    return LogEvidence(modified_ns=modified_ns, zone=zone, zones=dict(zones or {}))


def zones_given(words: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """(the zone of every host, zones by short host name) of `Europe/Berlin` and `web1=Asia/Shanghai`; ConfigError."""
    zone, zones = "", dict[str, str]()
    for word in words:
        host, mark, name = word.rpartition("=")
        zone_named(name)
        if mark and not host:
            raise ConfigError(f"{word!r} names no host before its =; write HOST=ZONE, or a zone alone")
        before = zones.get(short_host(host), "") if mark else zone
        if before and before != name:
            raise ConfigError(f"two zones, {before} and {name}, for {host or 'every host'}; give one")
        if mark:
            zones[short_host(host)] = name
        else:
            zone = name
    return zone, zones
