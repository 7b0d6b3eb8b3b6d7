"""The entities of an episode, and which of them each row names: what an analyst can ask about next.

A process, its tree, its program, the files, accounts and addresses that a row speaks of. Names are made alike across
logs: `LAB\\anna`, `anna` and uid 1000 are one account where the log itself says so. What does not belong here: which
rows answer a query about them (`answers.py`).
"""

# N log rows, P processes, E entities of a kind, M pairs of a row and an entity
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Ints
from rlstir_core.investigator.queries.catalogue import EntityKind
from rlstir_core.investigator.queries.columns import GraphUse, LogColumns
from rlstir_core.provenance.processes import base_name
from rlstir_core.provenance.tables import PROC_CHILD, PROC_FILE_RW, PROC_PROC_ACCESS, PROC_SOCK_CONN

_PATHS = 4  # of a command line
_ADDRESSES = 4  # of a name query
_LOCAL = ("", "-", "?", "::1", "0.0.0.0", "::", "localhost")  # noqa: S104
_NOBODY = ("", "-", "?", "unset", "4294967295", "(none)", "none")
_SERVICES = {"local service", "network service"}
_PATH = re.compile(r"[A-Za-z]:\\[^\s\"'|<>*?;,]+|(?<![\w.])/(?:[\w.+-]+/)+[\w.+-]+")
_FIELD = re.compile(
    r'"(TargetUserName|SubjectUserName|MemberName|SamAccountName|AccountName|TargetUser|acct|AUID|IpAddress'
    r'|SourceNetworkAddress|TargetServerName|addr|QueryResults|TargetSid|MemberSid)":\s*"((?:[^"\\]|\\.)*)"'
)
_SAID = re.compile(
    r"(?:\bfor (?:invalid user |user )?|\buser[= ]|\bby |\bruser=|\bUSER=|\bacct=\"?|\badd '|\bname=|^\s*\(?)"
    r"([A-Za-z_][\w.-]{0,63})"
)
_FROM = re.compile(r"\bfrom ([0-9a-fA-F.:]{3,45})\b|\brhost=([0-9a-fA-F.:]{3,45})\b")
_MAPPED = re.compile(r"(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})")
_NUMBER = re.compile(r'"(auid|uid)":\s*"(\d+)"')
_NAME = re.compile(r'"(AUID|UID)":\s*"([^"]+)"')


@dataclass(frozen=True, kw_only=True, eq=False)
class Named:
    """The entities of one kind, and which rows name them."""

    names: list[str]
    row_M: Ints
    entity_M: Ints  # counted within the kind


@dataclass(frozen=True, kw_only=True, eq=False)
class LogEntities:
    """All entities of an episode by kind, and what belongs to which."""

    kinds: dict[EntityKind, Named]
    tree_P: Ints  # the tree of each process
    pooled_N: NDArray[np.int32]  # what a detector pools each row by: its tree, else its account
    own: Named  # rows and the process behind them alone, none that they only speak of


@dataclass
class _Numbers:
    """Numbers of names in the order in which they come."""

    place: dict[str, int] = field(default_factory=dict)
    row: list[int] = field(default_factory=list)
    entity: list[int] = field(default_factory=list)

    def add(self, row: int, name: str) -> None:
        if name:
            self.row.append(row)
            self.entity.append(self.place.setdefault(name, len(self.place)))

    def named(self) -> Named:
        return _named(list(self.place), np.array(self.row, np.int64), np.array(self.entity, np.int64))


def entities_of(columns: LogColumns) -> LogEntities:
    """Every entity that some row of the episode names."""
    n = len(columns)
    children, accesses = columns.uses(PROC_CHILD), columns.uses(PROC_PROC_ACCESS)
    files, sockets = columns.uses(PROC_FILE_RW), columns.uses(PROC_SOCK_CONN)
    every = np.arange(n)
    behind = np.flatnonzero(columns.process_N >= 0)
    names_P = [exe or f"pid {pid}" for exe, pid in _process_columns(columns)]
    own = _named(names_P, behind, columns.process_N[behind].astype(np.int64))
    process = _joined(
        names_P,
        [(own.row_M, own.entity_M), columns.created]
        + [(use.row_M, ends) for use in (children, accesses) for ends in (use.process_M, use.used_M)],
    )
    tree_P, names_T = _trees(columns, names_P)
    tree = _joined(names_T, [(own.row_M, tree_P[own.entity_M])])
    account = _accounts(columns)
    kinds: dict[EntityKind, Named] = {
        "host": _named(["host"], every, np.zeros(n, np.int64)),
        "tree": tree,
        "process": process,
        "program": _programs(columns, children),
        "file": _files(columns, files),
        "account": account,
        "destination": _destinations(columns, sockets),
    }
    return LogEntities(kinds=kinds, tree_P=tree_P, pooled_N=_pooled(columns, tree_P, len(names_T), account), own=own)


