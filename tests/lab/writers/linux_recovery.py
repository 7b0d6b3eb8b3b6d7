"""What the project's own parsers and graph get back of simulated events from a Linux guest's logs.

What an event must leave behind is said here from the event alone. What does not belong here: how logs are written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.provenance import audit_facts
from rlstir_core.provenance.facts import Dropped, Row
from rlstir_core.provenance.graph import GraphBuilder

_MS, _S = 1_000_000, 1_000_000_000
_BY_FILE = {
    "read": ("read",),
    "write": ("write",),
    "create": ("create",),
    "delete": ("delete",),
    "attributes": ("attributes",),
}
_ACCESS = {"access": "access", "thread": "access", "trace": "trace", "signal": "signal"}

Found = dict[str, Any]


@dataclass
class Recovery:
    """How much of what happened the logs tell."""

    events: int = 0
    found: int = 0
    edges: int = 0
    edges_found: int = 0
    unparsed: int = 0
    dropped: int = 0  # rows whose call says nothing usable
    missed: list[str] = field(default_factory=list)  # examples
    by_kind: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    @property
    def share(self) -> float:
        """Of the events."""
        return self.found / self.events if self.events else 1.0

    @property
    def edge_share(self) -> float:
        """Of the edges."""
        return self.edges_found / self.edges if self.edges else 1.0


def rows_of(guest: Guest, boot: Boot, members: Mapping[str, bytes]) -> list[Found]:
    """The log rows of an episode, in the order of time."""
    builder = TableBuilder(guest.name, "episode", 1 << 20)
    for member, content in members.items():
        spec = spec_of_member(member)
        assert spec is not None, member
        context = LogContext(name=member, host=guest.name, near_ns=boot.start_ns)
        builder.add(member, spec.rows([content], context))
    rows: list[Found] = builder.finish(LogTruth()).to_pylist()
    return rows


def recover(guest: Guest, boot: Boot, events: Sequence[ev.Event], members: Mapping[str, bytes]) -> Recovery:
    """Looks for every event in the rows and for every edge in the graph."""
    rows = rows_of(guest, boot, members)
    made = Recovery(unparsed=sum(not row["parsed"] for row in rows))
    table, graph = _Rows(rows), _Edges(rows, made)
    for event in events:
        if isinstance(event, (ev.OnRegistry, ev.OnPipe, ev.RanScript)):
            continue
        if isinstance(event, ev.Exited) and event.code < 0:
            continue  # a signal ended it
        made.events += 1
        kind = made.by_kind[type(event).__name__]
        kind[1] += 1
        if table.holds(event):
            made.found += 1
            kind[0] += 1
        elif len(made.missed) < 40:
            made.missed.append(f"no row: {_shown(event)}")
        for wanted in _edges_of(event):
            made.edges += 1
            if graph.holds(event, wanted):
                made.edges_found += 1
            elif len(made.missed) < 40:
                made.missed.append(f"no edge {wanted}: {_shown(event)}")
    return made


def _shown(event: ev.Event) -> str:
    who = event.who
    return f"{type(event).__name__} at {event.t_ns} by {who.pid} {who.exe}: {event}"[:260]


class _Rows:
    """Rows by where and when they would stand."""

    def __init__(self, rows: list[Found]) -> None:
        self.audit: dict[tuple[int, int], list[Found]] = defaultdict(list)
        self.auth: dict[int, list[Found]] = defaultdict(list)
        self.journal: dict[int, list[Found]] = defaultdict(list)
        for row in rows:
            if row["channel"] == "auditd":
                self.audit[row["ts_ns"], row["pid"]].append(row)
            elif row["channel"] == "auth":
                self.auth[row["ts_ns"] // _S].append(row)
            else:
                self.journal[row["ts_ns"] // _MS].append(row)

    def holds(self, event: ev.Event) -> bool:
        found = _LOOK[type(event)](self, event)
        return bool(found)

    def calls(self, event: ev.Event, *syscalls: str) -> list[Found]:
        """System calls of the process in that millisecond."""
        at = event.t_ns // _MS * _MS
        return [
            row
            for row in self.audit.get((at, event.who.pid), ())
            if row["exe"] == event.who.exe and row["message"].partition(" ")[0] in syscalls
        ]

    def messages(self, event: ev.Event, pid: int, *types: str) -> list[Found]:
        """Records that a program sent about then."""
        at = event.t_ns // _MS * _MS
        near = (row for t in range(at - 2 * _MS, at + 3 * _MS, _MS) for row in self.audit.get((t, pid), ()))
        return [row for row in near if row["event_id"] in types]

    def auth_lines(self, event: ev.Event, *words: str) -> list[Found]:
        at = event.t_ns // _S
        near = [row for t in (at - 1, at, at + 1) for row in self.auth.get(t, ())]
        return [row for row in near if all(word in row["message"] for word in words)]

    def entries(self, event: ev.Event, *words: str) -> list[Found]:
        at = event.t_ns // _MS
        near = [row for t in (at - 1, at, at + 1) for row in self.journal.get(t, ())]
        return [row for row in near if all(word in row["message"] for word in words)]


def _started(rows: _Rows, event: Any) -> object:
    return [
        row for row in rows.calls(event, "execve") if row["cmdline"] == " ".join(event.who.argv or (event.who.exe,))
    ]


def _on_file(rows: _Rows, event: Any) -> object:
    calls = {
        "read": ("openat",),
        "write": ("openat",),
        "create": ("openat", "mkdir"),
        "delete": ("unlink", "unlinkat", "rmdir"),
        "rename": ("rename", "renameat2"),
        "attributes": ("fchmodat", "utimensat"),
    }[event.op]
    path = event.path.rstrip("/") or "/"
    return [row for row in rows.calls(event, *calls) if f'"{path}"' in row["fields_json"] or path.isascii() is False]


def _connected(rows: _Rows, event: Any) -> object:
    if not event.inbound:
        return [
            row
            for row in rows.calls(event, "connect")
            if f"addr={event.dst_ip} port={event.dst_port} " in f"{row['message']} "
        ]
    return [
        row
        for row in rows.calls(event, "accept4", "recvfrom")
        if f"addr={event.src_ip} port={event.src_port} " in f"{row['message']} "
    ]


def _logged_on(rows: _Rows, event: Any) -> object:
    audit = rows.messages(event, event.who.pid, "USER_LOGIN", "USER_AUTH", "USER_START")
    lines = [
        row
        for row in rows.auth_lines(event, event.account.name)
        if row["pid"] == event.who.pid and (not event.src_ip or event.src_ip in row["message"])
    ]
    word = "success" if event.ok else "fail"
    return [row for row in audit if f'"result":"{word}"' in row["fields_json"]] and lines


def _on_service(rows: _Rows, event: Any) -> object:
    if event.what == "installed":
        return rows.entries(event, "Reloading")
    return rows.messages(event, 1, "SERVICE_START", "SERVICE_STOP") and rows.entries(event, event.service)


def _on_task(rows: _Rows, event: Any) -> object:
    if event.what != "ran":
        return rows.entries(event, f"({event.who.account.name})")
    user = event.account.name if event.account else event.task
    return rows.entries(event, f"({user}) CMD (") and rows.messages(event, event.who.pid, "USER_START")


def _on_account(rows: _Rows, event: Any) -> object:
    types = ("ADD_USER", "DEL_USER", "USER_MGMT", "USER_CHAUTHTOK")
    return rows.messages(event, event.who.pid, *types) and rows.auth_lines(event, event.target.name)


def _own_words(rows: _Rows, event: Any) -> object:
    start = event.text.splitlines()[0][:40].strip()
    return rows.entries(event, start) and (not event.auth or rows.auth_lines(event, start))


_LOOK: dict[type, Callable[[_Rows, Any], object]] = {
    ev.Started: _started,
    ev.Exited: lambda rows, event: rows.calls(event, "exit_group"),
    ev.OnFile: _on_file,
    ev.Connected: _connected,
    ev.Queried: lambda rows, event: [r for r in rows.calls(event, "connect") if "127.0.0.53 port=53" in r["message"]],
    ev.OnProcess: lambda rows, event: rows.calls(event, "kill", "ptrace", "process_vm_readv", "process_vm_writev"),
    ev.Loaded: lambda rows, event: rows.audit.get((event.t_ns // _MS * _MS, event.who.pid)),
    ev.LoggedOn: _logged_on,
    ev.LoggedOff: lambda rows, event: rows.messages(event, event.who.pid, "USER_END"),
    ev.Sudoed: lambda rows, event: (
        [r for r in rows.messages(event, event.who.pid, "USER_CMD") if r["cmdline"] == event.command]
        and rows.auth_lines(event, event.account.name, f"COMMAND={event.command}")
    ),
    ev.OnService: _on_service,
    ev.OnTask: _on_task,
    ev.OnAccount: _on_account,
    ev.Cleared: lambda rows, event: rows.calls(event, "openat", "unlink", "unlinkat"),
    ev.Wrote: _own_words,
}


_Wanted = tuple[str, str, tuple[Any, ...]]  # etype, op, what the far node is


def _edges_of(event: ev.Event) -> list[_Wanted]:
    """The edges that an event implies, from what it says alone."""
    who = event.who
    if isinstance(event, ev.Started) and who.parent is not None:
        return [("PROC_CHILD", "fork", (who.pid, who.exe)), ("PROC_FILE_RW", "execute", ())]
    if isinstance(event, ev.OnFile):
        path = event.path.rstrip("/") or "/"
        if event.op == "rename":
            return [("PROC_FILE_RW", "delete", (path,)), ("PROC_FILE_RW", "create", (event.to,))]
        return [("PROC_FILE_RW", op, (path,)) for op in _BY_FILE[event.op]]
    if isinstance(event, ev.Connected):
        if event.inbound:
            return [("PROC_SOCK_CONN", "accept", ("", event.src_ip, None))] if event.l4 == "tcp" else []
        op = "connect_failed" if event.failed and event.l4 == "tcp" else "connect"
        return [("PROC_SOCK_CONN", op, ("", event.dst_ip, event.dst_port))]
    if isinstance(event, ev.Queried):
        return [("PROC_SOCK_CONN", "connect", ("", "127.0.0.53", 53))]
    if isinstance(event, ev.OnProcess):
        return [("PROC_PROC_ACCESS", _ACCESS[event.op], (event.target.pid, event.target.exe))]
    return []


class _Edges:
    """The graph's edges by process, kind and far node, each with the times of its rows."""

    def __init__(self, rows: list[Found], made: Recovery) -> None:
        builder = GraphBuilder()
        for at, row in enumerate(rows):
            if row["provider"] != "auditd" or row["duplicate"] or not row["parsed"]:
                continue
            its = Row(at, row["ts_ns"], row["host"], row["pid"], row["ppid"], row["exe"], row["user"], row["cmdline"])
            try:
                builder.add(its, audit_facts.facts(its, audit_facts.decode(row["fields_json"].encode())))
            except Dropped:
                made.dropped += 1
        graph = builder.finish()
        self.nodes: dict[int, tuple[Any, ...]] = {}
        for node in graph["proc_nodes"].to_pylist():
            self.nodes[node["id"]] = (node["pid"], node["exe"])
        for node in graph["file_nodes"].to_pylist():
            self.nodes[node["id"]] = (node["path"],)
        for node in graph["sock_nodes"].to_pylist():
            self.nodes[node["id"]] = ("", node["dst_ip"] or node["src_ip"], node["dst_port"])
        self._times: dict[tuple[Any, ...], set[int]] = defaultdict(set)
        for edge in graph["edges"].to_pylist():
            source, target = self.nodes[edge["src_id"]], self.nodes[edge["dst_id"]]
            times = {rows[at]["ts_ns"] // _MS for at in edge["rows"]}
            self._times[source, edge["etype"], edge["op"], target] |= times
            if edge["op"] == "execute":
                self._times[source, edge["etype"], edge["op"], ()] |= times

    def holds(self, event: ev.Event, wanted: _Wanted) -> bool:
        etype, op, target = wanted
        who, at = event.who, event.t_ns // _MS
        if etype == "PROC_CHILD":  # the fork comes a little before
            parent = who.parent
            assert parent is not None
            times = self._times.get(((parent.pid, parent.exe), etype, op, target), set())
            return any(t in times for t in (at, at - 1, at - 2))
        targets = [target]
        if etype == "PROC_PROC_ACCESS":  # audit does not say the image of one that never acts itself
            targets.append((target[0], None))
        return any(at in self._times.get(((who.pid, who.exe), etype, op, each), ()) for each in targets)
