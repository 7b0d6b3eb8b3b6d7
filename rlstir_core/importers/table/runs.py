"""The runs of a table: which rows are one episode, in their order, under names that are safe.

Names of episodes are hashed and synthetic times are drawn from the same hash, so that neither tells the label.
What does not belong here: runs that come in several parts (`join.py`), and the registry (`registry.py`).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rlstir_core.errors import StoreError
from rlstir_core.ids import fold, slug
from rlstir_core.importers.table.columns import (
    Channels,
    channel_columns,
    key_column,
    known,
    name_of,
    order_column,
    phase_column,
    require_columns,
)
from rlstir_core.importers.table.files import TableFile
from rlstir_core.importers.table.mapping import KeyRule, Mapping, key
from rlstir_core.importers.table.numbers import AnyArray
from rlstir_core.importers.table.times import NS, YEAR_NS, smaller_unit, time_column, without_zone

_EPOCH_NS = 1_704_067_200 * NS  # 2024-01-01, where synthetic times begin
_SLOTS, _SLOT_NS = 2**20, 600 * NS
_DAY_NS = 86_400 * NS

# What orders the rows of a run: their times, a column that numbers them, or nothing but their place in the file
RowOrder = Literal["time", "order", "row"]


@dataclass(frozen=True)
class SourceBlock:
    """The rows of one source: where they stand among the rows of the run, and their columns."""

    rows: AnyArray
    columns: dict[str, AnyArray]


@dataclass(kw_only=True)
class Run:
    """One episode. `t` holds the rows' times as the table has them, or what orders them, or their numbers."""

    host: str
    episode_id: str
    origin: str
    profile: str
    sample: str
    corpus: str
    start_ns: int  # where synthetic times begin
    kind: RowOrder
    t: AnyArray
    phases: list[str | None]
    channels: Channels | None = None  # of the table, of which `rows` belong to the run
    rows: AnyArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    own: dict[str, SourceBlock] = field(default_factory=dict)  # where the rows are from several tables
    files: tuple[str, ...] = ()  # sha256 of what the rows are from
    where: str = ""  # the name of that file, for a sentence

    @property
    def blocks(self) -> dict[str, SourceBlock]:
        """The rows that each source has a value in."""
        if self.channels is None:
            return self.own
        by_source: dict[str, dict[str, AnyArray]] = {}
        for channel in self.channels.found:
            by_source.setdefault(channel.rule.source, {})[channel.name] = channel.values[self.rows]
        made = {}
        for source, columns in by_source.items():
            have = np.zeros(len(self.rows), dtype=bool)
            for values in columns.values():
                have |= known(values)
            if have.any():
                kept = {name: values[have] for name, values in columns.items() if known(values).any()}
                made[source] = SourceBlock(np.flatnonzero(have), kept)
        return made


@dataclass(kw_only=True)
class TablePart:
    """The runs of one table, and what else the summary says of it."""

    runs: list[Run]
    channels: Channels
    n_rows: int
    n_unlabelled: int
    n_unread: int
    host_from_name: bool
    zone_assumed: bool


def part_of(file: TableFile, rules: Mapping, host: str | None, corpus: str) -> TablePart:
    """Everything that a table says, checked, before anything is written."""
    table, n = file.table, file.table.num_rows
    require_columns(table, rules)
    given = host or file.side or None
    hosts = key_column(table, KeyRule(constant=given or slug(file.path.name.split(".")[0], "host")), "host")
    if given is None and rules.keys.host is not None:
        hosts = key_column(table, key(rules.keys.host), "host")
    episodes = key_column(table, key(rules.keys.episode), "episode")
    profiles, samples = (
        key_column(table, key(k), w) for k, w in ((rules.keys.profile, "profile"), (rules.keys.sample, "sample"))
    )
    phases = phase_column(table, rules)
    channels = channel_columns(table, rules, file.index_columns)
    _, code = np.unique(np.array([f"{h}\0{e}" for h, e in zip(hosts, episodes, strict=True)]), return_inverse=True)
    times = time_column(table, rules)
    within = times if times is not None else order_column(table, rules)
    kind: RowOrder = "row" if within is None else "order" if times is None else "time"
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
        run = _named(rules, names, corpus)
        run.kind = kind
        run.t = np.arange(len(rows)) if within is None else within[rows]
        run.phases = [phases[row] for row in rows]
        run.channels, run.rows, run.files, run.where = channels, rows, (file.sha256,), file.path.name
        runs.append(run)
    check_twins(runs)
    return TablePart(
        runs=runs,
        channels=channels,
        n_rows=n,
        n_unlabelled=sum(phase is None for phase in phases),
        n_unread=file.n_unread,
        host_from_name=given is None and rules.keys.host is None,
        zone_assumed=without_zone(table, rules),
    )


