"""The life of a Windows guest: it loads, refers only to what exists, plays to its end, and keeps its balance."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pytest

from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.lab.hosts import host
from rlstir_core.lab.life.amounts import KNOBS, by_kind, counts, means_of
from rlstir_core.lab.life.episode import EpisodeTrace, simulate
from rlstir_core.lab.life.language import Job, LifeAction, Story, Way, life
from rlstir_core.lab.life.names import _MAKERS, Names
from rlstir_core.lab.life.play import Player, Scope
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Event, Started
from rlstir_core.lab.machine.guest import boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.sensors.profiles import BY_NAME
from rlstir_core.lab.signals import stream
from rlstir_core.lab.story import tell

LIFE = life("windows")
ALL: Mapping[str, Job | Story] = {
    f"{kind} {name}": each
    for kind in ("attacks", "duties", "habits", "fillers", "look_alikes")
    for name, each in getattr(LIFE, kind).items()
}
SCENARIOS = {
    *("phishing", "brute_force", "miner", "ransomware", "lateral_movement", "persistence", "credential_dumping"),
    *("exfiltration", "web_shell", "supply_chain"),
}
FIXED = {"user", "home", "admin", "adminhome", "host", "ip", "gateway", "domain", "kernel", "sid", "adminsid"}
START_NS = 1_750_000_000 * NS
_NAME = re.compile(r"\{(\w+)\}")


def _all(actions: Iterable[LifeAction]) -> Iterator[LifeAction]:
    for action in actions:
        yield action
        yield from _all(action.does)


def _ways(each: Job | Story) -> list[Way]:
    return [way for step in each.step for way in step.way] if isinstance(each, Story) else list(each.way)


def _texts(action: LifeAction) -> list[str]:
    direct = getattr(action, action.verb)
    others = [action.to, action.from_, action.text, action.exe, action.as_, action.group, *action.fields.values()]
    return [*others, direct] if isinstance(direct, str) else others


def test_all_of_it_loads_and_is_as_much_as_it_should_be() -> None:
    assert set(LIFE.attacks) == SCENARIOS
    assert 18 <= len(LIFE.boot) <= 26
    assert len(LIFE.duties) >= 12 and sum(story.look_alike for story in LIFE.duties.values()) >= 8
    assert 10 <= len(LIFE.look_alikes) <= 14 and 8 <= len(LIFE.habits) <= 14 and 25 <= len(LIFE.fillers) <= 40
    for profile in BY_NAME:
        attacks, duties = (
            sum(profile in story.profiles for story in stories.values()) for stories in (LIFE.attacks, LIFE.duties)
        )
        assert 4 <= attacks <= 6 and abs(attacks - duties) <= 1, profile


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_name_and_process_that_a_text_refers_to_exists(name: str) -> None:
    each = ALL[name]
    ways = _ways(each)
    actions = [action for way in ways for action in _all(way.do)]
    since_boot = {tree.name for tree in LIFE.boot}
    kept = since_boot | {action.keep for action in actions}
    for action in actions:
        for names in (action.by, action.under):
            assert set(names.split("|")) - {""} <= kept
            # where the step that keeps a process is left out, another one stands in
            assert not names or names.split("|")[-1] in since_boot
        at = (action.access, action.trace, action.signal, action.inject, action.end)
        assert {other for other in at if other} <= kept
    todo = [text for action in actions for text in _texts(action)]
    todo += [text for told in each.names.values() for text in told]
    known, seen = FIXED | set(_MAKERS) | set(each.names), set[str]()
    while todo:
        for used in set(_NAME.findall(todo.pop())) - known - seen:
            seen.add(used)
            todo += LIFE.pools[used]


def test_every_step_of_an_attack_has_a_pinned_technique_and_a_way_that_blends_in() -> None:
    for name, story in LIFE.attacks.items():
        assert 9 <= len(story.step) <= 14, name
        assert 2 <= len(story.profiles) <= 4, name
        for step in story.step:
            assert step.technique in techniques()
            assert 2 <= len(step.way) <= 4 and not all(way.plain for way in step.way), (name, step.technique)
    assert not any(step.technique for story in LIFE.duties.values() for step in story.step)


def _play(name: str, way: Way, seed: int) -> list[Event]:
    some = guest("k-gamingcom", "windows")
    rng = stream("windows life", name, seed)
    machine = Machine(some, boot(seed, name, START_NS, 120.0), rng)
    player = Player(Agenda(machine), LIFE, 0.5)
    player.boot(rng)
    machine.now_ns, before = START_NS, len(machine.events)
    script = Script(iter(()))
    names = Names(some, LIFE.pools, ALL[name].names, rng)
    script.acts = player.play(way.do, Scope(player.kept["init"], names, rng, script))
    player.agenda.add(START_NS, script)
    player.agenda.run(START_NS + 600 * NS)
    assert next(script.acts, None) is None
    return machine.events[before:]


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_way_plays_to_its_end_and_starts_only_programs(name: str) -> None:
    for number, way in enumerate(_ways(ALL[name])):
        tries = [_play(name, way, seed) for seed in (number, number + 100)]
        assert any(tries), (name, number)
        for event in (event for events in tries for event in events):
            if type(event) is Started:
                assert event.who.exe.lower().endswith((".exe", ".com")), event.who.cmdline
                assert not _NAME.search(event.who.cmdline.replace("{guid}", "")), event.who.cmdline


def test_every_kind_of_event_has_fillers_and_habits_stay_below_their_share() -> None:
    means, fillers = means_of("windows"), by_kind("windows")
    for kind, usual in KNOBS.windows.items():
        assert len(fillers.get(kind, ())) >= 3, kind
        share = sum(job.per_minute * 2 * means[name][kind] for name, job in LIFE.habits.items()) / usual
        assert share <= 0.4, (kind, share)


@functools.cache
def _some_episodes() -> list[tuple[bool, EpisodeTrace]]:
    profiles = sorted(BY_NAME)
    found = []
    for number in range(18):
        for benign in (False, True):
            name = f"ep-{number}-{benign}"
            found.append(
                (
                    benign,
                    simulate(
                        11, name, host("k-gamingcom"), profiles[number % 6], benign=benign,
                        start_ns=START_NS, circle=tell(11, name, 120.0), hardness=0.5,
                    ),
                )
            )  # fmt: skip
    return found


def test_attack_and_honest_episodes_have_as_many_events_of_each_kind() -> None:
    for kind in KNOBS.windows:
        numbers = [
            [counts(each.events)[kind] for benign, each in _some_episodes() if benign is wanted]
            for wanted in (False, True)
        ]
        low, high = sorted(float(np.mean(each)) for each in numbers)
        assert high <= 1.5 * low + 2, kind


def test_attacks_do_with_honest_tools() -> None:
    honest = {_shape(event) for benign, each in _some_episodes() for event in each.events if benign}
    attack = {_shape(event) for _, each in _some_episodes() for event in each.events if event.step >= 0}
    assert len(attack & honest) >= 0.6 * len(attack)


def _shape(event: Event) -> tuple[str, str]:
    return type(event).__name__, event.who.name.lower()
