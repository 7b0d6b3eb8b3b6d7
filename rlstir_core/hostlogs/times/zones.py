"""Local times to UTC: by what a reading says of zones, or by events that give both times.

What does not belong here: which events of a format tell its zone (the format's survey or reader).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.times.reading import DateOrder, LogReading
from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.text import shown

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?", re.ASCII)
_S = 1_000_000_000
_QUARTER_S = 900  # zones differ by whole quarters of an hour
_QUARTER_NS = _QUARTER_S * _S
_WIDEST_NS = 24 * 3600 * _S  # 14 h are possible; 16 h were seen, from an export with a 12-hour clock
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


def zone_between(local_ns: int, utc_ns: int, apart_ns: int) -> int | None:
    """How far ahead of UTC a clock is, in nanoseconds, that says `local_ns` at about `utc_ns`: whole quarter hours.

    None where the two lie more than `apart_ns` (at most half a quarter hour) apart beside that.
    """
    ahead_ns = (local_ns - utc_ns + _QUARTER_NS // 2) // _QUARTER_NS * _QUARTER_NS
    return ahead_ns if abs(local_ns - utc_ns - ahead_ns) <= apart_ns else None


def offset_name(ahead_s: int) -> str:
    """`+05:30`: seconds ahead of UTC as a reading and `zone_named` spell them."""
    minutes = abs(ahead_s) // 60
    return f"{'-' if ahead_s < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


class LearntZone:
    """What must be taken from a log's zone-less times to get UTC, learnt from events that give both."""

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self._hour = ""

    def wants(self, local: str) -> bool:
        """Whether it is worth learning from this event: the first, and the first of every hour (summer time)."""
        return self.offset_ns is None or local[:13] != self._hour

    def learn(self, local: str, utc: object, order: DateOrder = "") -> None:
        """Both times are of one moment, give or take minutes."""
        ours, theirs = parse_time(local, order), parse_time(utc)
        if ours is None or theirs is None:
            return
        offset_ns = zone_between(ours[0], theirs[0], _QUARTER_NS // 2)
        if offset_ns is not None and abs(offset_ns) <= _WIDEST_NS:
            self.offset_ns = offset_ns
            self._hour = local[:13]


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
            offset = self._known[zone, quarter] = _offset_ns(zone, quarter * _QUARTER_S)
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
    return 0 if shift is None else int(shift.total_seconds()) * _S
