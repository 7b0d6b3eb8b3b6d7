"""What an import of logs counts, by format, and which of it a user must not miss.

What does not belong here: reading logs (`logs.py`) and how the summary is laid out (the command line).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rlstir_core.episodes.reading.meta import EARLIEST_NS, LATEST_NS
from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.hostlogs.tally import FAULTS, RowTally

_BARE_SHARE = 0.5  # of the parsed rows of a format; fields that a shipper moved leave nearly all rows empty
_UNPARSED_SHARE = 0.01


@dataclass(kw_only=True)
class FormatTally:
    """The logs of one format. Counts are rows unless they say files."""

    files: int = 0
    rows: int = 0
    unparsed: int = 0
    untimed: int = 0  # parsed, but the event says no time that can be read
    bare: int = 0  # parsed, but no column is filled
    cut: int = 0  # the exporter left out what was too long
    year_assumed: int = 0
    zone_assumed: int = 0
    order_assumed: int = 0  # of day and month
    order_assumed_files: int = 0  # day and month could be either
    mismatches: int = 0  # EVTX records whose header and event name other times or ids
    hosts: dict[str, int] = field(default_factory=dict)
    first_ns: int | None = None  # of rows with a time of their own
    last_ns: int | None = None

    @property
    def parsed(self) -> int:
        return self.rows - self.unparsed

    def add(self, seen: LogTally) -> None:
        """Another file's counts."""
        self.files += 1
        self.rows += seen.rows
        self.mismatches += seen.mismatches
        for name in FAULTS:
            setattr(self, name, getattr(self, name) + seen.n(name))
        for host, n in seen.hosts.items():
            self.hosts[host] = self.hosts.get(host, 0) + n
        if len(seen.ts_ns):
            first, last = min(seen.ts_ns), max(seen.ts_ns)
            self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
            self.last_ns = last if self.last_ns is None else max(self.last_ns, last)

    def warnings(self, kind: str) -> list[str]:
        """What of these rows may be wrong or missing, a sentence each."""
        found = []
        if self.unparsed > _UNPARSED_SHARE * self.rows:
            found.append(f"{kind}: {self.unparsed:,} of {self.rows:,} rows could not be parsed")
        if self.untimed:
            found.append(
                f"{kind}: {self.untimed:,} rows have no time that can be read; they stand at the time of the row before"
            )
        if self.bare > _BARE_SHARE * self.parsed:
            found.append(
                f"{kind}: {self.bare:,} of {self.parsed:,} rows fill no column (process, user, command); their fields "
                "may stand where nobody looks for them"
            )
        if self.cut:
            found.append(
                f"{kind}: the exporter left out long fields of {self.cut:,} rows; export them again (journalctl --all)"
            )
        if self.year_assumed:
            found.append(
                f"{kind}: year: assumed for {self.year_assumed:,} rows; the files' own times say nothing of it"
            )
        if self.zone_assumed:
            found.append(f"{kind}: zone: assumed UTC for {self.zone_assumed:,} rows; say it with --timezone")
        if self.order_assumed_files:
            found.append(
                f"{kind}: nothing tells day from month in {self.order_assumed_files} of {self.files} logs; the usual "
                "order of such dates was assumed"
            )
        return found

    @property
    def n_lost(self) -> int:
        """Rows of which something is gone."""
        return self.unparsed + self.untimed + self.cut


@dataclass(kw_only=True)
class LogImport:
    """What an import read and wrote."""

    store: Path
    n_files: int = 0
    n_episodes: int = 0
    n_rows: int = 0
    rows: dict[str, int] = field(default_factory=dict)  # by format
    unparsed: dict[str, int] = field(default_factory=dict)
    formats: dict[str, FormatTally] = field(default_factory=dict)
    mismatches: int = 0  # EVTX records whose header and event name other times or ids
    hosts: dict[str, int] = field(default_factory=dict)  # rows by host that events name
    owners: dict[str, int] = field(default_factory=dict)  # episodes by the host that each is of
    new_hosts: list[str] = field(default_factory=list)  # of these, hosts that the store did not have
    labelled_files: int = 0
    unseen_techniques: dict[str, int] = field(default_factory=dict)
    unused_labels: int = 0  # files of the label table that are none of those that were read
    not_logs: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # links and what is no plain file
    faults: list[str] = field(default_factory=list)  # what could not be read, and why
    left_out: list[str] = field(default_factory=list)  # of `not_logs`, files that were named one by one
    zones_learnt: dict[str, str] = field(default_factory=dict)  # file -> offset, from the same events in UTC

    def add(self, kind: str, seen: LogTally, order_assumed: bool) -> None:
        """Another log's rows."""
        self.n_files += 1
        self.n_rows += seen.rows
        self.mismatches += seen.mismatches
        self.formats.setdefault(kind, FormatTally()).add(seen)
        self.formats[kind].order_assumed_files += order_assumed
        _add(self.rows, kind, seen.rows)
        _add(self.unparsed, kind, seen.n("unparsed"))
        for host, n in seen.hosts.items():
            _add(self.hosts, host, n)

    def warnings(self) -> list[str]:
        """What a user must not miss, a sentence each."""
        found = [warning for kind, tally in self.formats.items() for warning in tally.warnings(kind)]
        if self.faults:
            found.append(f"not read: {len(self.faults)}, the first {self.faults[0]}")
        if self.left_out:
            found.append(f"named, but no log that is known: {', '.join(self.left_out[:5])}")
        return found

    @property
    def n_losses(self) -> int:
        """How many rows and files the summary names as lost, wholly or in part."""
        return sum(tally.n_lost for tally in self.formats.values()) + len(self.faults) + len(self.left_out)


class LogTally(RowTally):
    """What is remembered of one log's rows that pass by, since a log may hold millions."""

    def __init__(self) -> None:
        super().__init__()
        self.ts_ns = array("q")  # of rows with a time of their own, cut to the years that an episode may have
        self.hosts: Counter[str] = Counter()
        self.rows = self.mismatches = 0
        self.first_ns: int | None = None  # of all rows, as they stand
        self.last_ns: int | None = None

    def all(self, rows: Iterable[LogRow]) -> None:
        """Counts every row."""
        first, last = 2**63, -(2**63)
        for row in self.counted("", rows):
            ts_ns = row.ts_ns
            first, last = min(first, ts_ns), max(last, ts_ns)
            self.rows += 1
            self.mismatches += row.clock_mismatch
            if row.host:
                self.hosts[row.host] += 1
            if row.timed:
                self.ts_ns.append(min(max(ts_ns, EARLIEST_NS - 1), LATEST_NS))
        if self.rows:
            self.first_ns, self.last_ns = first, last


def _add(counts: dict[str, int], key: str, n: int) -> None:
    if n:
        counts[key] = counts.get(key, 0) + n
