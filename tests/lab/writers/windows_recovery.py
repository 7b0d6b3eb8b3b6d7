"""How much of a simulated Windows host can be read back from its log, by the project's own parsers and graph builder.

What is expected is derived from the events alone: this module knows no event ids that a writer may have chosen. What
does not belong here: streams of events and assertions (`test_windows.py`).
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.provenance.store import graph_of

_EXAMPLES = 20
_PIPES = "\\\\.\\pipe"
_OPS = {
    "read": ("read",),
    "write": ("write", "create"),
    "create": ("create",),
    "delete": ("delete",),
    "attributes": ("attributes",),
}
# what these events are about, a log may say without naming the process
_NAMELESS = (ev.LoggedOn, ev.LoggedOff, ev.OnService, ev.OnTask, ev.OnAccount, ev.Cleared, ev.Wrote)

Row = dict[str, Any]
Implied = tuple[int, int, str, tuple[str, ...]]  # from whom, to what, of which type, with which of these ops


@dataclass
class Recovery:
    """What was there and what was found again."""

    events: int = 0
    found: int = 0
    edges: int = 0
    edges_found: int = 0
    processes: int = 0  # that did or suffered something
    processes_found: int = 0  # as one node each
    strays: int = 0  # nodes of processes that are none of those
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of the events that have their row."""
        return self.found / max(1, self.events)

    @property
    def edge_share(self) -> float:
        """Of the edges that are in the graph."""
        return self.edges_found / max(1, self.edges)

    def miss(self, what: str) -> None:
        """Notes an example."""
        if len(self.missed) < _EXAMPLES:
            self.missed.append(what)


def recover(guest: Guest, boot: Boot, events: Sequence[ev.Event], members: Mapping[str, bytes]) -> Recovery:
    """Reads the members back and looks for every event and for the edges that it implies."""
    table = parsed(guest, boot, members)
    found = Recovery()
    tick_ns = 1_000_000 if guest.dialect == "beat" else 1_000
    _look_for_rows(found, table.to_pylist(), events, tick_ns)
    _look_for_edges(found, _graph(table), events, boot, tick_ns)
    return found


def parsed(guest: Guest, boot: Boot, members: Mapping[str, bytes]) -> pa.Table:
    """The log rows of the members."""
    builder = TableBuilder(guest.name.lower(), "episode", 10_000_000)
    for name, content in members.items():
        spec = spec_of_member(name)
        assert spec is not None, name
        context = LogContext(name=name, host=guest.name.partition(".")[0].lower(), near_ns=boot.start_ns)
        builder.add(name, spec.rows(iter((content,)), context))
    return builder.finish(LogTruth())


def _graph(table: pa.Table) -> dict[str, list[Row]]:
    kept = io.BytesIO()
    pq.write_table(table, kept)
    graph, _ = graph_of(cast(Path, kept))
    return {name: each.to_pylist() for name, each in graph.items()}


