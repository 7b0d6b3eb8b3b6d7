"""One Windows event, whatever it was read from, to a log row: who did it, when, and a text to make templates of.

The work that is the same for all events of one kind (which fields name the process, how the text is laid out) is
done once and kept as a plan. What does not belong here: JSON dialects (`json_events.py`), EVTX (`evtx.py`), and the
names of fields (`field_names.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from rlstir_core.hostlogs.schema import MISSING, LogRow, short_host
from rlstir_core.hostlogs.templates.structured import kind, place, program
from rlstir_core.hostlogs.windows.field_names import (
    BY_EVENT,
    BY_PROVIDER,
    DEFAULT,
    ENVELOPE,
    KINDS_IN_TEMPLATE,
    NOT_IN_MESSAGE,
    PLACES_IN_TEMPLATE,
    PROGRAMS_IN_TEMPLATE,
    PROVIDER_OF_CHANNEL,
    PROVIDER_SAID_AS,
    RENAMED,
    SYSMON_PROVIDERS,
    FieldNames,
)

EventFields = Mapping[str, Any]
_VALUE_CHARS = 160  # of one value in the message
_MESSAGE_FIELDS = 64
_NAME_CHARS = 128  # of a provider, an event id, a host
_PLANS = 2048
_PLAN_CHARS = 4096  # names longer than this together are planned anew each time, so that the cache stays small
_PIDS = 1 << 32
_KINDS = 1024  # templates of one set of fields
_SAYS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(KINDS_IN_TEMPLATE, kind),
    **dict.fromkeys(PROGRAMS_IN_TEMPLATE, program),
    **dict.fromkeys(PLACES_IN_TEMPLATE, place),
}
_BREAK = "\x01"  # between two fields while the spaces inside them are taken out; ASCII, for texts of it are faster
_RARE = "\ue000"  # the same where a value holds that one
_PARENTS = 8  # levels of nested EventData
_SHELL_HOST = re.compile(r"\n[ \t]*Host ?Application ?= ?")
_SHELL_USER = re.compile(r"\n[ \t]*User(?:Id)? ?= ?")
# begins with what is searched for, and looks back from there: that is many times faster
_SYSMON_TEXT = re.compile(
    r"ProcessId: (?:(?<=\nProcessId: )|(?<=\nSourceProcessId: ))(\d{1,9})\r?$", re.MULTILINE | re.ASCII
)


class Envelope(msgspec.Struct, kw_only=True, gc=False):
    """What the record says beside the event's own fields."""

    execution_pid: object = None  # the logger's
    execution_tid: object = None
    user: str = ""  # of System/Security, where the exporter resolved it
    sid: str = ""  # System/Security/UserID
    rendered: str = ""  # the exporter's text: read only where fields were lost


class WindowsEvent(msgspec.Struct, kw_only=True, gc=False):
    """An event as any nested source tells it; `fields` are EventData's or UserData's, in one level."""

    provider: str
    event_id: str
    fields: EventFields
    computer: str
    envelope: Envelope


class RowPlan(msgspec.Struct, frozen=True):
    """What to do with the events of one provider, id and set of fields."""

    names: FieldNames
    pid: tuple[str, ...]
    exe: tuple[str, ...]
    ppid: tuple[str, ...]
    tid: tuple[str, ...]
    cmdline: tuple[str, ...]
    accounts: tuple[tuple[str, str, str], ...]
    provider: str
    event_id: str
    channel: str
    head: str  # the message where no field is shown
    layout: str  # of the message, with a break for every space
    values: Callable[[EventFields], Any] | None
    n_breaks: int
    template: str  # with a place for each of `kinds`
    kinds: Callable[[EventFields], Any] | None  # the values that tell templates apart
    say: tuple[Callable[[str], str], ...]  # what of each does
    templates: dict[Any, str]  # made so far


_plans: dict[tuple[str, str, bool, tuple[str, ...]], RowPlan] = {}


