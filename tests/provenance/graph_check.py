"""Holds a graph against the log rows it was made of: every edge has rows that can make it and that mean its processes.

Reads the records with a plain JSON reader and not with the code that made the graph, so a mistake there is not
repeated here. For tests, and by hand on whole corpora. What does not belong here: repairs.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.parquet as pq

from rlstir_core.hostlogs.windows.field_names import SECURITY
from rlstir_core.provenance.processes import GRACE_NS, JOIN_NS, base_name, same_image
from rlstir_core.provenance.tables import PROC_CHILD, PROC_FILE_RW, PROC_PROC_ACCESS, PROC_SOCK_CONN, Graph

_SYSMON: Final = "sysmon"
_KINDS: Final[dict[str, set[tuple[str, str]]]] = {
    PROC_CHILD: {(_SYSMON, "1"), (SECURITY, "4688")},
    PROC_FILE_RW: {
        *((_SYSMON, each) for each in ("2", "7", "9", "11", "12", "13", "14", "15", "17", "18", "23", "26")),
        *((SECURITY, each) for each in ("4656", "4663", "5145")),
    },
    PROC_SOCK_CONN: {
        *((_SYSMON, each) for each in ("3", "22")),
        *((SECURITY, each) for each in ("5145", "5154", "5156", "5157", "5158")),
    },
    PROC_PROC_ACCESS: {(_SYSMON, "8"), (_SYSMON, "10")},
}
_SYSTEM = (0, 4)


class Report(msgspec.Struct, kw_only=True):
    """What was looked at, and what was wrong with it by name; no faults, a sound graph."""

    creations: int = 0  # Sysmon 1 whose parent has a GUID
    below_parent: int = 0  # of them, below the node of that GUID
    parents_seen: int = 0  # of them, those whose parent did something else in the episode
    below_seen: int = 0  # of those, below its node
    edge_rows: int = 0
    faults: dict[str, int] = {}


def check(graph: Graph, log: Path) -> Report:
    """Holds the graph against its file of log rows."""
    columns = ["channel", "provider", "event_id", "host", "ts_ns", "pid", "ppid", "exe", "fields_json", "duplicate"]
    rows = pq.ParquetFile(log).read(columns=columns, use_threads=False).to_pylist()
    report, faults = Report(), Counter[str]()
    procs = {each["id"]: each for each in graph["proc_nodes"].to_pylist()}
    fields_of: dict[int, dict[str, Any]] = {}
    for edge in graph["edges"].to_pylist():
        for at in edge["rows"]:
            report.edge_rows += 1
            if not 0 <= at < len(rows) or rows[at]["duplicate"]:
                faults["row is not there"] += 1
                continue
            if not _can_make(rows[at], edge["etype"]):
                faults["row cannot make it"] += 1
            fields = fields_of.setdefault(at, _fields(rows[at]["fields_json"]))
            faults.update(_wrong(edge, rows[at], fields, procs))
        if edge["n"] != len(edge["rows"]) or not edge["ts_ns"] <= edge["last_ns"]:
            faults["count or times"] += 1
    for proc in procs.values():
        kinds = Counter((rows[at]["channel"], rows[at]["event_id"]) for at in proc["created_by"])
        if any(n > 1 for (channel, _), n in kinds.items() if channel != "auditd"):
            faults["two creations"] += 1
        if proc["parent_id"] is not None and procs[proc["parent_id"]]["host"] != proc["host"]:
            faults["parent of another host"] += 1
    _creations(report, rows, procs)
    report.faults = dict(sorted(faults.items()))
    return report


def _can_make(row: dict[str, Any], etype: str) -> bool:
    if row["channel"] == "auditd":
        return '"syscall"' in row["fields_json"]
    source = _SYSMON if row["channel"] == _SYSMON else row["provider"]
    return (source, row["event_id"]) in _KINDS[etype]


def _wrong(edge: dict[str, Any], row: dict[str, Any], fields: dict[str, Any], procs: dict[int, Any]) -> list[str]:
    """What one row says against the processes of its edge."""
    found: list[str] = []
    kind = row["event_id"] if row["channel"] == _SYSMON else row["provider"] + row["event_id"]
    source, target = procs[edge["src_id"]], procs.get(edge["dst_id"])
    if row["channel"] == "auditd":
        return found if edge["etype"] == PROC_CHILD else _differs("actor", source, row["pid"], "", row["exe"], row)
    if edge["etype"] == PROC_CHILD and target is not None:
        parent_exe = fields.get("ParentImage") or fields.get("ParentProcessName")
        found += _differs("parent", source, row["ppid"], fields.get("ParentProcessGuid"), parent_exe, row)
        found += _differs("child", target, row["pid"], fields.get("ProcessGuid"), row["exe"], row)
    elif kind.endswith("5145"):
        found += _differs("actor", source, 4, "", "", row)
    else:
        guid = fields.get("ProcessGuid") or fields.get("SourceProcessGUID") or fields.get("SourceProcessGuid")
        found += _differs("actor", source, row["pid"], guid, row["exe"], row)
    if edge["etype"] == PROC_PROC_ACCESS and target is not None:
        guid = fields.get("TargetProcessGUID") or fields.get("TargetProcessGuid")
        found += _differs("target", target, -1, guid, fields.get("TargetImage"), row)
    return found


def _differs(what: str, proc: dict[str, Any], pid: int, guid: object, exe: object, row: dict[str, Any]) -> list[str]:
    found = []
    its_guid = str(guid or "").strip("{}").lower()
    if its_guid.strip("0-") and its_guid != proc["guid"]:
        found.append(f"{what}: guid")
    if pid >= 0 and proc["pid"] is not None and pid != proc["pid"]:
        found.append(f"{what}: pid")
    image = str(exe or "")
    known = image not in ("", "-") and "unknown process" not in image and proc["exe"]
    if known and pid not in _SYSTEM and not same_image(base_name(image), base_name(proc["exe"])):
        found.append(f"{what}: image")
    if row["host"] != proc["host"]:
        found.append(f"{what}: host")
    began, ended = proc["created_ts"], proc["end_ts"]
    if what != "parent" and not its_guid:  # a GUID means its process at any time
        if began is not None and row["ts_ns"] < began - JOIN_NS:
            found.append(f"{what}: before it began")
        if ended is not None and row["ts_ns"] > ended + GRACE_NS and pid not in _SYSTEM:
            found.append(f"{what}: after it ended")
    return found


def _creations(report: Report, rows: list[dict[str, Any]], procs: dict[int, Any]) -> None:
    """Counts the Sysmon 1 that hang below their parent's node, by GUIDs alone."""
    of_guid = {(proc["host"], proc["guid"]): proc for proc in procs.values() if proc["guid"]}
    created: list[tuple[str, str, str]] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row["channel"] != _SYSMON or row["duplicate"]:
            continue
        fields = _fields(row["fields_json"])
        own = [fields.get(key) for key in fields if key.lower() in _OWN]
        seen.update((row["host"], str(guid).strip("{}").lower()) for guid in own)
        if row["event_id"] == "1":
            parent = str(fields.get("ParentProcessGuid") or "").strip("{}").lower()
            if parent.strip("0-"):
                created.append((row["host"], str(fields.get("ProcessGuid")).strip("{}").lower(), parent))
    for host, child, parent in created:
        node, above = of_guid.get((host, child)), of_guid.get((host, parent))
        below = node is not None and above is not None and node["parent_id"] == above["id"]
        report.creations += 1
        report.below_parent += below
        if (host, parent) in seen:
            report.parents_seen += 1
            report.below_seen += below


_OWN = ("processguid", "sourceprocessguid", "targetprocessguid")


def _fields(raw: str) -> dict[str, Any]:
    record = json.loads(raw)
    event = record.get("Event")
    if isinstance(event, dict):
        record = event.get("EventData") or event.get("UserData") or {}
    return record if isinstance(record, dict) else {}
