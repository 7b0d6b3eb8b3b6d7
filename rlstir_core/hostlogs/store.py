"""`log_events`: the log rows of a host, a Parquet file per episode, made only where an episode is new or changed.

What does not belong here: how a log is parsed and what a row's columns mean (`table.py`).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlstir_core.atomic import canonical_sha256, replacing, write_bytes
from rlstir_core.contract.members import META, TAMPER_SPANS, TECHNIQUES
from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.read import open_plain
from rlstir_core.episodes.validation.validate import validated
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs.attack.truth import MAX_BYTES, LogTruth, TamperSpan, read_truth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.hostlogs.tally import FAULTS, RowTally
from rlstir_core.hostlogs.times.reading import LogReading, reading_in
from rlstir_core.progress import Progress, told_to
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import Changes, Ledger, begin, changes, finish, noting_files
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version
from rlstir_core.workers.spread import ALONE, Workers

ROWS_AT_MOST = 1_000_000  # of one episode
_TOP = 10
_SPANS = 1_000  # of tampering, of one episode
_COUNTS = "_counts.json"
_META = b"rlstir"


class LogCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the logs of one episode gave."""

    rows: dict[str, int] = {}  # by channel
    unparsed: dict[str, int] = {}
    untimed: dict[str, int] = {}  # parsed, but the event says no time that can be read
    bare: dict[str, int] = {}  # parsed, but no column is filled
    cut: dict[str, int] = {}  # the exporter left out what was too long
    year_assumed: dict[str, int] = {}  # nobody says it
    zone_assumed: dict[str, int] = {}
    order_assumed: dict[str, int] = {}  # of day and month
    duplicates: int = 0
    mismatches: int = 0  # EVTX records whose header and event name other times or ids
    left_out: int = 0  # rows over the bound
    bad_truth: int = 0  # entries of the truth that broke their form
    aliases: dict[str, tuple[str, ...]] = {}  # {host: how events spell it}
    techniques: dict[str, int] = {}  # rows that the truth labels
    tactics: tuple[str, ...] = ()  # that the truth names, beside techniques or alone
    tamper_spans: tuple[TamperSpan, ...] = ()  # of the truth; the first thousand
    unparsed_at: tuple[str, ...] = ()  # the first of them: file, line and why
    templates: dict[str, int] = {}  # {id: rows}
    texts: dict[str, str] = {}  # {id: template}


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `build_log_events` did, and what lies there now."""

    made: int
    dropped: int
    unchanged: int
    rows: dict[str, int]
    unparsed: dict[str, int]
    untimed: dict[str, int]
    bare: dict[str, int]
    cut: dict[str, int]
    year_assumed: dict[str, int]
    zone_assumed: dict[str, int]
    order_assumed: dict[str, int]
    mismatches: int
    duplicates: int
    left_out: int
    top_templates: tuple[tuple[str, int, str], ...]  # id, rows, text


def log_changes(layout: Layout, host: str) -> Changes:
    """What `build_log_events` would do."""
    return changes(layout.log_events(host), _wanted(layout, host))


def build_log_events(
    store: Path, layout: Layout, host: str, progress: Progress | None = None, workers: Workers = ALONE
) -> LogSummary:
    """Brings the log rows of `host` up to date with its validated episodes.

    UpstreamMissing when the host was not validated, or a tarball is no longer the one that was.
    """
    with holding(layout.host_lock(host), waiting=told_to(progress)):
        folder = layout.log_events(host)
        wanted = _wanted(layout, host)
        todo = changes(folder, wanted)
        if todo:
            _forget_counts(folder, todo)  # of files that are made anew, and may be noted before they are counted
            begin(folder, todo)
        rows = {row.episode_id: row for row in read_validation(layout.validation(host))} if todo.make else {}
        items = [(episode, folder / f"{episode}.parquet", rows[episode]) for episode in todo.make]
        made = workers.each(functools.partial(_write, store), items)
        with noting_files(folder, wanted) as finished:
            for done, (episode, _) in enumerate(zip(todo.make, made, strict=True), 1):
                finished(f"{episode}.parquet")
                if progress is not None:
                    progress(done, len(todo.make), f"logs {host}")
        finish(folder, wanted, todo)
        return _summary(folder, _all_counts(folder, wanted, todo), todo)


def read_counts(path: Path) -> LogCounts:
    """What was counted while a file of log rows was made."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return msgspec.json.decode(metadata[_META], type=LogCounts)
    except (OSError, KeyError, pa.ArrowException, msgspec.MsgspecError):
        raise UpstreamMissing(
            f"{path} cannot be read; remove it, if it is there, and make it with: {how_to_make('log_events')}"
        ) from None


@contextmanager
def opened_rows(layout: Layout, host: str, episode: str) -> Iterator[pq.ParquetFile]:
    """The file of an episode's log rows, while nobody writes it; UpstreamMissing where it cannot be read."""
    path = layout.log_events(host) / f"{episode}.parquet"
    try:
        with holding(layout.host_lock(host), shared=True), pq.ParquetFile(path) as file:
            yield file
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UpstreamMissing(
            f"{path} cannot be read ({str(error).splitlines()[0][:120]}); make it again with: "
            f"{how_to_make('log_events')}"
        ) from None


def host_counts(layout: Layout, host: str) -> dict[str, LogCounts]:
    """What the logs of every episode of `host` gave, by episode; its templates come without their texts."""
    folder = layout.log_events(host)
    wanted = _wanted(layout, host)
    kept = _kept_counts(folder)
    return {name.removesuffix(".parquet"): kept.get(name) or read_counts(folder / name) for name in wanted}


