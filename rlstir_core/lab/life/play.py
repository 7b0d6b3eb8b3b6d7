"""Carries out the language of `language.py` on a machine.

What does not belong here: the single verbs (`deeds.py`, `starts.py`), and which stories and jobs an episode has and
when (`episode.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.lab.life import deeds, starts
from rlstir_core.lab.life.draws import draw
from rlstir_core.lab.life.language import Job, Life, LifeAction, Step, Way
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.machine.agenda import NS, Acts, Agenda, Script
from rlstir_core.lab.machine.events import Account, GuestProcess, Session

FITS: Final = 40.0  # how much more often a trail is found with the scenarios that it goes with
_VERBS: dict[str, Callable[..., Acts]] = {
    **dict.fromkeys(("read", "write", "create", "delete", "chmod", "rename"), deeds.on_file),
    **dict.fromkeys(("access", "trace", "signal", "inject"), deeds.on_process),
    "registry": deeds.registry,
    "unregister": deeds.unregister,
    "load": deeds.load,
    "pipe": deeds.pipe,
    "script": deeds.script,
    "connect": deeds.connect,
    "accept": deeds.accept,
    "query": deeds.query,
    "service": deeds.service,
    "task": deeds.task,
    "account": deeds.account,
    "clear": deeds.clear,
    "say": deeds.say,
    "end": deeds.end,
    "wait": deeds.wait,
    "either": deeds.either,
    "run": starts.run,
    "sudo": starts.sudo,
    "cron": starts.cron,
    "session": starts.session,
    "attempt": starts.attempt,
}


@dataclass(frozen=True)
class Scope:
    """Who acts: a process, in the names of its story, on a thread of its own."""

    me: GuestProcess
    names: Names
    rng: np.random.Generator
    script: Script
    steps: list[str] | None = None  # the techniques so far, where actions that name one are steps of an attack
    scenario: str = ""  # of a trail: what it is told beside


class Player:
    """Plays actions on one machine. `kept` are processes by the names that actions call them."""

    def __init__(self, agenda: Agenda, life: Life, hardness: float) -> None:
        self.agenda, self.machine, self.life, self.hardness = agenda, agenda.machine, life, hardness
        self.kept: dict[str, GuestProcess] = {}
        self._builds: dict[str, str] = {}  # of programs that were written, by path

    def boot(self, rng: np.random.Generator) -> None:
        """Starts what runs since boot."""
        guest, machine = self.machine.guest, self.machine
        names = Names(guest, self.life.pools, {}, rng)
        for tree in self.life.boot:
            account = self.account(tree.as_, names)
            parent = self.kept.get(tree.parent)
            session = parent.session if parent else machine.system
            if tree.tty:
                session = Session(machine.new_session(), account, tty=tree.tty.removeprefix("console"))
            exe, argv = self.command(names.of(tree.run.replace("{home}", account.home)))
            machine.now_ns += int(rng.integers(20_000_000, 900_000_000))
            cwd = account.home if tree.tty else ""
            made = machine.start(parent, exe, argv, account=account, session=session, cwd=cwd, pid=tree.pid)
            self.kept[tree.name] = made

    def play(self, actions: tuple[LifeAction, ...], scope: Scope) -> Acts:
        """Carries out actions, one after the other."""
        for action in actions:
            rng = scope.rng
            if action.chance < 1.0 and float(rng.random()) >= action.chance:
                continue
            number = before = scope.script.step
            if action.technique and scope.steps is not None:
                number = len(scope.steps)
                scope.steps.append(action.technique)
            if action.also:
                script = Script(iter(()), number)
                # a stream of its own: what goes on beside it does not change its draws
                own = np.random.Generator(np.random.PCG64(int(rng.integers(2**62))))
                script.acts = self._repeat(action, replace(scope, script=script, rng=own))
                self.agenda.add(self.machine.now_ns + round(draw(own, action.every) * NS), script)
                continue
            if number != before:
                scope.script.step = self.machine.step = number
            yield from self._repeat(action, scope)
            if number != before:
                scope.script.step = self.machine.step = before

    def step(self, step: Step, number: int, scope: Scope) -> Acts:
        """One step of a story; `number` is written on every event of it, -1 for honest work."""
        scope.script.step = self.machine.step = number
        yield from self.play(self.way_of(step.way, scope.rng).do, scope)
        scope.script.step = self.machine.step = -1

    def way_of(self, ways: tuple[Way, ...], rng: np.random.Generator, scenario: str = "") -> Way:
        """One of the ways. The draws do not depend on the hardness: more of it only takes plain ways away."""
        blended, place = float(rng.random()) < self.hardness, float(rng.random())
        plain = tuple(way for way in ways if way.plain)
        others = tuple(way for way in ways if not way.plain)
        choice = (others or plain) if blended else (plain or others)
        return pick(choice, place, [way.odds * (FITS if scenario in way.goes_with else 1.0) for way in choice])

    def note(self, kind: Any, who: GuestProcess, **fields: Any) -> None:
        """Adds an event of `who` now."""
        machine = self.machine
        machine.note(kind(t_ns=machine.stamp(), who=who, step=machine.step, **fields))

    def actor(self, action: LifeAction, scope: Scope) -> GuestProcess:
        """Whoever does an action."""
        return self.named(action.by, scope)

    def named(self, name: str, scope: Scope) -> GuestProcess:
        """A process by the name it was kept under, if it lives; else whoever acts, or the next living parent.

        `implant|explorer` is the first of them that lives.
        """
        kept = (self.kept.get(each) for each in scope.names.of(name).split("|"))
        found = next((each for each in kept if each is not None and each.ended_ns < 0), scope.me)
        while found.ended_ns >= 0 and found.parent is not None:
            found = found.parent
        return found

    @property
    def manager(self) -> GuestProcess:
        """What starts and stops services."""
        return self.kept["services" if self.machine.guest.os == "windows" else "init"]

    def account(self, name: str, names: Names) -> Account:
        """An account by `user`, `admin`, `root`, the name of a service's or a person's, or one that is new."""
        guest = self.machine.guest
        if name == "user":
            return names.account
        if name == "admin":
            return guest.users[0]
        if name in ("root", "SYSTEM"):
            return guest.root
        if name in guest.services:
            return guest.services[name]
        asked = names.of(name)
        known = next((each for each in guest.users if each.name == asked), None)
        return known or deeds.made_up(asked, guest.os, guest.domain, guest.users[0])

    def build(self, path: str) -> str:
        """What tells the program at `path` from the system's own; empty for that one."""
        return self._builds.get(path, "")

    def written(self, path: str, rng: np.random.Generator) -> str:
        """A program of its own is written to `path`."""
        build = self._builds[path] = f"{int(rng.integers(2**62)):x}"
        return build

    def moved(self, path: str, to: str) -> None:
        """A file has another name."""
        if path in self._builds:
            self._builds[to] = self._builds.pop(path)

    def command(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Image and arguments of a command line."""
        images = self.life.images
        if self.machine.guest.os == "windows":
            first = text[1:].partition('"')[0] if text.startswith('"') else text.partition(" ")[0]
            image = first if "\\" in first else images.get(first.lower(), f"C:\\Windows\\System32\\{first}")
            return image, (text,)
        try:
            argv = tuple(shlex.split(text))
        except ValueError as error:
            raise ConfigError(f"the command {text!r} of the lab's life: {error}; close its quotes") from None
        first = argv[0].lstrip("-")
        if first in images or first.startswith("/"):
            return images.get(first, first), argv
        return f"/usr/bin/{first}", argv

    def _repeat(self, action: LifeAction, scope: Scope) -> Acts:
        low, high = action.times
        times = low if low == high else int(scope.rng.integers(low, high + 1))
        act = _VERBS[action.verb]
        for turn in range(times):
            if turn:
                yield draw(scope.rng, action.every)
            yield from act(self, action, scope)


def do_job(player: Player, job: Job, script: Script, names: Names, rng: np.random.Generator) -> Acts:
    """A piece of everyday life."""
    scope = Scope(player.kept["init"], names, rng, script)
    yield from player.play(player.way_of(job.way, rng).do, scope)


Chosen = TypeVar("Chosen")


def pick(choice: Sequence[Chosen], place: float, odds: Sequence[float]) -> Chosen:
    """One of `choice`, each as often as its odds say, at `place` in [0, 1)."""
    at = place * sum(odds)
    for one, its in zip(choice, odds, strict=True):
        at -= its
        if at < 0:
            return one
    return choice[-1]