def _named(rules: Mapping, names: tuple[str, ...], corpus: str) -> Run:
    """A run without rows, under its safe names."""
    host, origin, profile, sample = names
    if key(rules.keys.sample).hash:
        # a sample that is the episode itself is another one on every host
        own = (host,) if key(rules.keys.sample).column == key(rules.keys.episode).column else ()
        sample = f"s-{_hash(rules.name, 'sample', *own, sample)}"
    if key(rules.keys.profile).hash:
        profile = f"p-{_hash(rules.name, 'profile', profile)}"
    return Run(
        host=name_of(host, "host"),
        episode_id=run_id(rules, name_of(host, "host"), origin),
        origin=origin,
        profile=name_of(profile, "profile"),
        sample=name_of(sample, "sample"),
        corpus=corpus,
        start_ns=_EPOCH_NS + int(_hash(rules.name, host, origin)[:8], 16) % _SLOTS * _SLOT_NS,
        kind="row",
        t=np.zeros(0, dtype=np.int64),
        phases=[],
    )


def run_id(rules: Mapping, host: str, origin: str) -> str:
    """The id of a run on a host: a hash, because its own name may tell the label."""
    return f"e-{_hash(rules.name, host, origin)}"


def placed(run: Run, rules: Mapping) -> tuple[AnyArray, int]:
    """The times of a run's rows in the store, and the step between them, both in nanoseconds."""
    if run.kind != "time":
        step = round(rules.time.step_s * NS)
        return run.start_ns + step * np.arange(len(run.t)) + step // 2, step
    step = step_of(run.t)
    _check_span(run, rules)
    if rules.time.since == "start":
        return run.t - run.t[0] + run.start_ns + step // 2, step
    return run.t, step


def step_of(t: AnyArray) -> int:
    """The usual time between two rows; a second where there is but one time."""
    gaps = np.diff(t)
    return int(np.median(gaps[gaps > 0])) if (gaps > 0).any() else NS


def _check_span(run: Run, rules: Mapping) -> None:
    span = int(run.t[-1]) - int(run.t[0])
    if span > YEAR_NS:
        unit = smaller_unit(rules.time.unit, span, _DAY_NS) if rules.time.since == "start" else ""
        remedy = f"in {unit!r} it would take {span_text(run, rules, unit)}" if unit else "mend its times"
        raise StoreError(
            f"episode {run.origin!r} would take {span / YEAR_NS:.1f} years with its times in {rules.time.unit!r}; "
            f"{remedy}"
        )


def span_text(run: Run, rules: Mapping, unit: str) -> str:
    """How long a run would take if its times were in another unit."""
    per = {"s": NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
    seconds = (int(run.t[-1]) - int(run.t[0])) / per[rules.time.unit] * per[unit] / NS
    return f"{seconds / 3600:.1f} h"


def check_twins(runs: list[Run]) -> None:
    """StoreError where two hosts differ only in case."""
    hosts: dict[str, str] = {}
    for run in runs:
        if hosts.setdefault(fold(run.host), run.host) != run.host:
            raise StoreError(f"hosts {hosts[fold(run.host)]!r} and {run.host!r} differ only in case; rename one")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
