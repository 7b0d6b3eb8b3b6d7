"""What an interval by row hides: rows of one episode, and episodes of one host, are not independent.

What does not belong here: making intervals (`figures.py`).
"""

from __future__ import annotations

import numpy as np

from rlstir_core.audit.figures import (
    SumsFigure,
    UnitSums,
    by_episode,
    host_estimate,
    macro,
    right_share,
    row_estimate,
    true_classes,
)
from rlstir_core.audit.findings import Checked, Judgement, counted, said
from rlstir_core.audit.material import EpisodeGroup, Material
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, Estimate

_TOO_NARROW = 1.25  # times; below, a reader is not misled
HOSTS = ("host", "host_id", "hostname", "machine", "machine_id")


def detector_figures(found: Material) -> tuple[Estimate, Estimate]:
    """Macro F1 and accuracy of the test side, with intervals over episodes."""
    test, K = found.test, found.n_classes
    units = by_episode(test, len(found.names), K)
    sums = units.of(test.decided_N)
    return (
        units.estimate(sums, macro(true_classes(test.y_N, K))),
        units.estimate(sums, right_share(K)),
    )


def host_group(found: Material) -> EpisodeGroup | None:
    """The column that tells hosts apart."""
    return next((group for name in HOSTS for group in found.groups if group.name.lower() == name), None)


def intervals(found: Material, macro_f1: Estimate, accuracy: Estimate) -> Checked:
    test, K = found.test, found.n_classes
    cells = np.bincount(test.y_N * K + test.decided_N, minlength=K * K).astype(np.float64)
    of_macro, of_right = macro(true_classes(test.y_N, K)), right_share(K)
    figures = {
        "macro_f1_by_row": row_estimate(cells, of_macro),
        "macro_f1_by_episode": macro_f1,
        "accuracy_by_row": row_estimate(cells, of_right),
        "accuracy_by_episode": accuracy,
    }
    by_host = _by_host(found, of_macro)
    hosts = ""
    if by_host is not None:
        figures["macro_f1_by_host"] = by_host
        hosts = f" For new hosts it is {said(by_host)}."
    rows, episodes = figures["macro_f1_by_row"], macro_f1
    n_episodes = int((np.bincount(test.episode_N, minlength=1) > 0).sum())
    wide, narrow = width(episodes), width(rows)
    ratio = wide / narrow if wide and narrow else None
    verdict: Judgement = "ok"
    if ratio is None:
        verdict = "warn" if n_episodes < MIN_EPISODES else "ok"
        sentence = f"Macro F1 by episode is {said(episodes)}, by row {said(rows)}.{hosts}"
    else:
        verdict = "warn" if ratio > _TOO_NARROW else "ok"
        what = (
            f"an interval by row ({said(rows)}) would be {ratio:.1f} times too narrow"
            if ratio > _TOO_NARROW
            else f"an interval by row ({said(rows)}) would mislead nobody"
        )
        over = f"{counted(n_episodes, 'episode')} with {len(test):,} rows"
        sentence = f"Macro F1 is {said(episodes)} over {over}; {what}.{hosts}"
        figures["ratio_of_widths"] = Estimate(value=ratio, note="a ratio of two intervals has none of its own")
    return Checked(
        check="row-interval",
        verdict=verdict,
        sentence=sentence,
        figures=figures,
        about="test episodes",
        n_about=n_episodes,
    )


def width(each: Estimate) -> float | None:
    return None if each.lo is None or each.hi is None else each.hi - each.lo


def _by_host(found: Material, of: SumsFigure) -> Estimate | None:
    group = host_group(found)
    if group is None:
        return None
    host_N = group.code_E[found.test.episode_N]
    if not (host_N >= 0).all():
        return None
    sums = UnitSums(found.test.y_N, host_N, len(group.names), found.n_classes)
    return host_estimate(sums, found.test.decided_N, of)
