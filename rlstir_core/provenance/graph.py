"""The graph of one episode: nodes and typed edges, each edge with the log rows that made it.

Every edge goes from a process to what it made or used; `op` says what it did. Equal edges are one, with their number
and rows. Ids are unique in a graph: processes first, then files, then sockets, each in the order of first rows, so
that equal rows give equal tables. What does not belong here: formats (`audit_facts.py`, `windows_facts.py`), which
process is meant (`processes.py`), and files on disk (`store.py`).
"""

from __future__ import annotations

from collections import Counter

from rlstir_core.provenance.facts import (
    Created,
    Ended,
    Executed,
    Fact,
    FileUsed,
    Forked,
    ProcessUsed,
    Row,
    Seen,
    SocketUsed,
    Who,
)
from rlstir_core.provenance.processes import Processes, ProcessNode
from rlstir_core.provenance.tables import (
    PROC_CHILD,
    PROC_FILE_RW,
    PROC_PROC_ACCESS,
    PROC_SOCK_CONN,
    Edge,
    Graph,
    Node,
    edge_table,
    file_nodes,
    proc_nodes,
    sock_nodes,
)

_MADE = ("create", "fork", "exec", "ppid")
# addresses that mean something else on each host
_LOCAL = ("127.", "::1", "0.0.0.0", "::", "169.254.", "fe80:")  # noqa: S104


