"""`investigations.parquet`: what every policy asked, paid, saw and believed, written before a label is read.

One row a step, in the order of policy, seed, episode and step. Step 0 is the alert alone (action `alert`, cost 0); the
last step of a case has `stopped`, and it alone declares: techniques with their scores, the likeliest first, and tamper
spans. `rows` are the places in the episode's log table that the step revealed, `n_revealed` counts them up to and with
it, `cumulative_cost` adds costs the same way, and `p_risk`, `p_tampered` are what is believed after the step. What does
not belong here: labels, and figures.
"""

# N steps, R revealed rows, E episodes, D declared techniques, P declared spans
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.arrays import Floats, Ints
from rlstir_core.errors import StoreError
from rlstir_core.evaluation.acting.checks import check_run
from rlstir_core.evaluation.investigation.whole_tables import WholeTables
from rlstir_core.text import shown

ALERT = "alert"
_BLOCK = 32_768  # rows
_SPAN = pa.struct(
    {
        "channel": pa.string(),
        "t_start_wall_ns": pa.int64(),
        "t_end_wall_ns": pa.int64(),
        "score": pa.float32(),
    }
)
SCHEMA = pa.schema(
    {
        "episode_id": pa.string(),
        "host": pa.string(),
        "policy": pa.string(),
        "seed": pa.int32(),  # of the training; 0 of policies that are not trained
        "step": pa.int32(),
        "action": pa.string(),
        "cost": pa.float32(),
        "cumulative_cost": pa.float32(),
        "n_revealed": pa.int32(),
        "rows": pa.list_(pa.int32()),
        "p_risk": pa.float32(),
        "p_tampered": pa.float32(),
        "stopped": pa.bool_(),
        "techniques": pa.list_(pa.string()),
        "scores": pa.list_(pa.float32()),
        "spans": pa.list_(_SPAN),
    }
)
_MAY_BE_NULL = ("techniques", "scores", "spans")


class SaidStretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a log channel that a policy calls tampered with."""

    channel: str
    t_start_wall_ns: int
    t_end_wall_ns: int
    score: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedCase:
    """One episode as one policy investigated it; sequences have an entry a step, the alert first."""

    episode_id: str
    host: str
    actions: Sequence[str]
    costs: Sequence[float] | NDArray[Any]
    rows: Sequence[Sequence[int] | NDArray[Any]]
    p_risk: Sequence[float] | NDArray[Any]
    p_tampered: Sequence[float] | NDArray[Any]
    techniques: Sequence[str] = ()
    scores: Sequence[float] | NDArray[Any] = ()
    spans: Sequence[SaidStretch] = ()


class InvestigationWriter:
    """Writes the table, a run (all cases of a policy and seed) after the other; it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._tables = WholeTables([(path, SCHEMA)])
        self._last: tuple[str, int] | None = None

    def __enter__(self) -> Self:
        self._tables.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._tables.__exit__(*error)

    def add(self, policy: str, seed: int, cases: Iterable[RecordedCase]) -> None:
        """A run, in any order of cases; runs come in the order of policy and seed, each once."""
        if self._last is not None and (policy, seed) <= self._last:
            raise ValueError(f"runs come in order of policy and seed: {(policy, seed)!r} after {self._last!r}")
        self._last = policy, seed
        held: list[RecordedCase] = []
        steps = 0
        for case in sorted(cases, key=lambda each: each.episode_id):
            held.append(case)
            steps += len(case.actions)
            if steps >= _BLOCK:
                self._tables.write(0, _table(policy, seed, held))
                held, steps = [], 0
        if held:
            self._tables.write(0, _table(policy, seed, held))


def _table(policy: str, seed: int, cases: Sequence[RecordedCase]) -> pa.Table:
    size_E = np.array([len(case.actions) for case in cases], np.int64)
    first_E, case_N = np.r_[0, np.cumsum(size_E)], np.repeat(np.arange(len(cases)), size_E)
    last_N = np.zeros(len(case_N), np.bool_)
    last_N[first_E[1:] - 1] = True
    rows = [np.asarray(rows, np.int32) for case in cases for rows in case.rows]
    n_rows_N = np.array([len(each) for each in rows], np.int64)
    cost_N = np.concatenate([np.asarray(case.costs, np.float64) for case in cases])
    columns = {
        "episode_id": pa.array([case.episode_id for case in cases]).take(pa.array(case_N)),
        "host": pa.array([case.host for case in cases]).take(pa.array(case_N)),
        "policy": pa.array([policy] * len(case_N)),
        "seed": pa.array(np.full(len(case_N), seed, np.int32)),
        "step": pa.array((np.arange(len(case_N)) - first_E[case_N]).astype(np.int32)),
        "action": pa.array([action for case in cases for action in case.actions]),
        "cost": pa.array(cost_N.astype(np.float32)),
        "cumulative_cost": pa.array(within(cost_N, first_E).astype(np.float32)),
        "n_revealed": pa.array(within(n_rows_N, first_E).astype(np.int32)),
        "rows": _lists(n_rows_N, pa.array(np.concatenate([*rows, np.zeros(0, np.int32)]))),
        "p_risk": pa.array(np.concatenate([np.asarray(case.p_risk, np.float32) for case in cases])),
        "p_tampered": pa.array(np.concatenate([np.asarray(case.p_tampered, np.float32) for case in cases])),
        "stopped": pa.array(last_N),
        "techniques": _at_end(last_N, [list(case.techniques) for case in cases], pa.string()),
        "scores": _at_end(last_N, [[float(score) for score in case.scores] for case in cases], pa.float32()),
        "spans": _at_end(last_N, [[msgspec.to_builtins(span) for span in case.spans] for case in cases], _SPAN),
    }
    return pa.table(columns, schema=SCHEMA)


