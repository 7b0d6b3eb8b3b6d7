"""Evidence that lies deep: four places, forms that do not tell by themselves, and a truth that names the right rows."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import get_args

import numpy as np
import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.truth import read_truth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.lab.generate import make_episode, play
from rlstir_core.lab.life.language import TrailPlace, life
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.life.play import Player, Scope
from rlstir_core.lab.life.trails import declared, plan_trails
from rlstir_core.lab.life.truth import NO_PROCESS
from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Event, Started
from rlstir_core.lab.machine.guest import Os, boot, guest
from rlstir_core.lab.machine.machine import Machine
from rlstir_core.lab.plan import EpisodePlan, LabOptions, plan_store
from rlstir_core.lab.signals import stream
from rlstir_core.lab.story import tell

OPTIONS = LabOptions(seed=21, depth="deep", tampered=0.0, duration_s=60.0)
SYSTEMS: tuple[Os, ...] = get_args(Os)
PLACES: tuple[TrailPlace, ...] = get_args(TrailPlace)
FORMS = [(first, second) for first in (True, False) for second in (True, False)]
START_NS = 1_750_000_000 * NS


@pytest.fixture(scope="module")
def plans() -> list[EpisodePlan]:
    return plan_store(hosts=("lab-01:windows", "lab-02:linux"), episodes=120, options=OPTIONS)


def test_deep_episodes_are_the_same_on_every_machine(plans: list[EpisodePlan]) -> None:
    """A digest of what was generated elsewhere; it changes only when the generator is changed on purpose."""
    digest = hashlib.sha256()
    for os in SYSTEMS:
        made = make_episode(next(plan for plan in plans if plan.host.os == os and not plan.benign), OPTIONS)
        for name, member in sorted(made.extra.items()):
            digest.update(name.encode() + member)
        digest.update(repr(made.meta["lab"]).encode())
    assert digest.hexdigest() == "221df142dd61c16ebb2fba0bd0901496f352a755f4689fef15bc4dd121ee11fa"


def test_depth_is_one_of_two_and_half_of_a_deep_store_is_benign(plans: list[EpisodePlan]) -> None:
    assert (LabOptions().benign_share, OPTIONS.benign_share) == (0.36, 0.5)
    assert LabOptions(depth="deep", benign=0.3).benign_share == 0.3
    assert np.mean([plan.benign for plan in plans]) == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ConfigError, match="depth is 'far'; choose one of near, deep"):
        LabOptions(depth="far")  # type: ignore[arg-type]


@pytest.mark.parametrize("os", SYSTEMS)
def test_every_episode_has_a_trail_in_each_place_and_draws_do_not_know_the_label(os: Os) -> None:
    known = life(os).trails
    odd: dict[bool, Counter[tuple[str, int]]] = {True: Counter(), False: Counter()}
    scenarios = sorted(life(os).attacks)
    for number in range(400):
        circle = tell(3, f"ep-{number}", 120.0)
        both = [
            plan_trails(known, scenarios[number % 10], benign, circle, stream(3, number, "trails"))
            for benign in (True, False)
        ]
        for benign, planned in zip((True, False), both, strict=True):
            assert sorted(each.place for each in planned) == sorted(PLACES)
            assert sum(each.attack for each in planned) == (not benign)
            odd[benign].update((each.name, side) for each in planned for side in (0, 1) if each.odd[side])
        one, other = ([(each.name, each.at_s) for each in planned] for planned in both)
        assert one == other
    assert abs(odd[True].total() - odd[False].total()) == 0
    assert max(abs(odd[True][each] - odd[False][each]) for each in odd[True]) < 45


def _played(os: Os, name: str, odd: tuple[bool, bool], seed: int) -> tuple[list[Event], list[str]]:
    """What happens on a trail, whose two names can be read in it, and the techniques."""
    its_guest, its_life, rng = guest("lab-01", os), life(os), stream("trail", os, name, seed)
    machine = Machine(its_guest, boot(seed, name, START_NS, 120.0), rng)
    player = Player(Agenda(machine), its_life, 0.5)
    player.boot(rng)
    machine.now_ns, before = START_NS, len(machine.events)
    steps: list[str] = []
    script, trail = Script(iter(())), its_life.trails[name]
    names = Names(its_guest, its_life.pools, declared(trail, odd), rng)
    scope = Scope(player.kept["init"], names, rng, script, steps if all(odd) else None)
    script.acts = player.play(player.way_of(trail.way, rng).do, scope)
    player.agenda.add(START_NS, script)
    player.agenda.run(START_NS + 120 * NS)
    assert next(script.acts, None) is None
    events = machine.events[before:]
    said = " ".join(_texts(event) for event in events)
    for each in trail.pair:
        text = names.of(f"{{{each}}}")
        assert text in said or any(player.kept.get(text) in (event.who, event.who.parent) for event in events), text
    return events, steps


def _texts(event: Event) -> str:
    told = [str(getattr(event, field, "")) for field in event.__struct_fields__ if field != "who"]
    return " ".join((event.who.cmdline, event.who.account.name, *told))


@pytest.mark.parametrize(("os", "name"), [(os, name) for os in SYSTEMS for name in sorted(life(os).trails)])
def test_a_trail_plays_in_all_its_forms_alike_and_only_an_attacks_has_techniques(os: Os, name: str) -> None:
    kinds = []
    for odd in FORMS:
        events, steps = _played(os, name, odd, 4)
        kinds.append({type(event).__name__ for event in events})
        for event in events:
            if type(event) is Started:
                assert not re.search(r"\{\w+\}", event.who.cmdline), event.who.cmdline
        assert {event.step for event in events if event.step >= 0} == set(range(len(steps)))
        assert len(steps) == 0 if odd != (True, True) else len(set(steps)) >= 2
    assert len(set.intersection(*kinds)) >= 2


def _first_place(plan: EpisodePlan) -> TrailPlace:
    rng = stream(OPTIONS.seed, plan.episode_id, "trails")
    return plan_trails(life(plan.host.os).trails, "", plan.benign, plan.story, rng)[0].place


def _labelled(plan: EpisodePlan) -> Counter[tuple[str, str, bool]]:
    made = make_episode(plan, OPTIONS)
    builder = TableBuilder(plan.host.name, plan.episode_id, 1_000_000)
    for member in sorted(made.extra):
        spec = spec_of_member(member)
        if spec is not None:
            context = LogContext(name=member, host=plan.host.name, near_ns=plan.start_wall_ns)
            builder.add(member, spec.rows([made.extra[member]], context))
    table = builder.finish(read_truth(made.extra["gt_ttp_sequence.json"], None))
    columns = (table[name].to_pylist() for name in ("channel", "event_id", "pid", "label_ttp"))
    return Counter((channel, event, pid > 0) for channel, event, pid, label in zip(*columns, strict=True) if label)


def test_rows_that_name_no_process_are_the_attacks_where_it_made_them(plans: list[EpisodePlan]) -> None:
    def attack(place: TrailPlace) -> EpisodePlan:
        return next(
            plan for plan in plans if plan.host.os == "windows" and not plan.benign and _first_place(plan) == place
        )

    account = _labelled(attack("account"))
    assert account["evtx", "4624", False] or account["evtx", "4624", True]
    source = _labelled(attack("source"))
    elsewhere = {("sysmon", "13"), ("evtx", "4104"), ("evtx", "4697"), ("evtx", "4698"), ("evtx", "7045")}
    assert any((channel, event) in elsewhere for channel, event, _ in source)


def test_a_deep_truth_lends_shared_processes_for_a_moment_only(plans: list[EpisodePlan]) -> None:
    plan = next(plan for plan in plans if plan.host.os == "windows" and not plan.benign)
    trace = play(plan, OPTIONS)
    started = {event.who.pid for event in trace.events if type(event) is Started}
    for span in trace.techniques:
        if not set(span.pids) <= started:
            assert span.t_end_wall_ns - span.t_start_wall_ns < 10_000_000
        assert span.pids and min(span.pids) >= NO_PROCESS


def test_honest_episodes_have_what_alarms_and_what_explains_it(plans: list[EpisodePlan]) -> None:
    for os in SYSTEMS:
        benign = [plan for plan in plans if plan.benign and plan.host.os == os][:4]
        for plan in benign:
            trace = play(plan, OPTIONS)
            assert not trace.techniques
            assert [sum(each.odd) for each in trace.trails][:2] == [1, 1]
            assert not any(each.attack for each in trace.trails)
