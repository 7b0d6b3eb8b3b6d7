"""The few lines that close a command on a store of logs alone: what was read, what is known of it, what was not.

What does not belong here: the summary of a comparison (`summary.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
from rlstir_core.evaluation.report.markdown import figure, plural
from rlstir_core.hostlogs.store import host_counts
from rlstir_core.results.layout import Layout

_NAMED = 8
# what telemetry would have to bring; nothing is wrong with logs that lack it
_AS_LOGS_ARE = {ReasonCode.LABEL_MISSING, ReasonCode.CHANNEL_MISSING, ReasonCode.META_UNKNOWN_PROFILE}
_PLACES = 5


class LogOverview(msgspec.Struct, frozen=True, kw_only=True):
    """What the logs of a store gave."""

    episodes: dict[str, int]  # by host
    verdicts: dict[str, int]
    rows: dict[str, int]  # by channel
    unparsed: dict[str, int]  # rows by channel
    unparsed_at: tuple[str, ...]  # the first of them
    n_unparsed_files: int
    untimed: int  # rows that say no time of their own
    bare: int  # rows that fill no column
    years_assumed: int
    zones_assumed: int
    techniques: dict[str, int]  # rows labelled
    left_out: int  # rows over the bound of an episode
    graphs: int
    t_first_wall_ns: int | None = None
    t_last_wall_ns: int | None = None
    example: tuple[str, str] | None = None  # an episode to look at, and its host


def log_overview(layout: Layout, hosts: Sequence[str]) -> LogOverview:
    """What lies there of the log rows and graphs of `hosts`; UpstreamMissing where they were not made."""
    episodes: dict[str, int] = {}
    verdicts: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    unparsed: Counter[str] = Counter()
    techniques: Counter[str] = Counter()
    places: list[str] = []
    n_files = left_out = graphs = untimed = bare = years = zones = 0
    first: int | None = None
    last: int | None = None
    largest: tuple[int, str, str] | None = None
    for host in hosts:
        known = read_validation(layout.validation(host))
        episodes[host] = len(known)
        verdicts.update(_verdict(row) for row in known)
        for row in known:
            if row.usable and row.t_start_wall_ns is not None and row.t_end_wall_ns is not None:
                first = row.t_start_wall_ns if first is None else min(first, row.t_start_wall_ns)
                last = row.t_end_wall_ns if last is None else max(last, row.t_end_wall_ns)
        origins = {row.episode_id: row.origin for row in known}
        for episode, counts in host_counts(layout, host).items():
            rows.update(counts.rows)
            unparsed.update(counts.unparsed)
            techniques.update(counts.techniques)
            left_out += counts.left_out
            untimed += sum(counts.untimed.values())
            bare += sum(counts.bare.values())
            years += sum(counts.year_assumed.values())
            zones += sum(counts.zone_assumed.values())
            n_files += bool(counts.unparsed)
            if len(places) < _PLACES:
                places += [f"{origins.get(episode) or f'{host}/{episode}'}, {place}" for place in counts.unparsed_at]
            size = sum(counts.rows.values())
            if largest is None or size > largest[0]:
                largest = (size, episode, host)
        folder = layout.graphs(host)
        graphs += sum(1 for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else 0
    return LogOverview(
        episodes=episodes,
        verdicts=dict(verdicts),
        rows=dict(rows.most_common()),
        unparsed=dict(unparsed.most_common()),
        unparsed_at=tuple(places[:_PLACES]),
        n_unparsed_files=n_files,
        untimed=untimed,
        bare=bare,
        years_assumed=years,
        zones_assumed=zones,
        techniques=dict(techniques.most_common()),
        left_out=left_out,
        graphs=graphs,
        t_first_wall_ns=first,
        t_last_wall_ns=last,
        example=None if largest is None else (largest[1], largest[2]),
    )


def _verdict(row: ValidationRow) -> str:
    return "usable" if row.usable and _AS_LOGS_ARE.issuperset(row.reasons) else row.verdict


def log_lines(overview: LogOverview) -> list[str]:
    """At most 20 lines about it."""
    rows = ", ".join(f"{channel} {n:,}" for channel, n in overview.rows.items())
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in overview.verdicts.items())
    lines = [
        "",
        f"{plural(sum(overview.episodes.values()), 'episode')} of {plural(len(overview.episodes), 'host')} "
        f"without telemetry: {verdicts}",
        f"  log rows: {rows or 'none'}",
        f"  hosts: {_some([f'{host} {n}' for host, n in sorted(overview.episodes.items(), key=_most)])}",
        f"  from {_when(overview.t_first_wall_ns)} to {_when(overview.t_last_wall_ns)} UTC",
        f"  techniques labelled: {_some([f'{name} ({n:,} rows)' for name, n in overview.techniques.items()])}",
        f"  process, file and socket graphs: {overview.graphs}",
    ]
    if overview.left_out:
        lines.append(f"  rows over the bound of an episode, left out: {overview.left_out:,}")
    n_unparsed = sum(overview.unparsed.values())
    of = f" in {plural(overview.n_unparsed_files, 'file')}" if n_unparsed else ""
    lines.append(f"  could not be parsed: {plural(n_unparsed, 'row')}{of}")
    lines += [f"    {place}" for place in overview.unparsed_at]
    said = {
        "say no time of their own": overview.untimed,
        "fill no column": overview.bare,
        "year: assumed": overview.years_assumed,
        "zone: assumed UTC": overview.zones_assumed,
    }
    if doubts := [f"{words} {plural(n, 'row')}" for words, n in said.items() if n]:
        lines.append(f"  {'; '.join(doubts)}")
    return lines


def encoder_lines(layout: Layout, recipes: Sequence[str]) -> list[str]:
    """What the encoder of each recipe came to, where one was evaluated."""
    lines = []
    for recipe in recipes:
        found = read_encoder_evaluation(layout, recipe)
        if found is not None:
            said = ", ".join(f"{model.name} {figure(model.micro_f1)}" for model in found.models)
            lines.append(f"  techniques, micro F1 on {plural(found.n_test_episodes, 'held-out episode')}: {said}")
            lines.append(f"    figures: {layout.encoder_evaluation(recipe)}")
    return lines


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "none") + more


def _when(t_wall_ns: int | None) -> str:
    if t_wall_ns is None:
        return "an unknown time"
    return datetime.fromtimestamp(t_wall_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