def to_row(event: WindowsEvent, ts_ns: int, fields_json: str, host: str = "") -> LogRow:
    """The log row of an event; `host` stands in where the event names no computer."""
    plan = plan_of(event.provider, event.event_id, False, event.fields)
    row = plan_row(plan, event.fields, ts_ns, event.computer or host, fields_json)
    complete(row, plan, event.fields, event.envelope)
    return row


def complete(row: LogRow, plan: RowPlan, fields: EventFields, envelope: Envelope) -> None:
    """Fills what the fields left open from the record around them, where that speaks of the same process."""
    names = plan.names
    if row.pid < 0 and names.self_logged:
        row.pid, row.tid = number(envelope.execution_pid), number(envelope.execution_tid)
    if names.text:
        _from_shell_text(row, names, fields, envelope.rendered)
    if row.pid < 0 and plan.channel == "sysmon" and envelope.rendered:
        _from_sysmon_text(row, envelope.rendered)
    if names.envelope_user:
        if not row.user:
            row.user = envelope.user
            row.sid = row.sid or envelope.sid
        elif not row.sid and envelope.user == row.user:
            row.sid = envelope.sid


def plan_row(plan: RowPlan, fields: EventFields, ts_ns: int, computer: str, fields_json: str) -> LogRow:
    """What the fields alone tell."""
    # written out, for it is run for every event: a call for each field costs as much as the field
    pid = ppid = tid = MISSING
    exe = cmdline = user = sid = ""
    for key in plan.pid:
        if (pid := number(fields[key])) >= 0:
            break
    for key in plan.ppid:
        if (ppid := number(fields[key])) >= 0:
            break
    for key in plan.tid:
        if (tid := number(fields[key])) >= 0:
            break
    for key in plan.exe:
        if exe := text(fields[key]):
            break
    for key in plan.cmdline:
        if cmdline := text(fields[key]):
            break
    for account in plan.accounts:
        if user := text(fields[account[0]]):
            user, sid = _account(account, user, fields)
            break
    return LogRow(
        ts_ns=ts_ns,
        channel=plan.channel,
        host=_short(computer) if computer else "",
        host_said=computer,
        pid=pid,
        ppid=ppid,
        tid=tid,
        exe=exe,
        cmdline=cmdline,
        user=user,
        sid=sid,
        provider=plan.provider,
        event_id=plan.event_id,
        message=_message(plan, fields),
        template=plan.template if plan.kinds is None else _template(plan, plan.kinds(fields)),
        fields_json=fields_json,
    )


def _account(names: tuple[str, str, str], user: str, fields: EventFields) -> tuple[str, str]:
    """User and SID of the account that these fields name; a SID where a name should be is one."""
    _, domain, its_sid = names
    if domain and "\\" not in user and (where := text(fields[domain])):
        user = f"{where}\\{user}"
    sid = text(fields[its_sid]) if its_sid else ""
    return ("", sid or user) if user.startswith("S-1-") else (user, sid)


def plan_of(provider: str, event_id: str, flat: bool, fields: EventFields) -> RowPlan:
    """The plan of an event, made once for each provider, id and set of fields."""
    key = (provider, event_id, flat, tuple(fields))
    plan = _plans.get(key)
    if plan is None:
        plan = _new_plan(provider, event_id, flat, fields)
        if len(_plans) >= _PLANS:
            _plans.clear()
        if len(provider) + len(event_id) + sum(map(len, fields)) + 8 * len(fields) <= _PLAN_CHARS:
            _plans[key] = plan
    return plan


def number(value: object) -> int:
    """A process or thread id, decimal or hex; MISSING for anything else."""
    if type(value) is str:
        if len(value) <= 10 and value.isdecimal() and value.isascii():
            found = int(value)
        elif value[:2] in {"0x", "0X"} and len(value) <= 18 and "_" not in value:
            try:
                found = int(value, 16)
            except ValueError:
                return MISSING
        else:
            return MISSING
    elif type(value) is int:
        found = value
    else:
        return MISSING
    return found if 0 <= found < _PIDS else MISSING


