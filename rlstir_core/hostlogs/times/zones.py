"""Local times to UTC, by what a reading says of zones.

What does not belong here: how a log's zone is found (a survey, or the user's word).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.times.reading import LogReading
from rlstir_core.text import shown

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?", re.ASCII)
_QUARTER_NS = 900 * 10**9
_EPOCH = datetime(1970, 1, 1)
_REACH = range(-60_000_000_000, 250_000_000_000)  # seconds of the years that datetime knows, with room at the ends


@lru_cache(maxsize=256)
def zone_named(name: str) -> tzinfo:
    """The zone of `Asia/Shanghai`, `UTC` or `+08:00`; ConfigError for anything else."""
    if name in {"Z", "UTC", "GMT"}:
        return UTC
    if match := _OFFSET.fullmatch(name):
        sign, hours, minutes = match.groups()
        shift = timedelta(hours=int(hours), minutes=int(minutes or 0))
        if shift <= timedelta(hours=15):
            return timezone(-shift if sign == "-" else shift)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # an unknown key, a name that is a path or a folder
        raise ConfigError(
            f"{shown(name)} is no time zone; write a name such as Europe/Berlin, or an offset such as +08:00"
        ) from None


class Zones:
    """What must be added to a log's local times to get UTC; looked up once for each host and quarter of an hour."""

    def __init__(self, reading: LogReading) -> None:
        self._zone = _known(reading.zone)
        self._zones = {host: zone for host, name in reading.zones.items() if (zone := _known(name)) is not None}
        self._known: dict[tuple[tzinfo, int], int] = {}

    def utc(self, local_ns: int, host: str = "") -> tuple[int, bool]:
        """(nanoseconds in UTC, whether nobody says the zone: then the time is taken as UTC). `host` is the short one.

        Of an hour that comes twice the first is meant.
        """
        zone = self._zones.get(host, self._zone) if self._zones else self._zone
        if zone is None:
            return local_ns, True
        quarter = local_ns // _QUARTER_NS
        offset = self._known.get((zone, quarter))
        if offset is None:
            offset = self._known[zone, quarter] = _offset_ns(zone, quarter * 900)
            if len(self._known) > 1 << 14:
                self._known.clear()
        return local_ns - offset, False


def _known(name: str) -> tzinfo | None:
    """The zone of a reading, which may stand in a stranger's tarball: one that is none counts as not said."""
    try:
        return zone_named(name) if name else None
    except ConfigError:
        return None


def _offset_ns(zone: tzinfo, local_s: int) -> int:
    if local_s not in _REACH:
        return 0
    shift = (_EPOCH + timedelta(seconds=local_s)).replace(tzinfo=zone).utcoffset()
    return 0 if shift is None else int(shift.total_seconds()) * 10**9
