"""Logs to make graphs of: Windows events and audit records as text, through the project's own parsers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.provenance.store import graph_of
from rlstir_core.provenance.tables import Graph

T0 = 1_600_000_000
SYSMON, SECURITY = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"


def _guid(n: int) -> str:
    return f"{{0000abcd-0000-0000-0000-{n:012x}}}"


class Log:
    """Collects events and makes a graph of them."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.audit: list[str] = []
        self.path = folder / "host=ws" / "ep.parquet"

    def event(self, second: float, event_id: int, provider: str = SYSMON, host: str = "ws", **fields: Any) -> None:
        when = datetime.fromtimestamp(T0 + second, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        system = {
            "Provider": {"#attributes": {"Name": provider}},
            "EventID": event_id,
            "TimeCreated": {"#attributes": {"SystemTime": when}},
            "Computer": host,
            "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 8}},
        }
        self.lines.append(json.dumps({"Event": {"System": system, "EventData": fields}}))

    def sysmon(
        self, second: float, event_id: int, pid: int | None, n: int, image: str = "a.exe", **fields: Any
    ) -> None:
        """An event of the process with GUID number `n`."""
        self.event(second, event_id, ProcessGuid=_guid(n), ProcessId=pid, Image=f"C:\\{image}", **fields)

    def create(
        self, second: float, pid: int | None, n: int, image: str, parent: tuple[int, int, str], **fields: Any
    ) -> None:
        """Sysmon 1; the parent as pid, GUID number and image."""
        given_fields = {"CommandLine": f"{image} {n}", "User": "LAB\\ann", "Hashes": "", **fields}
        above = {
            "ParentProcessGuid": _guid(parent[1]),
            "ParentProcessId": parent[0],
            "ParentImage": f"C:\\{parent[2]}",
        }
        self.sysmon(second, 1, pid, n, image, **{**above, **given_fields})

    def security(self, second: float, event_id: int, **fields: Any) -> None:
        self.event(second, event_id, SECURITY, **fields)

    def create_4688(self, second: float, pid: int, image: str, ppid: int, parent: str = "", command: str = "") -> None:
        self.security(
            second,
            4688,
            NewProcessId=hex(pid),
            NewProcessName=f"C:\\{image}",
            ProcessId=hex(ppid),
            ParentProcessName=f"C:\\{parent}" if parent else "",
            CommandLine=command,
            SubjectUserName="ann",
        )

    def call(self, second: float, syscall: int, pid: int, ppid: int, exe: str, *more: str, **given_fields: str) -> None:
        """An audit event of an x86-64 system call, with further records."""
        stamp = f"audit({T0 + int(second)}.{int(second % 1 * 1000):03d}:{len(self.audit) + 1})"
        given = {"success": "yes", "exit": "0", "a0": "0", "a1": "0", "a2": "0", "a3": "0"} | given_fields
        fields = " ".join(f"{key}={value}" for key, value in given.items())
        self.audit.append(
            f"type=SYSCALL msg={stamp}: arch=c000003e syscall={syscall} {fields} items=1 ppid={ppid} pid={pid} "
            f'auid=1000 uid=1000 gid=1000 euid=1000 tty=pts0 ses=1 comm="x" exe="{exe}" key="k"'
        )
        self.audit.extend(f"type={record.replace(' ', f' msg={stamp}: ', 1)}" for record in more)

    def table(self) -> pa.Table:
        """The log rows as the store keeps them."""
        builder = TableBuilder("ws", "ep", 1_000_000)
        for member, kind, lines in (
            ("logs/sysmon.jsonl", "windows_json", self.lines),
            ("logs/audit.log", "audit", self.audit),
        ):
            raw = "".join(f"{line}\n" for line in lines).encode()
            builder.add(member, spec_of(kind).rows(iter([raw]), LogContext(name=member, host="ws")))
        return builder.finish(LogTruth())

    def graph(self, fields_json: dict[int, str] | None = None) -> Graph:
        """The graph; `fields_json` puts other texts in place of rows' own."""
        table = self.table()
        if fields_json:
            column = table["fields_json"].to_pylist()
            for at, text in fields_json.items():
                column[at] = text
            table = table.set_column(
                table.schema.get_field_index("fields_json"), "fields_json", pa.array(column, pa.string())
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.path)
        graph, self.counts = graph_of(self.path)
        return graph

    guid = staticmethod(_guid)

    @staticmethod
    def procs(graph: Graph) -> list[dict[str, Any]]:
        return list(graph["proc_nodes"].to_pylist())

    @staticmethod
    def edges(graph: Graph, etype: str = "") -> list[dict[str, Any]]:
        return [each for each in graph["edges"].to_pylist() if not etype or each["etype"] == etype]

    @staticmethod
    def name(proc: dict[str, Any]) -> str:
        return (proc["exe"] or f"pid {proc['pid']}").replace("\\", "/").rpartition("/")[2]

    def named(self, graph: Graph, name: str) -> list[dict[str, Any]]:
        return [each for each in self.procs(graph) if self.name(each) == name]

    def tree(self, graph: Graph) -> dict[str, str | None]:
        """{program: its parent's}, where each program ran once."""
        every = self.procs(graph)
        parents = [None if each["parent_id"] is None else self.name(every[each["parent_id"]]) for each in every]
        return dict(zip(map(self.name, every), parents, strict=True))
