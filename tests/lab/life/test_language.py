"""The language of the lab's life: what it refuses, what its names stand for, and how hardness chooses."""

from __future__ import annotations

import base64
from collections import Counter

import msgspec
import numpy as np
import pytest

from rlstir_core.lab.life.language import VERBS, LifeAction, Story, Way, life
from rlstir_core.lab.life.names import Names
from rlstir_core.lab.life.play import Player, pick
from rlstir_core.lab.machine.agenda import Agenda
from rlstir_core.lab.machine.guest import Os, boot, guest
from rlstir_core.lab.machine.machine import Machine


def read(text: str, kind: object = LifeAction) -> object:
    return msgspec.toml.decode(text, type=kind)


@pytest.mark.parametrize(
    "text", ["run = 'a'\nwrite = 'b'", "kb = [1, 2]", "run = 'a'\nwhatever = 1", "run = 1", "times = [1]\nrun = 'a'"]
)
def test_an_action_has_one_verb_and_known_options(text: str) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError)):
        read(text)


def test_every_verb_is_carried_out_by_something() -> None:
    from rlstir_core.lab.life.play import _VERBS

    assert set(_VERBS) == set(VERBS)


STORY = """
title = "x"
profiles = ["io-walk"]
[[step]]
phase = "{phase}"
technique = "{technique}"
[[step.way]]
do = [{{ run = "true" }}]
"""


@pytest.mark.parametrize(("phase", "technique"), [("asleep", "T1110"), ("armed", "T9999"), ("armed", "T1562.001")])
def test_a_step_is_in_a_phase_and_its_technique_is_pinned(phase: str, technique: str) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError)):
        read(STORY.format(phase=phase, technique=technique), Story)


def names(os: Os = "linux", **declared: tuple[str, ...]) -> Names:
    return Names(guest("h", os), life(os).pools, declared, np.random.default_rng(3))


def test_a_declared_name_is_one_text_and_one_of_a_pool_is_drawn_anew() -> None:
    its = names(place=("{word}-{word}-{hex}",))
    assert len({its.of("{place}") for _ in range(20)}) == 1
    assert len({its.of("{word}") for _ in range(60)}) > 5


def test_the_address_of_a_name_is_always_the_same_and_an_address_is_its_own() -> None:
    its = names()
    assert its.address("cdn.example") == its.address("cdn.example")
    assert its.address("10.1.2.3") == "10.1.2.3"


def test_encoded_powershell_decodes_to_words() -> None:
    text = names("windows").of("{b64}")
    assert base64.b64decode(text).decode("utf-16-le").isprintable()


def test_braces_that_are_no_name_stay() -> None:
    assert names().of("awk '{print $1}'") == "awk '{print $1}'"


def player(hardness: float) -> Player:
    machine = Machine(guest("h", "linux"), boot(1, "ep", 10**18, 60.0), np.random.default_rng(1))
    return Player(Agenda(machine), life("linux"), hardness)


def test_hardness_takes_plain_ways_away_one_by_one() -> None:
    ways = next(
        step.way
        for story in life("linux").attacks.values()
        for step in story.step
        if any(way.plain for way in step.way) and not all(way.plain for way in step.way)
    )
    chosen = {
        hardness: [player(hardness).way_of(ways, np.random.default_rng(seed)).plain for seed in range(400)]
        for hardness in (0.0, 0.3, 0.7, 1.0)
    }
    assert all(chosen[0.0]) and not any(chosen[1.0])
    for easier, harder in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        assert all(one >= other for one, other in zip(chosen[easier], chosen[harder], strict=True))


def test_odds_are_kept() -> None:
    ways = tuple(Way(do=(), odds=odds) for odds in (1.0, 3.0, 6.0))
    picked = Counter(pick(ways, place / 1000, [way.odds for way in ways]).odds for place in range(1000))
    assert picked == {1.0: 100, 3.0: 300, 6.0: 600}


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_every_profile_has_attacks_and_duties_and_most_duties_look_like_attacks(os: Os) -> None:
    its = life(os)
    for profile in ("cpu-saturate", "low-and-slow", "io-walk", "scan-and-dial", "burst-exfil", "mem-churn"):
        assert sum(profile in story.profiles for story in its.attacks.values()) >= 4
        assert sum(profile in story.profiles for story in its.duties.values()) >= 4
    assert len(its.attacks) == 10
    assert sum(story.look_alike for story in its.duties.values()) >= 8
    assert not any(step.technique for story in its.duties.values() for step in story.step)
    assert all(step.technique for story in its.attacks.values() for step in story.step)
