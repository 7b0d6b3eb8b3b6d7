"""The row that an investigation begins with says nothing of the label by its score."""

from __future__ import annotations

import numpy as np
import pytest

from rlstir_core.investigator.soc.alerts import alert_auroc, alert_rule, choose_alert


def episodes(n: int = 300) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and labelled rows; attacks have a few rows with far higher scores."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(n):
        attack_N = np.zeros(400, np.bool_)
        attack_N[rng.choice(400, 30 * (k % 2), replace=False)] = True
        found.append((rng.normal(-4 + 3 * attack_N, 1.5), attack_N))
    return found


def test_matched_scores_do_not_tell_attacks_apart_and_half_of_them_begin_elsewhere() -> None:
    every = episodes()
    rule = alert_rule([score for score, _ in every])
    allowed = np.ones(400, np.bool_)
    rows = [
        choose_alert(score, allowed, attack, rule, np.random.default_rng(k)) for k, (score, attack) in enumerate(every)
    ]
    is_attack = np.array([attack.any() for _, attack in every])
    score = np.array([each[row] for (each, _), row in zip(every, rows, strict=True)])
    highest = np.array([each.max() for each, _ in every])
    assert alert_auroc(highest, is_attack) > 0.9
    assert abs(alert_auroc(score, is_attack) - 0.5) < 0.1
    at_attack = np.mean([attack[row] for (_, attack), row in zip(every, rows, strict=True) if attack.any()])
    assert 0.4 < at_attack < 0.6


def test_without_truth_it_is_the_highest_score_of_a_row_with_a_process() -> None:
    score, allowed = np.array([1.0, 9.0, 3.0]), np.array([True, False, True])
    rng = np.random.default_rng(0)
    assert choose_alert(score, allowed, None, None, rng) == 2
    assert choose_alert(score, np.zeros(3, np.bool_), None, None, rng) == 1


def test_auroc_counts_ties_as_half() -> None:
    assert alert_auroc(np.array([1.0, 1.0, 2.0]), np.array([True, False, True])) == pytest.approx(0.75)
    assert np.isnan(alert_auroc(np.array([1.0]), np.array([True])))
