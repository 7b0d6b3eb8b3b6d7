"""What the whole of a log tells of its times before any row is made of it, so that two readings give the same rows.

An import surveys a log once, with what is known of the file; the reading is kept in the episode's meta, under
`log_reading`, and every later reader follows it. What does not belong here: how a format is surveyed (its parser).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

KEY = "log_reading"  # in meta.json
_Zone = Annotated[str, msgspec.Meta(max_length=64)]
_Host = Annotated[str, msgspec.Meta(max_length=255)]
_Ns = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

DateOrder = Literal["", "dmy", "mdy", "ymd"]


class LogReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the times of one log are to be read."""

    first_ns: _Ns | None = None  # where the first line without a year lies; each further one lies behind it
    year: Literal["", "assumed"] = ""  # `assumed` where nothing but the rule says that year
    newest_first: bool = False  # the lines without a year come in falling order
    order: DateOrder = ""  # of day and month in dates of numbers
    order_assumed: bool = False  # nothing in the log decides between them
    zone: _Zone = ""  # of times that name none: an IANA name or an offset; empty is UTC, assumed
    zones: dict[_Host, _Zone] = {}  # the same by host, where a user says so


class LogEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file beside its bytes."""

    modified_ns: int | None = None  # when it was last written; None where that is no time that can be
    zone: str = ""
    zones: dict[str, str] = {}
    line_bytes: int = 1 << 20


def reading_in(meta: bytes) -> LogReading:
    """The reading that a `meta.json` holds; the default where it holds none that can be used."""
    try:
        return msgspec.json.decode(meta, type=_Meta).log_reading
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return LogReading()


class _Meta(msgspec.Struct, frozen=True):
    log_reading: LogReading = LogReading()