def within(what_N: Floats | Ints, first_E: Ints) -> Floats:
    """Sums up to and with each step of its case; `first_E` has one more entry than there are cases."""
    total_N = np.cumsum(np.asarray(what_N, np.float64))
    before_E = np.r_[0.0, total_N][first_E[:-1]]
    found: Floats = total_N - np.repeat(before_E, np.diff(first_E))
    return found


def _lists(size_N: Ints, items: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.r_[0, np.cumsum(size_N)].astype(np.int32)), items)


def _at_end(last_N: NDArray[np.bool_], lists: Sequence[list[Any]], kind: pa.DataType) -> pa.Array:
    """The list of each case at its last step, nothing before."""
    place_N = pa.array(np.cumsum(last_N) - 1, mask=~last_N)
    return pa.array(lists, pa.list_(kind)).take(place_N)


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyRun:
    """All cases of one policy and seed as flat arrays; a case's steps are `first_E[e]` to `first_E[e + 1]`."""

    policy: str
    seed: int
    episode_E: Sequence[str]
    host_E: Sequence[str]
    first_E: Ints  # (E + 1,)
    action_N: Ints  # places in `actions`
    actions: tuple[str, ...]
    cost_N: Floats
    paid_N: Floats  # cumulative cost
    p_risk_N: Floats
    p_tampered_N: Floats
    row_R: Ints
    step_R: Ints  # the step that revealed it
    technique_D: Sequence[str]
    score_D: Floats
    episode_D: Ints
    span_P: Sequence[SaidStretch]
    episode_P: Ints

    @property
    def episode_N(self) -> Ints:
        """The case of each step."""
        return np.repeat(np.arange(len(self.episode_E)), np.diff(self.first_E))

    @property
    def last_E(self) -> Ints:
        """The last step of each case."""
        return self.first_E[1:] - 1


def read_runs(path: Path) -> Iterator[PolicyRun]:
    """The runs of a table one after the other; a table that is not what it says is refused in one sentence."""
    before: tuple[str, int] | None = None
    for (policy, seed), table in _parts(path):
        if before is not None and (policy, seed) <= before:
            raise StoreError(
                f"{path}: the run of policy {shown(policy)}, seed {seed} does not stand in order of policy and seed, "
                "once each; delete the table and evaluate again"
            )
        before = policy, seed
        try:
            run = _run(path, policy, seed, table)
        except UnicodeDecodeError as error:
            raise _unreadable(path, error) from None
        yield run


def merged(paths: Sequence[Path], path: Path) -> None:
    """Writes one table of the runs of several, which must not have a run in common."""
    with WholeTables([(path, SCHEMA)]) as tables:
        for _, part in heapq.merge(*map(_parts, paths), key=lambda each: each[0]):
            tables.write(0, part.cast(SCHEMA))