def _wanted(layout: Layout, host: str) -> Ledger:
    return {
        f"{episode}.parquet": {episode: canonical_sha256([key, version("log_rows")])}
        for episode, key in validated(layout, host, with_logs=True).items()
    }


def _write(store: Path, item: tuple[str, Path, ValidationRow]) -> None:
    _, path, row = item
    builder, truth, tally = _parse(store, row)
    table = builder.finish(truth)
    labels = pc.value_counts(pc.list_flatten(table["label_ttp"]))
    counts = LogCounts(
        rows=dict(sorted(Counter(table["channel"].to_pylist()).items())),
        **{name: dict(sorted((+found).items())) for name, found in tally.faults.items()},
        unparsed_at=tuple(tally.unparsed_at),
        techniques=dict(sorted((each["values"], each["counts"]) for each in labels.to_pylist())),
        tactics=truth.tactics,
        tamper_spans=truth.spans[:_SPANS],
        duplicates=sum(table["duplicate"].to_pylist()),
        mismatches=sum(table["clock_mismatch"].to_pylist()),
        left_out=builder.n_left_out,
        bad_truth=truth.n_bad,
        aliases={host: tuple(sorted(names)) for host, names in sorted(builder.aliases.items())},
        templates=dict(sorted(Counter(table["template_id"].to_pylist()).items())),
        texts=dict(sorted(builder.texts.items())),
    )
    table = table.replace_schema_metadata({_META: msgspec.json.encode(counts, order="sorted")})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


class Parsed(NamedTuple):
    """The logs of one tarball as they were parsed."""

    builder: TableBuilder
    held: dict[str, bytes]  # the members of the truth, as they are: not everybody may look
    tally: RowTally
    sha256: str  # of the tarball

    @property
    def truth(self) -> LogTruth:
        return read_truth(self.held.get(TECHNIQUES), self.held.get(TAMPER_SPANS))


def parse_tarball(path: Path, host: str, episode: str, near_ns: int | None) -> Parsed:
    """Streams a tarball's logs through their parsers; EpisodeRejected where it cannot be trusted.

    `near_ns` is a time of the episode, where rows lie that say none.
    """
    builder = TableBuilder(host, episode, ROWS_AT_MOST)
    tally = RowTally()
    reading = LogReading()
    held: dict[str, bytes] = {}
    with open_plain(path) as handle:
        frames = FrameReader(handle, Limits())
        for name, size, chunks in members(frames, Limits()):
            if spec := spec_of_member(name):
                context = LogContext(name=name, host=host, near_ns=near_ns, reading=reading)
                builder.add(name, tally.counted(name, spec.read(chunks, context)))
            elif name == META:
                reading = reading_in(b"".join(chunks))  # the first member of an episode that an import wrote
            elif name in (TECHNIQUES, TAMPER_SPANS) and size <= MAX_BYTES:
                held[name] = b"".join(chunks)
    return Parsed(builder, held, tally, frames.sha256)


def _parse(store: Path, row: ValidationRow) -> tuple[TableBuilder, LogTruth, RowTally]:
    """The logs of the tarball that was validated."""
    try:
        found = parse_tarball(store / row.path, row.host, row.episode_id, row.t_start_wall_ns)
        same = found.sha256 == row.sha256
    except EpisodeRejected:
        same = False
    if not same:
        raise UpstreamMissing(
            f"{row.path} is not the tarball that was validated; make it again with: {how_to_make('validation')}"
        )
    return found.builder, found.truth, found.tally


def _all_counts(folder: Path, wanted: Ledger, todo: Changes) -> dict[str, LogCounts]:
    """The counts of every file, kept beside them so that one new episode does not open all of them."""
    kept = _kept_counts(folder)
    fresh = set(todo.files)
    counts = {
        name: msgspec.structs.replace(read_counts(folder / name), texts={})
        if name in fresh or name not in kept
        else kept[name]
        for name in wanted
    }
    if counts != kept:
        write_bytes(folder / _COUNTS, msgspec.json.encode(counts, order="sorted"))
    return counts


def _forget_counts(folder: Path, todo: Changes) -> None:
    kept = _kept_counts(folder)
    if still := {name: counts for name, counts in kept.items() if name not in todo.files}:
        if len(still) < len(kept):
            write_bytes(folder / _COUNTS, msgspec.json.encode(still, order="sorted"))
    else:
        (folder / _COUNTS).unlink(missing_ok=True)


def _kept_counts(folder: Path) -> dict[str, LogCounts]:
    try:
        return msgspec.json.decode((folder / _COUNTS).read_bytes(), type=dict[str, LogCounts])
    except (OSError, msgspec.MsgspecError):
        return {}


def _summary(folder: Path, counts: dict[str, LogCounts], todo: Changes) -> LogSummary:
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("rows", *FAULTS)}
    seen: Counter[str] = Counter()
    for each in counts.values():
        for name, total in sums.items():
            total.update(getattr(each, name))
        seen.update(each.templates)
    top = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    texts: dict[str, str] = {}
    for identity, _ in top:
        if identity not in texts:
            name = next(name for name, each in counts.items() if identity in each.templates)
            texts.update(read_counts(folder / name).texts)
    return LogSummary(
        made=len(todo.make),
        dropped=len(todo.drop),
        unchanged=len(counts) - len(todo.make),
        **{name: dict(sorted((+total).items())) for name, total in sums.items()},
        mismatches=sum(each.mismatches for each in counts.values()),
        duplicates=sum(each.duplicates for each in counts.values()),
        left_out=sum(each.left_out for each in counts.values()),
        top_templates=tuple((identity, n, texts.get(identity, "")) for identity, n in top),
    )
