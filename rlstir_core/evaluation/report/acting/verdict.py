"""Who learns most at equal cost, in sentences: a win, a defeat, a tie called a tie, and whether there was room to win.

What does not belong here: tables, and how intervals and p are made.
"""

from __future__ import annotations

from collections.abc import Iterable

from rlstir_core.evaluation.acting.figures import is_rival
from rlstir_core.evaluation.acting.records import NO_ROOM, Against, InvestigationEvaluation, PolicyFigures
from rlstir_core.evaluation.report.markdown import figure, listed, plural, signed
from rlstir_core.evaluation.report.rows import coded
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.text import escape_md

_ALPHA = 0.05


def verdict(found: InvestigationEvaluation) -> list[str]:
    """A sentence an area on who wins, a tie called a tie; and what the headroom check says where it says no."""
    said = [_who(found, "coverage"), _who(found, "f1")]
    for figure_name, room in (("coverage", found.headroom.coverage_room), ("F1", found.headroom.f1_room)):
        if room is False:
            said.append(
                f"On {figure_name} this store **cannot show an advantage of reinforcement learning**: without it more "
                f"than {NO_ROOM:.2f} of what an oracle gains is reached on validation."
            )
    return said


def _who(found: InvestigationEvaluation, area: str) -> str:
    name, of = coded(found.about), "coverage" if area == "coverage" else "F1"
    own = _area(found.policies[found.about], area)
    rivals = {n: each for n, each in found.paired.items() if is_rival(n, found.about)}
    if own.value is None:
        return f"Nothing is said of the area under {of} against cost: {escape_md(own.note)}."
    begin = f"{name} has an area under {of} against cost of {figure(own)}"
    if not rivals:
        return f"{begin}; nobody stands beside it."
    ranked = sorted(rivals, key=lambda n: (-(_area(found.policies[n], area).value or 0.0), n))
    how = {n: _relation(rivals[n], area) for n in ranked}
    better, worse, tied = ([n for n in ranked if how[n] == kind] for kind in ("better", "worse", "tie"))

    def gap(name: str) -> str:
        return f"{signed(_gap(rivals[name], area))} against {coded(name)}"

    if not (better or worse or tied):
        return f"{begin}, {gap(ranked[0])}; nothing follows without an interval."
    if worse:
        rest = f"; it is not told apart from {names_of(tied)}" if tied else ""
        return f"{begin} and is **worse than** {names_of(worse)} ({gap(worse[0])}){rest}."
    if tied:
        said = gap(tied[0])
        if _excludes_0(rivals[tied[0]], area):
            said += f"; this interval excludes 0, but not after Holm's correction for {plural(len(rivals), 'rival')}"
        than = f", and better than {names_of(better)}" if better else ""
        return f"{begin}: **a tie** with {names_of(tied)} ({said}){than}."
    return f"{begin} and is **better than every rival** ({gap(ranked[0])}, which comes nearest)."


def _relation(against: Against, area: str) -> str:
    gap, p = _gap(against, area), against.p_f1 if area == "f1" else against.p_coverage
    if gap.lo is None or gap.hi is None:
        return "open"
    if p is not None and p < _ALPHA and gap.lo > 0:
        return "better"
    return "worse" if p is not None and p < _ALPHA and gap.hi < 0 else "tie"


def _excludes_0(against: Against, area: str) -> bool:
    gap = _gap(against, area)
    return gap.lo is not None and gap.hi is not None and (gap.lo > 0 or gap.hi < 0)


def _area(each: PolicyFigures, area: str) -> Estimate:
    return each.f1_cost_auc if area == "f1" else each.coverage_cost_auc


def _gap(each: Against, area: str) -> Estimate:
    return each.f1_cost_auc if area == "f1" else each.coverage_cost_auc


def names_of(names: Iterable[str]) -> str:
    """The names in code type, as a list in a sentence."""
    return listed([coded(name) for name in names])
