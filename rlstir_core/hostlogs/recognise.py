"""What a file is, by its content: which log format, which container, or neither.

No file name and no flag is asked. What does not belong here: reading the format (its own module).
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Format = Literal["audit", "syslog", "journald", "windows_json", "evtx"]
Container = Literal["zip", "tar", "gzip", "xz", "bzip2", "zstd"]

HEAD = 1 << 16  # bytes of a file's beginning that are looked at
_LINES = 40

_CONTAINERS: tuple[tuple[bytes, Container], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_TAR_MAGIC = (257, b"ustar")
_EVTX = b"ElfFile\x00"

_AUDIT = re.compile(rb"(?:node=\S+ )?type=\S+ msg=audit\(|----$|time->|# ?ausearch", re.ASCII)
_AUDIT_SURE = re.compile(rb"(?:node=\S+ )?type=\S+ msg=audit\(", re.ASCII)
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SYSLOG = re.compile(
    rb"(?:<\d{1,3}>)?(?:"
    rb"1 (?:-|\d{4}-\d\d-\d\dT\S+) \S+ \S+ \S+ \S+ "  # RFC 5424
    rb"|" + _MONTH + rb" [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)? "  # RFC 3164
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d) \S+ \S+?(?:\[\d+\])?: "  # rsyslog's ISO form
    rb")",
    re.ASCII,
)
_EXPORT = re.compile(rb"(?m)^__(?:CURSOR|REALTIME_TIMESTAMP)=", re.ASCII)
_JSON_KEY = re.compile(rb'"([^"\\]{1,80})"\s*:', re.ASCII)
_JOURNAL_KEYS = {b"__REALTIME_TIMESTAMP", b"__CURSOR", b"_BOOT_ID", b"SYSLOG_IDENTIFIER", b"__MONOTONIC_TIMESTAMP"}
_WINDOWS_KEYS = {
    *(b"EventID", b"EventId", b"event_id", b"EventCode", b"winlog", b"EventData", b"Event", b"event_data"),
    *(b"EventRecordID", b"RecordNumber", b"ProviderName", b"SourceName", b"ProviderGuid"),
}


class Guess(msgspec.Struct, frozen=True):
    """What a file is; both are None where it is nothing that is known."""

    log: Format | None = None
    container: Container | None = None


UNKNOWN = Guess()


def recognise(head: bytes) -> Guess:
    """What a file whose first bytes (`HEAD` of them, or all) are `head` is."""
    if head.startswith(_EVTX):
        return Guess(log="evtx")
    for magic, container in _CONTAINERS:
        if head.startswith(magic):
            return Guess(container=container)
    if head[_TAR_MAGIC[0] :].startswith(_TAR_MAGIC[1]):
        return Guess(container="tar")
    return Guess(log=_text_format(head.removeprefix(b"\xef\xbb\xbf")))


def _text_format(head: bytes) -> Format | None:
    start = head.lstrip()[:1]
    if start in (b"{", b"["):
        return _json_format(head)
    if _EXPORT.search(head):
        return "journald"
    lines = [line.rstrip(b"\r") for line in head.split(b"\n")[:_LINES] if line.strip()]
    if not lines:
        return None
    if any(_AUDIT_SURE.match(line) for line in lines) and _share(_AUDIT, lines) >= 0.5:
        return "audit"
    return "syslog" if _share(_SYSLOG, lines) >= 0.5 else None


def _json_format(head: bytes) -> Format | None:
    keys = set(_JSON_KEY.findall(head))
    if keys & _JOURNAL_KEYS and not keys & {b"EventID", b"winlog"}:
        return "journald"
    return "windows_json" if keys & _WINDOWS_KEYS else None


def _share(pattern: re.Pattern[bytes], lines: list[bytes]) -> float:
    return sum(pattern.match(line) is not None for line in lines) / len(lines)
