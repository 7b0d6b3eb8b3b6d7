"""Rules on processes: one that begins twice, a parent that other rows contradict, a beginning that is missing.

Sysmon gives every process a GUID, in which the second of its start is written, and a creation stands in the Security
log (4688) as well where both are kept. What does not belong here: rows of other kinds.
"""

from __future__ import annotations

import ntpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rlstir_core.hostlogs.windows.field_names import SECURITY
from rlstir_core.investigator.tamper.finding import SECOND_NS, Finding, clock, counted
from rlstir_core.investigator.tamper.log_file import LogFile

_GUID = r'" ?: ?"\{?([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})\}?"'
_PROCESS = re.compile(r'"ProcessGuid' + _GUID)
_PARENT = re.compile(r'"ParentProcessGuid' + _GUID)
_PARENT_TEXT = re.compile(r'"Parent(Image)" ?: ?"((?:[^"\\]|\\.)*)"')
_TWIN_NS = 3 * SECOND_NS
_TWINS = 5  # creations that two logs tell alike, for one that they do not to be odd


@dataclass
class _Seen:
    """What a file tells of processes, by host and GUID."""

    created: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    pids: dict[tuple[str, str], Counter[int]] = field(default_factory=dict)
    named: dict[tuple[str, str], int] = field(default_factory=dict)  # the first row that names it


def processes(file: LogFile) -> Iterator[Finding]:
    """What contradicts itself about processes."""
    if file.system != "windows":
        return
    seen = _Seen()
    parents: list[tuple[int, tuple[str, str]]] = []
    for at in range(len(file)):
        if file.log_N[at] < 0 or not file.is_sysmon(at):
            continue
        if found := _PROCESS.search(file.fields[at]):
            key = file.host[at], found[1].lower()
            if file.event_id[at] == "1":
                seen.created.setdefault(key, []).append(at)
            if file.pid_N[at] >= 0:
                seen.pids.setdefault(key, Counter())[int(file.pid_N[at])] += 1
            seen.named.setdefault(key, at)
        if file.event_id[at] == "1" and (found := _PARENT.search(file.fields[at])):
            parent = file.host[at], found[1].lower()
            parents.append((at, parent))
            if file.ppid_N[at] >= 0:
                seen.pids.setdefault(parent, Counter())[int(file.ppid_N[at])] += 1
            seen.named.setdefault(parent, at)
    yield from _twice(file, seen)
    yield from _other_parent(file, seen, parents)
    yield from _unseen(file, seen)
    yield from _twins(file, seen)


def _started_ns(guid: str) -> int:
    """The second that a GUID of Sysmon says."""
    parts = guid.split("-")
    return int(parts[2] + parts[1], 16) * SECOND_NS


def _twice(file: LogFile, seen: _Seen) -> Iterator[Finding]:
    for (_, guid), places in seen.created.items():
        times = {int(file.ts_N[at]) for at in places}
        if len(places) < 2 or len(times) < 2:
            continue
        start = _started_ns(guid)
        true = min(places, key=lambda at: abs(int(file.ts_N[at]) - start))
        for at in places:
            if file.ts_N[at] != file.ts_N[true]:
                yield _finding(
                    file,
                    at,
                    "created-twice",
                    "inject_decoys",
                    1.0,
                    f"process {int(file.pid_N[at])} with this GUID began at {clock(int(file.ts_N[true]))} already",
                )


def _other_parent(file: LogFile, seen: _Seen, parents: list[tuple[int, tuple[str, str]]]) -> Iterator[Finding]:
    for at, parent in parents:
        said = seen.pids.get(parent, Counter())
        ppid = int(file.ppid_N[at])
        others = sum(n for pid, n in said.items() if pid != ppid)
        if ppid >= 0 and others > said[ppid]:
            why = f"its parent's GUID belongs to process {said.most_common(1)[0][0]} in {counted(others, 'other row')}"
            yield _finding(file, at, "parent-pid", "spoof_parent", float(np.log10(others + 1)), f"{why}, not to {ppid}")
            continue
        born = seen.created.get(parent)
        if not born or born[0] == at:
            continue
        told = dict(_PARENT_TEXT.findall(file.fields[at]))
        image = _plain(told.get("Image", ""))
        if image and file.exe[born[0]] and ntpath.basename(image) != ntpath.basename(_plain(file.exe[born[0]])):
            why = f"its parent is said to be {ntpath.basename(image)}, and began as {file.exe[born[0]]}"
            yield _finding(file, at, "parent-program", "spoof_parent", 1.0, why)


