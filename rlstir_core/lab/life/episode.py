"""What happens on the guest during one episode: a story, the life around it, and the truth about both.

A scenario or a duty runs through the phases of the episode's story; habits, look-alikes and fillers run beside it.
Fillers make up the numbers: how many processes, files, connections and logins an episode has is drawn before anyone
looks at the label, and the life around a busy story is quieter by as much. What does not belong here: single verbs
(`play.py`), logs (`writers/`), sensors (`sensors/`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.hostlogs.attack.truth import TechniqueSpan
from rlstir_core.lab.hosts import Host
from rlstir_core.lab.life.language import Job, Life, Step, Story, life
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.life.play import Player, Scope, pick
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Event, GuestProcess
from rlstir_core.lab.machine.guest import Boot, Guest, Os, boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.sensors.profiles import STAGES
from rlstir_core.lab.signals import factor, stream
from rlstir_core.lab.story import Circle

LATE_NS = 2_000_000  # some records of an event are written later than the event is
LEAD_S = 6.0  # before the recording, so that it begins in the middle of things
_KINDS: dict[str, Callable[[Event], bool]] = {
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
    an attack's steps the hardest attacker leaves out.
    """

    linux: Counts
    windows: Counts
    host: float = 0.2
    episode: float = 0.3
    look_alike: tuple[float, float] = (0.2, 0.5)
    slots: int = 3
    shy: float = 0.3


