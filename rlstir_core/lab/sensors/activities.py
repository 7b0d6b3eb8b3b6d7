"""What one second of an activity costs a machine: the vocabulary that profiles, hosts and users share.

An attack and an honest job are made of the same activities; nothing here is malicious by itself. What does
not belong here: when and how strongly an activity runs (`profiles.py`, `hosts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from rlstir_core.arrays import Floats

MB = 1e6


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Resources per second at level 1: core-seconds, what the core counts, and what the system counts."""

    user: float = 0.0
    sys: float = 0.0
    ipc: float = 1.0  # instructions per cycle
    refs: float = 15.0  # cache references per 1000 instructions
    miss: float = 0.2  # cache misses per reference
    branch: float = 0.18  # branches per instruction
    mispredict: float = 0.03  # misses per branch
    minflt: float = 0.0
    majflt: float = 0.0
    vctx: float = 0.0
    nvctx: float = 0.0
    rchar: float = 0.0
    wchar: float = 0.0
    read: float = 0.0
    write: float = 0.0
    flush: float = 0.0
    rss: float = 0.0  # bytes held while it runs
    threads: float = 0.0
    flows: float = 0.0
    rx: float = 0.0
    tx: float = 0.0
    opens: float = 0.0
    execs: float = 0.0
    procs: float = 0.0


# The additive rates an activity adds to; the core's counters are in units of one core-second's cycles.
RESOURCES: tuple[str, ...] = (
    *("user", "sys", "cycles", "instructions", "cache_refs", "cache_misses", "branches", "branch_misses"),
    *("minflt", "majflt", "vctx", "nvctx", "rchar", "wchar", "read", "write", "flush"),
    *("rss", "threads", "flows", "rx", "tx", "opens", "execs", "procs"),
)
ROW = {name: row for row, name in enumerate(RESOURCES)}


def cost(activity: Activity) -> Floats:
    """(len(RESOURCES),) additive rates of `activity` at level 1."""
    known = {field.name: float(getattr(activity, field.name)) for field in fields(activity)}
    known["cycles"] = activity.user + activity.sys
    known["instructions"] = known["cycles"] * activity.ipc
    known["cache_refs"] = known["instructions"] * activity.refs / 1000.0
    known["cache_misses"] = known["cache_refs"] * activity.miss
    known["branches"] = known["instructions"] * activity.branch
    known["branch_misses"] = known["branches"] * activity.mispredict
    return np.array([known[name] for name in RESOURCES])


