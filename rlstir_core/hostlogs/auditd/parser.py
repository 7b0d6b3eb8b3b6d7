"""Linux audit logs (auditd files, enriched or not, and what `ausearch` prints) to log rows, one row per event.

The dates of `ausearch -i` are local and have one order of day and month, which `survey.py` finds.
`message` names what happened in words that a template can be made of; the command line has its own column.
`fields_json` holds a compact view for a provenance graph (`syscall`, `paths`, `sockaddr`, `args` …) and every
record with every field. What does not belong here: reading a line (`record.py`), joining (`event.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from posixpath import join, normpath
from typing import Any

from rlstir_core.hostlogs.auditd.event import Assembler, AuditEvent
from rlstir_core.hostlogs.auditd.pairs import PairReader
from rlstir_core.hostlogs.auditd.record import AuditRecord, parse
from rlstir_core.hostlogs.auditd.sockaddr import from_bytes, from_text
from rlstir_core.hostlogs.auditd.survey import survey
from rlstir_core.hostlogs.auditd.tables import ARCHES, ERRORS, SYSCALLS
from rlstir_core.hostlogs.opening.lines import lines
from rlstir_core.hostlogs.schema import MISSING, LogContext, LogRow, short_host
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.templates.structured import PARAMETER, kind, place, program
from rlstir_core.hostlogs.times.locales import LocalClock
from rlstir_core.hostlogs.times.zones import Zones
from rlstir_core.hostlogs.unparsed import to_json, unparsed
from rlstir_core.text import decoded, one_line

PROVIDER = "auditd"
CHANNEL = "auditd"
MAX_LINE = 1 << 16  # bytes; the kernel and auditd write less than 9 KiB
UNSET = ("4294967295", "-1", "unset")
_AT_CWD = ("ffffff9c", "ffffffffffffff9c", "AT_FDCWD", "0xffffff9c", "0xffffffffffffff9c")
_NOISE = b"----", b"time->", b"<no matches>", b"#"  # what ausearch prints around records, and comments
# Records that describe another one; the others say what the event is.
_AUXILIARY = frozenset(
    {"SYSCALL", "PATH", "CWD", "PROCTITLE", "SOCKADDR", "EXECVE", "EOE", "IPC", "SOCKETCALL", "FD_PAIR", "OBJ_PID"}
    | {"BPRM_FCAPS", "CAPSET", "MMAP", "MQ_OPEN", "MQ_SENDRECV", "MQ_NOTIFY", "MQ_GETSETATTR", "KERNEL_OTHER"}
    | {"IPC_SET_PERM", "OPENAT2", "URINGOP", "TIME_ADJNTPVAL"}
)
# Numbers and labels that say nothing of the kind of event, and columns of their own.
_NO_WORDS = frozenset(
    {"pid", "ppid", "uid", "auid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid", "ses", "subj", "obj"}
    | {"tty", "arch", "syscall", "success", "exit", "a0", "a1", "a2", "a3", "items", "per", "exe", "comm", "key"}
    | {"sauid", "ino", "inode", "spid", "sig", "code", "ip", "compat"}
)
_KINDS = frozenset({"op", "res", "grantors", "audit_enabled", "old", "mode", "type", "kind", "list"})
_VALUE_CHARS = 200  # characters of one value in a message
_MAX_ARGS = 100_000
_CHUNK = re.compile(r"a([0-9]{1,6})\[([0-9]{1,6})\]").fullmatch
_EMPTY = ("", "?", "(null)", "(none)", "unset")


def rows(chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
    """One row per event, in the order in which events begin; a line that is no record is a row at once."""
    assembler, reader = Assembler(), PairReader()
    reading = context.reading
    clock, places = LocalClock(reading.order, reading.order_assumed, context.near_ns), _Places(context)
    ts_ns = context.near_ns or 0
    for line in lines(chunks, min(context.line_bytes, MAX_LINE)):
        if not line.whole:
            yield unparsed(line, CHANNEL, PROVIDER, context, ts_ns, "")
            continue
        record = parse(line.raw, reader, clock)
        if isinstance(record, str):
            said = line.raw.strip()
            if said and not said.startswith(_NOISE):
                yield unparsed(line, CHANNEL, PROVIDER, context, ts_ns, record)
            continue
        if record.local:
            places.put(record, ts_ns)
        ts_ns = record.ts_ns
        for event in assembler.feed(record, len(line.raw)):
            yield row(event, context)
    for event in assembler.finish():
        yield row(event, context)


class _Places:
    """Gives records of `ausearch -i` their time in UTC, or where they have none that of the record before."""

    def __init__(self, context: LogContext) -> None:
        self._zones = Zones(context.reading)
        self._host = context.host
        self._asked: tuple[str, int] = "", -1
        self._told = 0, False

    def put(self, record: AuditRecord, before_ns: int) -> None:
        if not record.timed:
            record.ts_ns = before_ns
            return
        asked = record.node, record.ts_ns
        if asked != self._asked:  # all records of an event share it
            self._asked = asked
            self._told = self._zones.utc(record.ts_ns, short_host(record.node or self._host))
        record.ts_ns, zone_assumed = self._told
        if zone_assumed:
            record.assumed = "order zone" if record.assumed else "zone"


def row(event: AuditEvent, context: LogContext) -> LogRow:
    """The row of an event."""
    main, syscall = _main(event)
    actor = syscall or main  # the kernel's word on who it was
    fields = _fields(event, main, syscall)
    pid, ppid = actor.get("pid"), actor.get("ppid")
    uid = actor.get("uid")
    args = fields.get("args")
    node = event.node
    made = LogRow(
        ts_ns=event.ts_ns,
        channel=CHANNEL,
        host=short_host(node or context.host),
        host_said=node or context.host,
        pid=int(pid) if pid.isdecimal() and len(pid) < 10 else MISSING,
        ppid=int(ppid) if ppid.isdecimal() and len(ppid) < 10 else MISSING,
        exe=_known(actor.get("exe") or main.get("exe")),
        cmdline=" ".join(args) if args else fields.get("title") or main.get("cmd"),
        user=actor.names.get("UID") or ("unset" if uid in UNSET else uid),
        provider=PROVIDER,
        event_id=main.type,
        message=_message(main, syscall, fields),
        template=_template(main, syscall, fields),
        fields_json=to_json(fields),
    )
    if main.local:
        made.timed, made.assumed = main.timed, main.assumed
    return made


def _main(event: AuditEvent) -> tuple[AuditRecord, AuditRecord | None]:
    """The record that says what the event is, and its SYSCALL record."""
    main = syscall = None
    for record in event.records:
        if record.type == "SYSCALL":
            syscall = syscall or record
        elif main is None and record.type not in _AUXILIARY:
            main = record
    first = -1 if event.records[0].local else 0  # ausearch -i prints records backwards
    return main or syscall or event.records[first], syscall


def _fields(event: AuditEvent, main: AuditRecord, syscall: AuditRecord | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"serial": event.serial}
    call = syscall or (main if "syscall" in main.fields else None)
    if call is not None:
        _add_syscall(fields, call)
    elif result := result_of(main):
        fields["result"] = result
    _add_described(fields, event, call)
    for name in ("part", "missing", "restarted"):
        if value := getattr(event, name):
            fields[name] = value
    if main.local:
        fields["local_time"] = True
    fields["records"] = [_record_json(record) for record in event.records]
    return fields


def _add_described(fields: dict[str, Any], event: AuditEvent, call: AuditRecord | None) -> None:
    """What the records around the main one say: where, with which arguments, on which files and sockets."""
    found: dict[str, list[AuditRecord]] = {}
    for record in event.records:
        found.setdefault(record.type, []).append(record)
    for record in found.get("CWD", ()):
        fields["cwd"] = record.fields.get("cwd", "")
    for record in found.get("PROCTITLE", ()):
        fields["title"] = record.fields.get("proctitle", "").rstrip("\0").replace("\0", " ")
    for record in found.get("SOCKADDR", ()):
        fields["sockaddr"] = _sockaddr(record)
    for record in found.get("FD_PAIR", ()):
        fields["fds"] = [record.get("fd0"), record.get("fd1")]
    if "EXECVE" in found:
        fields["args"] = arguments(found["EXECVE"])
    if paths := found.get("PATH"):
        if len(paths) > 1:
            paths.sort(key=_item)  # ausearch prints them backwards
        cwd = fields.get("cwd", "")
        # openat, unlinkat …: relative to a folder that the event need not name
        elsewhere = fields.get("syscall", "").endswith("at") and call is not None and call.get("a0") not in _AT_CWD
        fields["paths"] = [_path(path.fields, cwd, elsewhere) for path in paths]
    if keys := _keys(event):
        fields["keys"] = keys


def _item(path: AuditRecord) -> int:
    item = path.fields.get("item", "")
    return int(item) if item.isdecimal() and len(item) < 8 else 0


def _add_syscall(fields: dict[str, Any], call: AuditRecord) -> None:
    arch, syscall = names_of(call)
    fields["syscall"] = syscall
    fields["arch"] = arch
    if result := result_of(call):
        fields["result"] = result
    if code := call.fields.get("exit"):
        fields["exit"] = exit_of(code)
    for key in ("comm", "tty"):
        word = call.fields.get(key, "")
        if word not in _EMPTY:
            fields[key] = word
    for key, name in (("uid", "UID"), ("auid", "AUID"), ("euid", "EUID")):
        if value := call.fields.get(key):
            fields[key] = call.names.get(name) or ("unset" if value in UNSET else value)


def _record_json(record: AuditRecord) -> dict[str, Any]:
    """Everything a record says: a program's fields under `msg`, auditd's names under `names`."""
    found: dict[str, Any] = {"type": record.type, "fields": record.fields}
    if record.message_fields:
        found["msg"] = record.message_fields
    if record.names:
        found["names"] = record.names
    if record.text:
        found["text"] = record.text
    if record.encoded:
        found["encoded"] = record.encoded
    if record.repeated:
        found["repeated"] = record.repeated
    if record.raw_hex:
        found["raw_hex"] = record.raw_hex
    return found


def names_of(call: AuditRecord) -> tuple[str, str]:
    """Architecture and system call by name; a number that is not known stays one."""
    arch, number = call.fields.get("arch", ""), call.fields.get("syscall", "")
    named = call.names.get("SYSCALL", "")
    arch, name = _named(arch, number)
    return arch, named if named and not named.startswith("unknown") else name


@lru_cache(maxsize=1024)
def _named(arch: str, number: str) -> tuple[str, str]:
    arch = ARCHES.get(arch, arch)
    if number.isdecimal() and len(number) < 6:
        return arch, SYSCALLS.get(arch, {}).get(int(number), number)
    return arch, number


def result_of(record: AuditRecord) -> str:
    """`success`, `fail`, or nothing where the record does not say."""
    word = (record.get("success") or record.get("res")).lower()
    if not word:
        return ""
    return "success" if word in ("yes", "1") or word.startswith("suc") else "fail"


def exit_of(code: str) -> str:
    """`EACCES` for -13 (or `-13(Permission denied)`), else the number: a file descriptor, a child's pid."""
    number = code.partition("(")[0]
    if number.startswith("-") and number[1:].isdecimal() and len(number) < 6:
        return ERRORS.get(int(number[1:]), number)
    return number


