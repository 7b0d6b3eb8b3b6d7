"""Small logs whose records say what a rule looks at, as tables of log rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from rlstir_core.hostlogs.attack.truth import LogTruth, TamperSpan
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder

T0 = 1_714_564_800
SYSMON, SECURITY, EVENTLOG = (f"Microsoft-Windows-{name}" for name in ("Sysmon", "Security-Auditing", "Eventlog"))
CHANNEL = {SYSMON: "Microsoft-Windows-Sysmon/Operational", SECURITY: "Security", EVENTLOG: "Security"}


def table(spans: Sequence[TamperSpan] = (), **members: bytes) -> pa.Table:
    """Log rows of such members: `audit_log`, `auth_log`, `sysmon_jsonl`."""
    builder = TableBuilder("host", "episode", 100_000)
    for name, data in members.items():
        member = f"logs/{name.replace('_', '.', 1)}"
        spec = spec_of_member(member)
        assert spec is not None
        builder.add(member, spec.rows([data], LogContext(near_ns=T0 * 10**9)))
    return builder.finish(LogTruth(spans=tuple(spans)))


def clock(second: float) -> str:
    """A second after 12:00 as Windows writes it."""
    whole = T0 % 86_400 + int(second)
    return f"2024-05-01T{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{round(second % 1 * 1000):03d}Z"


def event(
    number: int,
    second: float,
    event_id: int = 4,
    *,
    provider: str = SYSMON,
    channel: str = "",
    header: tuple[int, float] | None = None,
    host: str = "h",
    **data: Any,
) -> dict[str, Any]:
    """A Windows event; `header` is (its number, its clock)."""
    system = {
        "Provider": {"#attributes": {"Name": provider}},
        "EventID": event_id,
        "TimeCreated": {"#attributes": {"SystemTime": clock(second)}},
        "EventRecordID": number,
        "Channel": channel or CHANNEL.get(provider, "System"),
        "Computer": host,
    }
    record: dict[str, Any] = {"Event": {"System": system, "EventData": data or {"State": f"s{number}"}}}
    if header is not None:
        record = {"RecordHeader": {"EventRecordID": header[0], "TimeWritten": clock(header[1])}, **record}
    return record


def lines(events: Iterable[dict[str, Any]]) -> bytes:
    """Events as JSON lines."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def export(seconds: Sequence[float], numbers: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Events as an export keeps them: each header has the time of the event that came next."""
    numbers = numbers or range(900, 900 + len(seconds))
    following = [*seconds[1:], seconds[-1] + 1]
    return [
        event(number, second, header=(place, later))
        for place, (number, second, later) in enumerate(zip(numbers, seconds, following, strict=True), 1)
    ]


def audit(serials: Sequence[int], kinds: dict[int, str] | None = None, seconds: Sequence[float] = ()) -> bytes:
    """Audit records with these serials, a second apart; `kinds` are whole records by place."""
    made = []
    for place, serial in enumerate(serials):
        second = seconds[place] if seconds else float(place)
        kind = (kinds or {}).get(place, "SYSCALL arch=c000003e syscall=59 success=yes exit=0 pid=7 uid=0")
        name, _, body = kind.partition(" ")
        made.append(f"type={name} msg=audit({T0 + second:.3f}:{serial}): {body}\n")
    return "".join(made).encode()


def syslog(messages: Iterable[tuple[int, str, str]]) -> bytes:
    """Lines of (second, program, message)."""
    return "".join(
        f"May  1 12:{second // 60:02d}:{second % 60:02d} web {program}: {message}\n"
        for second, program, message in messages
    ).encode()


def guid(second: int, name: int) -> str:
    """A GUID as Sysmon makes it, with the second of the start in it."""
    when = f"{T0 + second:08x}"
    return f"b34bc01c-{when[4:]}-{when[:4]}-0000-{name:012x}"
