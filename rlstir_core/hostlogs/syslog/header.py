"""What a syslog line begins with: the priority and the time, in the spellings of syslog daemons and of devices.

Two patterns read the common line with its host and its tag at once; whatever they leave takes a slower way. What does
not belong here: who wrote the line (`origin.py`), and which year and zone a time has (`times/`).
"""

from __future__ import annotations

import re

import msgspec

from rlstir_core.hostlogs.times.months import SYSLOG
from rlstir_core.hostlogs.times.spelled import int64_time
from rlstir_core.hostlogs.times.zone_words import OFFSET, WORDS, shift_s

_PRIORITY = r"(?:<([0-9]{1,3})>)?"
_MONTH = "(" + "|".join(SYSLOG) + ")"
_CLOCK = r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))"
_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_HOST = r"([A-Za-z0-9_][\w.@/+-]{0,254})"
_TAG = r"([A-Za-z_/][^\s\[:]*)(?:\[([0-9]{1,9})\])?:(?: |$)"
_WIDEST_S = 15 * 3600
_S = 1_000_000_000

# priority, month, day, clock, fraction, host, tag, pid
COMMON = re.compile(
    rf"{_PRIORITY}{_MONTH} {{1,2}}([0-9]{{1,2}}) {_CLOCK}(?:\.([0-9]{{1,9}}))? {_HOST} {_TAG}",
    re.ASCII,
)
# priority, time, host, tag, pid
COMMON_ISO = re.compile(
    rf"{_PRIORITY}([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}(?:\.[0-9]{{1,9}})?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})) "
    rf"{_HOST} {_TAG}",
    re.ASCII,
)
_OLD = re.compile(
    rf"{_PRIORITY}(?:[0-9]{{1,10}}: (?:([\w.-]+): )?)?[*.]?({_WEEKDAY},? )?(?:([0-9]{{4}}) )?{_MONTH} "
    rf"{{1,2}}([0-9]{{1,2}})"
    rf"(?: ([0-9]{{4}}))? {_CLOCK}(?:[.,]([0-9]{{1,9}}))?(?: ([0-9]{{4}})(?=[ :]))?(?: ?({OFFSET})| ({WORDS})(?=[ :]))?"
    rf"(?::(?= )|(?= ))",
    re.ASCII,
)
_ISO = re.compile(
    rf"{_PRIORITY}(?:{_WEEKDAY},? )?([0-9]{{4}}([-/])[0-9]{{2}}\3[0-9]{{2}}([T ])[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}"
    rf"(?:[.,][0-9]{{1,9}})?)(?: ?(Z|{OFFSET})| ({WORDS}))?(?= )",
    re.ASCII,
)
NEW = re.compile(r"(?:[0-9]{1,6} )?<([0-9]{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) ?")
NEW_BARE = re.compile(  # in a file whose writer left the priority out
    r"()1 (-|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+) (\S+) (\S+) (\S+) (\S+) (?=-(?: |$)|\[[^\s=\]\"]+[ \]])"
)


class HeaderTime(msgspec.Struct, gc=False):
    """The time of a line as it says it; `iso_ns` where it says its year so, else the parts of a date."""

    priority: str | None
    text: str  # of the time
    end: int  # where the rest of the line begins
    iso_ns: int | None = None
    month: str = ""
    day: str = ""
    year: str | None = None
    clock: str = ""
    fraction: str | None = None
    shift_s: int | None = None  # east of UTC; None where it names no zone
    host: str = ""  # which Cisco's devices name before the time
    firm: bool = True  # hardly anything but syslog writes its times like this


def stamp_of(line: str) -> HeaderTime | str | None:
    """The time that a line begins with; None where it begins with none, a text where such a time cannot be."""
    if match := _OLD.match(line):
        priority, host, weekday, early, month, day, year, clock, fraction, year_behind, offset, word = match.groups()
        zone = offset or word
        return _checked(
            HeaderTime(
                priority=priority,
                text=line[match.start(4 if early else 5) : match.end()].rstrip(": "),
                end=match.end(),
                month=month,
                day=day,
                year=early or year or year_behind,
                clock=clock,
                fraction=fraction,
                shift_s=shift_s(zone) if zone else None,
                host=host or "",
                firm=not (weekday or year_behind),
            )
        )
    if match := _ISO.match(line):
        priority, text, _, between, offset, word = match.groups()
        told = int64_time(text.replace("/", "-"))
        if told is None:
            return "a time that does not exist"
        zone = offset or word
        return _checked(
            HeaderTime(
                priority=priority,
                text=line[match.start(2) : match.end()],
                end=match.end(),
                iso_ns=told[0],
                shift_s=shift_s(zone) if zone else None,
                firm=between == "T" and offset is not None and is_firm(text + offset),
            )
        )
    return None


def is_firm(iso: str) -> bool:
    """Whether daemons write such a time: with an offset, or UTC to the microsecond; much else writes a mere `Z`."""
    return iso[-1] != "Z" or len(iso) == len("2024-05-01T10:00:01.123456Z")


def _checked(stamp: HeaderTime) -> HeaderTime | str:
    if stamp.shift_s is not None and abs(stamp.shift_s) > _WIDEST_S:
        return "a zone that does not exist"
    return stamp
