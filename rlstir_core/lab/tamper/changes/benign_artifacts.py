"""Benign look-alikes of tampering: what exports, full disks, daemons and clocks do to logs of their own accord.

They work on the records of all logs of a host at once, for a clock and a sleep concern them all. What does not belong
here: anything that somebody did to hide something (`removals.py`, `alterations.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.changes.work import Work, closed_up, numbered_on, placed, unmarked, without
from rlstir_core.lab.tamper.records.clocks import at, fraction
from rlstir_core.lab.tamper.records.entry import SECOND_NS, Entry, renumbered, shifted

Changed = dict[str, list[Entry]]  # the records of the logs that an artifact touched, by member
HostLogs = dict[str, Work]  # the logs of a host, by member

_SLEEP_NS = 5 * SECOND_NS  # of quiet, which a sleep can hide in
_BURST = 3  # messages of one service that may be a burst


def filtered_export(host: HostLogs) -> Changed:
    """Only some kinds of events are exported: their ids keep gaps, the headers of an EVTX file are counted anew."""
    member, work = _one(host, lambda work: len(_kinds(work)) > 1)
    kinds = _kinds(work)
    names = [name for name, _ in sorted(kinds.items(), key=lambda item: -item[1])]
    order = [names[int(i)] for i in work.rng.permutation(len(names))]
    total = sum(kinds.values())
    kept: set[str] = set()
    wanted = work.uniform(0.3, 0.9) * total
    for name in order:
        if sum(kinds[each] for each in kept) >= wanted and kept:
            break
        kept.add(name)
    if len(kept) == len(names):
        kept.discard(order[-1])
    entries = [entry for entry in work.entries if entry.fixed or _kind(work, entry) in kept]
    if work.form.name == "windows_json":
        when_ns = entries[-1].ts_ns + round(work.uniform(60, 3600) * SECOND_NS)
        entries = [_exported(entry, place, when_ns) for place, entry in enumerate(entries)]
    return {member: entries}


def ring_rollover(host: HostLogs) -> Changed:
    """The oldest part of a log made room for the newest."""
    member, work = _one(host, lambda work: any(len(places) > 1 for places in work.logs.values()))
    lane = work.log(2)
    n = min(max(1, round(len(lane) * work.uniform(0.05, 0.7))), len(lane) - 1)
    return {member: without(work.entries, set(lane[:n]))}


def journald_suppression(host: HostLogs) -> Changed:
    """A burst of one service was too much for journald: it says how many messages it dropped."""
    member, work = _one(host, lambda work: work.form.name == "journald" and bool(_bursts(work)))
    bursts = _bursts(work)
    source, places = bursts[work.whole(0, len(bursts) - 1)]
    keep = work.whole(1, len(places) - 2)
    gone = places[keep:-1] or places[keep:]
    following = work.entries[places[-1]]
    lost = [work.entries[place] for place in gone]
    # what is dropped is never numbered
    entries = closed_up(without(work.entries, set(gone)), following.log, lost, marked=False)
    made = work.notice("suppressed", following, following.ts_ns, n=len(gone), unit=f"{source}.service")
    return {member: numbered_on(placed(entries, [(following.place, made)]), following.log)}


def audit_backlog(host: HostLogs) -> Changed:
    """The kernel had no room for some audit records: their serials are missing, and the journal says so."""
    member, work = _one(host, lambda work: work.form.name == "audit" and _longest(work) >= 4)
    lane = work.log(4)
    start, end = work.stretch(len(lane), 0.01, 0.2)
    # under pressure some get through
    gone = [place for place in lane[start:end] if work.rng.random() < 0.8] or [lane[start]]
    changed = {member: without(work.entries, set(gone))}
    ts_ns = work.entries[gone[0]].ts_ns
    for other, journal in host.items():
        if journal.form.name == "journald" and (like := _near(journal, ts_ns)) is not None:
            notices = [(like.place, journal.notice("backlog", like, ts_ns))]
            notices.append((like.place, journal.notice("lost", like, ts_ns, n=len(gone))))
            changed[other] = numbered_on(placed(journal.entries, notices), like.log)
            break
    return changed


def ntp_step(host: HostLogs) -> Changed:
    """The clock was set: every later time of every log is off by the same, and the time daemon says so."""
    times = _times(host)
    work = next(iter(host.values()))
    at_ns = int(times[work.whole(len(times) // 5, max(len(times) * 4 // 5, len(times) // 5))])
    coarse = max((entry.grain_ns for each in host.values() for entry in each.entries if not entry.fixed), default=1)
    step_ns = round(work.uniform(0.2, 5.0) * SECOND_NS / 1_000_000) * 1_000_000
    if coarse >= SECOND_NS and step_ns < SECOND_NS:
        step_ns += SECOND_NS
    step_ns *= 1 if work.rng.random() < 0.5 else -1
    changed: Changed = {}
    told = False
    for member, each in host.items():
        entries = [
            unmarked(shifted(entry, step_ns, steady=True)) if not entry.fixed and entry.ts_ns >= at_ns else entry
            for entry in each.entries
        ]
        like = _near(each, at_ns)
        if like is not None and "stepped" in each.form.notices and not told and _writable(each, "stepped", like):
            step_s, old, new = step_ns / SECOND_NS, _iso(at_ns), _iso(at_ns + step_ns)
            made = each.notice("stepped", like, at_ns + step_ns, step_s=step_s, old=old, new=new)
            entries = numbered_on(placed(entries, [(like.place, made)]), made.log)
            told = True
        changed[member] = entries
    return changed


def logrotate(host: HostLogs) -> Changed:
    """The log begins at a rotation."""
    member, work = _one(host, lambda work: "rotated" in work.form.notices and _longest(work) >= 2)
    lane = work.log(2)
    n = min(max(1, round(len(lane) * work.uniform(0.05, 0.7))), len(lane) - 1)
    first = work.entries[lane[n]]
    ts_ns = first.ts_ns - min(SECOND_NS // 5, first.grain_ns)
    made = work.notice("rotated", first, ts_ns, daemon=work.whole(1000, 9999))
    return {member: placed(without(work.entries, set(lane[:n])), [(first.place, made)])}


def suspend(host: HostLogs) -> Changed:
    """The host slept: nothing stands between going to sleep and waking.

    The longest silence of all its logs is taken for the sleep; where none is long enough, what happened in a tenth of
    the time at most did not happen.
    """
    low, high = _sleep(host)
    edge = min((high - low) // 10, SECOND_NS)
    changed: Changed = {}
    told = False
    for member, work in host.items():
        lost = [entry for entry in work.entries if not entry.fixed and low < entry.ts_ns < high]
        awake = without(work.entries, {entry.place for entry in lost})
        like = next((entry for entry in work.entries if not entry.fixed and entry.ts_ns >= high), None)
        entries = awake
        for log in dict.fromkeys(entry.log for entry in lost):
            entries = closed_up(entries, log, [entry for entry in lost if entry.log == log], marked=False)
        if like is not None and not told and _writable(work, "suspended", like):
            notes = [(like.place, work.notice("suspended", like, low + edge))]
            notes.append((like.place, work.notice("resumed", like, high - edge)))
            entries = numbered_on(placed(entries, notes), notes[0][1].log)
            told = True
        if entries is not awake or lost:
            changed[member] = entries
    if not told:
        raise ConfigError("none of its logs is one in which a sleep is noted")
    return changed


def _sleep(host: HostLogs) -> tuple[int, int]:
    """From when to when the host slept: the times of the records on either side."""
    times = _times(host)
    gaps = np.diff(times)
    widest = int(gaps.argmax())
    if int(gaps[widest]) >= _SLEEP_NS:
        return int(times[widest]), int(times[widest + 1])
    work = next(iter(host.values()))
    length = round(min((int(times[-1]) - int(times[0])) / 10, 60 * SECOND_NS) * work.uniform(0.5, 1.0))
    start = int(times[work.whole(len(times) // 5, len(times) * 3 // 5)])
    after = int(np.searchsorted(times, start + length))
    if length < _SLEEP_NS or after >= len(times):
        raise ConfigError("its logs are too short for a sleep")
    return start, int(times[after])


def cpu_reorder(host: HostLogs) -> Changed:
    """Neighbouring records of almost one time stand in the file the other way round."""
    member, work = _one(host, lambda work: work.form.name != "syslog" and bool(_close_pairs(work)))
    pairs = _close_pairs(work)
    chosen = work.some(list(range(len(pairs))), max(1, round(len(pairs) * work.uniform(0.02, 0.2))))
    entries = list(work.entries)
    last = -1
    for which in chosen:
        first, second = pairs[which]
        if first <= last:
            continue
        last = second
        entries[first], entries[second] = entries[second], entries[first]
        if work.form.name != "audit":  # numbers are given by who writes the file
            by = entries[second].number - entries[first].number
            header_by = entries[second].header - entries[first].header
            entries[first] = renumbered(entries[first], by, header_by, marked=False)
            entries[second] = renumbered(entries[second], -by, -header_by, marked=False)
    return {member: entries}


def agent_restart(host: HostLogs) -> Changed:
    """Whatever writes a log was restarted: some seconds are missing between its own words about it."""
    member, work = _one(host, lambda work: bool(_restartable(work)))
    names = _restartable(work)
    lane = work.log(4, among=names)
    start, end = work.stretch(len(lane), 0.005, 0.1)
    gone = lane[start:end]
    lost = [work.entries[place] for place in gone]
    before, after = lost[0], lost[-1]
    daemon = work.whole(1000, 9999)
    notes = [(before.place, work.notice("stopped", before, before.ts_ns, daemon=daemon))]
    notes.append((after.place + 1, work.notice("started", after, after.ts_ns, daemon=daemon + 1)))
    entries = without(work.entries, set(gone))
    if work.form.name != "audit":  # the kernel counts on while its daemon is away
        entries = closed_up(entries, before.log, lost, marked=False)
    return {member: numbered_on(placed(entries, notes), before.log)}


ARTIFACT_OF: dict[str, Callable[[HostLogs], Changed]] = {
    each.__name__: each
    for each in (
        filtered_export,
        ring_rollover,
        journald_suppression,
        audit_backlog,
        ntp_step,
        logrotate,
        suspend,
        cpu_reorder,
        agent_restart,
    )
}


def _one(host: HostLogs, fits: Callable[[Work], bool]) -> tuple[str, Work]:
    fit = [(member, work) for member, work in host.items() if fits(work)]
    if not fit:
        raise ConfigError("none of its logs is one to which this happens")
    return fit[fit[0][1].whole(0, len(fit) - 1)]


def _longest(work: Work) -> int:
    return max((len(places) for places in work.logs.values()), default=0)


def _kind(work: Work, entry: Entry) -> str:
    return entry.source if work.form.name != "windows_json" else f"{entry.source} {entry.event_id}"


def _kinds(work: Work) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in work.entries:
        if not entry.fixed:
            counts[_kind(work, entry)] = counts.get(_kind(work, entry), 0) + 1
    return counts


def _exported(entry: Entry, place: int, when_ns: int) -> Entry:
    """The record with a header of the new file, which counts from one and says when it was written."""
    if entry.header < 0:
        return entry
    made = renumbered(entry, 0, place + 1 - entry.header, marked=False)
    return msgspec.structs.replace(made, edits={**made.edits, "written": _iso(when_ns + place * 30_000)})


def _bursts(work: Work) -> list[tuple[str, list[int]]]:
    """Programs with several messages in half a minute, and these."""
    found: list[tuple[str, list[int]]] = []
    sources: dict[str, list[int]] = {}
    for entry in work.entries:
        if entry.fixed or not entry.source or entry.source in ("kernel", "systemd-journald"):
            continue
        run = sources.setdefault(entry.source, [])
        if run and not 0 <= entry.ts_ns - work.entries[run[0]].ts_ns <= 30 * SECOND_NS:
            if len(run) >= _BURST:
                found.append((entry.source, run))
            run = sources[entry.source] = []
        run.append(entry.place)
    return found + [(source, run) for source, run in sources.items() if len(run) >= _BURST]


def _close_pairs(work: Work) -> list[tuple[int, int]]:
    """Neighbours of one log, one right behind the other, less than two milliseconds apart."""
    return [
        (one.place, other.place)
        for one, other in pairwise(work.entries)
        if not one.fixed
        and not other.fixed
        and one.log == other.log
        and 0 <= other.ts_ns - one.ts_ns <= 2_000_000
        and min(one.grain_ns, other.grain_ns) < SECOND_NS
    ]


def _restartable(work: Work) -> list[str]:
    if "stopped" not in work.form.notices:
        return []
    names = [name for name, places in work.logs.items() if len(places) >= 4]
    if work.form.name != "windows_json":
        return names
    return [name for name in names if name.endswith("Microsoft-Windows-Sysmon/Operational")]


def _writable(work: Work, what: str, like: Entry) -> bool:
    """Whether such a record can be written beside this one."""
    return work.form.notice(what, like, like.ts_ns, max(like.number, 0), **_WORDS) is not None


def _near(work: Work, ts_ns: int) -> Entry | None:
    """The first record that is not older, else the last."""
    last = None
    for entry in work.entries:
        if not entry.fixed:
            last = entry
            if entry.ts_ns >= ts_ns:
                break
    return last


def _times(host: HostLogs) -> Any:
    found = [entry.ts_ns for work in host.values() for entry in work.entries if not entry.fixed]
    if len(found) < 4:
        raise ConfigError("it needs logs of at least four records")
    return np.sort(np.array(found, np.int64))


def _iso(ns: int) -> str:
    return f"{at(ns):%Y-%m-%dT%H:%M:%S}.{fraction(ns, 7)}Z"


_WORDS: dict[str, object] = {"n": 1, "unit": "x.service", "step_s": 0.0, "old": "", "new": ""}
