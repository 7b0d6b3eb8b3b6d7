"""Operators that take records away, with and without what the real mechanism leaves behind.

What does not belong here: operators that alter or forge records (`alterations.py`), and benign losses
(`benign_artifacts.py`).
"""

from __future__ import annotations

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.changes.work import Outcome, Work, closed_up, is_live, numbered_on, placed, without
from rlstir_core.lab.tamper.records.entry import NONE, SECOND_NS, renumbered

# event ids of a subcategory of the audit policy, and how a change of it names it
_POLICIES: tuple[tuple[frozenset[str], dict[str, str]], ...] = tuple(
    (
        frozenset(ids.split()),
        {"guid": f"{{0CCE{guid}-69AE-11D9-BED3-505054503030}}", "category": f"%%{category}", "sub": f"%%{number}"},
    )
    for ids, guid, category, number in (
        ("4688", "922B", 8276, 13312),
        ("4689", "922C", 8276, 13313),
        ("4624 4625 4648", "9215", 8273, 12544),
        ("4634 4647", "9216", 8273, 12545),
        ("4672", "921B", 8273, 12548),
        ("4656 4658 4663", "921D", 8274, 12800),
        ("4703", "924A", 8276, 13317),
        ("5156 5157 5158", "9226", 8274, 12810),
        ("4768 4769", "9242", 8280, 14339),
    )
)


def drop_channel(work: Work) -> Outcome:
    """One source of events falls silent from some moment on: for a while, or for good."""
    sources: dict[str, list[int]] = {}
    for entry in work.entries:
        if not entry.fixed:
            sources.setdefault(entry.source, []).append(entry.place)
    if len(sources) == 1:  # one Windows channel, one program: its kinds of event then
        only = next(iter(sources.values()))
        sources = {}
        for place in only:
            sources.setdefault(work.entries[place].event_id, []).append(place)
    fit = [name for name, places in sources.items() if len(places) >= 2]
    if len(sources) < 2 or not fit:
        raise ConfigError("it needs a log with two sources or kinds of events, and one of them twice")
    lane = sources[work.one_of(fit)]
    start = work.whole(0, len(lane) - 1)
    if work.rng.random() < work.strength / 2:
        gone = lane[start:] if work.rng.random() < 0.5 else lane
    else:
        gone = lane[start : start + max(1, round(len(lane) * work.share(0.02, 0.6)))]
    return Outcome(without(work.entries, set(gone)), lane)


def drop_rows(work: Work) -> Outcome:
    """A stretch of one log is gone, and its numbers are missing where the log has any."""
    lane = work.log(3)
    start, end = work.stretch(len(lane), 0.005, 0.4)
    return Outcome(without(work.entries, set(lane[start:end])), lane)


def drop_renumber(work: Work) -> Outcome:
    """A stretch of one log is gone, and the records after it are renumbered so that no number is missing."""
    lane = work.log(3, numbered=True)
    start, end = work.stretch(len(lane), 0.005, 0.4)
    gone = [work.entries[place] for place in lane[start:end]]
    left = without(work.entries, set(lane[start:end]))
    return Outcome(closed_up(left, gone[0].log, gone, marked=True), lane)


def orphan_children(work: Work) -> Outcome:
    """Creations of processes that have children are gone: the children hang loose."""
    began: dict[tuple[str, int], int] = {}
    parents: dict[int, None] = {}
    for entry in work.entries:
        if not entry.creates or entry.fixed:
            continue
        if (parent := began.get((entry.log, entry.ppid))) is not None and entry.ppid != entry.pid:
            parents[parent] = None
        began[entry.log, entry.pid] = entry.place
    if not parents:
        raise ConfigError("it needs a log that shows a process being created and that process creating another")
    gone = work.some(list(parents), max(1, round(len(parents) * work.share(0.0, 0.6))))
    logs = {work.entries[place].log for place in gone}
    keep = work.one_of(sorted(logs))  # one host's log at a time
    gone = [place for place in gone if work.entries[place].log == keep]
    return Outcome(without(work.entries, set(gone)), work.logs[keep])