def arguments(records: list[AuditRecord]) -> list[str]:
    """The arguments of EXECVE records; one too long for a record comes in parts."""
    found: dict[int, str] = {}
    parts: dict[int, list[str]] = {}
    for record in records:
        for key, value in record.fields.items():
            if key[:1] != "a" or len(key) > 16:
                continue
            if key[1:].isdecimal():
                found[int(key[1:])] = value
            elif match := _CHUNK(key):
                parts.setdefault(int(match[1]), []).append(value)
    for at, chunks in parts.items():
        found[at] = _joined(chunks)
    return [found[at] for at in sorted(found)[:_MAX_ARGS]]


def _joined(chunks: list[str]) -> str:
    """A long argument of its parts, joined as bytes: a part may end inside a character."""
    raw = []
    for chunk in chunks:
        if chunk[:1] == '"':
            raw.append(chunk.strip('"').encode())
            continue
        try:
            raw.append(bytes.fromhex(chunk))
        except ValueError:
            raw.append(chunk.encode())
    return decoded(b"".join(raw))


def _path(path: dict[str, str], cwd: str, elsewhere: bool) -> dict[str, str]:
    name = path.get("name", "")
    kept: dict[str, str] = {key: path[key] for key in ("inode", "dev", "mode", "ouid") if key in path}
    kind = path.get("nametype") or path.get("objtype", "")
    if name not in _EMPTY and name[0] != "/" and cwd[:1] == "/" and not elsewhere:
        name = normpath(join(cwd, name))
    return {"path": "" if name == "(null)" else name, "nametype": kind, **kept}