def _unseen(file: LogFile, seen: _Seen) -> Iterator[Finding]:
    """Processes that began while their host's log was kept, by their GUID, and whose beginning is not in it."""
    for log in file.logs:
        if not len(log) or not file.is_sysmon(int(log.at_M[0])) or (log.number_M >= 0).any():
            continue  # numbers tell what is missing better
        host = file.host[int(log.at_M[0])]
        order = np.argsort(log.ts_M, kind="stable")
        low, high = int(log.ts_M[order[0]]) + 2 * SECOND_NS, int(log.ts_M[order[-1]])
        inside = {key: at for key, at in seen.named.items() if key[0] == host and low <= _started_ns(key[1]) <= high}
        missing = {key: at for key, at in inside.items() if key not in seen.created}
        there = len(inside) - len(missing)
        for (_, guid), at in missing.items():
            if int(file.ts_N[at]) < _started_ns(guid) - 2 * SECOND_NS:
                continue
            place = int(np.searchsorted(log.ts_M[order], _started_ns(guid)))
            after = int(log.at_M[order[min(place, len(order) - 1)]])
            near = int(np.searchsorted(log.at_M, at))
            if abs(int(file.ts_N[at]) - _started_ns(guid)) <= 2 * SECOND_NS and near > 0:
                after = at
                before = int(log.at_M[near - 1])
            else:
                before = int(log.at_M[order[max(place - 1, 0)]])
            yield Finding(
                rule="beginning-missing",
                kind="orphan_children",
                log=log.name,
                first=min(before, after),
                last=max(before, after),
                gap=True,
                strength=float(np.log10((there + 0.1) / len(missing))),
                reason=f"a process that began at {clock(_started_ns(guid))} by its GUID is named later, and no row "
                f"tells of its beginning; {counted(there, 'other')} in this log have one",
            )


def _twins(file: LogFile, seen: _Seen) -> Iterator[Finding]:
    """Creations that Sysmon and the Security log tell differently."""
    sysmon: dict[tuple[str, int], list[int]] = {}
    security: dict[tuple[str, int], list[int]] = {}
    for at, event_id in enumerate(file.event_id):
        if file.log_N[at] < 0 or file.pid_N[at] < 0:
            continue
        if event_id == "1" and file.is_sysmon(at):
            sysmon.setdefault((file.host[at], int(file.pid_N[at])), []).append(at)
        elif event_id == "4688" and file.provider[at] == SECURITY:
            security.setdefault((file.host[at], int(file.pid_N[at])), []).append(at)
    same, odd = 0, []
    for key, places in sysmon.items():
        for at in places:
            near = [o for o in security.get(key, ()) if abs(int(file.ts_N[o] - file.ts_N[at])) <= _TWIN_NS]
            if len(near) != 1 or min(file.ppid_N[at], file.ppid_N[near[0]]) < 0:
                continue
            if file.ppid_N[at] == file.ppid_N[near[0]]:
                same += 1
            else:
                odd.append((at, near[0]))
    if same < max(_TWINS, 3 * len(odd)):
        return
    for at, other in odd:
        guid = _PARENT.search(file.fields[at])
        pids = seen.pids.get((file.host[at], guid[1].lower()), Counter()) if guid else Counter[int]()
        # where the GUID does not belong to that parent, `parent-pid` has said so
        for one, two in ((at, other), (other, at)) if pids[int(file.ppid_N[at])] * 2 > sum(pids.values()) else ():
            why = (
                f"its parent is process {int(file.ppid_N[one])} here and {int(file.ppid_N[two])} in the other log's row"
            )
            yield _finding(file, one, "parent-twin", "spoof_parent", float(np.log10(same)), why)


def _finding(file: LogFile, at: int, rule: str, kind: str, strength: float, why: str) -> Finding:
    log = file.logs[int(file.log_N[at])].name
    return Finding(rule=rule, kind=kind, log=log, first=at, last=at, gap=False, strength=strength, reason=why)


def _plain(text: str) -> str:
    return text.replace("\\\\", "\\").lower()