def clear_log(work: Work) -> Outcome:
    """Everything up to a moment is gone from one log, and nothing says so."""
    lane = work.log(2)
    return Outcome(without(work.entries, set(lane[: _moment(work, lane)])), lane)


def clear_log_event(work: Work) -> Outcome:
    """Everything up to a moment is gone from one log, and what clearing it leaves is there."""
    if "cleared" not in work.form.notices:
        raise ConfigError("it needs a log whose clearing leaves an event")
    lane = work.log(2)
    moment = _moment(work, lane)
    last, following = work.entries[lane[moment - 1]], work.entries[lane[moment]]
    ts_ns = following.ts_ns - int(min(max(following.ts_ns - last.ts_ns, 0), SECOND_NS) * 0.5)
    # Windows notes it of the Security log in that log, of all others in System
    channel = last.log.partition(" ")[2]
    what = "cleared" if work.form.name != "windows_json" or channel == "Security" else "cleared_other"
    beside = what == "cleared_other" and channel != "System"
    # in its own log it has the number of the last record that is gone, the next that the log would have given
    number = NONE if beside else max(last.number, 0)
    made = work.notice(what, following, ts_ns, number, channel=channel, daemon=work.whole(1000, 9999))
    made.marked = True
    left = placed(without(work.entries, set(lane[:moment])), [(following.place, made)])
    if beside and made.log in work.logs:  # it counts with records that are there
        return Outcome(numbered_on(left, made.log), lane)
    header = made.number if is_live(work.entries) else last.header
    given = renumbered(made, 0, header - made.header, marked=True)
    return Outcome([given if entry is made else entry for entry in left], lane)


def audit_disabled(work: Work) -> Outcome:
    """Auditing is off for a while: the records between off and on were never written, so no number is missing."""
    if "off" not in work.form.notices:
        raise ConfigError("it needs an audit log, or a Windows Security log")
    words: dict[str, object] = {"auid": work.whole(1000, 1010), "ses": work.whole(1, 40)}
    if work.form.name == "audit":
        # what the daemon says of itself does not go through the kernel's switch
        lane = [place for place in work.log(4) if not work.entries[place].source.startswith("DAEMON_")]
        if len(lane) < 3:
            raise ConfigError("it needs an audit log with three records of the kernel")
        start, end = work.stretch(len(lane), 0.01, 0.5)
        gone = lane[start:end]
    else:
        lane, gone, policy = _policy(work)
        words |= policy
    before, after = work.entries[gone[0]], work.entries[gone[-1]]
    off = work.notice("off", before, before.ts_ns, before.number, **words)
    on = work.notice("on", after, after.ts_ns, after.number, **words)
    off.marked = on.marked = True
    lost = [work.entries[place] for place in gone]
    left = closed_up(without(work.entries, set(gone)), before.log, lost, marked=False)
    left = placed(left, [(before.place, off), (after.place + 1, on)])
    return Outcome(numbered_on(left, before.log), lane)


def _policy(work: Work) -> tuple[list[int], list[int], dict[str, str]]:
    """The records of one subcategory in a Security log, a stretch of them, and its names."""
    fit = []
    for name, places in work.logs.items():
        if name.endswith(" Security"):
            for ids, policy in _POLICIES:
                lane = [place for place in places if work.entries[place].event_id in ids]
                if len(lane) >= 3:
                    fit.append((lane, policy))
    if not fit:
        raise ConfigError("it needs an audit log, or a Security log with three events of one audit subcategory")
    lane, policy = fit[work.whole(0, len(fit) - 1)]
    start, end = work.stretch(len(lane), 0.02, 0.6)
    return lane, lane[start:end], policy


def _moment(work: Work, lane: list[int]) -> int:
    """How many records of the log are cleared: at least one stays."""
    return min(max(1, round(len(lane) * work.share(0.05, 0.9))), len(lane) - 1)
