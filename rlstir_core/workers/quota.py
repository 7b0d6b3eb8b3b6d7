"""How many cores this process may use: those it may run on, and no more than the quota of its container.

What does not belong here: how many processes are started (`spread.py`).
"""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def cores() -> int:
    """The cores that this process may use."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        n = os.cpu_count() or 1
    return max(1, math.ceil(min(n, quota(_GROUPS, _MOUNTED))))


def quota(groups: Path, mounted: Path) -> float:
    """The cores that the control groups of a process leave it (cgroups(7), both versions); infinite without a limit."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    found = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        roots = (mounted / "cpu", mounted / controllers) if controllers else (mounted,)
        # within a container the path may be one outside of it; then the root is the container's own
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            for root in roots:
                allowed = _cores_v1 if controllers else _cores_v2
                found = min(found, allowed(root / folder.relative_to("/")))
    return found


def _cores_v1(folder: Path) -> float:
    try:
        allowed, of = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    except (OSError, ValueError):
        return math.inf
    return allowed / of if allowed > 0 and of > 0 else math.inf


def _cores_v2(folder: Path) -> float:
    try:
        allowed, of = map(int, (folder / "cpu.max").read_text().split())
    except (OSError, ValueError):  # "max 100000" where nothing is limited
        return math.inf
    return allowed / of if allowed > 0 and of > 0 else math.inf
