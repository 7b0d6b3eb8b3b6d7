"""What rules and models say of tampering, as tables that are written before the truth is read: rows and spans.

Rows without any suspicion are left out: what is not in the table has a likelihood of 0. What does not belong here:
truth and figures (`tamper_figures.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats, Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.whole_tables import WholeTables
from rlstir_core.hostlogs.gap_rules import Flag, both_rules
from rlstir_core.investigator.tamper.calibration import Calibration
from rlstir_core.investigator.tamper.spans import Tampering, tamper_of

LEAST_P = 0.01  # rows below are not written
MODELS = ("rules", "gap-rules", "chainsaw")
_ROWS = pa.schema(
    {
        "episode_id": pa.string(),
        "member": pa.string(),
        "seq": pa.int64(),
        "model": pa.string(),
        "p_tamper": pa.float64(),
    }
)
_SPANS = pa.schema(
    {
        "episode_id": pa.string(),
        "channel": pa.string(),
        "member": pa.string(),
        "model": pa.string(),
        "t_start_wall_ns": pa.int64(),
        "t_end_wall_ns": pa.int64(),
        "after_seq": pa.int64(),  # from this row, -1 for the beginning of the file
        "before_seq": pa.int64(),  # to this one, -1 for its end; both are among the span
        "score": pa.float64(),
        "kind": pa.string(),
        "reason": pa.string(),
    }
)


_FILES = pa.schema({"episode_id": pa.string(), "member": pa.string(), "model": pa.string(), "flagged": pa.bool_()})


class SaidSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that somebody calls tampered with."""

    channel: str
    member: str
    t_start_wall_ns: int
    t_end_wall_ns: int
    after_seq: int
    before_seq: int
    score: float
    kind: str = ""
    reason: str = ""