def text(value: object) -> str:
    """A field's text; empty where Windows writes nothing or a dash."""
    if type(value) is str:
        return "" if value == "-" else value
    return "" if value is None else str(value)


def event_id_text(value: object) -> str:
    """`EventID` as an int, a text, or an element with qualifiers."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("#text", "#value", "$", "Value") if key in value), "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, (dict, list, bool)):
        return ""
    return str(value).strip()


def provider_named(provider: object, channel: object) -> str:
    """The provider; where the record names only its channel, what writes to that one."""
    if provider and isinstance(provider, str):
        return PROVIDER_SAID_AS.get(provider, provider)
    if not isinstance(channel, str):
        return ""
    return PROVIDER_OF_CHANNEL.get(channel) or channel.partition("/")[0]


def flatten(data: object) -> dict[str, Any]:
    """EventData or UserData of any dialect as one level of names and plain values; unnamed values are `param1` …"""
    if isinstance(data, dict) and len(data) - ("#attributes" in data) == 1:
        # UserData holds one element of the provider's own, which holds the fields
        name = next(key for key in data if key != "#attributes")
        if name != "Data" and isinstance(data[name], dict):
            data = data[name]
    found: dict[str, Any] = {}
    _flatten(found, {}, data, "", _PARENTS)
    return found


def _flatten(found: dict[str, Any], seen: dict[str, int], data: object, name: str, depth: int) -> None:
    if not isinstance(data, (dict, list)):
        _put(found, seen, name, data)
    elif depth <= 0:
        _put(found, seen, name, msgspec.json.encode(data).decode())
    elif isinstance(data, list):
        for item in data:
            _flatten(found, seen, item, name, depth - 1)
    else:
        node = data.get("#attributes")
        attributes = node if isinstance(node, dict) else data
        named = next((attributes[key] for key in ("Name", "@Name") if isinstance(attributes.get(key), str)), None)
        if named is not None and name in {"", "Data"} and depth < _PARENTS:
            value = next((data[key] for key in ("#text", "text", "Value", "content", "$") if key in data), None)
            _flatten(found, seen, value, str(named), depth - 1)
            return
        for key, value in data.items():
            if key == "#attributes" and isinstance(value, dict):
                if depth < _PARENTS:
                    inner = {its: inner_value for its, inner_value in value.items() if its != "xmlns"}
                    _flatten(found, seen, inner, name, depth - 1)
            elif not key.startswith("@xmlns"):
                _flatten(found, seen, value, name if key == "#text" else key, depth - 1)


def _put(found: dict[str, Any], seen: dict[str, int], name: str, value: object) -> None:
    """A name that comes again gets a number, and so does a value without one."""
    unnamed = name in {"", "Data"}
    name = "param" if unnamed else name
    n = seen[name] = seen.get(name, 0) + 1
    numbered = f"param{n}" if unnamed else name if n == 1 else f"{name}.{n}"
    found[numbered if numbered not in found else f"{numbered}#{len(found)}"] = value


def _new_plan(provider: str, event_id: str, flat: bool, fields: EventFields) -> RowPlan:
    names = BY_EVENT.get((provider, event_id)) or BY_PROVIDER.get(provider, DEFAULT)
    there = set(fields)
    outside = set(NOT_IN_MESSAGE)
    if flat:
        outside |= ENVELOPE
        if "ThreadID" in there and type(fields.get("ProcessID")) is int:
            outside.add("ProcessID")  # nxlog's name for the logger's
        if "AccountType" in there:
            outside |= {"AccountName", "Domain"}  # of System/Security, resolved
        if {"EventReceivedTime", "EventType"} <= there:
            outside.add("EventType")  # INFO, AUDIT_SUCCESS: nxlog's, and over the event's own
        there -= outside - NOT_IN_MESSAGE
    shown = sorted(there - outside)[:_MESSAGE_FIELDS]
    kinds = {key: say for key in shown if (say := _SAYS.get(key))}
    head = (_shown_name(provider) or "-", _shown_name(event_id) or "-")
    words = [word.replace("%", "%%") for word in (*head, *(_shown_name(RENAMED.get(key, key)) for key in shown))]
    places = (f"{word}={'%s' if key in kinds else '<*>'}" for word, key in zip(words[2:], shown, strict=True))
    template = " ".join((*words[:2], *places))
    return RowPlan(
        names=names,
        pid=tuple(key for key in names.pid if key in there),
        exe=tuple(key for key in names.exe if key in there),
        ppid=tuple(key for key in names.ppid if key in there),
        tid=tuple(key for key in names.tid if key in there),
        cmdline=tuple(key for key in names.cmdline if key in there),
        accounts=tuple(
            (a.name, a.domain if a.domain in there else "", a.sid if a.sid in there else "")
            for a in names.accounts
            if a.name in there
        ),
        provider=provider[:_NAME_CHARS],
        event_id=event_id[:_NAME_CHARS],
        channel="sysmon" if provider in SYSMON_PROVIDERS else "evtx",
        head=" ".join(head),
        layout=_BREAK.join(words[:2] + [f"{word}=%.{_VALUE_CHARS}s" for word in words[2:]]),
        values=itemgetter(*shown) if shown else None,
        n_breaks=len(words) - 1,
        template=template if kinds else template % (),
        kinds=itemgetter(*kinds) if kinds else None,
        say=tuple(kinds.values()),
        templates={},
    )


def _message(plan: RowPlan, fields: EventFields) -> str:
    """`provider id name=value …`, names in alphabetical order and every value one word, so that all events of a kind
    have the same number of words whatever stands in them."""
    if plan.values is None:
        return plan.head
    values = plan.values(fields)
    line = plan.layout % values
    if line.count(_BREAK) != plan.n_breaks or (not line.isascii() and _RARE in line):  # a value imitates a break
        shown = tuple(str(v).replace(_RARE, "?") for v in (values if type(values) is tuple else (values,)))
        return "_".join((plan.layout.replace(_BREAK, _RARE) % shown).split()).replace(_RARE, " ")
    return "_".join(line.split()).replace(_BREAK, " ")


def _template(plan: RowPlan, kinds: Any) -> str:
    """The shape of an event: its fields, and what those that say what kind it is say."""
    texts = tuple(map(str, kinds if type(kinds) is tuple else (kinds,)))
    found = plan.templates.get(texts)
    if found is None:
        found = plan.template % tuple(say(value) for say, value in zip(plan.say, texts, strict=True))
        if len(plan.templates) < _KINDS and sum(map(len, texts)) <= _PLAN_CHARS:
            plan.templates[texts] = found
    return found


def _shown_name(name: str) -> str:
    return "".join(c if c.isprintable() and c not in " =" else "_" for c in name[:_NAME_CHARS])


@lru_cache(maxsize=4096)
def _short_of(name: str) -> str:
    return short_host(name)


def _short(name: str) -> str:
    return _short_of(name) if len(name) <= _NAME_CHARS else short_host(name)


def _from_shell_text(row: LogRow, names: FieldNames, fields: EventFields, rendered: str) -> None:
    """PowerShell keeps its command line and user in a text: `HostApplication=…` or `Host Application = …`."""
    for source in (*(text(fields[key]) for key in names.text if key in fields), rendered):
        if not row.cmdline and (match := _SHELL_HOST.search(source)):
            row.cmdline = _rest_of_line(source, match.end())
        if not row.user and (match := _SHELL_USER.search(source)):
            row.user = _rest_of_line(source, match.end())


def _rest_of_line(source: str, at: int) -> str:
    end = source.find("\n", at)  # a command line may be long, and a pattern goes over it byte by byte
    return source[at : end if end >= 0 else len(source)].partition("\r")[0].strip()


def _from_sysmon_text(row: LogRow, rendered: str) -> None:
    """Sysmon's text is never localised, and some exporters lose `ProcessId` to their own `ProcessID`.

    The first such line is Sysmon's own: it stands before anything that a process can choose.
    """
    if match := _SYSMON_TEXT.search(f"\n{rendered[:4096]}"):
        row.pid = int(match[1])