def _sockaddr(record: AuditRecord) -> dict[str, str | int]:
    raw = record.fields.get("saddr", "")
    found = {} if record.local else from_bytes(raw)
    if not found:
        found = from_text(record.names.get("SADDR") or (raw if record.local else ""))
    return found


def _keys(event: AuditEvent) -> list[str]:
    """The keys of the rules that recorded this event."""
    keys: list[str] = []
    for record in event.records:
        raw = record.fields.get("key", "")
        if raw and raw not in _EMPTY:
            keys += [key.removeprefix("key=") for key in raw.split("\x01") if key not in keys]
    return keys


def _known(value: str) -> str:
    return "" if value in _EMPTY else value


def _message(main: AuditRecord, syscall: AuditRecord | None, fields: dict[str, Any]) -> str:
    """`connect fail EINPROGRESS comm=… exe=… addr=169.254.169.254 port=80 key=net`; other types begin with the type."""
    parts: list[str] = []
    if main is not syscall:
        parts.append(main.type)
        if main.text:
            parts.append(main.text)
        for each in (main.fields, main.message_fields):
            parts += [f"{key}={_cut(value)}" for key, value in each.items() if key not in _NO_WORDS and value != "?"]
    call = syscall or (main if "syscall" in fields else None)
    if call is not None:
        parts.append(fields["syscall"])
        parts.append(fields.get("result", "unknown"))
        code = fields.get("exit", "")
        if code.startswith("E"):
            parts.append(code)
    for key in ("comm", "exe"):
        value = (call or main).get(key)
        if value and value not in _EMPTY:
            parts.append(f"{key}={_cut(value)}")
    if path := _object(fields.get("paths")):
        parts.append(f"path={_cut(path)}")
    for key, value in fields.get("sockaddr", {}).items():
        parts.append(f"{key}={value}")
    parts += [f"key={_cut(key)}" for key in fields.get("keys", ())]
    return one_line(" ".join(parts))


