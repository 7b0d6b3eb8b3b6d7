"""The truth about an attack: when each of its steps ran, and of which processes the rows are that it left.

What does not belong here: the form that an episode carries it in (`hostlogs/attack/truth.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.hostlogs.attack.truth import TechniqueSpan
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.events import Event

LATE_NS: Final = 2_000_000  # some records of an event are written later than the event is
_NS, _MS = 1_000_000_000, 1_000_000
NO_PROCESS: Final = -1  # of rows that name none, as in the table of log rows
_NOBODYS = (ev.LoggedOn, ev.LoggedOff, ev.OnService, ev.OnTask, ev.OnAccount, ev.Cleared, ev.Wrote)


def spans(events: Sequence[Event], steps: Sequence[str]) -> tuple[TechniqueSpan, ...]:
    """Each step that left events, from the whole second of its first one (logs round down) to its last."""
    return tuple(
        _span(steps[number], its[0].t_ns // _NS * _NS, its[-1].t_ns, {event.who.pid for event in its})
        for number, its in _by_step(events)
    )


def exact_spans(events: Sequence[Event], steps: Sequence[str], askers: Iterable[int]) -> tuple[TechniqueSpan, ...]:
    """The same, but of processes that a step did not start only the moments in which they acted for it.

    So a service that honest people use as well is not the attack's for as long as a step lasts, and rows that name
    another process or none (a logon over the network, a new account) are the attack's where it made them. `askers`
    are the processes that logons are said to come from.
    """
    found: list[TechniqueSpan] = []
    lent = {0, NO_PROCESS, *askers}
    for number, its in _by_step(events):
        own = {event.who.pid for event in its if type(event) is ev.Started}
        theirs = [event for event in its if event.who.pid in own]
        if theirs:
            found.append(_span(steps[number], theirs[0].t_ns // _NS * _NS, theirs[-1].t_ns, own))
        for event in its:
            more: set[int] = set()
            if type(event) is ev.LoggedOn:
                more = lent
            elif isinstance(event, _NOBODYS):
                more = {NO_PROCESS}
            if event.who.pid not in own or more:
                found.append(_span(steps[number], event.t_ns // _MS * _MS, event.t_ns, {event.who.pid, *more} - own))
    return tuple(sorted(found, key=lambda span: span.t_start_wall_ns))


def _by_step(events: Sequence[Event]) -> list[tuple[int, list[Event]]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        if event.step >= 0:
            found.setdefault(event.step, []).append(event)
    return sorted(found.items())


def _span(technique: str, start_ns: int, end_ns: int, pids: Iterable[int]) -> TechniqueSpan:
    return TechniqueSpan(
        technique=technique,
        tactic=techniques()[technique].tactics[0],
        t_start_wall_ns=start_ns,
        t_end_wall_ns=end_ns + LATE_NS,
        pids=tuple(sorted(pids)),
    )
