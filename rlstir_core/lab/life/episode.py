"""What happens on the guest during one episode: a story, the life around it, and the truth about both.

A scenario or a duty runs through the phases of the episode's story; habits, look-alikes and fillers run beside it.
Fillers make up the numbers: how many processes, files, connections and logins an episode has is drawn before anyone
looks at the label, and the life around a busy story is quieter by as much. What does not belong here: single verbs
(`play.py`), logs (`writers/`), sensors (`sensors/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.truth import TechniqueSpan
from rlstir_core.lab.hosts import Host
from rlstir_core.lab.life.amounts import KNOBS, Counts, FillerChoice, by_kind, counts, means_of, quotas
from rlstir_core.lab.life.language import Job, Life, Step, Story, life
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.life.play import Player, Scope, do_job, pick
from rlstir_core.lab.life.trails import TrailPlan, declared, plan_trails
from rlstir_core.lab.life.truth import exact_spans, spans
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Event, GuestProcess
from rlstir_core.lab.machine.guest import Boot, Guest, boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.sensors.profiles import STAGES
from rlstir_core.lab.signals import factor, stream
from rlstir_core.lab.story import Circle

LEAD_S = 6.0  # before the recording, so that it begins in the middle of things


@dataclass(frozen=True, kw_only=True)
class EpisodeTrace:
    """What happened: `events` of the recording in the order of time, and `living`, what ran when it began.

    `techniques` is the truth; `story`, `look_alikes` and `trails` say what the lab played.
    """

    guest: Guest
    boot: Boot
    events: list[Event]
    living: list[GuestProcess]
    techniques: tuple[TechniqueSpan, ...]
    story: str
    look_alikes: tuple[str, ...]
    trails: tuple[TrailPlan, ...] = ()


def simulate(
    seed: int,
    episode: str,
    host: Host,
    profile: str,
    *,
    benign: bool,
    start_ns: int,
    circle: Circle,
    hardness: float,
    deep: bool = False,
) -> EpisodeTrace:
    """Plays one episode; it depends on its arguments alone. `deep` ones have trails (`trails.py`)."""
    its_guest = guest(host.name, host.os)
    its_boot = boot(seed, episode, start_ns, circle.duration_s)
    its_life = life(host.os)
    rng = stream(seed, episode, "life")
    choice = float(rng.random())
    name, story = _chosen(its_life, profile, benign, choice)
    cast = _Cast(seed, episode, its_guest, its_boot, its_life, hardness, circle, deep)
    trails: list[TrailPlan] = []
    if deep:
        scenario, _ = _chosen(its_life, profile, False, choice)
        trails = plan_trails(its_life.trails, scenario, benign, circle, stream(seed, episode, "trails"))

    alone, steps = cast.fresh()
    steps = cast.add_story(alone, story, benign)
    cast.add_trails(alone, trails, steps)
    alone.agenda.run(its_boot.end_ns)
    told = counts(cast.recorded(alone.machine.events))

    player, _ = cast.fresh()
    steps = cast.add_story(player, story, benign)
    cast.add_trails(player, trails, steps)
    seen = tuple(
        name
        for slot, name in enumerate(str(each) for each in rng.permutation(sorted(its_life.look_alikes))[: KNOBS.slots])
        if cast.add_look_alike(player, name, slot)
    )
    if story.look_alike:
        seen = (name, *seen)
    cast.add_habits(player)
    cast.add_fillers(player, told, quotas(host, rng, circle.duration_s, deep))
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
        techniques=exact_spans(events, steps, _askers(player)) if deep else spans(events, steps),
        story=name,
        look_alikes=seen,
        trails=tuple(trails),
    )


def _askers(player: Player) -> list[int]:
    """Who asks for logons at the desk and for services, on Windows."""
    return [player.kept[name].pid for name in ("winlogon", "services") if name in player.kept]


class _Cast:
    """Everyone who acts in one episode, each from a stream of his own."""

    def __init__(
        self,
        seed: int,
        episode: str,
        its_guest: Guest,
        its_boot: Boot,
        its_life: Life,
        hardness: float,
        circle: Circle,
        deep: bool,
    ) -> None:
        self._seed, self._episode = seed, episode
        self._guest, self._boot, self._life = its_guest, its_boot, its_life
        self._hardness, self._circle, self._deep = hardness, circle, deep

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

    def add_trails(self, player: Player, trails: list[TrailPlan], steps: list[str]) -> None:
        """The trails; an attack's add their techniques to `steps`."""
        for number, plan in enumerate(trails):
            trail, rng = self._life.trails[plan.name], self._stream("trail", number)
            script = Script(iter(()))
            names = Names(self._guest, self._life.pools, declared(trail, plan.odd), rng)
            scope = Scope(player.kept["init"], names, rng, script, steps if plan.attack else None, plan.scenario)
            script.acts = player.play(player.way_of(trail.way, rng).do, scope)
            player.agenda.add(self._boot.start_ns + round(plan.at_s * NS), script)

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

    def add_fillers(self, player: Player, told: Counts, shall: Counts) -> None:
        """Everyday work until each kind of event is about as frequent as was drawn for this episode."""
        rng = self._stream("fillers")
        means = means_of(self._guest.os)
        per_minute = self._circle.duration_s / 60
        owed = dict(shall)
        for kind in owed:
            owed[kind] -= told.get(kind, 0.0)
            owed[kind] -= sum(
                job.per_minute * per_minute * means[name].get(kind, 0.0) for name, job in self._life.habits.items()
            )
        fillers = self._favoured(by_kind(self._guest.os))
        number = 0
        while True:
            kind = max(owed, key=lambda each: owed[each] / shall[each])
            place, at = float(rng.random()), float(rng.random())
            choice = fillers.get(kind)
            if owed[kind] <= 0.5 or not choice:
                if owed[kind] <= 0.5:
                    return
                owed[kind] = 0.0
                continue
            name = pick(choice, place, [each.odds for each in choice]).title
            number += 1
            length_s = self._circle.duration_s + LEAD_S
            self._add_job(player, self._life.fillers[name], at * length_s - LEAD_S, self._stream("filler", number))
            for each, mean in means[name].items():
                if each in owed:
                    owed[each] -= mean

    def _favoured(self, fillers: dict[str, list[FillerChoice]]) -> dict[str, list[FillerChoice]]:
        """The fillers, and in depth how often this host's people turn to each."""
        if not self._deep:
            return fillers
        habit = stream("favours of", self._guest.name)
        return {
            kind: [FillerChoice(each.title, each.odds * factor(habit, KNOBS.deep_host)) for each in choice]
            for kind, choice in sorted(fillers.items())
        }

    def _add_job(self, player: Player, job: Job, at_s: float, rng: np.random.Generator) -> None:
        script = Script(iter(()))
        names = Names(self._guest, self._life.pools, job.names, rng)
        script.acts = do_job(player, job, script, names, rng)
        player.agenda.add(self._boot.start_ns + round(at_s * NS), script)

    def _tell(self, player: Player, story: Story, scope: Scope, steps: list[str], shy: float) -> Iterator[float]:
        machine = player.machine
        for begin_s, end_s, stage in self._circle.stretches():
            due_ns = self._boot.start_ns + round(begin_s * NS)
            if stage == 0:
                yield from _leave(player, story)
            for step in _in_order(story.step, STAGES[stage], scope.rng):
                kept = KNOBS.deep_steps if self._deep else 1.0
                skipped = float(scope.rng.random()) >= step.chance * (1 - shy) * kept
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
