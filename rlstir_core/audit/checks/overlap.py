"""What stands on two sides of the split, episodes and the groups that they belong to, and what the tables do not share.

What does not belong here: episodes that are alike under two names (`duplicates.py`).
"""

# E episodes, L lines of the split, V values of a group
from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from rlstir_core.audit.columns import TEST, TRAIN, VALIDATION
from rlstir_core.audit.figures import share_estimate
from rlstir_core.audit.findings import SHOWN, Checked, Judgement, counted, not_checked, some
from rlstir_core.audit.material import EpisodeGroup, Material
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import plain


def episodes_on_two_sides(found: Material) -> Checked:
    side_E = found.side_E
    test_E = (side_E & TEST) > 0
    learnt_E = test_E & ((side_E & TRAIN) > 0)
    chosen_E = test_E & ((side_E & VALIDATION) > 0) & ~learnt_E
    both_E = ~test_E & (side_E & (TRAIN | VALIDATION) == TRAIN | VALIDATION)
    bad = np.flatnonzero(learnt_E | chosen_E)
    n_test = int(test_E.sum())
    figures: dict[str, Estimate] = {}
    verdict: Judgement = "ok"
    if len(bad):
        verdict, figures = "fail", {"share_of_test_episodes": share_estimate(len(bad), n_test)}
        sentence = (
            f"{len(bad):,} of {counted(n_test, 'test episode')} stand on another side too ({int(learnt_E.sum()):,} "
            f"train, {int(chosen_E.sum()):,} validation alone): the figure is not one of episodes never seen."
        )
        if found.rounds:
            sentence += f" The split has a column {plain(found.rounds, 60)}: audit one round at a time."
    elif not (side_E & TRAIN).any():
        return not_checked("episode-overlap", "the split names no episode of side train")
    elif both_E.any():
        verdict, bad = "warn", np.flatnonzero(both_E)
        sentence = (
            f"No test episode stands on another side, but {counted(len(bad), 'episode')} both train and validate: "
            "what validation chose, it chose on what was learnt."
        )
    else:
        sentence = f"None of {counted(n_test, 'test episode')} stands on the train or validation side."
    return Checked(
        check="episode-overlap",
        verdict=verdict,
        sentence=sentence,
        figures=figures,
        about="episodes",
        n_about=len(bad),
        examples=found.names.first(bad, SHOWN),
    )


def groups_on_two_sides(found: Material, held_out: Iterable[str] = ()) -> Iterator[Checked]:
    """A finding for each group column; `held_out` are those whose values are claimed to be new on the test side."""
    claimed = set(held_out)
    for group in found.groups:
        yield _group(group, claimed=group.name in claimed)
    for name in sorted(claimed - {group.name for group in found.groups}):
        yield not_checked(f"group-overlap/{plain(name, 60)}", f"the split has no column {plain(name, 60)} of names")
    if not found.groups and not claimed:
        yield not_checked("group-overlap", "the split has no column of groups, such as host, sample or corpus")


def _group(group: EpisodeGroup, *, claimed: bool) -> Checked:
    name = plain(group.name, 60)
    check = f"group-overlap/{name}"
    bits_V = np.zeros(len(group.names), np.uint8)
    known_L = group.line_code_L >= 0
    np.bitwise_or.at(bits_V, group.line_code_L[known_L], group.line_side_L[known_L])
    test_V = (bits_V & TEST) > 0
    n_test = int(test_V.sum())
    if not n_test:
        return not_checked(check, f"no test episode has a {name}")
    if not (bits_V & TRAIN).any():
        return not_checked(check, f"no train episode has a {name}")
    shared = np.flatnonzero(test_V & ((bits_V & (TRAIN | VALIDATION)) > 0))
    unknown = int((group.line_side_L[~known_L] > 0).sum())
    blind = f" {counted(unknown, 'line')} of the split have none and were passed over." if unknown else ""
    verdict: Judgement = "ok"
    if len(shared):
        verdict = "fail" if claimed else "warn"
        examples = group.names.first(shared, SHOWN)
        sentence = (
            f"{len(shared):,} of {n_test:,} values of {name} on the test side are on the train or validation side too "
            f"({some(examples, len(shared))}): the figure carries no claim about a new {name}."
        )
    else:
        sentence = f"No {name} of the test side ({n_test:,} values) is on the train or validation side."
        if unknown:
            verdict = "warn"
    return Checked(
        check=check,
        verdict=verdict,
        sentence=sentence + blind,
        figures={"share_of_values": share_estimate(len(shared), n_test)} if len(shared) else {},
        about=f"values of {name}",
        n_about=len(shared),
        examples=group.names.first(shared, SHOWN),
    )


def tables_agree(found: Material) -> Checked:
    """Test episodes without predictions, and rows that no figure counts."""
    test = np.flatnonzero((found.side_E & TEST) > 0)
    seen_E = np.bincount(found.test.episode_N, minlength=len(found.side_E)) > 0
    silent = test[~seen_E[test]]
    parts = []
    if len(silent):
        parts.append(f"{len(silent):,} of {counted(len(test), 'test episode')} without a prediction that counts")
    if found.n_without_label:
        parts.append(f"{counted(found.n_without_label, 'row')} without a label")
    if found.n_without_decision:
        parts.append(f"{counted(found.n_without_decision, 'row')} without a decision")
    if found.n_unknown:
        parts.append(f"{counted(found.n_unknown, 'episode')} of the predictions missing in the split")
    if found.about is not None:
        missing = int((~found.about.described_E[test]).sum())
        if missing:
            parts.append(f"{counted(missing, 'test episode')} missing in the table of episodes")
        if found.about.n_unknown:
            parts.append(f"{counted(found.about.n_unknown, 'episode')} of that table missing in the split")
    if not parts:
        sentence = f"Every row counts, and each of {counted(len(test), 'test episode')} is predicted."
        return Checked(check="tables-agree", verdict="ok", sentence=sentence)
    examples = found.names.first(silent, SHOWN) or found.unknown
    return Checked(
        check="tables-agree",
        verdict="warn",
        sentence=f"The tables do not agree: {'; '.join(parts)}. What is left out may be what is hard; say why it is.",
        figures={"share_of_test_episodes": share_estimate(len(silent), len(test))} if len(silent) else {},
        about="episodes",
        n_about=len(silent) or found.n_unknown,
        examples=examples,
    )
