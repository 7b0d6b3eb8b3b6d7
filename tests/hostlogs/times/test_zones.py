"""Local times become UTC by the zone that somebody says; where nobody does, that is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.times.reading import KEY, LogReading, reading_in
from rlstir_core.hostlogs.times.zones import LearntZone, Zones, offset_name, zone_between, zone_named


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Asia/Shanghai", "2024-05-01 10:00:00", "2024-05-01 02:00:00"),
        ("Europe/Berlin", "2024-01-01 00:30:00", "2023-12-31 23:30:00"),
        ("Europe/Berlin", "2024-07-01 00:30:00", "2024-06-30 22:30:00"),
        ("Asia/Kathmandu", "2024-07-01 00:30:00", "2024-06-30 18:45:00"),
        ("-03:30", "2024-07-01 00:30:00", "2024-07-01 04:00:00"),
        ("+0530", "2024-07-01 10:30:00", "2024-07-01 05:00:00"),
        ("UTC+8", "2024-07-01 10:30:00", "2024-07-01 02:30:00"),
        ("UTC", "2024-07-01 10:30:00", "2024-07-01 10:30:00"),
    ],
)
def test_a_local_time_is_moved_by_its_zone(zone: str, local: str, utc: str) -> None:
    assert Zones(LogReading(zone=zone)).utc(ns(local) + 5) == (ns(utc) + 5, False)


def test_a_host_has_its_own_zone_and_no_zone_is_assumed_utc() -> None:
    zones = Zones(LogReading(zone="+01:00", zones={"web1": "+08:00"}))
    assert zones.utc(ns("2024-05-01 10:00:00"), "web1")[0] == ns("2024-05-01 02:00:00")
    assert zones.utc(ns("2024-05-01 10:00:00"), "db")[0] == ns("2024-05-01 09:00:00")
    assert Zones(LogReading()).utc(7) == (7, True)
    only = Zones(LogReading(zones={"web1": "+08:00"}))
    assert only.utc(0, "db") == (0, True) and only.utc(0, "web1") == (-8 * 3600 * 10**9, False)


def test_a_reading_that_names_no_zone_that_exists_says_nothing() -> None:
    assert Zones(LogReading(zone="Nowhere", zones={"a": "../../x"})).utc(5, "a") == (5, True)


def test_times_beyond_the_calendar_stay_where_they_are() -> None:
    zones = Zones(LogReading(zone="Europe/Berlin"))
    assert zones.utc(2**63 - 1)[0] <= 2**63 - 1 and zones.utc(-(2**63) + 10**14)[0] < 0


@pytest.mark.parametrize("name", ["", "Nowhere", "../../etc/passwd", "/etc/passwd", "a" * 300, "+16:00", "posix", "\0"])
def test_what_is_no_zone_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match="is no time zone"):
        zone_named(name)


@pytest.mark.parametrize(
    "meta",
    [b"", b"{", b"[]", b'{"log_reading": 5}', b'{"log_reading": {"first_ns": -1}}', b'{"log_reading": {"order": "x"}}'],
)
def test_a_meta_that_holds_no_reading_gives_the_default(meta: bytes) -> None:
    assert reading_in(meta) == LogReading()


def test_a_reading_is_found_again_in_the_meta() -> None:
    meta = b'{"host_id": "a", "%s": {"first_ns": 5, "year": "assumed", "zones": {"a": "UTC"}}}' % KEY.encode()
    assert reading_in(meta) == LogReading(first_ns=5, year="assumed", zones={"a": "UTC"})


def test_a_zone_is_learnt_in_quarter_hours_and_again_every_hour() -> None:
    zone = LearntZone()
    assert zone.wants("2020-08-05 02:09:29")
    zone.learn("2020-08-05 02:09:29", "2020-08-05T06:09:31.626Z")
    assert zone.offset_ns == -4 * 3600 * 10**9
    assert not zone.wants("2020-08-05 02:59:29")
    assert zone.wants("2020-08-05 03:00:00")


def test_two_times_that_lie_days_apart_teach_no_zone() -> None:
    zone = LearntZone()
    zone.learn("2020-08-05 02:09:29", "2020-08-09T06:09:31Z")
    assert zone.offset_ns is None


def test_a_zone_between_two_clocks_is_whole_quarter_hours_and_its_name_is_read_back() -> None:
    minute = 60 * 10**9
    assert zone_between(330 * minute + 1, 0, minute) == 330 * minute
    assert zone_between(-210 * minute - 1, 0, minute) == -210 * minute
    assert zone_between(335 * minute, 0, minute) is None
    for shift_s in (19_800, -12_600, 0):
        offset = zone_named(offset_name(shift_s)).utcoffset(None)
        assert offset is not None and offset.total_seconds() == shift_s
