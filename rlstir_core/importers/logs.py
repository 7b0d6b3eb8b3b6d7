"""`rlstir import logs`: log files of others become episodes, one per file, the bytes as they are.

The name of an episode is a hash of the file's name and bytes, so that it tells no label; labels come from a table
beside the logs. What does not belong here: parsing (`hostlogs/`) and telemetry.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.contract.members import TECHNIQUES
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.meta import EARLIEST_NS, LATEST_NS
from rlstir_core.episodes.store.writer import IndexRecord, append_index, write_episode
from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.attack.labels import FileLabel, LabelTable, read_labels
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.hostlogs.opening.containers import Found, files
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.ids import host_id, slug
from rlstir_core.importers.corpus import corpus_of
from rlstir_core.progress import Progress

PROFILE = "imported-logs"
SAMPLE = "unknown"
_HALF_YEAR_NS = 182 * 86_400 * 10**9
_NAMED = 20


@dataclass(kw_only=True)
class LogImport:
    """What an import read and wrote."""

    store: Path
    n_files: int = 0
    n_episodes: int = 0
    n_rows: int = 0
    unparsed: dict[str, int] = field(default_factory=dict)  # rows by format
    rows: dict[str, int] = field(default_factory=dict)
    mismatches: int = 0  # EVTX records whose header and event name other times or ids
    hosts: dict[str, int] = field(default_factory=dict)  # rows by host that events name
    owners: dict[str, int] = field(default_factory=dict)  # episodes by the host that each is of
    labelled_files: int = 0
    unseen_techniques: dict[str, int] = field(default_factory=dict)
    unused_labels: int = 0  # lines of the label table that name no file that was read
    not_logs: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def import_logs(
    paths: Sequence[Path],
    store: Path,
    *,
    labels: Path | None = None,
    host: str | None = None,
    corpus: str | None = None,
    progress: Progress | None = None,
) -> LogImport:
    """Writes an episode for every log under `paths`; what is no log is named and left out.

    StoreError where there is no log at all, InvalidId where the host is no safe name.
    """
    if host is not None:
        host_id(host)
    table = read_labels(labels) if labels is not None else LabelTable(files={}, unseen={}, unreadable=())
    made = LogImport(store=store, unseen_techniques=table.unseen, faults=list(table.unreadable))
    records: dict[str, IndexRecord] = {}
    used: set[int] = set()
    for path in paths:
        owner = corpus_of(path, corpus)
        for found in files(path):
            if progress is not None:
                progress(made.n_files, 0, found.name)
            if found.fault:
                made.faults.append(f"{found.name}: {found.fault}")
            elif found.guess.log is None:
                made.not_logs.append(found.name)
            else:
                label = table.of(found.name) or table.of(_in_container(found.name))
                if label is not None:
                    used.add(id(label))
                _import(found, label, host, owner, made, records, store)
    if not made.n_files:
        first = f" ({made.faults[0]})" if made.faults else ""
        raise StoreError(
            f"no log in {', '.join(map(str, paths))}{first}; name EVTX, Windows event JSON, auditd, syslog or journald "
            "logs, or a folder, zip or tar of them"
        )
    append_index(store, records.values())
    made.unused_labels = len(table.files) - len(used)
    return made


def _import(
    found: Found,
    label: FileLabel | None,
    host: str | None,
    corpus: str,
    made: LogImport,
    records: dict[str, IndexRecord],
    store: Path,
) -> None:
    kind = found.guess.log
    assert kind is not None  # the caller looked
    episode = f"log-{hashlib.sha256(found.name.encode('utf-8', 'backslashreplace') + found.data).hexdigest()[:16]}"
    if len(found.data) > _LOG_BYTES:
        made.faults.append(f"{found.name}: {len(found.data)} bytes, over the {_LOG_BYTES} of an episode; split it")
        return
    # a line without a year was written before the file was last changed, and within a year of it
    near = None if found.modified_ns is None else found.modified_ns - _HALF_YEAR_NS
    seen = _Seen()
    spec = spec_of(kind)
    seen.all(spec.rows([found.data], LogContext(name=found.name, near_ns=near)))
    made.mismatches += seen.n_mismatches
    start, end = _window(np.array(seen.ts_ns, np.int64), found.modified_ns)
    owner = host or _host(seen.hosts)
    _add(made.owners, owner, 1)
    made.n_files += 1
    made.n_rows += len(seen.ts_ns)
    _add(made.rows, kind, len(seen.ts_ns))
    _add(made.unparsed, kind, seen.n_unparsed)
    for name, n in seen.hosts.items():
        _add(made.hosts, name, n)
    extra = {spec.member.import_name: found.data}
    if label is not None:
        made.labelled_files += bool(label.techniques)
        extra[TECHNIQUES] = _truth(label, start, end)
    meta = {
        "episode_id": episode,
        "host_id": owner,
        "profile": PROFILE,
        "sample_name": SAMPLE,
        "benign": False,  # nobody says that it is
        "t_start_wall_ns": start,
        "t_end_wall_ns": end,
        "origin": found.name,
        "corpus": corpus,
    }
    records[episode] = write_episode(store, meta, (), {}, extra)
    made.n_episodes += 1


class _Seen:
    """What is remembered of rows that pass by, since a log may hold millions."""

    def __init__(self) -> None:
        self.ts_ns = array("q")
        self.hosts: Counter[str] = Counter()
        self.n_unparsed = 0
        self.n_mismatches = 0

    def all(self, rows: Iterable[LogRow]) -> None:
        for row in rows:
            self.ts_ns.append(min(max(row.ts_ns, EARLIEST_NS - 1), LATEST_NS))  # outside, a time says nothing
            self.n_unparsed += not row.parsed
            self.n_mismatches += row.clock_mismatch
            if row.host:
                self.hosts[row.host] += 1


def _window(ts_N: NDArray[np.int64], modified_ns: int | None) -> tuple[int, int]:
    """The episode's time: all of the log, or the day that holds most of it where it is longer than an episode."""
    t_N = np.sort(ts_N[(ts_N >= EARLIEST_NS) & (ts_N < LATEST_NS - 1)])
    if not len(t_N):
        start = min(max(modified_ns or EARLIEST_NS, EARLIEST_NS), LATEST_NS - 2)
        return start, start + 1
    if int(t_N[-1]) - int(t_N[0]) < _SPAN_NS:
        return int(t_N[0]), int(t_N[-1]) + 1
    held_N = np.searchsorted(t_N, t_N + _SPAN_NS - 1, side="right") - np.arange(len(t_N))
    first = int(held_N.argmax())
    return int(t_N[first]), int(t_N[first + held_N[first] - 1]) + 1


def _host(counted: Counter[str]) -> str:
    """The host that most rows name, the first by name among equals."""
    if not counted:
        return "imported"
    return slug(min(counted, key=lambda name: (-counted[name], name)), "imported")


def _truth(label: FileLabel, start: int, end: int) -> bytes:
    """The label of a file as ground truth: over its whole time and all processes, since it says no more."""
    entries = []
    for technique in label.techniques:
        known = techniques().get(technique)
        tactic = known.tactics[0] if known else (label.tactics[0] if label.tactics else "")
        entries.append(
            {
                "technique": technique,
                "tactic": tactic,
                "t_start_wall_ns": start,
                "t_end_wall_ns": end,
                "pids": [],
            }
        )
    return msgspec.json.encode(entries)


def _in_container(name: str) -> str:
    """The path of the archive that holds the file: label tables name archives, not what is in them."""
    return name.rpartition("/")[0]


def _add(counts: dict[str, int], key: str, n: int) -> None:
    if n:
        counts[key] = counts.get(key, 0) + n


_LIMITS = Limits()
_SPAN_NS = _LIMITS.span_ns
_LOG_BYTES = _LIMITS.total_bytes - (4 << 20)
