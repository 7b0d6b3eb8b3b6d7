"""`rlstir import logs`: log files of others become episodes, one per file, the bytes as they are.

The name of an episode is a hash of the file's name and bytes, so that it tells no label; labels come from a table
beside the logs. What the whole of a log tells of its times is kept in the episode's meta, so that every later reader
gives the same rows. What does not belong here: parsing (`hostlogs/`), what is counted (`log_tally.py`), telemetry.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.contract.members import TECHNIQUES
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.meta import EARLIEST_NS, LATEST_NS
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import INDEX_NAME, IndexRecord, append_index, write_episode
from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.attack.labels import FileLabel, LabelTable, read_labels
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.hostlogs.auditd.twins import RawLogs
from rlstir_core.hostlogs.opening.containers import Found, files, shown_name
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.times import reading
from rlstir_core.hostlogs.times.evidence import evidence_of
from rlstir_core.hostlogs.times.reading import LogReading
from rlstir_core.ids import host_id, slug
from rlstir_core.importers.corpus import corpus_of
from rlstir_core.importers.log_tally import LogImport, LogTally
from rlstir_core.progress import Progress

PROFILE = "imported-logs"
SAMPLE = "unknown"
_FLUSH_S = 1.0  # between two additions to the index
_FLUSH_SHARE = 20  # an addition may take one part in so many of the time
_WAITING_BYTES = 256 << 20  # of logs whose zone others may tell
_SPAN_NS = Limits().span_ns
_LOG_BYTES = Limits().total_bytes - (4 << 20)  # room for the other members of the episode


def import_logs(
    paths: Sequence[Path],
    store: Path,
    *,
    labels: Path | None = None,
    host: str | None = None,
    corpus: str | None = None,
    zone: str = "",
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> LogImport:
    """Writes an episode for every log under `paths`; what is no log is named and left out.

    `zone` is that of times that name none, `zones` the same by host. StoreError where there is no log at all, InvalidId
    where the host is no safe name, ConfigError where a zone is none.
    """
    if host is not None:
        host_id(host)
    table = read_labels(labels) if labels is not None else LabelTable(files={}, unseen={}, unreadable=())
    importer = _Importer(store, table, host, zone, dict(zones or {}))
    made = importer.made
    made.unseen_techniques, made.faults = table.unseen, list(table.unreadable)
    with importer.index:
        for path in paths:
            owner = corpus_of(path, corpus)
            alone = shown_name(os.fsencode(path.name)) if path.is_file() else None
            importer.root = shown_name(os.fsencode(path.parent if alone else path))
            for found in files(path):
                if progress is not None:
                    progress(made.n_files, 0, found.name)
                importer.take(found, owner, named=found.name == alone)
        importer.finish()
    if not made.n_files:
        first = f" ({(made.faults or made.passed)[0]})" if made.faults or made.passed else ""
        raise StoreError(
            f"no log in {', '.join(map(str, paths))}{first}; name EVTX, Windows event JSON, auditd, syslog or journald "
            "logs, or a folder, zip or tar of them"
        )
    made.unused_labels = len(table.files) - len(importer.used)
    made.new_hosts = sorted(set(made.owners) - importer.hosts_before)
    return made


class _Index:
    """Adds lines to the index while episodes are written, so that an import that is cut off loses none of them."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._waiting: list[IndexRecord] = []
        self._due = 0.0

    def add(self, record: IndexRecord) -> None:
        self._waiting.append(record)
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            began = time.monotonic()
            append_index(self._store, self._waiting)
            self._waiting = []
            now = time.monotonic()
            self._due = now + max(_FLUSH_S, _FLUSH_SHARE * (now - began))

    def __enter__(self) -> _Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


