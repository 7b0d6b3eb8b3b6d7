"""Which investigations are told, by a rule that looks at no words, and their steps as the report tells them.

What does not belong here: the words themselves, which `InvestigationWords` gives, and markdown.
"""

# E episodes, N steps
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rlstir_core.arrays import Bools
from rlstir_core.evaluation.acting.records import Thresholds, ToldCase, ToldStep
from rlstir_core.evaluation.acting.watched import Watched

MOST_STEPS = 12  # told of one investigation
MOST_ROWS = 3  # told of one step
_LENGTH = 300  # characters of a sentence


class InvestigationWords(Protocol):
    """Sentences for people: of an alert, of a question that was asked, and of a log row."""

    def alert(self, episode_id: str) -> str: ...

    def question(self, episode_id: str, step: int, action: str) -> str: ...

    def rows(self, episode_id: str, rows: Sequence[int]) -> Sequence[str]:
        """A sentence for each row."""
        ...


class NamesOnly:
    """The words where nobody gives better ones: names of actions and places of rows."""

    def alert(self, episode_id: str) -> str:
        return f"an alert in {episode_id}"

    def question(self, episode_id: str, step: int, action: str) -> str:
        return "it stopped asking" if action == "stop" else action

    def rows(self, episode_id: str, rows: Sequence[int]) -> Sequence[str]:
        return [f"row {row}" for row in rows]


def tell_three(watched: Watched, thresholds: Thresholds, words: InvestigationWords) -> tuple[ToldCase, ...]:
    """An attack that was found, one that was missed and a benign case, each of median cost among its kind."""
    called_E = watched.p_last_E >= (np.inf if thresholds.stop is None else thresholds.stop)
    attack_E = watched.truths.attack_E
    kinds = (
        ("found", "of all attacks that it called attacks the one of median cost", attack_E & called_E),
        ("missed", "of all attacks that it called benign the one of median cost", attack_E & ~called_E),
        ("benign", "of all benign cases the one of median cost", ~attack_E),
    )
    return tuple(
        _story(watched, thresholds, words, kind, rule, _median(watched, among_E))
        for kind, rule, among_E in kinds
        if among_E.any()
    )


def _median(watched: Watched, among_E: Bools) -> int:
    """The lower median by cost; of equals the first by name."""
    place = np.flatnonzero(among_E)
    order = place[np.argsort(watched.paid_E[place], kind="stable")]
    return int(order[(len(order) - 1) // 2])


def _story(
    watched: Watched, thresholds: Thresholds, words: InvestigationWords, kind: str, rule: str, e: int
) -> ToldCase:
    run, truths = watched.run, watched.truths
    first, last = int(run.first_E[e]), int(run.last_E[e])
    named_D = (run.episode_D == e) & (run.score_D >= (np.inf if thresholds.technique is None else thresholds.technique))
    return ToldCase(
        kind=kind,
        rule=rule,
        policy=run.policy,
        episode_id=run.episode_E[e],
        host=run.host_E[e],
        attack=bool(truths.attack_E[e]),
        called=thresholds.stop is not None and bool(run.p_risk_N[last] >= thresholds.stop),
        p_end=float(run.p_risk_N[last]),
        threshold=thresholds.stop,
        cost=float(run.paid_N[last]),
        steps=tuple(_step(watched, words, e, n) for n in range(first, min(last + 1, first + MOST_STEPS))),
        further_steps=max(0, last + 1 - first - MOST_STEPS),
        named=tuple(run.technique_D[d] for d in np.flatnonzero(named_D)),
        called_tampered=None if thresholds.tampered is None else bool(run.p_tampered_N[last] >= thresholds.tampered),
        tampered=bool(truths.tampered_E[e]),
        carried=tuple(truths.technique_T[t] for t in np.flatnonzero(truths.episode_T == e)),
    )


def _step(watched: Watched, words: InvestigationWords, e: int, n: int) -> ToldStep:
    run, truths = watched.run, watched.truths
    episode, step = run.episode_E[e], n - int(run.first_E[e])
    begin, end = np.searchsorted(run.step_R, [n, n + 1])
    revealed = run.row_R[begin:end].tolist()
    action = run.actions[run.action_N[n]]
    said = words.alert(episode) if step == 0 else words.question(episode, step, action)
    return ToldStep(
        said=said[:_LENGTH],
        cost=float(run.cost_N[n]),
        n_revealed=len(revealed),
        rows=tuple(sentence[:_LENGTH] for sentence in words.rows(episode, revealed[:MOST_ROWS])),
        found=tuple(truths.technique_T[t] for t in np.flatnonzero(watched.first_found_T == n)),
        p_before=None if step == 0 else float(run.p_risk_N[n - 1]),
        p_after=float(run.p_risk_N[n]),
    )
