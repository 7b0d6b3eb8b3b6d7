"""What an import made, and everything that it left out, took for missing, joined or assumed.

`lines` says it in words. What does not belong here: printing it (the command line).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from rlstir_core.episodes.limits import Limits
from rlstir_core.importers.table.clocks import ClockSeries, counts_rows, is_clock
from rlstir_core.importers.table.columns import TableChannel, known
from rlstir_core.importers.table.mapping import Mapping
from rlstir_core.importers.table.numbers import AnyArray
from rlstir_core.importers.table.runs import Run, TablePart, placed

V = TypeVar("V")

_NAMED = 20
_DAY_H = 3600 * 10**9


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """What became of episodes that the store had already, and of runs that came in several files."""

    n_joined: int = 0  # with rows of an earlier import
    n_rows_before: int = 0  # that those had
    n_replaced: int = 0
    n_unchanged: int = 0
    n_joined_files: int = 0  # episodes whose rows are from several files of this import
    n_equal_rows: int = 0  # that stood in both parts, and stand once
    n_same_name: int = 0  # runs whose name another host has too, where the host is only the file's name
    same_name: str = ""


class ImportSummary(Overlap, frozen=True, kw_only=True):
    """What an import made."""

    store: Path
    n_files: int
    n_rows: int
    n_episodes: int
    hosts: tuple[str, ...]
    hosts_from_file_names: bool
    phases: dict[str, int]  # phase -> episodes in which it occurs
    profiles: tuple[str, ...]
    channels: tuple[str, ...]
    skipped_columns: tuple[str, ...]  # neither mapped nor numeric
    odd_columns: dict[str, str]  # left out because some of their cells are no numbers
    index_columns: tuple[str, ...]  # row numbers, left out
    clocks: dict[str, str]  # channel -> what it counts
    n_missing_cells: int
    null_words: dict[str, dict[str, int]]  # column -> word that was read as missing -> cells
    n_unlabelled_rows: int
    zone_assumed: bool
    n_unread_bytes: int
    n_too_long: int  # episodes that validation will reject
    n_too_many_rows: int  # others that it will reject
    longest_h: float
    losses: tuple[str, ...]  # a sentence each; with --strict any of them is an error
    notes: tuple[str, ...]  # what to look at, though nothing is lost


def summarise(store: Path, rules: Mapping, parts: list[TablePart], runs: list[Run], overlap: Overlap) -> ImportSummary:
    phases: dict[str, int] = {}
    for run in runs:
        for phase in sorted({p for p in run.phases if p is not None}):
            phases[phase] = phases.get(phase, 0) + 1
    missing = sum(int((~known(c.values)).sum()) for part in parts for c in part.channels.found)
    nulls, assumed = _added(p.channels.nulls for p in parts), _added(p.channels.assumed for p in parts)
    odd: dict[str, str] = {}
    for part in parts:
        for column, it in part.channels.odd.items():
            odd.setdefault(column, it.what)
    clocks = _clocks(parts, runs)
    n_unread = sum(part.n_unread for part in parts)
    crowded = sum(len(run.t) > Limits().rows for run in runs)
    long = [hours for run in runs if (hours := _hours(run, rules)) * _DAY_H > Limits().span_ns]
    return ImportSummary(
        store=store,
        n_files=len(parts),
        n_rows=sum(part.n_rows for part in parts),
        n_episodes=len(runs),
        hosts=tuple(sorted({run.host for run in runs})),
        hosts_from_file_names=any(part.host_from_name for part in parts),
        phases=phases,
        profiles=tuple(sorted({run.profile for run in runs})),
        channels=tuple(dict.fromkeys(_name(c) for part in parts for c in part.channels.found)),
        skipped_columns=_unique(name for part in parts for name in part.channels.skipped),
        odd_columns=odd,
        index_columns=_unique(name for part in parts for name in part.channels.index),
        clocks=clocks,
        n_missing_cells=missing,
        null_words=nulls,
        n_unlabelled_rows=sum(part.n_unlabelled for part in parts),
        zone_assumed=any(part.zone_assumed for part in parts),
        n_unread_bytes=n_unread,
        n_too_long=len(long),
        n_too_many_rows=crowded,
        longest_h=round(max(long, default=0.0), 1),
        **msgspec.structs.asdict(overlap),
        losses=tuple(_losses(assumed, odd, n_unread, long, crowded)),
        notes=tuple(_notes(clocks, overlap)),
    )


def lines(made: ImportSummary) -> Iterable[str]:
    """The summary in words, warnings last."""
    files = "" if made.n_files == 1 else f" of {made.n_files} files"
    hosts = f"{', '.join(made.hosts[:_NAMED])}{_more(len(made.hosts))}"
    named = " (named after the file)" if made.hosts_from_file_names else ""
    yield f"{made.n_rows} rows{files}, {_episodes(made.n_episodes)} of {hosts}{named}"
    yield f"  phases: {', '.join(f'{phase} {n}' for phase, n in list(made.phases.items())[:_NAMED])}"
    yield f"  channels: {len(made.channels)}; missing cells: {made.n_missing_cells}"
    if made.n_unlabelled_rows:
        yield f"  rows without a label, which keep the phase before them: {made.n_unlabelled_rows}"
    if made.zone_assumed:
        yield "  zone: assumed UTC"
    if made.index_columns:
        yield f"  row numbers left out: {_listed(made.index_columns)}"
    if others := tuple(column for column in made.skipped_columns if column not in made.odd_columns):
        yield f"  columns left out: {_listed(others)}"
    for column, words in _first(made.null_words):
        yield f"  read as missing in {column}: {', '.join(f'{word} {n}' for word, n in words.items())}"
    yield from _overlap_lines(made)
    for sentence in (*made.losses, *made.notes):
        yield f"warning: {sentence}"


def _overlap_lines(overlap: Overlap) -> Iterable[str]:
    if overlap.n_joined:
        yield f"  {_episodes(overlap.n_joined)} joined ({overlap.n_rows_before} rows before)"
    if overlap.n_joined_files:
        yield f"  parts of runs joined with others of these files: {overlap.n_joined_files}"
    if overlap.n_equal_rows:
        yield f"  rows in more than one part, kept once: {overlap.n_equal_rows}"
    if overlap.n_replaced:
        yield f"  {_episodes(overlap.n_replaced)} replaced"
    if overlap.n_unchanged:
        yield f"  {_episodes(overlap.n_unchanged)} there already, unchanged"


def _episodes(n: int) -> str:
    return "1 episode" if n == 1 else f"{n} episodes"


def _listed(columns: tuple[str, ...]) -> str:
    """Names of columns in a line; one without a name is said to be so."""
    shown = ", ".join(column if column.strip() else "(a column without a name)" for column in columns[:_NAMED])
    return f"{shown}{_more(len(columns))}"


def _more(n: int) -> str:
    return f" and {n - _NAMED} more" if n > _NAMED else ""


def _losses(
    assumed: dict[str, dict[str, int]], odd: dict[str, str], n_unread: int, long: list[float], crowded: int
) -> Iterable[str]:
    for column, words in _first(assumed):
        counted = ", ".join(f"{word!r} in {n} cells" for word, n in list(words.items())[:5])
        yield f"column {column!r}: {counted} read as missing; list such words under nulls in the mapping"
    for column, why in _first(odd):
        yield f"column {column!r} left out: {why}; list words for missing values under nulls in the mapping"
    if more := sum(max(len(listed) - _NAMED, 0) for listed in (assumed, odd)):
        yield f"{more} further columns with such cells"
    if n_unread:
        yield f"{n_unread} bytes after the end of the packed data were not read"
    if crowded:
        yield (
            f"{crowded} episodes have over {Limits().rows} rows, which validation rejects; name shorter runs as "
            "episodes"
        )
    if long:
        yield (
            f"{len(long)} episodes take over {Limits().span_ns / _DAY_H:.0f} h (up to {max(long):.1f} h), which "
            "validation rejects; name shorter runs, such as by the day, as episodes"
        )


def _notes(clocks: dict[str, str], overlap: Overlap) -> Iterable[str]:
    if clocks:
        names = _listed(tuple(f"{channel} ({how})" for channel, how in clocks.items()))
        yield (
            f"clocks among the channels: {names}; a model learns the script of the recording from them, so leave them "
            "out with exclude, or say kind = 'counter' where they add up"
        )
    if overlap.n_same_name:
        yield (
            f"{overlap.n_same_name} runs, such as {overlap.same_name!r}, are on another host too, and hosts are named "
            "after the files; if each is one run in several files, name their host with --host"
        )


def _clocks(parts: list[TablePart], runs: list[Run]) -> dict[str, str]:
    """The channels that tell the time or the row; those of counters become rates, which tell neither."""
    made: dict[str, str] = {}
    channels = {_name(c): c for part in parts for c in part.channels.found if c.rule.kind != "counter"}
    for name, channel in channels.items():
        columns = {id(part.channels): c.values for part in parts for c in part.channels.found if _name(c) == name}
        if all(counts_rows(values) for values in columns.values()):
            made[name] = "counts the rows"
        elif is_clock(pair for run in runs if (pair := _series(run, channel, columns)) is not None):
            made[name] = "goes with the time by equal steps"
    return made


def _series(run: Run, channel: TableChannel, columns: dict[int, AnyArray]) -> ClockSeries | None:
    """Times and known values of a channel in one run; None where it has none."""
    values: AnyArray
    if run.channels is None:
        block = run.own.get(channel.rule.source)
        if block is None or channel.name not in block.columns:
            return None
        t, values = run.t[block.rows], block.columns[channel.name]
    else:
        if id(run.channels) not in columns:
            return None
        t, values = run.t, columns[id(run.channels)][run.rows]
    have = known(values)
    return (t[have], values[have]) if have.any() else None


def _hours(run: Run, rules: Mapping) -> float:
    t, step = placed(run, rules)
    return (int(t[-1]) - int(t[0]) + step) / _DAY_H


def _name(channel: TableChannel) -> str:
    return f"{channel.rule.source}.{channel.name}"


def _added(listed: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for columns in listed:
        for column, words in columns.items():
            mine = total.setdefault(column, {})
            for word, n in words.items():
                mine[word] = mine.get(word, 0) + n
    return total


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _first(listed: dict[str, V]) -> list[tuple[str, V]]:
    return list(listed.items())[:_NAMED]
