"""The record around an event's fields: provider, ids, clock and logger, as lines of JSON in two dialects.

`dump` is what evtx_dump makes of EVTX (typed values, times of microseconds), `beat` is what winlogbeat ships (texts,
times of milliseconds). What does not belong here: the fields of any event (`sysmon.py` and the like).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

import msgspec

from rlstir_core.lab.machine.guest import Boot, Guest

SYSMON_CHANNEL: Final = "Microsoft-Windows-Sysmon/Operational"
_LEVELS = {0: "information", 1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose"}
_XMLNS = "http://schemas.microsoft.com/win/2004/08/events/event"
_WELL_KNOWN = {"S-1-5-18": "SYSTEM", "S-1-5-19": "LOCAL SERVICE", "S-1-5-20": "NETWORK SERVICE"}
_THREADS = 5  # that a logger writes from
_BUSIER, _CHANNELS = 40, 397  # Security is written to this many times as often as others, and more
_NS, _MS, _US = 1_000_000_000, 1_000_000, 1_000
_HOLES: Final = 7  # fills of a line, in the order in which `lines` gives them
_encode = msgspec.json.encode

Data = Mapping[str, Any]


class EventKind(msgspec.Struct, frozen=True):
    """What all events of one id have in common."""

    provider: str
    guid: str  # in lower case, without braces; empty where the provider has none
    channel: str
    event_id: int
    version: int = 0
    level: int = 4
    task: int = 0
    opcode: int = 0
    keywords: str = "0x8000000000000000"
    title: str = ""  # first line of the rendered text
    action: str = ""  # the task's name
    qualifiers: int | None = None  # of classic providers
    user_data: str = ""  # the element that holds the fields, where they are no EventData
    braces: bool = False  # evtx_dump gives the GUID as the provider wrote it


class Frame:
    """Collects records and gives them as lines in the order of time, each channel with numbers of its own."""

    def __init__(self, guest: Guest, boot: Boot, draw: Callable[[], int]) -> None:
        self.dump = guest.dialect == "dump"
        self._guest, self._boot, self._draw = guest, boot, draw
        self._made: list[tuple[int, EventKind, str, bytes, int, int, bytes]] = []
        self._threads: dict[int, list[int]] = {}
        self._templates: dict[tuple[EventKind, str], bytes] = {}
        self._activity = self.guid(
            "-".join("".join(f"{draw() & 0xFFFF:04x}" for _ in range(n)) for n in (2, 1, 1, 1, 3))
        )
        self._users = {
            each.sid: (each.domain, each.name) for each in (*guest.users, *guest.services.values(), guest.root)
        }

    def guid(self, text: str) -> str:
        """A GUID as the dialect spells it."""
        return text.upper() if self.dump else f"{{{text.lower()}}}"

    def put(self, kind: EventKind, t_ns: int, data: Data, pid: int, sid: str = "") -> None:
        """Notes one record that process `pid` logged, for the user `sid` where its provider says one."""
        if self.dump:
            text, rendered = _encode(data), b""
        else:
            text = _encode({key: value if type(value) is str else _as_text(value) for key, value in data.items()})
            rendered = _encode(_rendered(kind, data))
        threads = self._threads.get(pid)
        if threads is None:
            threads = self._threads[pid] = [4 * (self._draw() % 2600 + 20) for _ in range(_THREADS)]
        self._made.append((t_ns, kind, sid, text, pid, threads[self._draw() % _THREADS], rendered))

    def lines(self) -> bytes:
        """All records so far, as JSON lines."""
        self._made.sort(key=lambda one: one[0])
        numbers: dict[str, int] = {}
        found: list[bytes] = []
        late = 0
        for t_ns, kind, sid, text, pid, tid, rendered in self._made:
            number = numbers.get(kind.channel)
            if number is None:
                number = self._first_number(kind.channel)
            numbers[kind.channel] = number + 1
            template = self._templates.get((kind, sid))
            if template is None:
                template = self._templates[kind, sid] = self._template(kind, sid)
            if self.dump:
                found.append(template % (micros(t_ns).encode(), number, pid, tid, text))
                continue
            # the collector polls: a batch of events comes late together
            late = max(late, t_ns // _NS * _NS + 1_400 * _MS + t_ns // _NS % 7 * 61 * _MS)
            created = f"{iso_seconds(late // _NS)}.{late // _MS % 1000:03d}Z"
            found.append(template % (millis(t_ns).encode(), created.encode(), text, pid, tid, number, rendered))
        return b"".join(found)

    def _first_number(self, channel: str) -> int:
        sysmon, others = self._boot.record_ids
        if channel == SYSMON_CHANNEL:
            return sysmon
        return others if channel == "Security" else others // (_BUSIER + crc32(channel.encode()) % _CHANNELS) + 1

    def _template(self, kind: EventKind, sid: str) -> bytes:
        """The line of such events, with holes for what differs from one to the next."""
        holes = tuple(f"@@{n}@@" for n in range(_HOLES))
        record = self._dump(kind, sid, holes) if self.dump else self._beat(kind, sid, holes)
        line = _encode(record).replace(b"%", b"%%")
        for hole, code in zip(holes, self._codes(), strict=False):
            line = line.replace(f'"{hole}"'.encode(), code)
        return line + b"\n"

    def _codes(self) -> tuple[bytes, ...]:
        if self.dump:
            return (b'"%b"', b"%d", b"%d", b"%d", b"%b")
        return (b'"%b"', b'"%b"', b"%b", b"%d", b"%d", b"%d", b"%b")

    def _dump(self, kind: EventKind, sid: str, holes: tuple[str, ...]) -> dict[str, Any]:
        provider = {"Name": kind.provider}
        if kind.guid:
            provider["Guid"] = f"{{{kind.guid}}}" if kind.braces else kind.guid.upper()
        event_id: object = kind.event_id
        if kind.qualifiers is not None:
            provider["EventSourceName"] = kind.provider
            event_id = {"#attributes": {"Qualifiers": kind.qualifiers}, "#text": kind.event_id}
        activity = kind.guid == SECURITY_GUID and kind.task in _WITH_ACTIVITY
        system = {
            "Provider": {"#attributes": provider},
            "EventID": event_id,
            "Version": kind.version,
            "Level": kind.level,
            "Task": kind.task,
            "Opcode": kind.opcode,
            "Keywords": kind.keywords,
            "TimeCreated": {"#attributes": {"SystemTime": holes[0]}},
            "EventRecordID": holes[1],
            "Correlation": {"#attributes": {"ActivityID": self._activity}} if activity else None,
            "Execution": {"#attributes": {"ProcessID": holes[2], "ThreadID": holes[3]}},
            "Channel": kind.channel,
            "Computer": self._guest.name,
            "Security": {"#attributes": {"UserID": sid}} if sid else None,
        }
        body: dict[str, Any] = {"EventData": holes[4]}
        if kind.user_data:
            body = {"UserData": {kind.user_data: holes[4]}}
        return {"Event": {"#attributes": {"xmlns": _XMLNS}, "System": system, **body}}

    def _beat(self, kind: EventKind, sid: str, holes: tuple[str, ...]) -> dict[str, Any]:
        failed = kind.keywords == FAILURE
        event = {"action": kind.action or "None", "code": str(kind.event_id), "created": holes[1], "kind": "event"}
        if kind.guid == SECURITY_GUID:
            event["outcome"] = "failure" if failed else "success"
        event["provider"] = kind.provider
        log: dict[str, Any] = {"api": "wineventlog", "channel": kind.channel, "computer_name": self._guest.name}
        log["user_data" if kind.user_data else "event_data"] = holes[2]
        log["event_id"] = str(kind.event_id)
        if kind.guid == SECURITY_GUID:
            log["keywords"] = ["Audit Failure" if failed else "Audit Success"]
        log["opcode"] = "Info"
        log["process"] = {"pid": holes[3], "thread": {"id": holes[4]}}
        if kind.guid:
            log["provider_guid"] = f"{{{kind.guid}}}"
        log["provider_name"] = kind.provider
        log["record_id"] = holes[5]
        if kind.action:
            log["task"] = kind.action
        if sid:
            log["user"] = self._user(sid)
        if kind.version:
            log["version"] = kind.version
        return {
            "@timestamp": holes[0],
            "agent": {"name": self._guest.name.partition(".")[0], "type": "winlogbeat", "version": "7.17.9"},
            "ecs": {"version": "1.12.0"},
            "event": event,
            "host": {"name": self._guest.name},
            "log": {"level": _LEVELS.get(kind.level, "information")},
            "winlog": log,
            "message": holes[6],
        }

    def _user(self, sid: str) -> dict[str, str]:
        domain, name = self._users.get(sid, ("", ""))
        if sid in _WELL_KNOWN:
            domain, name = "NT AUTHORITY", _WELL_KNOWN[sid]
        found = {"identifier": sid, "domain": domain, "name": name, "type": "User"}
        return {key: value for key, value in found.items() if value}


FAILURE: Final = "0x8010000000000000"
SECURITY_GUID: Final = "54849625-5478-4994-a5ba-3e3b0328c30d"
_WITH_ACTIVITY = frozenset({12289, 12544, 12545, 12548, 12804, 13824, 13826})  # what lsass and services log


@lru_cache(maxsize=4096)
def iso_seconds(second: int) -> str:
    """`2024-05-01T10:00:00` of a whole second, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def micros(t_ns: int) -> str:
    """`2024-05-01T10:00:00.123456Z`, cut to the microsecond."""
    return f"{iso_seconds(t_ns // _NS)}.{t_ns // _US % 1_000_000:06d}Z"


def millis(t_ns: int) -> str:
    """`2024-05-01T10:00:00.123Z`, cut to the millisecond."""
    return f"{iso_seconds(t_ns // _NS)}.{t_ns // _MS % 1000:03d}Z"


def utc_time(t_ns: int) -> str:
    """`2024-05-01 10:00:00.123`, as Sysmon writes it into its fields."""
    return f"{_plain_seconds(t_ns // _NS)}.{t_ns // _MS % 1000:03d}"


@lru_cache(maxsize=4096)
def _plain_seconds(second: int) -> str:
    return iso_seconds(second).replace("T", " ")


def _as_text(value: object) -> object:
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        return {key: each if type(each) is str else _as_text(each) for key, each in value.items()}
    return "-" if value is None else str(value)


def _rendered(kind: EventKind, data: Data) -> str:
    """The text of the event in short: its title and, of Sysmon's, who did it."""
    if kind.channel != SYSMON_CHANNEL:
        return kind.title
    shown = [f"{key}: {data[key]}" for key in ("UtcTime", "ProcessGuid", "ProcessId", "Image") if key in data]
    return "\n".join((f"{kind.title}:", *shown))