class _Importer:
    """One import: what it was told, and what it made so far."""

    def __init__(self, store: Path, table: LabelTable, host: str | None, zone: str, zones: dict[str, str]) -> None:
        self.made = LogImport(store=store)
        self.index = _Index(store)
        self.used: set[str] = set()
        self.root = ""  # the folder in which the files that are taken lie
        self.hosts_before = set(read_index(store).hosts) if (store / INDEX_NAME).exists() else set()
        self._store, self._table, self._host = store, table, host
        self._zone, self._zones = zone, zones
        self._raw_logs = RawLogs()
        self._waiting: list[tuple[Found, str, LogReading, FileLabel | None]] = []
        self._n_waiting = 0

    def take(self, found: Found, corpus: str, named: bool) -> None:
        """One file that was found; `named`: the user named this very file."""
        made = self.made
        if found.passed:
            made.passed.append(f"{found.name} ({found.passed})")
        elif found.fault:
            made.faults.append(f"{found.name}: {found.fault}")
        elif found.guess.log is None:
            made.not_logs.append(found.name)
            if named:
                made.left_out.append(found.name)
        elif len(found.data) > _LOG_BYTES:
            made.faults.append(f"{found.name}: {len(found.data)} bytes, over the {_LOG_BYTES} of an episode; split it")
        else:
            self._read(found, found.guess.log, corpus)

    def finish(self) -> None:
        """Imports the logs that waited for what the others tell of their zone."""
        for found, corpus, learnt, label in self._waiting:
            known = self._raw_logs.zone_of(found.data, learnt)
            if known.zone and known != learnt:
                self.made.zones_learnt[found.name] = known.zone
            self._import(found, "audit", corpus, known, label)
        self._waiting = []

    def _read(self, found: Found, kind: str, corpus: str) -> None:
        evidence = evidence_of(found.modified_ns, self._zone, self._zones)
        learnt = spec_of(kind).surveyed([found.data], evidence)
        label = self._label(found.name)
        if kind == "audit" and self._raw_logs.may_tell(found.data, learnt):
            self._n_waiting += len(found.data)
            self._waiting.append((found, corpus, learnt, label))
            if self._n_waiting > _WAITING_BYTES:
                self.finish()
                self._n_waiting = 0
            return
        self._import(found, kind, corpus, learnt, label)

    def _import(self, found: Found, kind: str, corpus: str, learnt: LogReading, label: FileLabel | None) -> None:
        made, spec = self.made, spec_of(kind)
        evidence = evidence_of(found.modified_ns)
        seen = LogTally()
        near = learnt.first_ns if learnt.first_ns is not None else evidence.modified_ns
        seen.all(spec.read([found.data], LogContext(name=found.name, near_ns=near, reading=learnt)))
        if not seen.rows:
            made.passed.append(f"{found.name} (no event in it)")
            return
        if seen.n("unparsed") == seen.rows:  # as binary logs are that are known by how they begin
            made.faults.append(f"{found.name}: none of its {seen.rows} rows could be read")
            return
        start, end = _window(np.array(seen.ts_ns, np.int64), evidence.modified_ns)
        owner = self._host or _host(seen.hosts)
        made.owners[owner] = made.owners.get(owner, 0) + 1
        made.add(kind, seen, learnt.order_assumed)
        extra = {spec.member.import_name: found.data}
        if label is not None:
            made.labelled_files += bool(label.techniques or label.tactics)
            extra[TECHNIQUES] = _truth(label, min(start, seen.first_ns or start), max(end, seen.last_ns or end))
        identity = found.name.encode("utf-8", "backslashreplace") + found.data
        meta = {
            "episode_id": f"log-{hashlib.sha256(identity).hexdigest()[:16]}",
            "host_id": owner,
            "profile": PROFILE,
            "sample_name": SAMPLE,
            "benign": False,  # nobody says that it is
            "t_start_wall_ns": start,
            "t_end_wall_ns": end,
            "origin": found.name,
            "corpus": corpus,
        }
        if learnt != LogReading():
            meta[reading.KEY] = msgspec.to_builtins(learnt)
        self.index.add(write_episode(self._store, meta, (), {}, extra))
        made.n_episodes += 1

    def _label(self, name: str) -> FileLabel | None:
        """The label of a file, or of the archive that holds it: label tables name archives, not what is in them."""
        listed = self._table.name_above(name, self.root)
        if listed is None:
            return None
        self.used.add(listed)
        return self._table.files[listed]


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
    """The label of a file as ground truth: over the time of all its rows and all processes, since it says no more."""
    said = [(technique, tactic) for technique in label.techniques for tactic in _tactics(technique, label.tactics)]
    if not label.techniques:
        said = [("", tactic) for tactic in label.tactics]
    return msgspec.json.encode(
        [
            {
                "technique": technique,
                "tactic": tactic,
                "t_start_wall_ns": start,
                "t_end_wall_ns": end,
                "pids": [],
            }
            for technique, tactic in said
        ]
    )


def _tactics(technique: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """What it was used for: of the tactics that the label gives those that are the technique's, else all of them."""
    known = techniques().get(technique)
    own = known.tactics if known else ()
    return tuple(tactic for tactic in given if tactic in own) or given or own[:1] or ("",)
