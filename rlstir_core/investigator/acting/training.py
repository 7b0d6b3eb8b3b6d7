"""Learning to act, from beginning to end: the belief, the policies that are fitted, their stop rules, and PPO.

Everything is fitted on cases of what is learnt from, and stop rules are tuned on the fold of the train side that
chooses; PPO stops by itself. What does not belong here: the test side (`evaluation/acting/`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

from rlstir_core.atomic import file_sha256, sweep
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.acting.cases import Prepared, prepare
from rlstir_core.investigator.acting.checkpoint import (
    BELIEF,
    ActingCheckpoint,
    ActingFacts,
    fitted_file,
    ppo_file,
    read_acting,
    write_acting,
)
from rlstir_core.investigator.acting.roster import PPO, TUNED, VARIANTS, reads_of, unfitted
from rlstir_core.investigator.belief.detector import write_belief
from rlstir_core.investigator.credit import PaidAsEarned
from rlstir_core.investigator.policies.files import save_fitted
from rlstir_core.investigator.policies.fixed_order import best_order
from rlstir_core.investigator.policies.greedy import fit_greedy
from rlstir_core.investigator.policies.learned_greedy import LearnedGreedy, Learning, fit_learned_greedy
from rlstir_core.investigator.policies.probing import run
from rlstir_core.investigator.policies.stopping import tuned
from rlstir_core.investigator.ppo import PpoTraining, train_ppo
from rlstir_core.investigator.ppo_policy import PpoPolicy
from rlstir_core.investigator.pretraining.state import States
from rlstir_core.investigator.pretraining.world import ALONE
from rlstir_core.investigator.soc.alerts import alert_auroc
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.reward import Rewards
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.progress import Tell
from rlstir_core.results.lock import holding

_PAGES = 2  # of a query in a fixed order
_IMITATED = 4  # a variant that imitates first does so for this part of PPO's decisions
_MANY = 512  # cases that the fixed order is built on


def kept_acting(study: InvestigatorStudy) -> ActingCheckpoint | None:
    """The checkpoint on disk where it is what training now would give."""
    try:
        found = read_acting(study.layout, study.options.recipe)
    except (UpstreamMissing, CheckpointError):
        return None
    folder = study.layout.acting(study.options.recipe).parent
    there = all((folder / Path(name).name).is_file() for name in found.files)
    return found if there and found.input_sha256 == study.acting_sha256 else None


def train_acting(study: InvestigatorStudy, tell: Tell) -> tuple[ActingCheckpoint, bool]:
    """Fits everything that acts; the last value is False where nothing had changed since."""
    layout, recipe = study.layout, study.options.recipe
    with holding(layout.lock("acting", recipe), waiting=tell):
        if (kept := kept_acting(study)) is not None:
            return kept, False
        layout.acting(recipe).unlink(missing_ok=True)
        sweep(layout.acting(recipe).parent, layout.acting(recipe).name)
        made = _train(study, tell)
        write_acting(layout, made)
        return made, True


def _train(study: InvestigatorStudy, tell: Tell) -> ActingCheckpoint:
    numbers, seed, key = study.numbers, study.numbers.seed, study.acting_sha256
    folder = study.layout.acting(study.options.recipe).parent
    folder.mkdir(parents=True, exist_ok=True)
    prepared, rewards = prepare(study, tell), Rewards()
    belief = write_belief(folder / BELIEF, prepared.belief)
    reads = reads_of(belief.n_answers, belief.width)
    n_lanes = numbers.acting.lanes
    lanes, other = (_lanes(prepared, cases, rewards, n_lanes) for cases in (prepared.learnt, prepared.chosen))
    tell("the best fixed order")
    given = {"price": rewards.price, "seed": seed}
    many = _lanes(prepared, prepared.learnt, rewards, min(_MANY, len(prepared.learnt)))
    order = best_order(reads, many, longest=numbers.acting.order, pages=_PAGES, **given)  # type: ignore[arg-type]
    greedy = fit_greedy(reads, lanes, seed=seed, tell=tell, steps=numbers.acting.walk_steps)
    learning = Learning(steps=numbers.acting.walk_steps, tries=numbers.acting.tries)
    learned = fit_learned_greedy(reads, lanes, check=other, learning=learning, tell=tell, **given)  # type: ignore[arg-type]
    returns, rules = {}, {}
    files = [BELIEF]
    for policy in (*(unfitted(name, reads) for name in TUNED), order, greedy, learned):
        tell(f"when {policy.name} stops")
        stopping, returns[policy.name] = tuned(policy, reads, _once(prepared, rewards), seed)
        rules[policy.name] = stopping.rule
        if policy.name not in TUNED:
            files.append(fitted_file(policy.name))
            save_fitted(stopping, folder / files[-1], key=key)
    curves = {}
    seeds = tuple(seed + place for place in range(numbers.acting.seeds))
    for own in seeds:
        state = States(path=folder / "ppo_policy.state.safetensors", key=f"{key} {own}", every_s=numbers.ppo.state_s)
        training = PpoTraining(PaidAsEarned(lanes), numbers.ppo, seed=own, among=ALONE, states=state)
        training.run(None, tell)
        found = PpoPolicy(training.towers)
        curves[str(own)] = [earned for earned, _ in training.curve]
        files.append(ppo_file(own))
        found.save(folder / files[-1], key=key)
        state.remove()
        if own == seed:
            returns[PPO] = float(run(found, _once(prepared, rewards), seed).return_B.mean())
    variants = tuple(VARIANTS) if numbers.acting.variants else ()
    for name in variants:
        for own in seeds:
            tell(f"{name}, seed {own}")
            files.append(ppo_file(own, name))
            _variant(name, study, prepared, learned, own, tell).save(folder / files[-1], key=key)
    auroc = alert_auroc(prepared.learnt.alert_score_C, prepared.learnt.attack_C)
    return ActingCheckpoint(
        recipe=study.options.recipe,
        preset=study.options.preset,
        seed=seed,
        seeds=seeds,
        variants=variants,
        input_sha256=key,
        budget=prepared.budget,
        alert_low=prepared.rule.low,
        alert_high=prepared.rule.high,
        rewards=asdict(rewards),
        stop_rules=rules,
        files={name: file_sha256(folder / name) for name in files},
        facts=ActingFacts(
            n_cases=len(prepared.learnt),
            n_hosts=len(set(prepared.learnt.hosts)),
            n_choosing=len(prepared.chosen),
            n_choosing_hosts=len(set(prepared.chosen.hosts)),
            n_techniques=belief.width - 2,
            alert_auroc=None if math.isnan(auroc) else auroc,
            mean_return=returns,
            ppo_curve=curves,
        ),
    )


def _variant(
    name: str, study: InvestigatorStudy, prepared: Prepared, start: LearnedGreedy, seed: int, tell: Tell
) -> PpoPolicy:
    """PPO trained in another way; see `VARIANTS`."""
    numbers, n_lanes = study.numbers.ppo, study.numbers.acting.lanes
    imitated = replace(numbers, imitate_steps=max(1, numbers.steps // _IMITATED))
    if name == "ppo_no_shaping":
        late = _lanes(prepared, prepared.learnt, Rewards(shaping=0.0), n_lanes)
        return train_ppo(late, numbers, seed=seed, tell=tell)
    lanes = PaidAsEarned(_lanes(prepared, prepared.learnt, Rewards(), n_lanes))
    if name == "ppo_supervised_only":
        training = PpoTraining(lanes, imitated, seed=seed, among=ALONE, states=None)
        training.imitate(start, tell)
        return training.policy
    return train_ppo(lanes, imitated, seed=seed, tell=tell, start=start)


def _lanes(prepared: Prepared, cases: CaseSet, rewards: Rewards, n_lanes: int) -> SocLanes:
    return SocLanes(cases, prepared.belief, rewards, prepared.budget, n_lanes)


def _once(prepared: Prepared, rewards: Rewards) -> SocLanes:
    """A lane for each case that chooses, each once."""
    cases = prepared.chosen
    return SocLanes(cases, prepared.belief, rewards, prepared.budget, len(cases), once=True)
