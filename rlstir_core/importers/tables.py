"""`rlstir import table`: a foreign table and a mapping become a store of episodes with its own registry.

Names of episodes are hashed and synthetic times are drawn from the same hash, so that neither tells the
label. What does not belong here: what a mapping may say (`table_mapping.py`), file formats
(`table_files.py`) and the registry's form (`table_registry.py`).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from rlstir_core.contract.registry import Field, Registry, Source, Windowing
from rlstir_core.episodes.store.index import parse_index
from rlstir_core.episodes.store.writer import INDEX_NAME, IndexRecord, jsonl_bytes, write_episode, write_index
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.ids import fold, slug
from rlstir_core.importers.corpus import corpus_of
from rlstir_core.importers.table_columns import (
    AnyArray,
    TableChannel,
    any_known,
    channel_columns,
    key_column,
    order_column,
    phase_column,
    require_columns,
    time_column,
)
from rlstir_core.importers.table_files import read_tables
from rlstir_core.importers.table_mapping import KeyRule, Mapping, key, load_mapping
from rlstir_core.importers.table_registry import merged, store_registry, write_registry
from rlstir_core.progress import Progress

_NS = 1_000_000_000
_EPOCH_NS = 1_704_067_200 * _NS  # 2024-01-01, where synthetic times begin
_SLOTS, _SLOT_NS = 2**20, 600 * _NS


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What an import made."""

    store: Path
    n_rows: int
    n_episodes: int
    n_replaced: int
    hosts: tuple[str, ...]
    phases: dict[str, int]  # phase -> episodes in which it occurs
    profiles: tuple[str, ...]
    channels: tuple[str, ...]
    skipped_columns: tuple[str, ...]  # neither mapped nor numeric
    n_missing_cells: int


@dataclass
class _Run:
    """One episode: which rows of the table, in their order, and when they were taken."""

    host: str
    origin: str
    rows: AnyArray
    t_ns: AnyArray
    step_ns: int
    phases: list[str | None]
    profile: str
    sample: str


@dataclass
class _Prepared:
    runs: list[_Run]
    channels: list[TableChannel]
    n_rows: int
    skipped: list[str] = field(default_factory=list)


def import_table(
    file: Path,
    mapping: str | Path,
    store: Path,
    host: str | None = None,
    progress: Progress | None = None,
    corpus: str | None = None,
) -> ImportSummary:
    """Imports `file` into `store`, which may exist if it was made with the same mapping.

    `host` names the host of all rows, `corpus` whose recordings they are (otherwise the file's name does).
    StoreError or ConfigError says what is wrong with the file or mapping.
    """
    rules = load_mapping(mapping)
    owner = corpus_of(file, corpus)
    earlier = store_registry(store)
    tell = progress or (lambda done, total, what: None)
    tell(0, 1, f"reading {file.name}")
    text = rules.key_columns | ({rules.time.column} if rules.time.unit == "iso" else set())
    tables = list(read_tables(file, text, rules.delimiter))
    parts = [
        _prepare(one.table, rules, host or one.side or None, slug(file.name.split(".")[0], "host")) for one in tables
    ]
    registry = _registry(rules, parts)
    if earlier is not None:
        registry = merged(earlier, registry)
    write_registry(store, registry)
    total = sum(len(part.runs) for part in parts)
    records: list[IndexRecord] = []
    for part in parts:
        for run in part.runs:
            tell(len(records), total, run.origin)
            records.append(_write(store, run, part.channels, rules, registry, owner))
    n_replaced = _extend_index(store, records)
    tell(total, total, "done")
    return _summary(store, parts, records, n_replaced)


def _prepare(table: pa.Table, rules: Mapping, host: str | None, fallback_host: str) -> _Prepared:
    """Everything that a table says, checked, before anything is written."""
    require_columns(table, rules)
    n = table.num_rows
    hosts = key_column(table, KeyRule(constant=host or fallback_host), "host")
    if host is None and rules.keys.host is not None:
        hosts = key_column(table, key(rules.keys.host), "host")
    episodes = key_column(table, key(rules.keys.episode), "episode")
    profiles, samples = (
        key_column(table, key(k), w) for k, w in ((rules.keys.profile, "profile"), (rules.keys.sample, "sample"))
    )
    phases = phase_column(table, rules)
    channels, skipped = channel_columns(table, rules)
    _, code = np.unique(np.array([f"{h}\0{e}" for h, e in zip(hosts, episodes, strict=True)]), return_inverse=True)
    times = time_column(table, rules)
    within = times if times is not None else order_column(table, rules)
    order = np.lexsort((np.arange(n), within, code)) if within is not None else np.argsort(code, kind="stable")
    bounds = np.flatnonzero(np.diff(code[order], prepend=-1, append=-1))
    runs = []
    for first, last in itertools.pairwise(bounds):
        rows = order[first:last]
        at = rows[0]
        for what, values in (("profile", profiles), ("sample", samples)):
            if len({values[row] for row in rows}) > 1:
                raise StoreError(
                    f"episode {episodes[at]!r} has more than one {what}, such as {values[at]!r}; "
                    f"choose a {what} that holds for a whole episode"
                )
        names = (hosts[at], episodes[at], profiles[at], samples[at])
        runs.append(_run(rules, rows, times, phases, names))
    _check_twins(runs)
    return _Prepared(runs, channels, n, skipped)