KNOBS = LifeKnobs(
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


@dataclass(frozen=True, kw_only=True)
class EpisodeTrace:
    """What happened: `events` of the recording in the order of time, and `living`, what ran when it began.

    `techniques` is the truth; `story` and `look_alikes` say what the lab played.
    """

    guest: Guest
    boot: Boot
    events: list[Event]
    living: list[GuestProcess]
    techniques: tuple[TechniqueSpan, ...]
    story: str
    look_alikes: tuple[str, ...]


def simulate(
    seed: int, episode: str, host: Host, profile: str, *, benign: bool, start_ns: int, circle: Circle, hardness: float
) -> EpisodeTrace:
    """Plays one episode; it depends on its arguments alone."""
    its_guest = guest(host.name, host.os)
    its_boot = boot(seed, episode, start_ns, circle.duration_s)
    its_life = life(host.os)
    rng = stream(seed, episode, "life")
    name, story = _chosen(its_life, profile, benign, float(rng.random()))
    cast = _Cast(seed, episode, its_guest, its_boot, its_life, hardness, circle)

    alone, steps = cast.fresh()
    steps = cast.add_story(alone, story, benign)
    alone.agenda.run(its_boot.end_ns)
    told = _counts(cast.recorded(alone.machine.events))

    player, _ = cast.fresh()
    cast.add_story(player, story, benign)
    seen = tuple(
        name
        for slot, name in enumerate(str(each) for each in rng.permutation(sorted(its_life.look_alikes))[: KNOBS.slots])
        if cast.add_look_alike(player, name, slot)
    )
    if story.look_alike:
        seen = (name, *seen)
    cast.add_habits(player)
    cast.add_fillers(player, told, _quotas(host, rng, circle.duration_s))
    player.agenda.run(its_boot.end_ns)
    events = cast.recorded(player.machine.events)
    began = {id(event.who) for event in events if type(event) is ev.Started}
    living = {id(event.who): event.who for event in player.machine.events if type(event) is ev.Started}
    return EpisodeTrace(
        guest=its_guest,
        boot=its_boot,
        events=events,
        living=[
            who
            for key, who in living.items()
            if key not in began and who.started_ns < start_ns and not 0 <= who.ended_ns < start_ns
        ],
        techniques=_techniques(events, steps),
        story=name,
        look_alikes=seen,
    )


class _Cast:
    """Everyone who acts in one episode, each from a stream of his own."""

    def __init__(
        self, seed: int, episode: str, its_guest: Guest, its_boot: Boot, its_life: Life, hardness: float, circle: Circle
    ) -> None:
        self._seed, self._episode = seed, episode
        self._guest, self._boot, self._life = its_guest, its_boot, its_life
        self._hardness, self._circle = hardness, circle

    def fresh(self) -> tuple[Player, list[str]]:
        """A machine that has just booted, and nothing on its agenda."""
        machine = Machine(self._guest, self._boot, self._stream("machine"))
        player = Player(Agenda(machine), self._life, self._hardness)
        player.boot(self._stream("boot"))
        machine.now_ns = self._boot.start_ns - round((self._circle.offset_s + LEAD_S) * NS)
        return player, []

    def recorded(self, events: list[Event]) -> list[Event]:
        """What happened while the recording ran."""
        return [event for event in events if self._boot.start_ns <= event.t_ns < self._boot.end_ns]

    def add_story(self, player: Player, story: Story, benign: bool) -> list[str]:
        """The story, from the beginning of the lap that the recording falls into; gives the technique of each step."""
        steps: list[str] = []
        script = Script(iter(()))
        rng = self._stream("story")
        names = Names(self._guest, self._life.pools, story.names, rng)
        scope = Scope(player.kept["init"], names, rng, script)
        script.acts = self._tell(player, story, scope, steps, shy=0.0 if benign else KNOBS.shy * self._hardness)
        player.agenda.add(self._boot.start_ns - round(self._circle.offset_s * NS), script)
        return steps

    def add_look_alike(self, player: Player, name: str, slot: int) -> bool:
        """Whether the look-alike happens in this episode; the harder, the more do."""
        rng = self._stream("look-alike", slot)
        base, more = KNOBS.look_alike
        happens = float(rng.random()) < base + more * self._hardness
        at_s = float(rng.random()) * self._circle.duration_s * 0.85
        if happens:
            self._add_job(player, self._life.look_alikes[name], at_s, rng)
        return happens

    def add_habits(self, player: Player) -> None:
        """What happens on every host anyway, as often as its rate says."""
        for name, job in self._life.habits.items():
            rng = self._stream("habit", name)
            length_s = self._circle.duration_s + LEAD_S
            for number in range(int(rng.poisson(job.per_minute * length_s / 60))):
                own = self._stream("habit", name, number)
                self._add_job(player, job, float(rng.random()) * length_s - LEAD_S, own)

    def add_fillers(self, player: Player, told: Counts, quotas: Counts) -> None:
        """Everyday work until each kind of event is about as frequent as was drawn for this episode."""
        rng = self._stream("fillers")
        means = _means(self._guest.os)
        per_minute = self._circle.duration_s / 60
        owed = dict(quotas)
        for kind in owed:
            owed[kind] -= told.get(kind, 0.0)
            owed[kind] -= sum(
                job.per_minute * per_minute * means[name].get(kind, 0.0) for name, job in self._life.habits.items()
            )
        by_kind = _by_kind(self._guest.os)
        number = 0
        while True:
            kind = max(owed, key=lambda each: owed[each] / quotas[each])
            place, at = float(rng.random()), float(rng.random())
            choice = by_kind.get(kind)
            if owed[kind] <= 0.5 or not choice:
                if owed[kind] <= 0.5:
                    return
                owed[kind] = 0.0
                continue
            name = pick(choice, place).title
            number += 1
            length_s = self._circle.duration_s + LEAD_S
            self._add_job(player, self._life.fillers[name], at * length_s - LEAD_S, self._stream("filler", number))
            for each, mean in means[name].items():
                if each in owed:
                    owed[each] -= mean

    def _add_job(self, player: Player, job: Job, at_s: float, rng: np.random.Generator) -> None:
        script = Script(iter(()))
        names = Names(self._guest, self._life.pools, job.names, rng)
        script.acts = _do_job(player, job, script, names, rng)
        player.agenda.add(self._boot.start_ns + round(at_s * NS), script)

    def _tell(self, player: Player, story: Story, scope: Scope, steps: list[str], shy: float) -> Iterator[float]:
        machine = player.machine
        for begin_s, end_s, stage in self._circle.stretches():
            due_ns = self._boot.start_ns + round(begin_s * NS)
            if stage == 0:
                yield from _leave(player, story)
            for step in _in_order(story.step, STAGES[stage], scope.rng):
                skipped = float(scope.rng.random()) >= step.chance * (1 - shy)
                wait_share = float(scope.rng.random())
                if skipped:
                    continue
                left_s = (self._boot.start_ns - machine.now_ns) / NS + end_s
                ahead_s = max(0.0, (due_ns - machine.now_ns) / NS)
                pause_s = ahead_s + 0.35 * wait_share * max(0.0, left_s - ahead_s)
                if left_s < 1.0:
                    break
                yield round(pause_s, 6)
                steps.append(step.technique)
                yield from player.step(step, len(steps) - 1 if step.technique else -1, scope)
            rest_s = (self._boot.start_ns - machine.now_ns) / NS + end_s
            if rest_s > 0:
                yield round(rest_s, 6)

    def _stream(self, *names: object) -> np.random.Generator:
        return stream(self._seed, self._episode, "life", *names)


def _do_job(player: Player, job: Job, script: Script, names: Names, rng: np.random.Generator) -> Iterator[float]:
    scope = Scope(player.kept["init"], names, rng, script)
    yield from player.play(player.way_of(job.way, rng).do, scope)


def _leave(player: Player, story: Story) -> Iterator[float]:
    """A new lap begins with a clean machine: what the story kept running is gone."""
    at_boot = {tree.name for tree in player.life.boot}
    for name in [each for each in player.kept if each not in at_boot]:
        player.machine.end(player.kept.pop(name))
        yield 0.05


def _chosen(its_life: Life, profile: str, benign: bool, place: float) -> tuple[str, Story]:
    stories = its_life.duties if benign else its_life.attacks
    fitting = [name for name, story in stories.items() if profile in story.profiles]
    if not fitting:
        kind = "duty" if benign else "attack"
        raise ConfigError(f"no {kind} goes with the profile {profile!r}; name it in the `profiles` of one")
    name = fitting[min(int(place * len(fitting)), len(fitting) - 1)]
    return name, stories[name]


def _in_order(steps: tuple[Step, ...], phase: str, rng: np.random.Generator) -> list[Step]:
    """The steps of a phase; those of one order are shuffled."""
    here = [step for step in steps if step.phase == phase]
    shuffled = [here[at] for at in rng.permutation(len(here))]
    return sorted(shuffled, key=lambda step: step.order)


def _techniques(events: list[Event], steps: list[str]) -> tuple[TechniqueSpan, ...]:
    """Each step that left events, from the whole second of its first one (logs round down) to its last."""
    found: dict[int, list[Event]] = {}
    for event in events:
        if event.step >= 0:
            found.setdefault(event.step, []).append(event)
    return tuple(
        TechniqueSpan(
            technique=steps[number],
            tactic=techniques()[steps[number]].tactics[0],
            t_start_wall_ns=its[0].t_ns // NS * NS,
            t_end_wall_ns=its[-1].t_ns + LATE_NS,
            pids=tuple(sorted({event.who.pid for event in its})),
        )
        for number, its in sorted(found.items())
    )


def _counts(events: list[Event]) -> dict[str, float]:
    return {kind: float(sum(map(fits, events))) for kind, fits in _KINDS.items()}


def _quotas(host: Host, rng: np.random.Generator, duration_s: float) -> dict[str, float]:
    """How many events of each kind the episode shall have, whatever its label."""
    usual = KNOBS.linux if host.os == "linux" else KNOBS.windows
    habit = stream("life of", host.name)
    return {
        kind: n * duration_s / 120 * factor(habit, KNOBS.host) * factor(rng, KNOBS.episode)
        for kind, n in sorted(usual.items())
    }


@functools.cache
def _means(os: Os) -> dict[str, dict[str, float]]:
    """How many events of each kind one run of a habit or filler makes, on average over a few."""
    its_life = life(os)
    some = guest("any", os)
    start_ns = 10**18
    found: dict[str, dict[str, float]] = {}
    for name, job in (its_life.habits | its_life.fillers).items():
        totals: dict[str, float] = dict.fromkeys(_KINDS, 0.0)
        for number in range(_TRIES):
            rng = stream("mean of", os, name, number)
            machine = Machine(some, boot(0, "mean", start_ns, 3600.0), rng)
            player = Player(Agenda(machine), its_life, 0.5)
            player.boot(rng)
            machine.now_ns, before = start_ns, len(machine.events)
            script = Script(iter(()))
            script.acts = _do_job(player, job, script, Names(some, its_life.pools, job.names, rng), rng)
            player.agenda.add(start_ns, script)
            player.agenda.run(start_ns + 3600 * NS)
            for kind, n in _counts(machine.events[before:]).items():
                totals[kind] += n / _TRIES
        found[name] = totals
    return found


_TRIES = 5


@dataclass(frozen=True)
class _Choice:
    title: str
    odds: float


@functools.cache
def _by_kind(os: Os) -> dict[str, list[_Choice]]:
    """The fillers that mostly make one kind of event."""
    its_life, means = life(os), _means(os)
    usual = KNOBS.linux if os == "linux" else KNOBS.windows
    found: dict[str, list[_Choice]] = {}
    for name, job in its_life.fillers.items():
        kind = max(usual, key=lambda each: means[name].get(each, 0.0) / usual[each])
        found.setdefault(kind, []).append(_Choice(name, job.odds))
    return found
