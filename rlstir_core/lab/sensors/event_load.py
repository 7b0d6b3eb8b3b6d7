"""What a guest's events cost the machine: the part of the telemetry that follows from the same events as the logs.

A log sees single acts (a program starts, a file is written, a connection opens); what flows between them in bulk is the
activity of the profile. What does not belong here: that activity (`activity.py`) and the sensors (`sources.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.lab.machine.events import Connected, Event, Exited, OnFile, Queried, Started
from rlstir_core.lab.sensors.activities import MB, RESOURCES, ROW, Activity, cost
from rlstir_core.lab.signals import STEP_S, grain

# What one event costs in all, bytes apart.
_PARTS: dict[type[Event], Activity] = {
    Started: Activity(
        user=0.004, sys=0.003, ipc=1.1, minflt=700, majflt=0.2, vctx=6, rchar=240e3, read=12e3, opens=14, execs=1
    ),
    Exited: Activity(user=0.0002, sys=0.0006, vctx=2),
    OnFile: Activity(user=0.0002, sys=0.0005, ipc=0.9, minflt=6, vctx=1.5, opens=1),
    Connected: Activity(user=0.0004, sys=0.0009, ipc=0.8, minflt=4, vctx=4, opens=1, flows=1),
    Queried: Activity(user=0.0001, sys=0.0003, vctx=2, rx=180, tx=70, flows=0.3),
}
_COSTS = {kind: cost(each) for kind, each in _PARTS.items()}
_OTHER = cost(Activity(user=0.0002, sys=0.0003, vctx=1, wchar=400, write=400))
_RSS = 6 * MB  # of one more process


def event_load(events: Sequence[Event], start_ns: int, n_steps: int) -> Floats:
    """(resources, steps) rates per second, and levels, that the events of a recording add to its activity."""
    rates = np.zeros((len(RESOURCES), n_steps))
    alive = np.zeros(n_steps + 1)
    begun = set()
    for event in events:
        at = min(int((event.t_ns - start_ns) / 1e9 / STEP_S), n_steps - 1)
        rates[:, at] += _COSTS.get(type(event), _OTHER) / STEP_S
        if type(event) is OnFile and event.n_bytes:
            _file(rates, event, at)
        elif type(event) is Connected:
            _flow(rates, event, at, n_steps)
        elif type(event) is Started:
            begun.add(id(event.who))
            alive[at] += 1
        elif type(event) is Exited:
            alive[at] -= 1
            alive[0] += id(event.who) not in begun  # it lived when the recording began
    level = np.cumsum(alive[:-1])
    for name, each in (("procs", 1.0), ("threads", 1.0), ("rss", _RSS)):
        rates[ROW[name]] += level * each
    return grain(rates)


def _file(rates: Floats, event: OnFile, at: int) -> None:
    per_s = event.n_bytes / STEP_S
    if event.op == "read":
        rates[ROW["rchar"], at] += per_s
        rates[ROW["read"], at] += 0.3 * per_s  # the rest was cached
    else:
        rates[ROW["wchar"], at] += per_s
        rates[ROW["write"], at] += per_s


def _flow(rates: Floats, event: Connected, at: int, n_steps: int) -> None:
    """The bytes of a connection, evenly over its time."""
    last = min(at + int(event.duration_ns / 1e9 / STEP_S), n_steps - 1)
    share = 1.0 / (last - at + 1) / STEP_S
    rates[ROW["tx"], at : last + 1] += event.sent * share
    rates[ROW["rx"], at : last + 1] += event.received * share
