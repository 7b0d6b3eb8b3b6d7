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
from rlstir_core.investigator.tamper.finding import SECOND_NS, Finding, counted
from rlstir_core.investigator.tamper.log_file import Log, LogFile

_LEAST = 3  # records, for a habit to be seen
_FILTERED = 0.2  # of the steps of a log being gaps, it was filtered
# one in so many rows, as a power of ten: what comes oftener is a habit of whoever collected the log
_RARE = {"id-gap": 1.3, "id-gap-one": 1.7, "id-gap-one-security": 3.2}
# gaps like it: a collector that falls behind leaves several; only creations, which Sysmon tells, go one by one
_ALONE = 2
_TOLD_NS = 60 * SECOND_NS
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
    if file.begins and header_N[0] > 1:
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
    """Numbers of events that are missing in a log, by how unlike its other steps that is.

    A filter on kinds of events leaves gaps in a channel on every host of the file, so hosts are looked at together.
    """
    logs = [log for log in file.logs if not _numbered_anew(log)]
    missing = [_missing(log) for log in logs]
    for channel in sorted({log.channel for log in logs}):
        alike = [place for place, log in enumerate(logs) if log.channel == channel]
        sizes = np.sort(np.concatenate([size for place in alike for size in (missing[place][1],)]))
        n = len(sizes)
        sizes = sizes[sizes > 0]
        if n >= _LEAST and len(sizes) <= _FILTERED * n:
            for place in alike:
                yield from _id_gaps(file, logs[place], *missing[place], sizes, n)


def _numbered_anew(log: Log) -> bool:
    """Whether the file's headers count otherwise than the events: they show what is missing from the file."""
    return bool((log.header_M >= 0).mean() > 0.5 and (log.header_M != log.number_M).mean() > 0.5)


def _missing(log: Log) -> tuple[Ints, Ints]:
    """The rows in the order of their numbers, and how many numbers are missing behind each but the last."""
    there_M = np.flatnonzero(log.number_M >= 0)
    order_M = there_M[np.argsort(log.number_M[there_M], kind="stable")]
    return order_M, np.maximum(np.diff(log.number_M[order_M]) - 1, 0)


def _id_gaps(file: LogFile, log: Log, order_M: Ints, missing_M: Ints, sizes: Ints, n: int) -> Iterator[Finding]:
    for place in np.flatnonzero(missing_M > 0):
        size = int(missing_M[place])
        others = len(sizes) - int(np.searchsorted(sizes, min(size, max(_SMALL, size // 4)))) - 1
        before, after = int(order_M[place]), int(order_M[place + 1])
        low, high = sorted((int(log.at_M[before]), int(log.at_M[after])))
        first, second = int(log.number_M[before]) + 1, int(log.number_M[after]) - 1
        said = f"event id {first} missing" if size == 1 else f"event ids {first} to {second} missing"
        strength = float(np.log10(n / (others + 0.5)))
        rule = _rule(log, size)
        often = others > _ALONE and not file.is_sysmon(int(log.at_M[0]))
        if strength < _RARE[rule] or often or _explained(file, low, high):
            continue
        few = counted(others, "other gap")
        yield Finding(
            rule=rule,
            kind="drop_rows",
            log=log.name,
            first=low,
            last=high,
            gap=True,
            strength=strength,
            reason=f"{said} in a log where {few} like it stand beside {counted(n + 1, 'row')}",
        )


def _explained(file: LogFile, low: int, high: int) -> bool:
    """Whether the host says that records were lost there, or its audit daemon was away, while the kernel counted on."""
    away = {"DAEMON_END", "DAEMON_START"} & set(file.event_id[low : high + 1])
    return bool(away) or any(file.told_near(file.lost_ns, int(file.ts_N[at]), _TOLD_NS) for at in (low, high))


def _rule(log: Log, size: int) -> str:
    """Collectors filter the Security log, by far the largest, and leave few records out at a time."""
    if size > _SMALL:
        return "id-gap"
    return "id-gap-one-security" if log.channel.endswith(" security") else "id-gap-one"


def _own_ids(number_N: Ints, place: int) -> str:
    step = int(number_N[place + 1] - number_N[place])
    if step > 1:
        return ", event ids too"
    return ", though event ids go on by one" if step == 1 else ""
