"""The life of a Linux guest: it loads, refers only to what exists, plays to its end, and keeps its balance."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.lab.hosts import host
from rlstir_core.lab.life.amounts import KNOBS, by_kind, counts, means_of
from rlstir_core.lab.life.episode import EpisodeTrace, simulate
from rlstir_core.lab.life.language import VERBS, LifeAction, Story, Way, life
from rlstir_core.lab.life.names import _MAKERS, Names
from rlstir_core.lab.life.play import Player, Scope
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import OnProcess, Started
from rlstir_core.lab.machine.guest import boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.sensors.profiles import BY_NAME
from rlstir_core.lab.signals import stream
from rlstir_core.lab.story import tell

LIFE = life("linux")
JOBS = LIFE.habits | LIFE.fillers | LIFE.look_alikes
STORIES = LIFE.attacks | LIFE.duties
SCENARIOS = {
    *("phishing", "brute_force", "miner", "ransomware", "lateral_movement", "persistence", "credential_dumping"),
    *("exfiltration", "web_shell", "supply_chain"),
}
FIXED = {"user", "home", "admin", "adminhome", "roothome", "host", "ip", "gateway", "domain", "kernel"}
START_NS = 1_750_000_000 * NS


def _all(actions: Iterable[LifeAction]) -> Iterator[LifeAction]:
    for action in actions:
        yield action
        yield from _all(action.does)


def _ways(name: str) -> list[Way]:
    if name in STORIES:
        return [way for step in STORIES[name].step for way in step.way]
    return list(JOBS[name].way)


def _of(story: Story) -> list[LifeAction]:
    return [action for step in story.step for way in step.way for action in _all(way.do)]


def _texts(action: LifeAction) -> list[str]:
    verb = getattr(action, action.verb)
    direct = [verb] if isinstance(verb, str) else []
    return [*direct, action.to, action.from_, action.text, action.exe, action.as_, action.group]


def test_all_of_it_loads_and_the_scenarios_are_the_ten() -> None:
    assert set(LIFE.attacks) == SCENARIOS
    assert len(LIFE.duties) >= 12 and sum(story.look_alike for story in LIFE.duties.values()) >= 8
    assert 10 <= len(LIFE.look_alikes) <= 14 and 8 <= len(LIFE.habits) <= 14 and 25 <= len(LIFE.fillers) <= 40
    for stories in (LIFE.attacks, LIFE.duties):
        for profile in BY_NAME:
            assert 4 <= sum(profile in story.profiles for story in stories.values()) <= 6


@pytest.mark.parametrize("name", sorted(STORIES | JOBS))
def test_every_name_and_process_that_a_text_refers_to_exists(name: str) -> None:
    declared = (STORIES | JOBS)[name].names
    known = FIXED | set(LIFE.pools) | set(_MAKERS) | set(declared)
    ways = _ways(name)
    kept = {tree.name for tree in LIFE.boot} | {action.keep for way in ways for action in _all(way.do)}
    texts = [text for told in declared.values() for text in told]
    for way in ways:
        for action in _all(way.do):
            texts += _texts(action)
            at = [getattr(action, verb) for verb in ("access", "trace", "signal", "inject", "end") if verb in VERBS]
            assert {action.by, action.under, *(each for each in at if each)} - {""} <= kept
    for text in texts:
        assert set(re.findall(r"\{(\w+)\}", text)) <= known, text


def test_every_name_in_a_pool_exists() -> None:
    known = FIXED | set(LIFE.pools) | set(_MAKERS)
    for texts in LIFE.pools.values():
        for text in texts:
            assert set(re.findall(r"\{(\w+)\}", text)) <= known, text


def test_every_step_of_an_attack_has_a_pinned_technique_and_a_way_that_blends_in() -> None:
    for name, story in LIFE.attacks.items():
        assert 9 <= len(story.step) <= 14, name
        for step in story.step:
            assert step.technique in techniques()
            assert 2 <= len(step.way) <= 5 and not all(way.plain for way in step.way), (name, step.technique)
    assert not any(step.technique for story in LIFE.duties.values() for step in story.step)


def _play(name: str, way: Way, seed: int) -> int:
    some = guest("elliott-thinkpad", "linux")
    rng = stream("linux life", name, seed)
    machine = Machine(some, boot(seed, name, START_NS, 120.0), rng)
    player = Player(Agenda(machine), LIFE, 0.5)
    player.boot(rng)
    machine.now_ns, before = START_NS, len(machine.events)
    script = Script(iter(()))
    names = Names(some, LIFE.pools, (STORIES | JOBS)[name].names, rng)
    script.acts = player.play(way.do, Scope(player.kept["init"], names, rng, script))
    player.agenda.add(START_NS, script)
    player.agenda.run(START_NS + 600 * NS)
    texts = [event.who.cmdline for event in machine.events if type(event) is Started]
    assert not [text for text in texts if re.search(r"\{\w+\}", text)]
    return len(machine.events) - before


@pytest.mark.parametrize("name", sorted(STORIES | JOBS))
def test_every_way_plays_to_its_end_and_leaves_no_name_unfilled(name: str) -> None:
    for number, way in enumerate(_ways(name)):
        most = max(_play(name, way, seed) for seed in (number, number + 100))
        assert most <= (90 if name in STORIES or name in LIFE.look_alikes else 45), way


@functools.cache
def _episodes() -> tuple[tuple[bool, EpisodeTrace, float], ...]:
    found = []
    for number in range(48):
        name, benign = f"life-{number}", bool(number // 6 % 2)
        circle, profile = tell(3, name, 120.0), list(BY_NAME)[number % 6]
        trace = simulate(
            3, name, host("elliott-thinkpad"), profile, benign=benign, start_ns=START_NS, circle=circle, hardness=0.5
        )
        found.append((benign, trace, circle.circle_s))
    return tuple(found)


def test_an_episode_holds_a_few_hundred_events_whatever_its_label() -> None:
    sizes = {label: [len(each.events) for benign, each, _ in _episodes() if benign is label] for label in (True, False)}
    for of_label in sizes.values():
        assert 450 <= np.mean(of_label) <= 900
    assert abs(float(np.mean(sizes[True]) - np.mean(sizes[False]))) < 0.15 * float(np.mean(sizes[True]))


def test_no_kind_of_event_is_much_more_frequent_under_one_label() -> None:
    totals: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for benign, trace, _ in _episodes():
        for kind, n in counts(trace.events).items():
            totals[benign][kind] = totals[benign].get(kind, 0.0) + n
    for kind in KNOBS.linux:
        assert 0.7 < totals[True][kind] / totals[False][kind] < 1.43, kind


def test_every_attack_shows_several_techniques_and_most_of_its_programs_are_common_ones() -> None:
    honest = {event.who.exe for benign, each, _ in _episodes() if benign for event in each.events}
    acts: set[str] = set()
    for benign, trace, _ in _episodes():
        if not benign:
            assert len(trace.techniques) >= 2
            acts |= {event.who.exe for event in trace.events if event.step >= 0 and event.who.exe[:5] == "/usr/"}
    assert len(acts & honest) / len(acts) > 0.75


def test_habits_leave_most_of_the_room_to_everyday_work_that_makes_every_kind_of_event() -> None:
    means = means_of("linux")
    for kind, usual in KNOBS.linux.items():
        told = sum(2 * job.per_minute * means[name].get(kind, 0.0) for name, job in LIFE.habits.items())
        assert told <= 0.4 * usual, kind
        assert len(by_kind("linux").get(kind, ())) >= 3, kind


def test_someone_traces_a_process_in_honest_life_too() -> None:
    traced = [b for b, each, _ in _episodes() for e in each.events if type(e) is OnProcess and e.op == "trace"]
    assert True in traced
