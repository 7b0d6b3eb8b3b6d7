"""Sigma rules beside the encoder: an episode's techniques are the tags of the rules that match its rows.

Which rules those are is the user's choice. What does not belong here: matching (`hostlogs/sigma/`), and figures.
"""

# E episodes, C techniques that rules name
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.atomic import file_sha256
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.predictions import Spoken
from rlstir_core.evaluation.investigation.records import SigmaUse
from rlstir_core.hostlogs.sigma.events import COLUMNS
from rlstir_core.hostlogs.sigma.matching import Matcher
from rlstir_core.hostlogs.sigma.rules import NO_PYSIGMA, NO_RULES, Rules, pysigma_version, read_rules
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.techniques.decide import Naming, choose_naming
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout

SIGMA = "sigma"
_BLOCK = 4_096
_ANY_MATCH = Naming(threshold=1.0)
_REASONS = 5


def sigma_key(layout: Layout) -> str:
    """What says whether the same rules would be matched in the same way; empty where none are."""
    if not layout.sigma.exists() or not pysigma_version():
        return ""
    return f"{file_sha256(layout.sigma)} {pysigma_version()}"


def sigma_lacks(layout: Layout) -> tuple[str, ...]:
    """What is not there that the row of this baseline needs."""
    if not layout.sigma.exists():
        return (NO_RULES,)
    return () if pysigma_version() else (NO_PYSIGMA,)


def sigma_spoken(
    layout: Layout,
    test: Sequence[EpisodeInfo],
    chosen: Sequence[EpisodeInfo],
    carried_by_chosen: Sequence[Sequence[str]],
    tell: Tell,
) -> tuple[Spoken | None, SigmaUse | None]:
    """What the imported rules say of the test side, and which are used; nothing where none can be matched.

    From which level and how many rows on a technique is named is chosen on the fold that chose the encoder; where that
    carries nothing, every rule that matches names its techniques.
    """
    if sigma_lacks(layout):
        return None, None
    rules = read_rules(layout.sigma)
    use, ids = _use(rules), rules.techniques
    if not ids:
        return None, use
    matcher = Matcher(rules.rules)
    tell(f"sigma: {len(rules.rules)} of {rules.n_given} rules, on {len(test)} episodes of the test side")
    of_test_EC = _scores(layout, test, rules, matcher, ids)
    naming = _ANY_MATCH
    if any(carried_by_chosen):
        y_EC, further = _truth(carried_by_chosen, ids)
        naming = choose_naming(_scores(layout, chosen, rules, matcher, ids), y_EC, further)
        if naming.threshold <= 0:  # what no rule speaks of is not said
            naming = _ANY_MATCH
    return Spoken(ids, of_test_EC, naming), use


def _use(rules: Rules) -> SigmaUse:
    why = [f"{n}: {reason}" for reason, n in rules.unused.items()]
    return SigmaUse(rules=rules.n_given, used=len(rules.rules), unused=tuple(why[:_REASONS]), pysigma=pysigma_version())


def _scores(
    layout: Layout, episodes: Sequence[EpisodeInfo], rules: Rules, matcher: Matcher, ids: Sequence[str]
) -> Floats:
    """The highest level of the rules that match, and below one how many rows they match; 0 where none does. (E, C)"""
    place = {own: c for c, own in enumerate(ids)}
    found = np.zeros((len(episodes), len(ids)))
    for e, info in enumerate(episodes):
        level_C, rows_C = np.zeros(len(ids)), np.zeros(len(ids))
        with opened_rows(layout, info.host, info.own_id) as file:
            for batch in file.iter_batches(_BLOCK, columns=list(COLUMNS), use_threads=False):
                for row in batch.to_pylist():
                    for matched in matcher.matched(row):
                        rule = rules.rules[matched]
                        for own in rule.techniques:
                            level_C[place[own]] = max(level_C[place[own]], rule.level)
                            rows_C[place[own]] += 1
        found[e] = level_C + rows_C / (rows_C + 1)
    return found


def _truth(carried: Sequence[Sequence[str]], ids: Sequence[str]) -> tuple[NDArray[np.bool_], int]:
    """What the episodes carry of these ids, and how much they carry beside them."""
    place = {own: c for c, own in enumerate(ids)}
    y_EC = np.zeros((len(carried), len(ids)), np.bool_)
    for e, own in enumerate(carried):
        y_EC[e, [place[each] for each in own if each in place]] = True
    return y_EC, sum(each not in place for own in carried for each in own)
