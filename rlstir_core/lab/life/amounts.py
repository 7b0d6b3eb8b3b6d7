"""How much happens in an episode, by kind of event, whatever its label: numbers drawn, and what makes them up.

What does not belong here: which fillers run when (`episode.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rlstir_core.lab.hosts import Host
from rlstir_core.lab.life.language import life
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.life.play import Player, do_job
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Event
from rlstir_core.lab.machine.guest import Os, boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.signals import factor, stream

KINDS: dict[str, Callable[[Event], bool]] = {
    "process": lambda event: type(event) is ev.Started,
    "file": lambda event: type(event) is ev.OnFile,
    "network": lambda event: type(event) is ev.Connected and not event.inbound,
    "inbound": lambda event: type(event) is ev.Connected and event.inbound,
    "login": lambda event: type(event) is ev.LoggedOn,
    "memory": lambda event: type(event) in (ev.OnProcess, ev.Loaded, ev.OnPipe),
    "registry": lambda event: type(event) is ev.OnRegistry,
    "script": lambda event: type(event) is ev.RanScript,
    "system": lambda event: type(event) in (ev.OnService, ev.OnTask, ev.OnAccount, ev.Sudoed, ev.Wrote, ev.Cleared),
}
Counts = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class LifeKnobs:
    """How much happens in two minutes, by kind, and how far hosts and episodes differ in it (log deviations).

    The numbers stand well above what a story does, so that it disappears in them; higher ones cost time and space.
    `look_alike` is the chance of each of three look-alikes at hardness 0 and what hardness adds; `shy` is how many of
    an attack's steps the hardest attacker leaves out. Depth makes use of the rest: `deep` times as much happens, and of
    some kinds `deep_more`, a story keeps only `deep_steps` of its steps, and `deep_host` is how far hosts differ in
    what their people do.
    """

    linux: Counts
    windows: Counts
    deep_more: Counts
    host: float = 0.2
    episode: float = 0.3
    look_alike: tuple[float, float] = (0.2, 0.5)
    slots: int = 3
    shy: float = 0.3
    deep: float = 2.0
    deep_steps: float = 0.85
    deep_host: float = 0.6


KNOBS = LifeKnobs(
    deep_more={"login": 1.6, "registry": 1.2, "script": 2.2, "system": 1.3},
    linux={"process": 130, "file": 170, "network": 60, "inbound": 18, "login": 9, "memory": 4, "system": 34},
    windows={
        "process": 90,
        "file": 150,
        "network": 70,
        "inbound": 12,
        "login": 12,
        "memory": 80,
        "registry": 60,
        "script": 9,
        "system": 22,
    },
)


def counts(events: list[Event]) -> dict[str, float]:
    return {kind: float(sum(map(fits, events))) for kind, fits in KINDS.items()}


def quotas(host: Host, rng: np.random.Generator, duration_s: float, deep: bool) -> dict[str, float]:
    """How many events of each kind the episode shall have, whatever its label."""
    usual = KNOBS.linux if host.os == "linux" else KNOBS.windows
    habit = stream("life of", host.name)
    times = KNOBS.deep if deep else 1.0
    more = {kind: times * n for kind, n in KNOBS.deep_more.items()} if deep else {}
    return {
        kind: n * duration_s / 120 * factor(habit, KNOBS.host) * factor(rng, KNOBS.episode) * more.get(kind, times)
        for kind, n in sorted(usual.items())
    }


@functools.cache
def means_of(os: Os) -> dict[str, dict[str, float]]:
    """How many events of each kind one run of a habit or filler makes, on average over a few."""
    its_life = life(os)
    some = guest("any", os)
    start_ns = 10**18
    found: dict[str, dict[str, float]] = {}
    for name, job in (its_life.habits | its_life.fillers).items():
        totals: dict[str, float] = dict.fromkeys(KINDS, 0.0)
        for number in range(_TRIES):
            rng = stream("mean of", os, name, number)
            machine = Machine(some, boot(0, "mean", start_ns, 3600.0), rng)
            player = Player(Agenda(machine), its_life, 0.5)
            player.boot(rng)
            machine.now_ns, before = start_ns, len(machine.events)
            script = Script(iter(()))
            script.acts = do_job(player, job, script, Names(some, its_life.pools, job.names, rng), rng)
            player.agenda.add(start_ns, script)
            player.agenda.run(start_ns + 3600 * NS)
            for kind, n in counts(machine.events[before:]).items():
                totals[kind] += n / _TRIES
        found[name] = totals
    return found


_TRIES = 5


@dataclass(frozen=True)
class FillerChoice:
    title: str
    odds: float


@functools.cache
def by_kind(os: Os) -> dict[str, list[FillerChoice]]:
    """The fillers that mostly make one kind of event."""
    its_life, means = life(os), means_of(os)
    usual = KNOBS.linux if os == "linux" else KNOBS.windows
    found: dict[str, list[FillerChoice]] = {}
    for name, job in its_life.fillers.items():
        kind = max(usual, key=lambda each: means[name].get(each, 0.0) / usual[each])
        found.setdefault(kind, []).append(FillerChoice(name, job.odds))
    return found