def _run(
    rules: Mapping, rows: AnyArray, times: AnyArray | None, phases: list[str | None], names: tuple[str, ...]
) -> _Run:
    host, origin, profile, sample = names
    identity = _hash(rules.name, host, origin)
    start = _EPOCH_NS + int(identity[:8], 16) % _SLOTS * _SLOT_NS
    if times is None:
        step = round(rules.time.step_s * _NS)
        t_ns = start + step * np.arange(len(rows)) + step // 2
    else:
        t_ns = times[rows]
        gaps = np.diff(t_ns)
        step = int(np.median(gaps[gaps > 0])) if (gaps > 0).any() else _NS
        if rules.time.since == "start":
            t_ns = t_ns - t_ns[0] + start + step // 2
    if key(rules.keys.sample).hash:
        # a sample that is the episode itself is another one on every host
        own = (host,) if key(rules.keys.sample).column == key(rules.keys.episode).column else ()
        sample = f"s-{_hash(rules.name, 'sample', *own, sample)}"
    if key(rules.keys.profile).hash:
        profile = f"p-{_hash(rules.name, 'profile', profile)}"
    return _Run(
        host=slug(host, "host"),
        origin=origin,
        rows=rows,
        t_ns=t_ns,
        step_ns=step,
        phases=[phases[row] for row in rows],
        profile=slug(profile, "profile"),
        sample=slug(sample, "sample"),
    )


def _write(
    store: Path, run: _Run, channels: list[TableChannel], rules: Mapping, registry: Registry, corpus: str
) -> IndexRecord:
    start = int(run.t_ns[0]) - run.step_ns // 2
    end = int(run.t_ns[-1]) + run.step_ns - run.step_ns // 2
    labels = _labels(run, start)
    attack = {phase for _, phase in labels} & set(registry.attack_phases)
    sources = {}
    for name in registry.sources:
        mine = [channel for channel in channels if channel.rule.source == name]
        columns = {channel.name: channel.values[run.rows] for channel in mine}
        known = np.zeros(len(run.rows), dtype=bool)
        for values in columns.values():
            known |= values != -1 if values.dtype.kind == "i" else ~np.isnan(values)
        if not known.any():
            continue  # this host does not record the source
        present = {c: v[known] for c, v in columns.items() if any_known(v)}
        clocks = {"t_wall_ns": run.t_ns[known], "t_mono_ns": run.t_ns[known] - start}
        sources[name] = jsonl_bytes({**clocks, **present})
    identity = _hash(rules.name, run.host, run.origin)
    meta = {
        "episode_id": f"e-{identity}",
        "host_id": run.host,
        "profile": run.profile,
        "sample_name": run.sample,
        "benign": not attack,
        "t_start_wall_ns": start,
        "t_end_wall_ns": end,
        "origin": run.origin,
        "corpus": corpus,
    }
    return write_episode(store, meta, labels, sources)


def _labels(run: _Run, start: int) -> list[tuple[int, str]]:
    """One label where the phase changes; a row without a phase belongs to the phase before it."""
    labels: list[tuple[int, str]] = []
    for t, phase in zip(run.t_ns, run.phases, strict=True):
        if phase is not None and (not labels or labels[-1][1] != phase):
            at = int(t) - run.step_ns // 2
            if labels and at <= labels[-1][0]:
                raise StoreError(
                    f"episode {run.origin!r} is in two phases at one time ({labels[-1][1]}, {phase}); "
                    "give its rows distinct times"
                )
            labels.append((max(at, start), phase))
    if not labels:
        raise StoreError(f"episode {run.origin!r} has no phase in any row; fill the label column or drop its rows")
    return labels