class GraphBuilder:
    """Takes facts in the order of time and gives the four tables; `counts` says what was left out and why."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._processes = Processes(self.counts)
        self._files: dict[tuple[str | int, ...], Node] = {}
        self._sockets: dict[tuple[str | int, ...], Node] = {}
        self._edges: dict[tuple[int, int, str, str], Edge] = {}
        self._root: list[int] = []  # union-find over process trees
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add(self, row: Row, facts: list[Fact]) -> None:
        """Adds what one row says."""
        for fact in facts:
            if isinstance(fact, Created):
                self._created(row, fact)
            elif isinstance(fact, Ended):
                self._processes.ended(row.host, fact.who, row.ts_ns)
            elif isinstance(fact, Seen):
                self._processes.seen(row.host, fact.who, row.ts_ns)
            elif isinstance(fact, Executed):
                self._executed(row, fact)
            else:
                self._did(row, fact)

    def _did(self, row: Row, fact: Forked | FileUsed | SocketUsed | ProcessUsed) -> None:
        who = self._actor(row, fact.who)
        if who is None:
            self.counts["no process"] += 1
        elif isinstance(fact, FileUsed):
            file = self._file(row, fact)
            if fact.signed is not None and fact.path.lower() == who.exe.lower():
                who.signed = fact.signed  # the process's own image
                who.exe_hash = who.exe_hash or fact.sha256
            self._edge(row, who.id, file.id, PROC_FILE_RW, fact.op)
        elif isinstance(fact, SocketUsed):
            self._edge(row, who.id, self._socket(row, fact).id, PROC_SOCK_CONN, fact.op)
        elif isinstance(fact, Forked):
            child = self._processes.forked(who, fact, row.at, row.ts_ns)
            self._child(row, who, child, "fork")
        else:
            target = self._processes.other(row.host, fact.target, row.ts_ns)
            if target is None:
                self.counts["no target"] += 1
            else:
                self._edge(row, who.id, target.id, PROC_PROC_ACCESS, fact.op)

    def _actor(self, row: Row, who: Who) -> ProcessNode | None:
        found = self._processes.actor(row.host, who, row.ts_ns)
        if found is not None and who.ppid > 0 and found.parent < 0:
            parent = self._processes.other(row.host, Who(who.ppid), row.ts_ns)
            if parent is not None:
                self._child(row, parent, found, "ppid")
        return found

    def _created(self, row: Row, fact: Created) -> None:
        # the parent first: it had its pid before the child began, even if they have the same
        parent = self._processes.other(row.host, fact.parent, row.ts_ns)
        made = self._processes.created(row.host, fact, row.at, row.ts_ns)
        if made is None:
            self.counts["no creation"] += 1
        elif parent is None:
            self.counts["no parent"] += 1
        else:
            self._child(row, parent, made[0], "create")

    def _executed(self, row: Row, fact: Executed) -> None:
        made = self._processes.executed(row.host, fact, row.at, row.ts_ns)
        if made is None:
            self.counts["no process"] += 1
            return
        found, before = made
        if before is not None:
            before.end_ts = row.ts_ns
            self._child(row, before, found, "exec")
        elif fact.who.ppid > 0 and found.parent < 0:
            parent = self._processes.other(row.host, Who(fact.who.ppid), row.ts_ns)
            if parent is not None:
                self._child(row, parent, found, "ppid")
        self._rate(found)

    def _child(self, row: Row, parent: ProcessNode, child: ProcessNode, op: str) -> None:
        """An edge of the process tree, which stays a tree: a second parent is `claimed`, a cycle is dropped."""
        if parent.id == child.id:
            self.counts["its own parent"] += 1
        elif child.parent == parent.id:
            how = (each for each in _MADE if (parent.id, child.id, PROC_CHILD, each) in self._edges)
            self._edge(row, parent.id, child.id, PROC_CHILD, next(how, op))
        elif child.parent >= 0:
            self._edge(row, parent.id, child.id, PROC_CHILD, "claimed")
        elif self._tree(parent.id) == self._tree(child.id):
            self.counts["cycle"] += 1
        else:
            self._root[self._tree(child.id)] = self._tree(parent.id)
            child.parent = parent.id
            self._edge(row, parent.id, child.id, PROC_CHILD, op)
            if op == "create":
                self._rate(child)

    def _rate(self, child: ProcessNode) -> None:
        """1 / (1 + how often such a parent had such a child before, in this episode): causal, and without labels."""
        if child.parent < 0 or child.rare_parent is not None:
            return
        parent = self._processes.all[child.parent].base
        if parent and child.base:
            child.rare_parent = 1 / (1 + self._pairs[parent, child.base])
            self._pairs[parent, child.base] += 1

    def _tree(self, at: int) -> int:
        root = self._root
        root.extend(range(len(root), len(self._processes.all)))
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    def _file(self, row: Row, fact: FileUsed) -> Node:
        # Windows does not tell cases apart; a path of Linux has a slash where these have none
        path = fact.path if fact.path[0] in "/@" else fact.path.lower()
        key = (row.host, fact.kind, path)
        found = self._files.get(key)
        if found is None:
            values = (row.host, fact.kind, fact.path)
            found = self._files[key] = Node(len(self._files), values, row.ts_ns, row.ts_ns)
        found.last_ts = row.ts_ns
        if fact.sha256 and not found.sha256:
            found.sha256 = fact.sha256
        if fact.signed is not None and found.signed is None:
            found.signed = fact.signed
        return found

    def _socket(self, row: Row, fact: SocketUsed) -> Node:
        addresses = [each for each in (fact.src_ip, fact.dst_ip) if each]
        shared = bool(addresses) and not any(each.startswith(_LOCAL) for each in addresses)
        host = "" if shared and fact.op != "bind" else row.host
        key = (host, fact.l4, fact.src_ip, fact.dst_ip, fact.dst_port, fact.name)
        found = self._sockets.get(key)
        if found is None:
            found = self._sockets[key] = Node(len(self._sockets), key, row.ts_ns, row.ts_ns)
        found.last_ts = row.ts_ns
        return found

    def _edge(self, row: Row, src: int, dst: int, etype: str, op: str) -> None:
        key = (src, dst, etype, op)
        found = self._edges.get(key)
        if found is None:
            self._edges[key] = Edge(src, dst, etype, op, row.ts_ns, row.ts_ns, [row.at])
        else:
            found.last_ts = row.ts_ns
            if found.rows[-1] != row.at:
                found.rows.append(row.at)

    def finish(self) -> Graph:
        """The four tables."""
        n_procs, n_files = len(self._processes.all), len(self._files)
        return {
            "proc_nodes": proc_nodes(self._processes.all),
            "file_nodes": file_nodes(list(self._files.values()), n_procs),
            "sock_nodes": sock_nodes(list(self._sockets.values()), n_procs + n_files),
            "edges": edge_table(list(self._edges.values()), n_procs, n_files),
        }
