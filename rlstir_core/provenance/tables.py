"""The four tables of a graph: their columns, and how nodes and edges become them.

What does not belong here: how nodes and edges come about (`graph.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from rlstir_core.hostlogs.schema import MISSING
from rlstir_core.provenance.processes import ProcessNode
from rlstir_core.text import storable

PROC_CHILD: Final = "PROC_CHILD"  # a process and one that it made, or became: create fork ppid exec, claimed
PROC_FILE_RW: Final = "PROC_FILE_RW"
PROC_SOCK_CONN: Final = "PROC_SOCK_CONN"
PROC_PROC_ACCESS: Final = "PROC_PROC_ACCESS"  # opened, signalled, injected into
EDGE_TYPES: Final = (PROC_CHILD, PROC_FILE_RW, PROC_SOCK_CONN, PROC_PROC_ACCESS)
NODE_TABLES: Final = ("proc_nodes", "file_nodes", "sock_nodes")
TABLES: Final = (*NODE_TABLES, "edges")

_WORD = pa.dictionary(pa.int32(), pa.string())
_ROWS = pa.list_(pa.int64())
SCHEMAS: Final[dict[str, pa.Schema]] = {
    "proc_nodes": pa.schema(
        {
            "id": pa.int64(),
            "host": _WORD,
            "pid": pa.int64(),
            "guid": pa.string(),
            "first_ts": pa.int64(),
            "last_ts": pa.int64(),
            "created_ts": pa.int64(),  # null where the log begins later
            "end_ts": pa.int64(),
            "exe": pa.string(),
            "exe_hash": pa.string(),  # SHA-256 of the image, `sha1:…` where the source has another
            "cmdline": pa.string(),
            "user": pa.string(),
            "signed": pa.bool_(),  # null where no source says
            "parent_id": pa.int64(),
            "parent_exe": pa.string(),
            "rare_parent": pa.float32(),
            "created_by": _ROWS,
        }
    ),
    "file_nodes": pa.schema(
        {
            "id": pa.int64(),
            "host": _WORD,
            "kind": _WORD,  # file registry pipe share device
            "path": pa.string(),
            "sha256": pa.string(),
            "signed": pa.bool_(),
            "entropy": pa.float32(),  # always null: logs do not hold contents
            "first_ts": pa.int64(),
            "last_ts": pa.int64(),
        }
    ),
    "sock_nodes": pa.schema(
        {
            "id": pa.int64(),
            "host": _WORD,  # null where several hosts can mean the same endpoint
            "l4": _WORD,  # tcp udp icmp unix dns; null where the source does not say
            "src_ip": pa.string(),
            "dst_ip": pa.string(),
            "dst_port": pa.int32(),
            "name": pa.string(),  # of a query, a Unix socket
            "asn": pa.int64(),  # asn and geo are always null: no table of addresses ships with the project
            "geo": pa.string(),
            "first_ts": pa.int64(),
            "last_ts": pa.int64(),
        }
    ),
    "edges": pa.schema(
        {
            "src_id": pa.int64(),
            "dst_id": pa.int64(),
            "etype": _WORD,
            "op": _WORD,
            "ts_ns": pa.int64(),  # of the first
            "last_ns": pa.int64(),
            "n": pa.int64(),
            "rows": _ROWS,  # numbers of rows in the episode's file of log_events
        }
    ),
}


class Node(msgspec.Struct, gc=False):
    """A file or a socket in the making."""

    id: int
    values: tuple[str | int, ...]
    first_ts: int
    last_ts: int
    sha256: str = ""
    signed: bool | None = None


class Edge(msgspec.Struct, gc=False):
    """An edge in the making; file and socket ids still count from 0."""

    src: int
    dst: int
    etype: str
    op: str
    first_ts: int
    last_ts: int
    rows: list[int]


Graph = dict[str, pa.Table]  # by the names in TABLES


def proc_nodes(every: Sequence[ProcessNode]) -> pa.Table:
    """The table of processes."""
    parents = [every[p.parent] if p.parent >= 0 else None for p in every]
    return _table(
        "proc_nodes",
        {
            "id": [p.id for p in every],
            "host": [p.host for p in every],
            "pid": [_known(p.pid) for p in every],
            "guid": [p.guid or None for p in every],
            "first_ts": [p.first_ts for p in every],
            "last_ts": [p.last_ts for p in every],
            "created_ts": [_known(p.created_ts) for p in every],
            "end_ts": [_known(p.end_ts) for p in every],
            "exe": [_text(p.exe) for p in every],
            "exe_hash": [p.exe_hash or None for p in every],
            "cmdline": [_text(p.cmdline) for p in every],
            "user": [_text(p.user) for p in every],
            "signed": [p.signed for p in every],
            "parent_id": [_known(p.parent) for p in every],
            "parent_exe": [_text(p.exe) if p is not None else None for p in parents],
            "rare_parent": [p.rare_parent for p in every],
            "created_by": [p.created_by for p in every],
        },
    )


def file_nodes(nodes: Sequence[Node], first_id: int) -> pa.Table:
    """The table of files and what is kept like them."""
    return _table(
        "file_nodes",
        {
            "id": [first_id + node.id for node in nodes],
            "host": [node.values[0] for node in nodes],
            "kind": [node.values[1] for node in nodes],
            "path": [_text(str(node.values[2])) for node in nodes],
            "sha256": [node.sha256 or None for node in nodes],
            "signed": [node.signed for node in nodes],
            "first_ts": [node.first_ts for node in nodes],
            "last_ts": [node.last_ts for node in nodes],
        },
    )


def sock_nodes(nodes: Sequence[Node], first_id: int) -> pa.Table:
    """The table of endpoints."""
    columns: dict[str, Any] = {"id": [first_id + node.id for node in nodes]}
    for at, name in enumerate(("host", "l4", "src_ip", "dst_ip", "dst_port", "name")):
        columns[name] = [None if node.values[at] in ("", MISSING) else node.values[at] for node in nodes]
    columns["name"] = [None if name is None else _text(str(name)) for name in columns["name"]]
    columns["first_ts"] = [node.first_ts for node in nodes]
    columns["last_ts"] = [node.last_ts for node in nodes]
    return _table("sock_nodes", columns)


def edge_table(edges: Sequence[Edge], n_procs: int, n_files: int) -> pa.Table:
    """The table of edges, whose ids now are those of the graph."""
    offset = {PROC_CHILD: 0, PROC_PROC_ACCESS: 0, PROC_FILE_RW: n_procs, PROC_SOCK_CONN: n_procs + n_files}
    lengths = np.cumsum([0, *(len(edge.rows) for edge in edges)], dtype=np.int32)
    rows = np.fromiter((at for edge in edges for at in edge.rows), np.int64, int(lengths[-1]))
    return _table(
        "edges",
        {
            "src_id": [edge.src for edge in edges],
            "dst_id": [offset[edge.etype] + edge.dst for edge in edges],
            "etype": [edge.etype for edge in edges],
            "op": [edge.op for edge in edges],
            "ts_ns": [edge.first_ts for edge in edges],
            "last_ns": [edge.last_ts for edge in edges],
            "n": [len(edge.rows) for edge in edges],
            "rows": pa.ListArray.from_arrays(pa.array(lengths), pa.array(rows)),
        },
    )


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = SCHEMAS[name]
    n = len(columns["id" if "id" in columns else "src_id"])
    arrays = []
    for field in schema:
        column = columns.get(field.name)
        if column is None:
            arrays.append(pa.nulls(n, field.type))
        elif isinstance(column, pa.Array):
            arrays.append(column)
        elif pa.types.is_dictionary(field.type):
            arrays.append(pa.array(column, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(column, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _known(value: int) -> int | None:
    return None if value < 0 else value


def _text(text: str) -> str | None:
    """Text that Arrow can hold; null where there is none."""
    return storable(text) if text else None
