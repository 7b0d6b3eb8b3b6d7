"""Strata that the test side hardly holds: no figure of theirs rests on enough episodes.

What does not belong here: figures of strata.
"""

# E episodes, K classes, V values of a group
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.audit.findings import SHOWN, Checked, not_checked, some
from rlstir_core.audit.material import Material
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.text import plain


def untested(found: Material) -> Iterator[Checked]:
    """A finding for classes, and one for each group."""
    test, K, E = found.test, found.n_classes, len(found.names)
    stands_EK = np.bincount(test.episode_N * K + test.y_N, minlength=E * K).reshape(E, K) > 0
    names = tuple(plain(name, 60) for name in found.classes)
    yield _strata("class", names, stands_EK.sum(axis=0), f"in fewer than {MIN_PHASE_EPISODES} test episodes")
    if not found.groups:
        yield not_checked("untested/groups", "the split has no column of groups, such as host, sample or corpus")
    tested_E = stands_EK.any(axis=1)
    for group in found.groups:
        code = group.code_E[tested_E]
        n_V = np.bincount(code[code >= 0], minlength=len(group.names))
        here = np.flatnonzero(n_V)
        name = plain(group.name, 60)
        if not len(here):
            yield not_checked(f"untested/{name}", f"no test episode has a {name}")
            continue
        order = here[np.argsort(n_V[here], kind="stable")]
        shown = group.names.first(order, SHOWN)
        yield _strata(name, shown, n_V[order], f"with fewer than {MIN_PHASE_EPISODES} test episodes")


def _strata(what: str, names: tuple[str, ...], n_V: Ints, how: str) -> Checked:
    """`names` are of the first strata at least, and those with few episodes come first where not all are named."""
    few = np.flatnonzero(n_V < MIN_PHASE_EPISODES)
    labels = tuple(f"{names[v]} ({n_V[v]:,})" for v in few[:SHOWN])
    if not len(few):
        sentence = f"Each of {len(n_V):,} strata by {what} stands in {n_V.min():,} test episodes or more."
        return Checked(check=f"untested/{what}", verdict="ok", sentence=sentence)
    return Checked(
        check=f"untested/{what}",
        verdict="warn",
        sentence=(
            f"{len(few):,} of {len(n_V):,} strata by {what} stand {how}: {some(labels, len(few))}; give no figure of "
            "their own and name them as untested."
        ),
        about=f"strata by {what}",
        n_about=len(few),
        examples=labels,
    )