def _look_for_rows(found: Recovery, rows: list[Row], events: Sequence[ev.Event], tick_ns: int) -> None:
    at_time: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        row["text"] = "\n".join(_texts(json.loads(row["fields_json"])))
        at_time[row["ts_ns"] // tick_ns].append(row)
    for event in events:
        found.events += 1
        if any(_tells(row, event) for row in at_time[event.t_ns // tick_ns]):
            found.found += 1
        else:
            found.miss(f"no row: {_brief(event)}")


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]


def _tells(row: Row, event: ev.Event) -> bool:
    """Whether a row, which is of the right time, tells of the event."""
    if any(text.lower() not in row["text"].lower() for text in _words(event)):
        return False
    if isinstance(event, _NAMELESS) or (isinstance(event, ev.Loaded) and event.driver):
        return True
    who = event.who
    if row["pid"] != who.pid:
        return False
    if isinstance(event, ev.RanScript):  # PowerShell tells its pid and not its image
        return True
    if isinstance(event, ev.Started) and (row["cmdline"] != who.cmdline or row["ppid"] != who.ppid):
        return False
    drive_less = who.exe[2:].lower() if who.exe[1:2] == ":" else who.exe.lower()
    return row["exe"] == who.exe or row["exe"].lower().endswith(drive_less)


def _words(event: ev.Event) -> tuple[str, ...]:
    """What a record of the event must say."""
    match event:
        case ev.OnFile():
            return (event.path,)
        case ev.Connected():
            return (event.src_ip, str(event.src_port), event.dst_ip, str(event.dst_port))
        case ev.Queried():
            return (event.name, event.answer)
        case ev.OnRegistry():
            return (event.key,)
        case ev.OnProcess():
            return (event.target.exe, str(event.target.pid))
        case ev.Loaded():
            return (event.path,)
        case ev.OnPipe():
            return (event.name.removeprefix(_PIPES),)
        case ev.RanScript():
            return (event.text[:200],)
        case ev.LoggedOn() if event.session is not None:
            return (event.account.name, event.src_ip, hex(event.session.id))
        case ev.LoggedOn():
            return (event.account.name, event.src_ip)
        case ev.LoggedOff():
            return (event.session.account.name, hex(event.session.id))
        case ev.OnService():
            return (event.title or event.service, event.exe if event.what == "installed" else "")
        case ev.OnTask():
            return (event.task,)
        case ev.OnAccount():
            return (event.group, event.target.sid) if event.what == "group" else (event.target.name,)
        case ev.Cleared():
            return (event.log,)
        case ev.Wrote():
            return (event.provider, *event.fields.values())
    return ()


def _brief(event: ev.Event) -> str:
    fields = {key: getattr(event, key) for key in ("op", "path", "name", "key", "what", "how") if hasattr(event, key)}
    return f"{type(event).__name__} {fields} by {event.who.pid} {event.who.exe} at {event.t_ns}"


def _look_for_edges(
    found: Recovery, graph: dict[str, list[Row]], events: Sequence[ev.Event], boot: Boot, tick_ns: int
) -> None:
    nodes = _Nodes(graph, events, tick_ns)
    edges: dict[tuple[int, int, str, str], Row] = {
        (each["src_id"], each["dst_id"], each["etype"], each["op"]): each for each in graph["edges"]
    }
    for event in events:
        for source, target, etype, ops in _implied(event, nodes):
            found.edges += 1
            its = (edges.get((source, target, etype, op)) for op in ops)
            if any(
                each["ts_ns"] <= event.t_ns + 2 * tick_ns and each["last_ns"] >= event.t_ns - 2 * tick_ns
                for each in its
                if each is not None
            ):
                found.edges_found += 1
            else:
                found.miss(f"no edge {etype} {ops} {source}->{target}: {_brief(event)}")
    asked = nodes.asked()
    found.processes, found.processes_found = len(asked), sum(node >= 0 for node in asked)
    found.strays = len(graph["proc_nodes"]) - len(set(asked) - {-1})


class _Nodes:
    """The node of each process, file and endpoint; -1 where there is none, or more than one."""

    def __init__(self, graph: dict[str, list[Row]], events: Sequence[ev.Event], tick_ns: int) -> None:
        self._tick_ns = tick_ns
        self._began = {event.who for event in events if isinstance(event, ev.Started)}
        self._by_pid: dict[int, list[Row]] = defaultdict(list)
        for node in graph["proc_nodes"]:
            self._by_pid[node["pid"]].append(node)
        self._files = {(each["kind"], each["path"].lower()): each["id"] for each in graph["file_nodes"]}
        self._sockets = {
            (each["l4"], each["src_ip"], each["dst_ip"], each["dst_port"]): each["id"]
            for each in graph["sock_nodes"]
            if not each["name"]
        }
        self._names = {each["name"]: each["id"] for each in graph["sock_nodes"] if each["name"]}
        self._asked: dict[ev.GuestProcess, int] = {}

    def process(self, who: ev.GuestProcess) -> int:
        """The one node of this pid and image that began when the process did."""
        if who not in self._asked:
            fit = [each["id"] for each in self._by_pid[who.pid] if self._is(each, who)]
            self._asked[who] = fit[0] if len(fit) == 1 else -1
        return self._asked[who]

    def _is(self, node: Row, who: ev.GuestProcess) -> bool:
        name = (node["exe"] or "").replace("/", "\\").rpartition("\\")[2].lower()
        if name != who.name.lower():
            return False
        if who not in self._began:
            return node["created_ts"] is None
        return node["created_ts"] is not None and abs(node["created_ts"] - who.started_ns) <= 2 * self._tick_ns

    def file(self, kind: str, path: str) -> int:
        return self._files.get((kind, path.lower()), -1)

    def socket(self, event: ev.Connected) -> int:
        return self._sockets.get((event.l4, event.src_ip, event.dst_ip, event.dst_port), -1)

    def name(self, name: str) -> int:
        return self._names.get(name.lower(), -1)

    def asked(self) -> list[int]:
        """The nodes of all processes that were asked for."""
        return list(self._asked.values())


def _implied(event: ev.Event, nodes: _Nodes) -> list[Implied]:
    """The edges that an event means."""
    if isinstance(event, (*_NAMELESS, ev.RanScript)) or (isinstance(event, ev.Loaded) and event.driver):
        return []
    who = nodes.process(event.who)
    match event:
        case ev.Started() if event.who.parent is not None:
            return [(nodes.process(event.who.parent), who, "PROC_CHILD", ("create",))]
        case ev.OnFile(op="rename"):
            gone = (who, nodes.file("file", event.path), "PROC_FILE_RW", ("delete",))
            return [gone, (who, nodes.file("file", event.to), "PROC_FILE_RW", ("create",))]
        case ev.OnFile():
            return [(who, nodes.file("file", event.path), "PROC_FILE_RW", _OPS[event.op])]
        case ev.OnRegistry():
            ops = ("delete",) if event.op == "delete" else ("write",)
            return [(who, nodes.file("registry", event.key), "PROC_FILE_RW", ops)]
        case ev.OnPipe():
            return [(who, nodes.file("pipe", event.name.removeprefix(_PIPES)), "PROC_FILE_RW", (event.op,))]
        case ev.Loaded():
            return [(who, nodes.file("file", event.path), "PROC_FILE_RW", ("load",))]
        case ev.Connected():
            op = f"{'accept' if event.inbound else 'connect'}{'_failed' if event.failed else ''}"
            return [(who, nodes.socket(event), "PROC_SOCK_CONN", (op,))]
        case ev.Queried():
            return [(who, nodes.name(event.name), "PROC_SOCK_CONN", ("query",))]
        case ev.OnProcess():
            op = "thread" if event.op == "thread" else "access"
            return [(who, nodes.process(event.target), "PROC_PROC_ACCESS", (op,))]
    return []
