"""Log rows as an Arrow table: typed columns, templates, duplicates, and what the truth says of each row.

What does not belong here: parsing (one module per format) and files (`store.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.hostlogs.templates.mined import template_id, templates
from rlstir_core.text import storable

_WORD = pa.dictionary(pa.int32(), pa.string())
_BATCH = 20_000
_INT64 = (-(2**63), 2**63 - 1)

SCHEMA = pa.schema(
    {
        "host": _WORD,
        "host_said": _WORD,  # as the event spells it
        "episode_id": _WORD,
        "member": _WORD,  # the log file it stood in
        "seq": pa.int64(),  # its place in that file, from 0
        "ts_ns": pa.int64(),
        "channel": _WORD,
        "template_id": _WORD,
        "pid": pa.int64(),
        "ppid": pa.int64(),
        "tid": pa.int64(),
        "exe": _WORD,
        "cmdline": pa.string(),
        "user": _WORD,
        "sid": _WORD,
        "provider": _WORD,
        "event_id": _WORD,
        "message": pa.string(),
        "fields_json": pa.string(),
        "label_ttp": pa.list_(pa.string()),  # techniques that were running, by the episode's truth
        "tamper_tag": pa.string(),  # the kind of tamper span it stands in
        "clock_mismatch": pa.bool_(),  # EVTX: header and event name other times or ids
        "duplicate": pa.bool_(),  # the same event stood earlier in the episode
        "parsed": pa.bool_(),
        "timed": pa.bool_(),  # the event says its time; else `ts_ns` is that of the row before
        "assumed": _WORD,  # what of its time nobody says: `year`, `zone`, `order`, or several
    }
)
_INTS = ("ts_ns", "pid", "ppid", "tid")
_TEXTS = ("channel", "exe", "cmdline", "user", "sid", "provider", "event_id", "message", "fields_json")


class TableBuilder:
    """Collects the rows of one episode, a log file after the other."""

    def __init__(self, host: str, episode: str, rows_at_most: int) -> None:
        self._host, self._episode, self._left = host, episode, rows_at_most
        self._parts: list[pa.Table] = []
        self._seen: set[bytes] = set()
        self.texts: dict[str, str] = {}  # of the templates
        self._ids: dict[str, str] = {}
        self.aliases: dict[str, set[str]] = {}  # {short host: how events spell it}
        self.n_left_out = 0

    def add(self, member: str, rows: Iterable[LogRow]) -> int:
        """Adds the rows of one file and gives their number; those over the bound are counted and left out."""
        parts: list[pa.Table] = []
        structured: list[str] = []
        mined = templates(self._messages(member, rows, parts, structured))
        self.texts.update(mined.texts)
        ids_mined = iter(mined.ids)
        identities = [self._id_of(text) if text else next(ids_mined) for text in structured]
        n = 0
        for part in parts:
            ids = pa.array(identities[n : n + len(part)], pa.string()).dictionary_encode()
            self._parts.append(_replaced(part, "template_id", ids))
            n += len(part)
        return n

    def _id_of(self, text: str) -> str:
        """The id of a structured template."""
        found = self._ids.get(text)
        if found is None:
            found = self._ids[text] = template_id(text)
            self.texts[found] = storable(text)
        return found

    def _messages(
        self, member: str, rows: Iterable[LogRow], parts: list[pa.Table], structured: list[str]
    ) -> Iterator[str]:
        """The message of every row that is kept and that has no structured template (`structured`: a text per row).

        The rows themselves become tables, batch by batch, in `parts`.
        """
        batch: list[LogRow] = []
        seq = 0
        for row in rows:
            if not self._left:
                self.n_left_out += 1
                continue
            self._left -= 1
            batch.append(row)
            structured.append(row.template)
            if not row.template:
                yield row.message
            if len(batch) == _BATCH:
                parts.append(self._table(member, seq, batch))
                seq, batch = seq + len(batch), []
        if batch:
            parts.append(self._table(member, seq, batch))

    def finish(self, truth: LogTruth) -> pa.Table:
        """The table in the order of time; rows of one time stay in the order of files and lines."""
        table = pa.concat_tables(self._parts, promote_options="none") if self._parts else SCHEMA.empty_table()
        self._parts = []
        table = table.unify_dictionaries()
        t_N = table["ts_ns"].to_numpy()
        if (np.diff(t_N) < 0).any():
            table = table.take(np.argsort(t_N, kind="stable"))
        return _with_truth(table, truth)

    def _table(self, member: str, seq: int, rows: list[LogRow]) -> pa.Table:
        """The rows as a table whose templates are not known yet; `seq` is the place of the first."""
        n = len(rows)
        columns: dict[str, object] = {
            "host": [row.host or self._host for row in rows],
            "host_said": [storable(row.host_said) for row in rows],
            "episode_id": [self._episode] * n,
            "member": [member] * n,
            "seq": np.arange(seq, seq + n),
            "template_id": [""] * n,
            "label_ttp": pa.nulls(n, SCHEMA.field("label_ttp").type),
            "tamper_tag": pa.nulls(n, pa.string()),
            "duplicate": [self._is_duplicate(row) for row in rows],
            "clock_mismatch": [row.clock_mismatch for row in rows],
            "parsed": [row.parsed for row in rows],
            "timed": [row.timed for row in rows],
            "assumed": [row.assumed for row in rows],
        }
        for name in _INTS:
            columns[name] = np.clip([getattr(row, name) for row in rows], *_INT64).astype(np.int64)
        for name in _TEXTS:
            columns[name] = [storable(getattr(row, name)) for row in rows]
        for row in rows:
            if row.host_said and row.host_said != row.host:
                self.aliases.setdefault(row.host, set()).add(row.host_said)
        arrays = []
        for field in SCHEMA:
            column = columns[field.name]
            if isinstance(column, pa.Array):
                arrays.append(column)
            elif pa.types.is_dictionary(field.type):
                arrays.append(pa.array(column, pa.string()).dictionary_encode())
            else:
                arrays.append(pa.array(column, field.type))
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _is_duplicate(self, row: LogRow) -> bool:
        text = f"{row.host}\0{row.channel}\0{row.ts_ns}\0{row.fields_json}"
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


def _with_truth(table: pa.Table, truth: LogTruth) -> pa.Table:
    """Fills the two columns that the truth decides; empty where it says nothing."""
    if not truth.techniques and not truth.spans:
        return table
    t_N, pid_N = table["ts_ns"].to_numpy(), table["pid"].to_numpy()
    labels: list[list[str]] = [[] for _ in range(len(table))]
    for ran in truth.techniques:
        inside_N = (t_N >= ran.t_start_wall_ns) & (t_N <= ran.t_end_wall_ns)
        if ran.pids:
            inside_N &= np.isin(pid_N, np.array(ran.pids))
        for place in np.flatnonzero(inside_N):
            if ran.technique and ran.technique not in labels[place]:
                labels[place].append(ran.technique)
    tags: list[str | None] = [None] * len(table)
    channel_N = np.array(table["channel"].to_pylist(), dtype=object)
    seats = _Seats(table, channel_N)
    for span in truth.spans:
        if span.places is not None:
            meant = seats.rows(span.member, span.channel, span.places)
        else:
            inside_N = _inside(t_N, span.t_start_wall_ns, span.t_end_wall_ns) & (channel_N == span.channel)
            if span.member:
                inside_N &= seats.members == span.member
            meant = np.flatnonzero(inside_N)
        for place in meant:
            tags[place] = tags[place] or span.kind
    table = _replaced(table, "label_ttp", pa.array([each or None for each in labels], pa.list_(pa.string())))
    return _replaced(table, "tamper_tag", pa.array(tags, pa.string()))


class _Seats:
    """Finds rows by their places in a log file, or in the files of a channel where no file is named."""

    def __init__(self, table: pa.Table, channel_N: NDArray[np.object_]) -> None:
        self._table, self._channel_N = table, channel_N
        self._sorted: dict[tuple[str, str], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    @cached_property
    def members(self) -> NDArray[np.object_]:
        return np.array(self._table["member"].to_pylist(), dtype=object)

    def rows(self, member: str, channel: str, seqs: tuple[int, ...]) -> NDArray[np.int64]:
        key = (member, "" if member else channel)
        if key not in self._sorted:
            there_N = np.flatnonzero(self.members == member if member else self._channel_N == channel)
            seq_N = self._table["seq"].to_numpy()[there_N]
            order_N = np.argsort(seq_N, kind="stable")
            self._sorted[key] = seq_N[order_N], there_N[order_N]
        seq_N, there_N = self._sorted[key]
        wanted_N = np.unique(np.array(seqs, np.int64))
        starts, ends = np.searchsorted(seq_N, wanted_N), np.searchsorted(seq_N, wanted_N, side="right")
        found = [there_N[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
        return np.concatenate(found) if found else np.empty(0, np.int64)


def _inside(t_N: NDArray[np.int64], start: int, end: int) -> NDArray[np.bool_]:
    inside_N: NDArray[np.bool_] = (t_N >= start) & (t_N <= end)
    return inside_N


def _replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), values)
