"""Operators that alter records or forge new ones.

What does not belong here: operators that take records away (`removals.py`).
"""

from __future__ import annotations

import ntpath
from itertools import islice

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.changes.work import Outcome, Work, numbered_on, placed, replaced
from rlstir_core.lab.tamper.records.entry import (
    SECOND_NS,
    Entry,
    blanked,
    copied,
    rewritten,
    shifted,
    with_parent,
)

_ALIVE = 64  # processes that were seen last: whatever began long ago may have ended
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "cmd.exe", "powershell.exe", "pwsh.exe"})


def jitter(work: Work) -> Outcome:
    """Times of some records in a stretch are shaken, each by its own amount."""
    lane = work.log(3)
    start, end = work.stretch(len(lane), 0.05, 0.8)
    most_ns = round((0.1 + 5.0 * work.strength) * SECOND_NS)
    changed: dict[int, Entry] = {}
    for place in lane[start:end]:
        by_ns = round(work.uniform(-most_ns, most_ns))
        if work.rng.random() < 0.3 + 0.7 * work.strength:
            entry = work.entries[place]
            changed[place] = shifted(entry, by_ns)
    if not any(entry.marked for entry in changed.values()):  # all fell below what the log can say
        entry = work.entries[lane[start]]
        changed[lane[start]] = shifted(entry, max(entry.grain_ns, most_ns))
    return Outcome(replaced(work.entries, changed))


def clock_step(work: Work) -> Outcome:
    """All times of a stretch of one log are shifted by the same amount."""
    lane = work.log(3)
    start, end = work.stretch(len(lane), 0.02, 0.6)
    by_ns = round(5 * 720 ** (work.strength * work.uniform(0.5, 1.0))) * SECOND_NS
    by_ns *= 1 if work.rng.random() < 0.5 else -1
    return Outcome(replaced(work.entries, {place: shifted(work.entries[place], by_ns) for place in lane[start:end]}))


def spoof_parent(work: Work) -> Outcome:
    """Some creations name another process as their parent, one that was alive."""
    alive: dict[str, dict[int, Entry]] = {}
    fit: list[tuple[Entry, list[Entry]]] = []
    for entry in work.entries:
        if entry.fixed or entry.pid < 0:
            continue
        there = alive.setdefault(entry.log, {})
        if entry.creates and entry.ppid >= 0:
            late = islice(reversed(there.items()), _ALIVE)
            if others := [other for pid, other in late if pid not in (entry.pid, entry.ppid)]:
                fit.append((entry, others))
        if entry.exe and (entry.creates or entry.pid not in there):
            there.pop(entry.pid, None)
            there[entry.pid] = entry
    if not fit:
        raise ConfigError("it needs a log with the creation of a process after another process was seen")
    changed: dict[int, Entry] = {}
    for at in work.some(list(range(len(fit))), max(1, round(len(fit) * work.share(0.0, 0.3)))):
        entry, others = fit[at]
        other = others[work.whole(0, len(others) - 1)]
        changed[entry.place] = with_parent(entry, work.form.process(other))
    return Outcome(replaced(work.entries, changed))


def blank_history(work: Work) -> Outcome:
    """The command text of one shell session is emptied, from some moment on."""
    shells = {
        (entry.log, entry.pid)
        for entry in work.entries
        if entry.pid >= 0 and ntpath.basename(entry.exe.replace("/", "\\")).lower() in _SHELLS
    }
    sessions: dict[str, list[int]] = {}
    for entry in work.entries:
        if entry.fixed or not entry.cmdline:
            continue
        if entry.session:
            sessions.setdefault(entry.session, []).append(entry.place)
        elif entry.creates and (entry.log, entry.ppid) in shells:
            sessions.setdefault(f"{entry.log} {entry.ppid}", []).append(entry.place)
    if not sessions:
        raise ConfigError("it needs a log with the commands of a shell")
    places = sessions[work.one_of(list(sessions))]
    n = max(1, round(len(places) * (0.3 + 0.7 * work.strength)))
    return Outcome(replaced(work.entries, {place: blanked(work.entries[place]) for place in places[-n:]}))


def rewrite_field(work: Work) -> Outcome:
    """The user, program or address of some records is replaced by another that the log names."""
    seen: dict[str, dict[str, str]] = {}  # values without the name that may stand behind a NUL, and with it
    holds: dict[str, list[tuple[int, str]]] = {}
    for entry in work.entries:
        if entry.fixed:
            continue
        for key, whole in work.form.values(entry).items():
            value = whole.partition("\0")[0]
            known = seen.setdefault(key, {})
            known[value] = max(known.get(value, ""), whole)  # one that is named, where a record names it
            holds.setdefault(key, []).append((entry.place, value))
    fit = sorted(key for key, values in seen.items() if len(values) >= 2)
    if not fit:
        raise ConfigError("it needs a log with two values of a user, program or address")
    key = work.one_of(fit)
    values = list(seen[key])
    seat = {value: at for at, value in enumerate(values)}
    n = max(1, round(len(holds[key]) * work.share(0.0, 0.3)))
    start = work.whole(0, len(holds[key]) - n)
    changed: dict[int, Entry] = {}
    for place, value in holds[key][start : start + n]:
        other = work.whole(0, len(values) - 2)
        other_value = values[other + (other >= seat[value])]
        changed[place] = rewritten(work.entries[place], key, seen[key][other_value])
    return Outcome(replaced(work.entries, changed))


def inject_decoys(work: Work) -> Outcome:
    """Copies of other records of the log stand at another moment, numbered as if the host had written them there."""
    lane = [work.entries[place] for place in work.log(4)]
    n = min(max(1, round(40 * work.share(0.02, 1.0))), len(lane) // 2)
    first = work.whole(0, len(lane) - n)
    target = work.whole(1, len(lane) - 1)
    donors = lane[first : first + n]
    base = lane[target - 1]
    made: list[tuple[int, Entry]] = []
    for donor in donors:
        # as far apart as they were, but from another moment on
        wanted = base.ts_ns + max(donor.ts_ns - donors[0].ts_ns, 0) + donor.grain_ns
        decoy = shifted(copied(donor), wanted - donor.ts_ns)
        after = next((entry for entry in lane[target:] if entry.ts_ns > decoy.ts_ns), None)
        made.append((len(work.entries) if after is None else after.place, decoy))
    entries = placed(work.entries, made)
    return Outcome(numbered_on(entries, base.log))