def _named(names: list[str], row_M: Ints, entity_M: Ints) -> Named:
    """Each pair once, in the order of rows."""
    key = np.unique(row_M * max(1, len(names)) + entity_M)
    return Named(names=names, row_M=key // max(1, len(names)), entity_M=key % max(1, len(names)))


def _joined(names: list[str], pairs: Iterable[tuple[Ints, Ints]]) -> Named:
    rows, entities = (np.concatenate([each[part] for each in pairs]) for part in (0, 1))
    return _named(names, rows, entities)


def _process_columns(columns: LogColumns) -> Iterator[tuple[str, int]]:
    processes = columns.graph["proc_nodes"]
    for exe, pid in zip(processes["exe"].to_pylist(), processes["pid"].to_pylist(), strict=True):
        yield exe or "", -1 if pid is None else pid


def _trees(columns: LogColumns, names_P: list[str]) -> tuple[Ints, list[str]]:
    """The tree of each process: what was seen to begin below one that was there before the log, with all below it.

    Where it were one tree with its parent, everything that services and logons begin would be one.
    """
    began = [each is not None for each in columns.graph["proc_nodes"]["created_ts"].to_pylist()]
    root_P = np.full(len(names_P), -1, np.int64)
    for process in range(len(names_P)):
        way: list[int] = []
        at = process
        while root_P[at] < 0:
            way.append(at)
            parent = int(columns.parent_P[at])
            if parent < 0 or not began[at] or not began[parent]:
                root_P[at] = at
                break
            at = parent
        root_P[way] = root_P[at]
    roots, tree_P = np.unique(root_P, return_inverse=True)
    return tree_P.astype(np.int64), [names_P[root] for root in roots.tolist()]


def _pooled(columns: LogColumns, tree_P: Ints, n_trees: int, account: Named) -> NDArray[np.int32]:
    """The tree of each row; rows without a process go by their first account, those without one by themselves."""
    pooled_N = np.where(columns.process_N >= 0, tree_P[columns.process_N] if len(tree_P) else -1, -1)
    first_N = np.full(len(columns), len(account.names), np.int64)
    np.minimum.at(first_N, account.row_M, account.entity_M)
    return np.where(pooled_N >= 0, pooled_N, n_trees + first_N).astype(np.int32)


def _programs(columns: LogColumns, children: GraphUse) -> Named:
    found = _Numbers()
    base_P = [base_name(exe) for exe, _ in _process_columns(columns)]
    base: dict[str, str] = {}
    process = columns.process_N.tolist()
    for row, exe in enumerate(columns.exe):
        name = base.get(exe)
        if name is None:
            name = base[exe] = base_name(exe)
        found.add(row, name)
        if process[row] >= 0:
            found.add(row, base_P[process[row]])
    for row, parent in zip(children.row_M.tolist(), children.process_M.tolist(), strict=True):
        found.add(row, base_P[parent])
    return found.named()


def plain_path(path: str) -> str:
    """Windows does not tell cases apart; a path of Linux has a slash where these have none."""
    return path if path[:1] in "/@" else path.lower()


def _files(columns: LogColumns, files: GraphUse) -> Named:
    """Files, registry keys, pipes and shares; the images of processes that begin, and paths in command lines."""
    found = _Numbers()
    first = len(columns.graph["proc_nodes"])
    nodes = columns.graph["file_nodes"]
    paths = [
        "" if kind == "device" else plain_path(path or "")
        for kind, path in zip(nodes["kind"].to_pylist(), nodes["path"].to_pylist(), strict=True)
    ]
    for row, node in zip(files.row_M.tolist(), files.used_M.tolist(), strict=True):
        found.add(row, paths[node - first])
    images = [plain_path(exe) for exe, _ in _process_columns(columns)]
    for row, process in zip(*(each.tolist() for each in columns.created), strict=True):
        found.add(row, images[process])
    for row, (command, channel) in enumerate(zip(columns.cmdline, columns.channel, strict=True)):
        if command and channel != "journald":  # which repeats that of the service behind every message
            for path in _PATH.findall(command[:2_000])[:_PATHS]:
                found.add(row, plain_path(path))
    return found.named()


def _accounts(columns: LogColumns) -> Named:
    """Accounts that act and those that are acted upon."""
    by_number = _account_numbers(columns)
    known: set[str] = set()
    said: list[list[str]] = []
    for user, fields in zip(columns.user, columns.fields_json, strict=True):
        names = [account_name(user, by_number)]
        if '"acct"' in fields or "UserName" in fields or "Sid" in fields or '"AUID"' in fields:
            for name, value in _FIELD.findall(fields):
                if name not in _NO_NAMES:
                    names.append(account_name(value, by_number))
        known.update(names)
        said.append(names)
    found = _Numbers()
    for row, (names, message, channel) in enumerate(zip(said, columns.message, columns.channel, strict=True)):
        for name in names:
            found.add(row, name)
        if channel in ("auth", "journald"):
            for word in _SAID.findall(message[:300]):
                name = account_name(word, by_number)
                if name in known:
                    found.add(row, name)
    return found.named()


_NO_NAMES = frozenset({"IpAddress", "SourceNetworkAddress", "TargetServerName", "addr", "QueryResults"})


def account_name(said: str, by_number: dict[str, str]) -> str:
    """One spelling of an account; empty for nobody. Machine accounts and services are the system."""
    said = by_number.get(said, said)
    name = said.replace("\\\\", "\\").rpartition("\\")[2].partition("@")[0].strip().lower()
    name = by_number.get(name, name)
    if name in _NOBODY or name == "s-1-0-0":
        return ""
    if name.endswith("$") or name in _SERVICES or name in ("s-1-5-18", "s-1-5-19", "s-1-5-20"):
        return "system"
    return name


def _account_numbers(columns: LogColumns) -> dict[str, str]:
    """{uid or SID: account}, as far as rows of the log itself say both."""
    found = {"0": "root"} if any(channel == "auditd" for channel in columns.channel) else {}
    for channel, sid, user, fields in zip(columns.channel, columns.sid, columns.user, columns.fields_json, strict=True):
        if channel == "auditd":
            numbers = dict(_NUMBER.findall(fields))
            names = dict(_NAME.findall(fields))
            for key, number in numbers.items():
                if names.get(key.upper()) not in (None, "unset"):
                    found.setdefault(number, names[key.upper()].lower())
        elif sid.startswith("S-1-5-21") and user:
            found.setdefault(sid, user)
            found.setdefault(sid.lower(), account_name(user, {}))
        if "TargetSid" in fields:
            told = dict(_FIELD.findall(fields))
            if told.get("TargetSid", "").startswith("S-1-5-21") and told.get("TargetUserName"):
                found.setdefault(told["TargetSid"].lower(), account_name(told["TargetUserName"], {}))
    return found


def _destinations(columns: LogColumns, sockets: GraphUse) -> Named:
    """Addresses and names at the other end; those of the host itself say nothing."""
    found = _Numbers()
    nodes = columns.graph["sock_nodes"]
    first = len(columns.graph["proc_nodes"]) + len(columns.graph["file_nodes"])
    ends = list(zip(*(nodes[name].to_pylist() for name in ("l4", "src_ip", "dst_ip", "name")), strict=True))
    for row, node, op in zip(sockets.row_M.tolist(), sockets.used_M.tolist(), sockets.op_M.tolist(), strict=True):
        l4, src, dst, name = ends[node - first]
        if l4 == "unix" or op.startswith(("bind", "listen")):
            continue
        found.add(row, _address(name or (src if op.startswith("accept") else dst) or ""))
    for row, (fields, message, channel) in enumerate(
        zip(columns.fields_json, columns.message, columns.channel, strict=True)
    ):
        if "ddress" in fields or "QueryResults" in fields or '"addr"' in fields or "TargetServerName" in fields:
            for name, value in _FIELD.findall(fields):
                if name == "QueryResults":
                    for address in _MAPPED.findall(value)[:_ADDRESSES]:
                        found.add(row, _address(address))
                elif name in _NO_NAMES:
                    found.add(row, _address(value))
        if channel in ("auth", "journald"):
            for one, other in _FROM.findall(message[:300]):
                found.add(row, _address(one or other))
    return found.named()


def _address(said: str) -> str:
    said = said.strip().rstrip(".").lower().removeprefix("::ffff:")
    return "" if said in _LOCAL or said.startswith("127.") else said
