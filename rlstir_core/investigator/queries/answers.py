"""Which rows answer each query about each entity.

Answers hold rows in the order of time and nothing that says how suspicious they are; rows that repeat another are left
out. What does not belong here: how many are shown at a time and which come first (`soc/`).
"""

# N log rows, P processes, M pairs of an entity and a row that answers
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from rlstir_core.arrays import Bools, Ints
from rlstir_core.investigator.queries import remarkable
from rlstir_core.investigator.queries.columns import GraphUse, LogColumns
from rlstir_core.investigator.queries.entities import LogEntities, Named, plain_path
from rlstir_core.investigator.queries.row_kinds import RowKinds, kinds_of
from rlstir_core.provenance.processes import base_name
from rlstir_core.provenance.tables import PROC_FILE_RW, PROC_PROC_ACCESS, PROC_SOCK_CONN

Pairs = tuple[Ints, Ints]  # entities of the query's kind, rows
_ENDS = {("sysmon", "5"), ("evtx", "4689")}
_WORD = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What answers are made of, found once."""

    columns: LogColumns
    entities: LogEntities
    kinds: RowKinds
    files: GraphUse
    wrote_M: Bools  # of `files`
    sockets: GraphUse
    life_N: Bools  # rows of starts, ends, and whatever a process did that is neither a file nor a connection
    start_N: Bools

    def of(self, named: Named, chosen_N: Bools) -> Pairs:
        """Entities and the chosen rows that name them."""
        kept = chosen_N[named.row_M]
        return named.entity_M[kept], named.row_M[kept]

    def of_host(self, chosen_N: Bools) -> Pairs:
        row_M = np.flatnonzero(chosen_N)
        return np.zeros(len(row_M), np.int64), row_M

    def rows(self, row_M: Ints) -> Bools:
        chosen_N = np.zeros(len(self.columns), np.bool_)
        chosen_N[row_M] = True
        return chosen_N


def answers_by_query(columns: LogColumns, entities: LogEntities) -> dict[str, Pairs]:
    """{query: pairs of an entity of its kind and a row}, each pair once, by entity and time."""
    files, sockets = columns.uses(PROC_FILE_RW), columns.uses(PROC_SOCK_CONN)
    ports = _ports(columns, sockets)
    start_N = np.zeros(len(columns), np.bool_)
    start_N[columns.created[0]] = True
    kinds = kinds_of(columns, entities, ports)
    elsewhere_N = np.zeros(len(columns), np.bool_)
    elsewhere_N[files.row_M] = elsewhere_N[sockets.row_M] = True
    script_N = kinds.script_N & ~start_N
    ended_N = np.array([each in _ENDS for each in zip(columns.channel, columns.event_id, strict=True)], np.bool_)
    known = _Known(
        columns=columns,
        entities=entities,
        kinds=kinds,
        files=files,
        wrote_M=remarkable.writes(files),
        sockets=sockets,
        life_N=start_N | ended_N | ~(elsewhere_N | script_N),
        start_N=start_N,
    )
    return {name: _cleaned(answer(known), columns.duplicate_N) for name, answer in _ANSWERS.items()}


def _cleaned(pairs: Pairs, duplicate_N: Bools) -> Pairs:
    """Each pair once, by entity and row, without rows that repeat another."""
    entity_M, row_M = pairs
    n = len(duplicate_N)
    key = np.unique(entity_M.astype(np.int64) * n + row_M) if n else np.zeros(0, np.int64)
    entity_M, row_M = (key // n, key % n) if n else (key, key)
    kept = ~duplicate_N[row_M]
    return entity_M[kept], row_M[kept]


def _ports(columns: LogColumns, sockets: GraphUse) -> dict[int, set[int]]:
    nodes = columns.graph["sock_nodes"]
    first = len(columns.graph["proc_nodes"]) + len(columns.graph["file_nodes"])
    port = nodes["dst_port"].to_pylist()
    found: dict[int, set[int]] = {}
    for row, node, op in zip(sockets.row_M.tolist(), sockets.used_M.tolist(), sockets.op_M.tolist(), strict=True):
        if port[node - first] is not None and op.startswith(("connect", "accept")):
            found.setdefault(row, set()).add(port[node - first])
    return found


def _near(known: _Known) -> Pairs:
    """Starts and ends of a process, its parent and its children, and whom it opened or signalled."""
    columns, own = known.columns, known.entities.own
    lives = known.of(own, known.life_N)
    starts = columns.created[1], columns.created[0]
    opened = columns.uses(PROC_PROC_ACCESS)
    parent_P = columns.parent_P
    child = np.flatnonzero(parent_P >= 0)
    pairs = [lives, (opened.process_M, opened.row_M), (opened.used_M, opened.row_M), starts]
    # the starts of a process's children are its own answers, and the start of its parent is too
    process_M, row_M = starts
    below = parent_P[process_M] >= 0
    pairs.append((parent_P[process_M][below].astype(np.int64), row_M[below]))
    pairs.append(_through(child, parent_P[child].astype(np.int64), starts))
    return _together(pairs)


def _through(one_M: Ints, other_M: Ints, of: Pairs) -> Pairs:
    """Rows of `other` as answers about `one`."""
    entity_M, row_M = of
    order = np.argsort(entity_M, kind="stable")
    entity_M, row_M = entity_M[order], row_M[order]
    starts, ends = np.searchsorted(entity_M, other_M), np.searchsorted(entity_M, other_M, side="right")
    n = ends - starts
    at = np.repeat(starts - np.concatenate([[0], np.cumsum(n)[:-1]]), n) + np.arange(int(n.sum()))
    return np.repeat(one_M, n), row_M[at.astype(np.int64)]


def _together(pairs: list[Pairs]) -> Pairs:
    return np.concatenate([each[0] for each in pairs]), np.concatenate([each[1] for each in pairs])


def _far(known: _Known) -> Pairs:
    row_M, process_M = known.columns.created[0], known.columns.created[1]
    starts = known.entities.tree_P[process_M] if len(process_M) else process_M
    ended_N = known.life_N & ~known.start_N & (known.columns.process_N >= 0)
    return _together([(starts, row_M), known.of(known.entities.kinds["tree"], ended_N)])


def _command_lines(known: _Known) -> Pairs:
    """Command lines of a program, and those that name it as a word."""
    programs = known.entities.kinds["program"]
    commands = known.columns.cmdline
    said_N = np.array([bool(command) for command in commands], np.bool_) & (
        known.start_N | np.array([channel in ("auth", "auditd") for channel in known.columns.channel], np.bool_)
    )
    place = {name: at for at, name in enumerate(programs.names)}
    bare = {name.removesuffix(".exe"): at for name, at in place.items()}
    entity, rows = [], []
    for row in np.flatnonzero(said_N).tolist():
        words = {base_name(word) for word in _WORD.findall(commands[row][:2_000].lower())}
        for word in words:
            at = place.get(word, bare.get(word))
            if at is not None:
                entity.append(at)
                rows.append(row)
    return _together([known.of(programs, said_N), (np.array(entity, np.int64), np.array(rows, np.int64))])


def _signers(known: _Known) -> Pairs:
    """What a program loads, which is where logs tell signatures, and everything that wrote or marked its file."""
    columns, programs = known.columns, known.entities.kinds["program"]
    loaded_N = known.rows(known.files.row_M[known.files.op_M == "load"])
    files = known.entities.kinds["file"]
    images: dict[str, list[int]] = {}
    place = {name: at for at, name in enumerate(programs.names)}
    for exe in set(columns.graph["proc_nodes"]["exe"].to_pylist()):
        if exe and base_name(exe) in place:
            images.setdefault(plain_path(exe), []).append(place[base_name(exe)])
    wrote_N = known.rows(known.files.row_M[known.wrote_M])
    touched, rows = known.of(files, wrote_N)
    image = np.array([images.get(name, [-1])[0] for name in files.names], np.int64)
    its = image[touched] if len(touched) else touched
    return _together([known.of(programs, loaded_N), (its[its >= 0], rows[its >= 0])])


def _file_writes(known: _Known) -> Pairs:
    """What a process wrote, deleted and opened; its own image and libraries are told by other queries."""
    used = ~np.isin(known.files.op_M, np.array(["load", "execute"], object))
    return known.files.process_M[used], known.files.row_M[used]


def _scripts(known: _Known) -> Pairs:
    """Script events of a process, its own inline code and that of the processes which it began."""
    columns = known.columns
    own = known.of(known.entities.own, known.kinds.script_N)
    row_M, process_M = columns.created
    parent_M = columns.parent_P[process_M] if len(process_M) else process_M
    chosen = known.kinds.script_N[row_M] & (parent_M >= 0)
    return _together([own, (parent_M[chosen].astype(np.int64), row_M[chosen])])


def _account(chosen: Callable[[_Known], Bools]) -> Callable[[_Known], Pairs]:
    return lambda known: known.of(known.entities.kinds["account"], chosen(known))


def _host(chosen: Callable[[_Known], Bools]) -> Callable[[_Known], Pairs]:
    return lambda known: known.of_host(chosen(known))


_ANSWERS: Final[dict[str, Callable[[_Known], Pairs]]] = {
    "proc_tree_near": _near,
    "proc_tree_far": _far,
    "cmdline_search": _command_lines,
    "rare_parent": _host(lambda known: remarkable.rare_parents(known.columns)),
    "exe_prevalence": _host(lambda known: remarkable.rare_programs(known.columns)),
    "signer": _signers,
    "file_writes": _file_writes,
    "file_history": lambda known: known.of(known.entities.kinds["file"], np.ones(len(known.columns), np.bool_)),
    "entropy_spike": _host(lambda known: remarkable.file_bursts(known.columns, known.files)),
    "autoruns": _host(lambda known: known.kinds.autorun_N),
    "scheduled": _host(lambda known: known.kinds.task_N),
    "services": _host(lambda known: known.kinds.service_N),
    "sockets_process": lambda known: (known.sockets.process_M, known.sockets.row_M),
    "sockets_destination": lambda known: known.of(
        known.entities.kinds["destination"], np.ones(len(known.columns), np.bool_)
    ),
    "beaconing": _host(lambda known: remarkable.beacons(known.columns, known.entities)),
    "rare_dns": _host(lambda known: remarkable.rare_destinations(known.columns, known.entities)),
    "failed_logons": _host(lambda known: remarkable.failure_bursts(known.columns, known.kinds.failed_N)),
    "success_after_failure": _account(lambda known: known.kinds.logon_N | known.kinds.failed_N),
    "privilege_change": _account(lambda known: known.kinds.rights_N),
    "lateral_logon": _host(lambda known: known.kinds.remote_N),
    "script_blocks": _scripts,
    "log_gap_scan": _host(lambda known: known.kinds.logging_N | remarkable.log_breaks(known.columns)),
    "cross_channel": _host(lambda known: remarkable.one_sided(known.columns)),
}