# fmt: off
ACTIVITIES: dict[str, Activity] = {
    # The machine with nobody at it.
    "idle": Activity(
        flush=0.4, user=0.02, sys=0.015, ipc=0.8, minflt=60, vctx=90, nvctx=4, rchar=60e3, wchar=25e3,
        read=8e3, write=20e3, rss=420 * MB, threads=24, flows=0.25, rx=3e3, tx=2e3, opens=6, execs=0.05,
        procs=110,
    ),
    # Ordinary use.
    "browse": Activity(
        flush=0.8, user=0.30, sys=0.08, ipc=1.2, refs=22, miss=0.22, branch=0.20, mispredict=0.035,
        minflt=900, majflt=4, vctx=800, nvctx=25, rchar=2 * MB, wchar=1.2 * MB, read=0.3 * MB, write=0.7 * MB,
        rss=180 * MB, threads=9, flows=1.6, rx=0.5 * MB, tx=60e3, opens=18, execs=0.1, procs=3,
    ),
    "build": Activity(
        flush=1.5, user=0.75, sys=0.18, ipc=1.5, refs=16, miss=0.18, branch=0.21, mispredict=0.04,
        minflt=4200, majflt=7, vctx=300, nvctx=85, rchar=7 * MB, wchar=4 * MB, read=1.5 * MB, write=3 * MB,
        rss=150 * MB, threads=3, flows=0.1, rx=5e3, tx=3e3, opens=130, execs=5, procs=5,
    ),
    "media": Activity(
        user=0.34, sys=0.05, ipc=1.9, refs=9, miss=0.25, branch=0.12, mispredict=0.01, minflt=260, vctx=310,
        nvctx=12, rchar=1.1 * MB, wchar=0.2 * MB, read=0.9 * MB, write=0.05 * MB, rss=120 * MB, threads=7,
        flows=0.15, rx=0.7 * MB, tx=25e3, opens=2, procs=1,
    ),
    "sync": Activity(
        flush=2, user=0.12, sys=0.16, ipc=0.9, refs=28, miss=0.32, branch=0.19, mispredict=0.03, minflt=220,
        majflt=1, vctx=650, nvctx=15, rchar=9 * MB, wchar=5 * MB, read=6 * MB, write=4 * MB, rss=40 * MB,
        threads=2, flows=0.8, rx=1.2 * MB, tx=1.4 * MB, opens=45, execs=0.2, procs=1,
    ),
    "game": Activity(
        user=0.9, sys=0.22, ipc=1.3, refs=24, miss=0.28, branch=0.17, mispredict=0.025, minflt=1800, majflt=2,
        vctx=1500, nvctx=60, rchar=3 * MB, wchar=0.3 * MB, read=2.4 * MB, write=0.2 * MB, flush=0.3,
        rss=500 * MB, threads=26, flows=0.5, rx=40e3, tx=22e3, opens=12, procs=2,
    ),
    "agents": Activity(  # updaters, indexers and launchers: mostly seen from inside the guest
        flush=4, user=0.01, sys=0.015, minflt=120, vctx=120, nvctx=1, rchar=60e3, wchar=20e3, write=15e3,
        rss=30 * MB, threads=2, flows=0.1, rx=8e3, tx=6e3, opens=70, execs=2, procs=2,
    ),
    # Chat, presence and clip journals: next to no CPU, but network, flushes and opens that only the hypervisor and the
    # guest's agent count. As a host's habit it covers the beacons and small writes that these two vantages would tell.
    "overlay": Activity(
        flush=20, user=0.01, sys=0.01, minflt=60, vctx=60, rchar=30e3, wchar=40e3, write=30e3, rss=90 * MB,
        threads=6, flows=0.3, rx=0.3 * MB, tx=0.2 * MB, opens=60, execs=1, procs=2,
    ),
    # Heavy work, honest or not.
    "crunch": Activity(
        user=1.0, sys=0.012, ipc=2.2, refs=3, miss=0.08, branch=0.11, mispredict=0.006, minflt=25, vctx=12,
        nvctx=70, rchar=4e3, wchar=3e3, rss=25 * MB, threads=2, procs=1,
    ),
    "pack": Activity(
        flush=0.6, user=0.55, sys=0.14, ipc=1.8, refs=12, miss=0.16, branch=0.10, mispredict=0.02, minflt=420,
        majflt=1, vctx=260, nvctx=45, rchar=30 * MB, wchar=26 * MB, read=16 * MB, write=20 * MB, rss=45 * MB,
        threads=2, opens=25, procs=1,
    ),
    "walk": Activity(
        user=0.12, sys=0.30, ipc=0.85, refs=26, miss=0.30, branch=0.20, mispredict=0.042, minflt=180,
        majflt=3, vctx=800, nvctx=18, rchar=8 * MB, wchar=0.1 * MB, read=6 * MB, write=0.08 * MB, rss=18 * MB,
        threads=1, opens=340, procs=1,
    ),
    "churn": Activity(
        user=0.42, sys=0.22, ipc=0.7, refs=55, miss=0.48, branch=0.15, mispredict=0.012, minflt=9000,
        majflt=6, vctx=60, nvctx=55, rchar=30e3, wchar=10e3, rss=380 * MB, threads=3, procs=1,
    ),
    "unpack": Activity(
        flush=2, user=0.34, sys=0.16, ipc=1.4, refs=18, miss=0.2, branch=0.2, mispredict=0.05, minflt=3000,
        majflt=9, vctx=190, nvctx=35, rchar=5 * MB, wchar=9 * MB, read=2.5 * MB, write=8 * MB, rss=70 * MB,
        threads=2, opens=45, execs=3, procs=3,
    ),
    "scan": Activity(
        user=0.10, sys=0.28, ipc=0.75, refs=24, miss=0.28, branch=0.21, mispredict=0.04, minflt=70, vctx=1300,
        nvctx=12, rchar=60e3, wchar=50e3, rss=15 * MB, threads=8, flows=7, rx=25e3, tx=60e3, opens=8, procs=1,
    ),
    "send": Activity(
        flush=0.1, user=0.16, sys=0.24, ipc=1.0, refs=30, miss=0.34, branch=0.17, mispredict=0.022,
        minflt=140, majflt=1, vctx=950, nvctx=20, rchar=11 * MB, wchar=0.3 * MB, read=7 * MB, write=0.1 * MB,
        rss=30 * MB, threads=3, flows=0.9, rx=0.15 * MB, tx=5 * MB, opens=12, procs=1,
    ),
    # Little work at telling moments.
    "poll": Activity(
        user=0.02, sys=0.03, ipc=0.6, refs=32, miss=0.36, branch=0.22, mispredict=0.06, minflt=90, vctx=150,
        nvctx=2, rchar=90e3, wchar=6e3, read=4e3, rss=35 * MB, threads=2, flows=0.25, rx=2e3, tx=2e3,
        opens=14, execs=0.1, procs=1,
    ),
    "beacon": Activity(
        user=0.012, sys=0.02, ipc=0.7, refs=26, miss=0.3, branch=0.2, mispredict=0.05, minflt=30, vctx=80,
        nvctx=1, rchar=12e3, wchar=9e3, write=4e3, rss=12 * MB, threads=1, flows=0.45, rx=2e3, tx=7e3,
        opens=2, procs=1,
    ),
    "stash": Activity(  # small synchronous writes: journals, drop files, checkpoints
        flush=9, user=0.03, sys=0.06, ipc=0.9, refs=20, miss=0.25, branch=0.19, mispredict=0.03, minflt=160,
        vctx=210, nvctx=3, rchar=0.2 * MB, wchar=1.6 * MB, write=2.2 * MB, rss=10 * MB, threads=1, opens=9,
        procs=1,
    ),
}
# fmt: on
COSTS: dict[str, Floats] = {name: cost(activity) for name, activity in ACTIVITIES.items()}