def paid_costs(path: Path, most: float) -> Floats:
    """The different cumulative costs up to `most` that stand in a table, rounded, in order."""
    found = np.zeros(1)
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BLOCK, columns=["cumulative_cost"], use_threads=False):
                paid = rounded(batch.column(0).to_numpy(zero_copy_only=False))
                found = np.union1d(found, paid[np.isfinite(paid) & (paid >= 0) & (paid <= most)])
    except (OSError, pa.ArrowException, KeyError, IndexError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from None
    return found


def rounded(cost: NDArray[Any]) -> Floats:
    """Costs without the last digits that single precision makes up."""
    return np.asarray(cost, np.float64).round(4)


def _parts(path: Path) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    """((policy, seed), its rows) of each stretch of equal policy and seed, read block by block."""
    held: list[pa.Table] = []
    key: tuple[str, int] | None = None
    try:
        with pq.ParquetFile(path) as file:
            _same_columns(path, file.schema_arrow)
            for batch in file.iter_batches(_BLOCK, use_threads=False):
                block = pa.Table.from_batches([batch])
                for name in SCHEMA.names:
                    if name not in _MAY_BE_NULL and block[name].null_count:
                        raise StoreError(f"{path}: column {name} has empty cells; delete the table and evaluate again")
                for new, part in _stretches(block):
                    if key is not None and new != key:
                        yield key, pa.concat_tables(held)
                        held = []
                    key = new
                    held.append(part)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    if key is None:
        raise StoreError(f"{path} has no row; evaluate again")
    yield key, pa.concat_tables(held)


def _stretches(block: pa.Table) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    policy, seed = (block[name].combine_chunks() for name in ("policy", "seed"))
    if not len(block):
        return
    changed = pc.or_(pc.not_equal(policy[1:], policy[:-1]), pc.not_equal(seed[1:], seed[:-1]))
    starts = np.r_[0, 1 + np.flatnonzero(changed.to_numpy(zero_copy_only=False)), len(block)]
    for start, end in pairwise(starts.tolist()):
        yield (policy[start].as_py(), seed[start].as_py()), block.slice(start, end - start)


def _same_columns(path: Path, schema: pa.Schema) -> None:
    for field in SCHEMA:
        if schema.get_field_index(field.name) < 0:
            raise StoreError(f"{path} has no column {field.name}; delete the table and evaluate again")
        found = schema.field(field.name).type
        if not _alike(found, field.type):
            raise StoreError(
                f"{path}: column {field.name} is {shown(str(found))} and not {field.type}; delete the table and "
                "evaluate again"
            )


def _alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Equal but for the name that a file gives the items of a list."""
    if pa.types.is_list(wanted):
        return pa.types.is_list(found) and _alike(found.value_type, wanted.value_type)
    return bool(found.equals(wanted))


def _run(path: Path, policy: str, seed: int, table: pa.Table) -> PolicyRun:
    column = {name: table[name].combine_chunks() for name in SCHEMA.names}
    episode_N = pc.fill_null(column["episode_id"], "")
    new_N = np.r_[True, pc.not_equal(episode_N[1:], episode_N[:-1]).to_numpy(zero_copy_only=False)]
    first_E = np.r_[np.flatnonzero(new_N), len(table)].astype(np.int64)
    names = pc.dictionary_encode(column["action"])
    lengths = pc.list_value_length(column["rows"]).to_numpy(zero_copy_only=False).astype(np.int64)
    declared = {name: column[name].take(pa.array(first_E[1:] - 1)) for name in _MAY_BE_NULL}
    spans, span_episodes = _flat(declared["spans"])
    techniques, episode_D = _flat(declared["techniques"])
    scores, of_scores = _flat(declared["scores"])
    run = PolicyRun(
        policy=policy,
        seed=seed,
        episode_E=episode_N.take(pa.array(first_E[:-1])).to_pylist(),
        host_E=column["host"].take(pa.array(first_E[:-1])).to_pylist(),
        first_E=first_E,
        action_N=names.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        actions=tuple(names.dictionary.to_pylist()),
        cost_N=_floats(column["cost"]),
        paid_N=rounded(_floats(column["cumulative_cost"])),
        p_risk_N=_floats(column["p_risk"]),
        p_tampered_N=_floats(column["p_tampered"]),
        row_R=_ints(column["rows"].flatten()),
        step_R=np.repeat(np.arange(len(table)), lengths),
        technique_D=techniques.to_pylist(),
        score_D=_floats(scores),
        episode_D=episode_D,
        span_P=[] if spans.null_count else [msgspec.convert(each, SaidStretch) for each in spans.to_pylist()],
        episode_P=span_episodes,
    )
    check_run(
        path,
        run,
        step_N=_ints(column["step"]),
        n_revealed_N=_ints(column["n_revealed"]),
        stopped_N=column["stopped"].to_numpy(zero_copy_only=False),
        declared_N=sum(column[name].is_valid().to_numpy(zero_copy_only=False).astype(np.int64) for name in declared),
        pairs=np.array_equal(episode_D, of_scores),
        nothing_empty=not (techniques.null_count or scores.null_count or spans.null_count),
    )
    return run


def _flat(lists: pa.Array) -> tuple[pa.Array, Ints]:
    """The items of all lists, and the list that each belongs to; no list counts as an empty one."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lists.flatten(), np.repeat(np.arange(len(lists)), lengths)


def _floats(array: pa.Array) -> Floats:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)


def _ints(array: pa.Array) -> Ints:
    if array.null_count:
        return np.full(len(array), -1, np.int64)  # an empty cell is no place of a row
    return np.asarray(array.to_numpy(zero_copy_only=False), np.int64)


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be read as a table of investigations ({shown(str(error))}); evaluate again")
