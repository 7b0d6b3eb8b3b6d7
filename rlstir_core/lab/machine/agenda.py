"""Who acts when: scripts that pause, woken in the order of time on one machine.

A script is a generator that acts on the machine and yields the seconds until it goes on. What does not belong here:
what scripts do (`life/play.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from rlstir_core.lab.machine.machine import Machine

NS = 1_000_000_000
Acts = Iterator[float]  # what a script yields: seconds until it goes on


@dataclass
class Script:
    """One thread of action; `step` is the attack action it carries out, -1 for none."""

    acts: Acts
    step: int = -1


@dataclass
class Agenda:
    """The scripts that wait, by when they go on; equal times in the order in which they were added."""

    machine: Machine
    _waiting: list[tuple[int, int, Script]] = field(default_factory=list)
    _n: int = 0

    def add(self, at_ns: int, script: Script) -> None:
        """`script` goes on at `at_ns`."""
        self._n += 1
        heapq.heappush(self._waiting, (at_ns, self._n, script))

    def run(self, until_ns: int) -> None:
        """Lets everything happen that is due before `until_ns`; what is under way then stays so."""
        machine = self.machine
        while self._waiting and self._waiting[0][0] < until_ns:
            at_ns, _, script = heapq.heappop(self._waiting)
            machine.now_ns = max(machine.now_ns, at_ns)
            if machine.now_ns >= until_ns:
                return
            machine.step = script.step
            wait_s = next(script.acts, None)
            machine.step = -1
            if wait_s is not None:
                self.add(machine.now_ns + round(wait_s * NS), script)
