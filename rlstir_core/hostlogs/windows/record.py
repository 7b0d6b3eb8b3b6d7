"""What every dialect of JSON makes of a record, and the names under which exporters keep what surrounds an event.

What does not belong here: any one dialect (`dialects.py`, `beats.py`, `exporters.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from rlstir_core.hostlogs.windows.event import WindowsEvent

IDS = ("EventID", "EventId", "event_id", "Id", "EventCode", "event.code", "event_identifier")
PROVIDERS = (
    *("SourceName", "ProviderName", "Provider", "EventSourceName", "provider_name", "source_name", "Source"),
    "event.provider",
)
CHANNELS = ("Channel", "LogName", "log_name", "channel", "EventLog", "Logfile")
COMPUTERS = (
    *("Hostname", "Computer", "MachineName", "hostname", "ComputerName", "computer_name", "computer", "host.name"),
)
TIMES = (
    *("TimeCreated", "EventTime", "SystemTime", "time_created", "TimeGenerated [UTC]", "TimeGenerated"),
    *("TimeGenerated [Local Time]", "TimeWritten", "Timestamp", "timestamp", "@timestamp", "_time", "UtcTime"),
    *("datetime", "time", "EventReceivedTime"),
)
# times of these names are UTC whether they say so or not
IN_UTC = frozenset({"UtcTime", "SystemTime", "TimeGenerated [UTC]", "@timestamp"})
LOGGERS = ("ExecutionProcessID", "ProcessID", "ExecutionProcessId", "process_id", "SystemProcessId")
THREADS = ("ThreadID", "ExecutionThreadID", "thread_id", "SystemThreadId")
SIDS = ("UserID", "UserId", "SystemUserId", "Sid", "user_id")
RENDERED = ("Message", "message", "RenderedDescription")


class EventTime(NamedTuple):
    """A time as written; `utc`: it is UTC where it does not say its zone."""

    text: object
    utc: bool = False


class Told(NamedTuple):
    """The event of a record, and the times that it says: the first that can be read is the event's."""

    event: WindowsEvent
    times: tuple[EventTime, ...]


def first_key(names: Iterable[str], keys: Collection[str]) -> str:
    """The first of the names that is among the keys; empty where none is."""
    return next((name for name in names if name in keys), "")


def first_said(names: Iterable[str], record: dict[str, Any]) -> Any:
    """The first value under these names that says something."""
    return next((value for name in names if (value := record.get(name)) not in (None, "", "-", [])), None)


def stamps(record: dict[str, Any], utc: bool = False) -> tuple[EventTime, ...]:
    """Every time that a record says, the event's own before those of its way."""
    return tuple(EventTime(_time(record[name]), utc or name in IN_UTC) for name in TIMES if name in record)


def plain(value: object) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def sid_in(value: object) -> str:
    """A security identifier, which PowerShell may write as an object."""
    if isinstance(value, dict):
        value = value.get("Value")
    return value if isinstance(value, str) and value.startswith("S-1-") else ""


def account(domain: object, name: object) -> str:
    """`DOMAIN\\user`, or what there is of it."""
    if not isinstance(name, str) or not name:
        return ""
    return f"{domain}\\{name}" if isinstance(domain, str) and domain not in {"", "-"} else name


def _time(value: object) -> object:
    """PowerShell writes a time with notes as an object."""
    if isinstance(value, dict):
        return value.get("value", value.get("SystemTime", value.get("@SystemTime")))
    return value
