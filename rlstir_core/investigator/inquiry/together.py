"""What the encoder says of rows: of a recording as it was recorded, of other logs host by host, in the order of time.

Logs of one host that lie in several files are one story: who started a process stands in another file than what it did.
What does not belong here: the encoder (`investigator/single.py`), and what is said of single logs (`judging.py`).
"""

# N rows
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.investigator.answers import MOST, EpisodeAnswers, risk_of
from rlstir_core.investigator.inquiry.gathering import LogRows
from rlstir_core.investigator.inquiry.records import RowSaid
from rlstir_core.investigator.inquiry.rows import row_said
from rlstir_core.investigator.reading.view import view_of
from rlstir_core.investigator.single import OpenEncoder, SingleAnswers, answers_of_view
from rlstir_core.provenance.store import graph_of

ROWS_KEPT: Final = 100  # that look most like an attack
ROWS_HELD: Final = 50_000  # of logs that wait for more of their host
_BORDER = ":"  # between a log's number and its name


@dataclass(kw_only=True, eq=False)
class AttackReader:
    """Asks the encoder of all rows, some hosts at a time, and keeps the rows that look most like an attack."""

    encoder: OpenEncoder
    private: Path  # where rows may lie for a moment
    rows: list[RowSaid] = field(default_factory=list)
    _risk: list[EpisodeAnswers] = field(default_factory=list)
    _held: dict[str, list[tuple[pa.Table, Floats]]] = field(default_factory=dict)
    _n_held: int = 0
    _n_logs: int = 0
    _n_read: int = 0  # rows

    def recording(self, rows: LogRows, p_tamper_N: Floats) -> SingleAnswers:
        """Reads one recorded episode."""
        return self._read(numbered(rows, self._number()), p_tamper_N)

    def log(self, rows: LogRows, p_tamper_N: Floats) -> None:
        """Takes one log file; it is read with others of its host."""
        self._held.setdefault(rows.host, []).append((numbered(rows, self._number()), p_tamper_N))
        self._n_held += len(rows.table)
        if self._n_held >= ROWS_HELD:
            self.finish()

    def finish(self) -> None:
        """Reads all logs that wait."""
        for logs in self._held.values():
            self._read(*as_one(logs))
        self._held, self._n_held = {}, 0

    @property
    def risk(self) -> float | None:
        """How likely an attack is in all that was read; None where the encoder was not taught to tell."""
        calibration = self.encoder.checkpoint.calibration
        if not self._risk or calibration.risk == type(calibration)().risk:
            return None
        risk = risk_of(np.concatenate([each.attack_N for each in self._risk]), self._n_read)
        return calibration.p_risk(replace(self._risk[0], risk=risk))

    def _read(self, table: pa.Table, p_tamper_N: Floats) -> SingleAnswers:
        pq.write_table(table, self.private, compression="none", use_dictionary=False, write_statistics=False)
        graph, _ = graph_of(self.private)
        with pq.ParquetFile(self.private) as file:
            said = answers_of_view(self.encoder, view_of(file, graph, (), p_tamper_N))
        attack_N = said.answers.attack_N
        self._risk.append(replace(said.answers, attack_N=-np.sort(-attack_N)[:MOST]))
        self._n_read += len(attack_N)
        p_N = self.encoder.checkpoint.calibration.p_attack_N(said.answers)
        repeats_N = table["duplicate"].to_numpy()  # what stood there before is said once
        for place in np.argsort(-np.where(repeats_N, -1.0, p_N), kind="stable")[:ROWS_KEPT]:
            self.rows.append(row_said(table, int(place), numbered_shown, p_attack=float(p_N[place])))
        self.rows = sorted(self.rows, key=lambda row: -(row.p_attack or 0.0))[:ROWS_KEPT]
        return said

    def _number(self) -> int:
        self._n_logs += 1
        return self._n_logs


def as_one(logs: Sequence[tuple[pa.Table, Floats]]) -> tuple[pa.Table, Floats]:
    """The logs of one host, with what the rules say of their rows, in the order of time."""
    table = pa.concat_tables([table for table, _ in logs]).unify_dictionaries()
    p_N = np.concatenate([p_N for _, p_N in logs])
    order_N = np.argsort(table["ts_ns"].to_numpy(), kind="stable")
    return table.take(order_N), p_N[order_N]


def numbered(rows: LogRows, n: int) -> pa.Table:
    """The rows with their log's name as a user knows it; two logs of one name stay apart by the number before it."""
    column = rows.table["member"].combine_chunks()
    names = pa.array([numbered_name(rows, n, name) for name in column.dictionary.to_pylist()], pa.string())
    member = pa.DictionaryArray.from_arrays(column.indices, names)
    return rows.table.set_column(rows.table.schema.get_field_index("member"), "member", member)


def numbered_name(rows: LogRows, n: int, member: str) -> str:
    return f"{n}{_BORDER}{rows.shown(member)}"


def numbered_shown(member: str) -> str:
    """The name without its number."""
    return member.partition(_BORDER)[2]
