"""The hardness knob: more of it makes a baseline worse, on the same episodes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from rlstir_core.lab.generate import play
from rlstir_core.lab.life.episode import EpisodeTrace
from rlstir_core.lab.plan import LabOptions, plan_store
from rlstir_core.lab.sensors.profiles import PROFILES, samples

HARDNESSES = (0.0, 0.5, 1.0)


def shapes(trace: EpisodeTrace) -> dict[str, float]:
    """Which programs did what kind of thing."""
    return {f"{type(e).__name__} {e.who.name} {getattr(e, 'op', '')}": 1.0 for e in trace.events}


@pytest.mark.slow
def test_scenarios_are_harder_to_name_the_harder_the_lab() -> None:
    scores = []
    for hardness in HARDNESSES:
        options = LabOptions(seed=2, duration_s=100.0, hardness=hardness)
        plans = [p for p in plan_store(hosts=("elliott-thinkpad",), episodes=220, options=options) if not p.benign]
        played = [play(plan, options) for plan in plans]
        story = np.array([trace.story for trace in played])
        bag = make_pipeline(
            DictVectorizer(), TfidfTransformer(norm=None), LogisticRegression(C=0.1, max_iter=500, tol=1e-2)
        )
        folds = StratifiedKFold(4, shuffle=True, random_state=0)
        predicted = cross_val_predict(bag, [shapes(trace) for trace in played], story, cv=folds)
        scores.append(f1_score(story, predicted, average="macro"))
    assert scores[0] > scores[1] > scores[2], scores
    assert scores[0] - scores[2] > 0.1, scores


def test_what_attacks_have_in_common_in_telemetry_fades_with_hardness() -> None:
    def apart(hardness: float) -> float:
        """Mean distance of attack and twin textures, over profiles."""
        return float(
            np.mean(
                [
                    np.abs(
                        np.mean([s.textures[1:] for s in samples(profile, benign=False, hardness=hardness)], axis=0)
                        - np.mean([s.textures[1:] for s in samples(profile, benign=True, hardness=hardness)], axis=0)
                    ).mean()
                    for profile in PROFILES
                ]
            )
        )

    easy, usual, hard = (apart(hardness) for hardness in HARDNESSES)
    assert easy > usual > hard


def test_hardness_stands_in_the_plan_and_changes_neither_who_runs_nor_when() -> None:
    plans = [
        [(p.episode_id, p.host.name, p.profile, p.benign, p.start_wall_ns, p.duration_s) for p in made]
        for made in (
            plan_store(hosts=("a", "b"), episodes=20, options=LabOptions(seed=3, hardness=h)) for h in HARDNESSES
        )
    ]
    assert plans[0] == plans[1] == plans[2]


def test_harder_labs_tamper_less_and_have_more_honest_faults() -> None:
    made = [plan_store(hosts=("a", "b"), episodes=80, options=LabOptions(seed=3, hardness=h)) for h in HARDNESSES]
    for easier, harder in pairwise(made):
        for one, other in zip(easier, harder, strict=True):
            assert one.logs.strength > other.logs.strength
            assert one.logs.tamper == other.logs.tamper
            assert not one.logs.artifact or one.logs.artifact == other.logs.artifact
    faults = [sum(bool(plan.logs.artifact) for plan in plans) for plans in made]
    assert faults[0] < faults[1] < faults[2]