def _registry(rules: Mapping, parts: list[_Prepared]) -> Registry:
    runs = [run for part in parts for run in part.runs]
    found = sorted({phase for run in runs for phase in run.phases if phase is not None})
    phases = rules.labels.phases or tuple(found)
    if unknown := [phase for phase in found if phase not in phases]:
        raise ConfigError(f"the table has phase {unknown[0]!r}, which [labels] phases does not list; add it there")
    if lost := [name for name in (*rules.labels.benign, rules.labels.onset) if name and name not in phases]:
        raise ConfigError(f"[labels] names {lost[0]!r}, which is no phase of the table; known: {', '.join(phases)}")
    step_s = float(np.median([run.step_ns for run in runs])) / _NS
    sources: dict[str, Source] = {}
    for part in parts:
        for channel in part.channels:
            _add_channel(sources, channel, rules, step_s)
    return Registry(
        name=rules.name,
        phases=phases if len(phases) > 1 else (*phases, "other" if phases[0] != "other" else "rest"),
        attack_phases=tuple(phase for phase in phases if rules.labels.attack and phase not in rules.labels.benign),
        onset_phase=rules.labels.onset,
        profiles=tuple(sorted({run.profile for run in runs})),
        windowing=_windowing(rules, runs, step_s),
        sources=sources,
    )


def _windowing(rules: Mapping, runs: list[_Run], step_s: float) -> Windowing:
    rule = rules.windowing
    bin_hz = rule.bin_hz or round(1 / step_s, 9)
    length_s, stride_s = rule.length_s, rule.stride_s
    if rule.whole:
        longest = max(int(run.t_ns[-1] - run.t_ns[0]) + run.step_ns for run in runs) / _NS
        length_s = stride_s = max(round(longest, 9), 2 / bin_hz)
    prefixes = rule.prefixes_s or tuple(round(n * step_s, 9) for n in rule.prefixes_steps)
    return Windowing(bin_hz=bin_hz, length_s=length_s, stride_s=stride_s, whole=rule.whole, prefixes_s=prefixes)


def _add_channel(sources: dict[str, Source], channel: TableChannel, rules: Mapping, step_s: float) -> None:
    rule, given = channel.rule, rules.sources.get(channel.rule.source)
    source = sources.get(rule.source)
    if source is None:
        rate = (given.rate_hz if given else 0) or round(1 / step_s, 9)
        source = sources[rule.source] = Source(
            vantage=given.vantage if given else "host", rate_hz=rate, count=bool(given and given.count), fields={}
        )
    kind = "int" if channel.values.dtype.kind == "i" else "float"
    before = source.fields.get(channel.name)
    if before is not None and before.type == "float":
        kind = "float"
    source.fields[channel.name] = Field(
        kind=rule.kind,
        type="float" if kind == "float" else "int",
        quantity=rule.quantity,
        unit=rule.unit,
        scale=rule.scale,
        direction=rule.direction,
    )


def _extend_index(store: Path, records: list[IndexRecord]) -> int:
    """Adds the records to the index; an episode that is imported again takes the place of its old record."""
    path = store / INDEX_NAME
    new = {(record["host_id"], record["episode_id"]) for record in records}
    kept: list[IndexRecord] = []
    n_replaced = 0
    for entry in parse_index(path.read_bytes()).entries if path.exists() else ():
        if (entry.host_id, entry.episode_id) in new:
            n_replaced += 1
            continue
        old: IndexRecord = {
            "episode_id": entry.episode_id,
            "host_id": entry.host_id,
            "path": entry.path,
            "bytes": entry.n_bytes,
            "sha256": entry.sha256,
            "profile": entry.profile,
            "sample_name": entry.sample_name,
            "received_wall_ns": entry.received_wall_ns,
        }
        kept.append({name: value for name, value in old.items() if value is not None})
    ordered = sorted([*kept, *records], key=lambda record: (record["host_id"], record["episode_id"]))
    write_index(store, ordered)
    return n_replaced


def _summary(store: Path, parts: list[_Prepared], records: list[IndexRecord], n_replaced: int) -> ImportSummary:
    runs = [run for part in parts for run in part.runs]
    phases: dict[str, int] = {}
    for run in runs:
        for phase in sorted({p for p in run.phases if p is not None}):
            phases[phase] = phases.get(phase, 0) + 1
    missing = 0
    for part in parts:
        for channel in part.channels:
            gaps = channel.values == -1 if channel.values.dtype.kind == "i" else np.isnan(channel.values)
            missing += int(np.count_nonzero(gaps))
    return ImportSummary(
        store=store,
        n_rows=sum(part.n_rows for part in parts),
        n_episodes=len(records),
        n_replaced=n_replaced,
        hosts=tuple(sorted({run.host for run in runs})),
        phases=phases,
        profiles=tuple(sorted({run.profile for run in runs})),
        channels=tuple(dict.fromkeys(f"{c.rule.source}.{c.name}" for part in parts for c in part.channels)),
        skipped_columns=tuple(dict.fromkeys(name for part in parts for name in part.skipped)),
        n_missing_cells=missing,
    )


def _check_twins(runs: list[_Run]) -> None:
    hosts: dict[str, str] = {}
    for run in runs:
        if hosts.setdefault(fold(run.host), run.host) != run.host:
            raise StoreError(f"hosts {hosts[fold(run.host)]!r} and {run.host!r} differ only in case; rename one")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