class SaidTampering(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of one episode: spans, a likelihood per row of its table, and the log files it flags."""

    spans: tuple[SaidSpan, ...]
    p_N: Floats
    flagged: frozenset[str]


class HeldRules:
    """What our rules said of episodes that were opened, until somebody asks; rows above all suspicion take no room."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Tampering, Ints]] = {}

    def add(self, info: EpisodeInfo, said: Tampering) -> None:
        rows = np.flatnonzero(said.p_tamper_N)
        self._held[info.episode_id] = msgspec.structs.replace(said, p_tamper_N=said.p_tamper_N[rows]), rows

    def taken(self, info: EpisodeInfo, n_rows: int) -> Tampering | None:
        """What was said of the episode; None where nobody asked the rules about all of it."""
        if info.episode_id not in self._held:
            return None
        said, rows = self._held.pop(info.episode_id)
        p_N = np.zeros(n_rows)
        p_N[rows] = said.p_tamper_N
        return msgspec.structs.replace(said, p_tamper_N=p_N)


def said_of(
    table: pa.Table, calibration: Calibration | None = None, *, ours: Tampering | None = None
) -> dict[str, SaidTampering]:
    """What our rules and the two baselines say of an episode's log rows, by model; `ours` where they were asked."""
    ours = ours or tamper_of(table, calibration)
    spans = tuple(
        SaidSpan(
            channel=each.channel,
            member=each.member,
            t_start_wall_ns=each.t_start_ns,
            t_end_wall_ns=each.t_end_ns,
            after_seq=each.after_seq,
            before_seq=each.before_seq,
            score=each.score,
            kind=each.kind,
            reason="; ".join(each.reasons),
        )
        for each in ours.spans
    )
    flagged = frozenset(each.member for each in ours.files if each.flagged)
    naive, chainsaw = both_rules(table)
    return {
        "rules": SaidTampering(spans=spans, p_N=ours.p_tamper_N, flagged=flagged),
        "gap-rules": _baseline(table, naive),
        "chainsaw": _baseline(table, chainsaw),
    }


def _baseline(table: pa.Table, flag: Flag) -> SaidTampering:
    p_N = np.zeros(len(table))
    spans = []
    seq_N, ts_N = table["seq"].to_numpy(), table["ts_ns"].to_numpy()
    for reason in flag.reasons:
        rows = sorted(reason.rows, key=lambda row: int(seq_N[row]))
        p_N[rows] = 1.0
        times = [int(ts_N[row]) for row in rows]
        spans.append(
            SaidSpan(
                channel=table["channel"][rows[0]].as_py(),
                member=table["member"][rows[0]].as_py(),
                t_start_wall_ns=min(times),
                t_end_wall_ns=max(times),
                after_seq=int(seq_N[rows[0]]),
                before_seq=int(seq_N[rows[1]]),
                score=1.0,
                kind="drop_rows" if reason.why != "time-back" else "clock_step",
                reason=f"{reason.why} in {reason.log}",
            )
        )
    return SaidTampering(spans=tuple(spans), p_N=p_N, flagged=frozenset(span.member for span in spans))


class TamperWriter(WholeTables):
    """Writes `rows.parquet`, `spans.parquet` and `files.parquet`, an episode after the other."""

    def __init__(self, rows: Path, spans: Path, files: Path) -> None:
        super().__init__([(rows, _ROWS), (spans, _SPANS), (files, _FILES)])

    def add(self, episode_id: str, table: pa.Table, said: Mapping[str, SaidTampering]) -> None:
        """What every model says of one episode."""
        for model, each in said.items():
            there = np.flatnonzero(each.p_N >= LEAST_P)
            if len(there):
                part = table.select(["member", "seq"]).take(there)
                columns = {
                    "episode_id": pa.array([episode_id] * len(there)),
                    "member": part["member"].cast(pa.string()),
                    "seq": part["seq"],
                    "model": pa.array([model] * len(there)),
                    "p_tamper": pa.array(each.p_N[there]),
                }
                self.write(0, pa.table(columns, schema=_ROWS))
            if each.flagged:
                flags = [{"episode_id": episode_id, "member": m, "model": model} for m in sorted(each.flagged)]
                self.write(2, pa.Table.from_pylist([{**f, "flagged": True} for f in flags], schema=_FILES))
            if each.spans:
                lines = [{"episode_id": episode_id, "model": model, **msgspec.to_builtins(span)} for span in each.spans]
                self.write(1, pa.Table.from_pylist(lines, schema=_SPANS))


def rows_by_episode(path: Path) -> Iterator[tuple[str, dict[str, dict[tuple[str, int], float]]]]:
    """(episode, {model: {(member, seq): likelihood}}) of every episode of which anything is said, in their order."""
    episode, held = "", {}  # type: ignore[var-annotated]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, use_threads=False).to_pydict()
            for of, member, seq, model, p in zip(*(part[name] for name in _ROWS.names), strict=True):
                if of != episode:
                    if held:
                        yield episode, held
                    episode, held = of, {}
                held.setdefault(model, {})[member, seq] = p
    if held:
        yield episode, held


def read_flags(path: Path) -> dict[tuple[str, str], frozenset[str]]:
    """{(episode, model): log files that it flags}"""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for line in pq.read_table(path, use_threads=False).to_pylist():
        key = line["episode_id"], line["model"]
        found[key] = found.get(key, frozenset()) | {line["member"]}
    return found


def read_rows(path: Path, episode_id: str, model: str) -> dict[tuple[str, int], float]:
    """{(member, seq): likelihood} of one episode by one model; rows that are not there have 0."""
    table = _of(path, {"episode_id": episode_id, "model": model}, ("member", "seq", "p_tamper"))
    columns = (table[name].to_pylist() for name in ("member", "seq", "p_tamper"))
    return {(member, seq): p for member, seq, p in zip(*columns, strict=True)}


def read_spans(path: Path, model: str) -> dict[str, tuple[SaidSpan, ...]]:
    """{episode: spans} by one model; episodes without spans are not there."""
    found: dict[str, list[SaidSpan]] = {}
    names = [name for name in _SPANS.names if name != "model"]
    for line in _of(path, {"model": model}, names).to_pylist():
        found.setdefault(line.pop("episode_id"), []).append(msgspec.convert(line, SaidSpan))
    return {episode: tuple(spans) for episode, spans in found.items()}


def _of(path: Path, wanted: Mapping[str, str], columns: Sequence[str]) -> pa.Table:
    """The lines with these values, group after group."""
    parts = []
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=sorted({*columns, *wanted}), use_threads=False)
            for name, value in wanted.items():
                part = part.filter(pc.equal(part[name], value))
            parts.append(part.select(list(columns)))
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
    return pa.concat_tables(parts) if parts else schema.empty_table()