def _template(main: AuditRecord, syscall: AuditRecord | None, fields: dict[str, Any]) -> str:
    """The same words with only the values that say what kind of event it is."""
    parts: list[str] = []
    if main is not syscall:
        parts.append(main.type)
        for each in (main.fields, main.message_fields):
            parts += [
                f"{key}={kind(value) if key in _KINDS else PARAMETER}"
                for key, value in each.items()
                if key not in _NO_WORDS and value != "?"
            ]
    call = syscall or (main if "syscall" in fields else None)
    if call is not None:
        parts += [kind(fields["syscall"]), kind(fields.get("result", "unknown"))]
        code = fields.get("exit", "")
        if code.startswith("E"):
            parts.append(kind(code))
    if exe := _known((call or main).get("exe")):
        parts.append(f"exe={program(exe)}")
    if path := _object(fields.get("paths")):
        parts.append(f"path={place(path)}")
    if family := fields.get("sockaddr", {}).get("family"):
        parts.append(f"family={kind(str(family))}")
    parts += [f"key={kind(key)}" for key in fields.get("keys", ())]
    return one_line(" ".join(parts))


def _object(paths: list[dict[str, str]] | None) -> str:
    """The path that the event is about: what was made or removed, else the first that is not its parent."""
    if not paths:
        return ""
    for path in paths:
        if path["nametype"] in ("CREATE", "DELETE"):
            return path["path"]
    for path in paths:
        if path["nametype"] != "PARENT":
            return path["path"]
    return paths[0]["path"]


def _cut(value: str) -> str:
    return value if len(value) <= _VALUE_CHARS else value[:_VALUE_CHARS] + "…"


SPEC = ParserSpec(format="audit", rows=rows, survey=survey)
