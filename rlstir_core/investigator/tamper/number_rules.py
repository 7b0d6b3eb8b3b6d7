"""Rules on the numbers of records: of the file's headers, which follow each other, and of the events themselves.

The writer of an EVTX file numbers its records one by one, so a header number that is missing was taken out of the
file. Events' own numbers also stand apart where an export was filtered, so a gap counts by how unlike the rest of its
log it is. What does not belong here: clocks (`clock_rules.py`).
"""

# M rows of a log, N rows of a file
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.investigator.tamper.finding import Finding, counted
from rlstir_core.investigator.tamper.log_file import Log, LogFile

_LEAST = 3  # records, for a habit to be seen
_SMALL = 3  # missing records that a filter on a kind of event may leave out one by one


def header_gaps(file: LogFile) -> Iterator[Finding]:
    """Header numbers that are missing in the file, and a first one above 1 in a file whose headers count from it."""
    parts = [(log.at_M, log.header_M, log.number_M) for log in file.logs if (log.header_M >= 0).all()]
    if not parts or sum(len(at) for at, _, _ in parts) < max(_LEAST, 0.9 * len(file)):
        return
    at_N, header_N, number_N = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at_N)
    at_N, header_N, number_N = at_N[order], header_N[order], number_N[order]
    if (header_N == number_N).mean() > 0.5:  # a live log: `id_gaps` sees the same
        return
    step_N = np.diff(header_N)
    odd_N = np.flatnonzero(step_N != 1)
    if len(odd_N) > 0.2 * len(step_N) + 1:
        return
    for place in odd_N:
        step = int(step_N[place])
        first, second = int(header_N[place]) + 1, int(header_N[place + 1]) - 1
        said = f"header ids {first} to {second} missing" if step > 1 else f"header id {second + 1} after {first - 1}"
        ids = _own_ids(number_N, int(place))
        yield Finding(
            rule="header-gap",
            kind="drop_rows" if step > 1 else "inject_decoys",
            log=file.logs[int(file.log_N[at_N[place]])].name,
            first=int(at_N[place]),
            last=int(at_N[place + 1]),
            gap=True,
            strength=1.0 / len(odd_N),
            reason=f"{said}{ids}",
        )
    if header_N[0] > 1:
        yield Finding(
            rule="header-start",
            kind="clear_log",
            log=file.logs[int(file.log_N[at_N[0]])].name,
            first=-1,
            last=int(at_N[0]),
            gap=True,
            strength=1.0,
            reason=f"the file's first header id is {int(header_N[0])}, not 1",
        )


def id_gaps(file: LogFile) -> Iterator[Finding]:
    """Numbers of events that are missing in a log, by how unlike its other steps that is."""
    for log in file.logs:
        yield from _id_gaps(log)


def _id_gaps(log: Log) -> Iterator[Finding]:
    there_M = np.flatnonzero(log.number_M >= 0)
    if len(there_M) < _LEAST + 1:
        return
    number_M = log.number_M[there_M]
    order_M = there_M[np.argsort(number_M, kind="stable")]
    missing_M: Ints = np.diff(log.number_M[order_M]) - 1
    gap_M = np.flatnonzero(missing_M > 0)
    sizes = np.sort(missing_M[gap_M])
    n = len(missing_M)
    for place in gap_M:
        size = int(missing_M[place])
        others = len(sizes) - int(np.searchsorted(sizes, min(size, max(_SMALL, size // 4)))) - 1
        before, after = int(order_M[place]), int(order_M[place + 1])
        low, high = sorted((int(log.at_M[before]), int(log.at_M[after])))
        first, second = int(log.number_M[before]) + 1, int(log.number_M[after]) - 1
        said = f"event id {first} missing" if size == 1 else f"event ids {first} to {second} missing"
        few = counted(others, "gap")
        yield Finding(
            rule="id-gap-one" if size <= _SMALL else "id-gap",
            kind="drop_rows",
            log=log.name,
            first=low,
            last=high,
            gap=True,
            strength=float(np.log10(n / (others + 0.5))),
            reason=f"{said} in a log where {few} of that size stand beside {counted(n + 1, 'row')}",
        )


def _own_ids(number_N: Ints, place: int) -> str:
    step = int(number_N[place + 1] - number_N[place])
    if step > 1:
        return ", event ids too"
    return ", though event ids go on by one" if step == 1 else ""
